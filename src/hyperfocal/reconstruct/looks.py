"""What finished Gaussians look like: renderings without gradients, and their colours as files hold them."""

import torch
from jaxtyping import Float
from torch import Tensor

from ..camera import Camera
from ..color import srgb_from_linear
from ..gaussians import Gaussians
from ..lens import ThinLens
from ..render import render
from ..rendering import Rendering, RenderOptions

_EVERYDAY = RenderOptions()
_BLURRED = RenderOptions(defocus="fast_splat")


def rendering_of(gaussians: Gaussians, camera: Camera, options: RenderOptions = _EVERYDAY) -> Rendering:
    """Return what a camera sees, without what gradients would need."""
    with torch.no_grad():
        return render(gaussians, camera, options=options)


def photographed(gaussians: Gaussians, camera: Camera, lens: ThinLens) -> Float[Tensor, "h w 3"]:
    """Return the colours that a camera sees through a lens. What else is known of a picture, the pinhole tells."""
    with torch.no_grad():
        return render(gaussians, camera, lens=lens, options=_BLURRED).color


def displayed(color: Float[Tensor, "*n 3"], gaussians: Gaussians) -> Float[Tensor, "*n 3"]:
    """Return rendered colours of Gaussians in sRGB, as files hold them."""
    return srgb_from_linear(color) if gaussians.color_space == "linear" else color
