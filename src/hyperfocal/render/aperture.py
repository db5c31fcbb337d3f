"""A lens as what it is: the average of the pinhole pictures that the points of its opening take."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from ..apertures import aperture_points
from ..camera import Camera
from ..gaussians import Gaussians
from ..lens import ThinLens
from ..rendering import Rendering, RenderOptions
from .defocus import Draw


def render_aperture(
    draw: Draw,
    gaussians: Gaussians,
    camera: Camera,
    lens: ThinLens,
    background: Float[Tensor, "v 3"],
    options: RenderOptions,
) -> Rendering:
    """Return the mean of what a backend draws from `options.aperture_samples` points of the lens.

    Each picture is sheared so that the plane in focus stays where it is. All maps are means, depths included, but for
    `radii_px`, which are the largest.

    Args:
        draw: The backend.
        gaussians: What is seen.
        camera: A batch.
        lens: One for all views, or one a view.
        background: Of each view.
        options: `aperture`, `aperture_samples` and whatever else; `opacity_law` is not looked at.
    """
    options = replace(options, opacity_law=None)
    lens = lens.as_batch(len(background))
    diameter, focus = lens.aperture_diameter.unsqueeze(1), lens.focus_distance.unsqueeze(1)
    points = aperture_points(options.aperture, options.aperture_samples).to(camera.focal_px)
    pictures = (draw(gaussians, _moved(camera, diameter * point, focus), background, options) for point in points)
    first = next(pictures)
    radii = first.radii_px
    totals: dict[str, Tensor] = {name: value for name, value in vars(first).items() if value is not None}
    for drawn in pictures:
        radii = torch.maximum(radii, drawn.radii_px)
        totals = {name: total + getattr(drawn, name) for name, total in totals.items()}
    means = {name: total / len(points) for name, total in totals.items()}
    return replace(first, **means | {"radii_px": radii})


def _moved(camera: Camera, shift: Float[Tensor, "v 2"], focus: Float[Tensor, "v 1"]) -> Camera:
    """Return cameras moved sideways by `shift` (scene units) that see the plane in focus at the same pixels."""
    world_to_camera = camera.world_to_camera.clone()
    world_to_camera[:, :2, 3] = world_to_camera[:, :2, 3] - shift
    return replace(
        camera, world_to_camera=world_to_camera, center_px=camera.center_px + camera.focal_px * shift / focus
    )
