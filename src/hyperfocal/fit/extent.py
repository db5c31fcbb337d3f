"""How large a scene is, from where its cameras stand and look."""

import math
from collections.abc import Sequence

import torch

from ..camera import Camera, project
from ..gaussians import Gaussians

_ASKED = 100_000  # points for quantiles: a sample will do


def scene_extent(cameras: Sequence[Camera], gaussians: Gaussians) -> float:
    """Return the size of the scene, the unit of the positions' learning rate and of density control.

    1.1 times the largest distance of a camera from their mean (Kerbl et al. 2023). Cameras in a short row far from
    their subject would make that far too small: it is at least half the median distance from cameras to Gaussians.
    """
    centers = torch.stack([camera.centers() for camera in cameras])
    around = 1.1 * float((centers - centers.mean(0)).norm(dim=1).max())
    away = 0.5 * float((gaussians.means - centers.mean(0)).norm(dim=1).median())
    return max(around, away)


def inverse_depths(cameras: Sequence[Camera], gaussians: Gaussians) -> tuple[float, float, float]:
    """Return the 5, 50 and 95 % quantiles of 1 / z over all that the cameras see; of one distance, if that is nothing.

    Raises:
        ValueError: no cameras.
    """
    seen = []
    for camera in cameras:
        pixels, depth_z = project(camera, gaussians.means)
        shown = (depth_z > 0) & (pixels > 0).all(1) & (pixels < pixels.new_tensor([camera.width, camera.height])).all(1)
        seen.append(1 / depth_z[shown])
    inverse = torch.cat(seen)
    if len(inverse) == 0:
        only = 1 / distance_to_subject(cameras)
        return only, only, only
    some = inverse[:: math.ceil(len(inverse) / _ASKED)]
    low, middle, high = torch.quantile(some, some.new_tensor([0.05, 0.5, 0.95])).tolist()
    return low, middle, high


def distance_to_subject(cameras: Sequence[Camera]) -> float:
    """Return the median distance of the cameras to the point nearest to all their viewing axes.

    Where the axes do not meet in front of the cameras (parallel views, one camera) it is at least the largest distance
    between a camera and their mean; 1 when there is only one place.
    """
    centers = torch.stack([camera.centers() for camera in cameras]).double()
    forward = torch.stack([camera.world_to_camera[2, :3] for camera in cameras]).double()
    spread = float((centers - centers.mean(0)).norm(dim=1).max())
    if spread == 0:
        return 1.0
    # Least squares of the distances to the axes; the small ridge keeps parallel axes from meeting at infinity.
    across = torch.eye(3, dtype=torch.float64) - forward.unsqueeze(2) * forward.unsqueeze(1)
    ridge = 1e-3 * len(cameras) * torch.eye(3, dtype=torch.float64)
    towards = (across @ centers.unsqueeze(2)).sum(0) + ridge @ (centers.mean(0) + spread * forward.mean(0)).unsqueeze(1)
    meeting = torch.linalg.solve(across.sum(0) + ridge, towards).squeeze(1)
    ahead = ((meeting - centers) * forward).sum(1)
    return max(spread, float(ahead.median()))
