"""What finished Gaussians look like: renderings without gradients, and their colours as files hold them."""

import torch
from jaxtyping import Float
from torch import Tensor

from ..camera import Camera
from ..color import srgb_from_linear
from ..gaussians import Gaussians
from ..render import render
from ..rendering import Rendering, RenderOptions

_EVERYDAY = RenderOptions()


def rendering_of(gaussians: Gaussians, camera: Camera, options: RenderOptions = _EVERYDAY) -> Rendering:
    """Return what a camera sees, without what gradients would need."""
    with torch.no_grad():
        return render(gaussians, camera, options=options)


def displayed(color: Float[Tensor, "*n 3"], gaussians: Gaussians) -> Float[Tensor, "*n 3"]:
    """Return rendered colours of Gaussians in sRGB, as files hold them."""
    return srgb_from_linear(color) if gaussians.color_space == "linear" else color
