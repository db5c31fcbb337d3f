"""Against floaters: the space in front of a camera is kept clear.

With few photographs a fit explains what is odd about one of them by Gaussians right in front of its camera, where no
other photograph looks. So what is nearer to a camera than anything that it can have photographed is not drawn when its
photograph is compared: it cannot explain it. And it fades, unless other photographs need it.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ..camera import Camera, in_picture, project
from ..gaussians import Gaussians

_OUTLIERS = 0.02  # share of the points in a picture that may be nearer than they are
_FEWEST = 20  # points in a picture that say how near things are
_WEIGHT = 0.01  # of the mean opacity of what is in the way: that of MCMC, under which what is of use stays opaque


def clear_depths(cameras: Sequence[Camera], points: Float[Tensor, "p 3"], share: float) -> Float[Tensor, " v"]:
    """Return up to which camera z the view of each camera is kept clear: `share` of its nearest points' z.

    0 where a camera sees too few points to tell. The nearest 2 % do not count.
    """
    depths = torch.zeros(len(cameras))
    for i, camera in enumerate(cameras):
        pixels, depth_z = project(camera, points)
        shown = depth_z[in_picture(camera, pixels, depth_z)]
        if len(shown) >= _FEWEST:
            depths[i] = share * shown.sort().values[int(_OUTLIERS * len(shown))]
    return depths


def in_the_way(camera: Camera, means: Float[Tensor, "n 3"], clear_z: float) -> Bool[Tensor, " n"]:
    """Return which Gaussians have their centre in the picture, in front of the camera and nearer than `clear_z`."""
    to_z = camera.world_to_camera[2]
    depth_z = means @ to_z[:3] + to_z[3]
    (near,) = ((depth_z > 0) & (depth_z < clear_z)).nonzero(as_tuple=True)  # few, so that few are projected
    found = torch.zeros(len(means), dtype=torch.bool, device=means.device)
    found[near] = in_picture(camera, *project(camera, means[near]))
    return found


def fading(gaussians: Gaussians, camera: Camera, clear_z: float) -> Float[Tensor, ""]:
    """Return the weighted mean opacity, over all Gaussians, of those that are in the way."""
    chosen = in_the_way(camera, gaussians.means.detach(), clear_z)
    return _WEIGHT * gaussians.opacities[chosen].sum() / len(gaussians)
