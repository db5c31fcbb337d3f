"""What finished Gaussians look like: renderings without gradients."""

import torch
from jaxtyping import Float
from torch import Tensor

from ..camera import Camera
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
