"""What finished Gaussians look like: renderings without gradients, and the pictures that they make."""

import torch

from ..camera import Camera
from ..color import displayed
from ..gaussians import Gaussians
from ..lens import ThinLens
from ..render import render
from ..render.layers import defocus_layers
from ..rendering import Rendering, RenderOptions
from ..shapes import Image

_EVERYDAY = RenderOptions()


def rendering_of(gaussians: Gaussians, camera: Camera, options: RenderOptions = _EVERYDAY) -> Rendering:
    """Return what a camera sees, without what gradients would need."""
    with torch.no_grad():
        return render(gaussians, camera, options=options)


def picture_of(
    rendering: Rendering,
    gaussians: Gaussians,
    camera: Camera,
    lens: ThinLens | None = None,
    *,
    z_range: tuple[float, float] | None = None,
) -> Image:
    """Return the sRGB picture of a rendering, through a lens if one is given.

    The sharp picture is spread in layers of depth. Gaussians of sRGB colours that are blurred one by one add up sRGB
    values, where a lens adds up light: against a path tracer's lens that is 4.5 dB worse.

    Args:
        rendering: What the camera sees through a pinhole.
        gaussians: Of which it is a rendering.
        camera: The same.
        lens: A single one, in scene units; None is the pinhole.
        z_range: Nearest and farthest z of the layers, for films; None is the picture's.
    """
    color = displayed(rendering.color, gaussians.color_space)
    if lens is None:
        return color
    with torch.no_grad():
        return defocus_layers(
            color.clamp(0, 1), rendering.depth_median, lens, camera.round_focal_px, z_range=z_range
        ).color
