"""A lens as what it is: the average of the pinhole pictures that the points of its opening take."""

from dataclasses import fields, replace

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
    `radii_px`, which are those of the middle of the lens.

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
    middle = draw(gaussians, camera, background, options)
    totals: dict[str, Tensor] = {}
    for point in points:
        shift = diameter * point
        drawn = draw(gaussians, _moved(camera, shift, focus), background, options)
        for field in fields(drawn):
            value = getattr(drawn, field.name)
            if value is not None:
                totals[field.name] = totals[field.name] + value if field.name in totals else value
    means = {name: total / len(points) for name, total in totals.items()}
    return replace(middle, **means | {"radii_px": middle.radii_px})


def _moved(camera: Camera, shift: Float[Tensor, "v 2"], focus: Float[Tensor, "v 1"]) -> Camera:
    """Return cameras moved sideways by `shift` (scene units) that see the plane in focus at the same pixels."""
    world_to_camera = camera.world_to_camera.clone()
    world_to_camera[:, :2, 3] = world_to_camera[:, :2, 3] - shift
    return replace(
        camera, world_to_camera=world_to_camera, center_px=camera.center_px + camera.focal_px * shift / focus
    )
