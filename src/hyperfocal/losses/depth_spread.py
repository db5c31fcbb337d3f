"""How far apart in depth is what a pixel sees: nothing for a closed surface, much for one that is seen through."""

import torch
from jaxtyping import Float
from torch import Tensor

from ..camera import Camera
from ..gaussians import Gaussians
from ..render import render
from ..rendering import RenderOptions
from ..transforms import apply_rigid

_NEGLIGIBLE = 0.02  # of the scene's range of 1 / z: spreads below this hardly count, and the square root stays smooth
_LEAST_ALPHA = 0.5  # coverage from which on a pixel has a surface


def depth_spread_loss(
    gaussians: Gaussians, camera: Camera, inverse_range: float, options: RenderOptions
) -> Float[Tensor, ""]:
    """Return the mean over pixels of the standard deviation of 1 / z among what each sees, in units of a range.

    Photographs do not tell a closed surface from one that lets through what is alike behind it; the median depth falls
    through the latter. Each pixel sees a distribution of depths, with the weights of alpha blending; this is its spread
    (theory (10a)), made smooth at zero and linear in the large, where an edge may rightly have two depths.

    Args:
        gaussians: Their opacities, shapes and places receive gradients, their colours none.
        camera: A single one, with the pinhole: through a lens every depth is spread.
        inverse_range: Of 1 / z in the scene, in 1 / scene units.
        options: Of the renderer; only `near` and `threads` matter.
    """
    z = apply_rigid(camera.world_to_camera, gaussians.means)[..., 2].clamp_min(options.near)
    inverse = 1 / (z * inverse_range)
    # About the middle of them, as the difference of two large squares would be noise.
    inverse = inverse - inverse.detach().median()
    moments = torch.stack((inverse, inverse.square(), torch.zeros_like(inverse)), dim=1)
    plain = RenderOptions(near=options.near, threads=options.threads, colors=moments)
    seen = render(gaussians, camera, options=plain)
    alpha = seen.alpha.clamp_min(1e-3)
    mean, mean_square = seen.color[..., 0] / alpha, seen.color[..., 1] / alpha
    variance = (mean_square - mean.square()).clamp_min(0)
    spread = (variance + _NEGLIGIBLE**2).sqrt() - _NEGLIGIBLE
    return (spread * (seen.alpha.detach() > _LEAST_ALPHA)).mean()
