"""Removing Gaussians that do not belong: floaters, what nobody sees, what lies outside a box."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool
from scipy.spatial import KDTree
from torch import Tensor

from ..camera import Camera
from ..fit.clear_view import in_the_way
from ..fit.extent import distance_to_subject
from ..gaussians import Gaussians
from ..progress import Progress, silent
from ..rendering import RenderOptions
from .clean_config import CleanConfig
from .looks import rendering_of

NEIGHBOUR = 3  # the neighbour that isolation asks about: floaters come in pairs too
BEYOND = 50.0  # times the distance to what the cameras look at: a sky, which says nothing about how near things are
CAMERA_RULES = ("min_weight", "near")  # need the photographs' cameras


@dataclass(frozen=True)
class Cleaned:
    """What cleaning left, and what it took."""

    gaussians: Gaussians
    removed: Bool[Tensor, " n"]
    """Of the Gaussians before: True where one was removed."""
    counts: dict[str, int]
    """Rule -> Gaussians that it applies to; several rules may apply to one. Rules that are off are left out."""
    skipped: tuple[str, ...] = ()
    """Rules that need cameras, where there were none."""


def clean(
    gaussians: Gaussians,
    cameras: tuple[Camera, ...] = (),
    config: CleanConfig | None = None,
    *,
    progress: Progress = silent,
) -> Cleaned:
    """Return the Gaussians without those that a rule of `config` applies to.

    Args:
        gaussians: Not changed.
        cameras: Of the photographs that were fitted, as large as they were fitted. Without, rules about them are
            skipped.
        config: None is the cautious default.
        progress: Told of every camera, and of the search for neighbours.
    """
    config = config or CleanConfig()
    found: dict[str, Tensor] = {}
    skipped = tuple(rule for rule in CAMERA_RULES if getattr(config, rule) > 0 and not cameras)
    gaussians = gaussians.detach()
    if config.min_opacity > 0:
        found["min_opacity"] = gaussians.opacities < config.min_opacity
    if cameras and (config.min_weight > 0 or config.near > 0):
        found |= _seen_by(cameras, gaussians, config, progress)
    if config.isolation > 0:
        progress("finding neighbours", 0, 1)
        found["isolation"] = isolation(gaussians) > config.isolation
        progress("finding neighbours", 1, 1)
    if config.max_size > 0 and len(gaussians) > 0:
        found["max_size"] = gaussians.scales.amax(1) > config.max_size * scene_diagonal(gaussians)
    if config.crop is not None:
        low, high = gaussians.means.new_tensor(config.crop).view(2, 3)
        found["crop"] = ~((gaussians.means >= low) & (gaussians.means <= high)).all(1)
    removed = torch.zeros(len(gaussians), dtype=torch.bool, device=gaussians.device)
    for mask in found.values():
        removed |= mask
    counts = {rule: int(mask.sum()) for rule, mask in found.items()}
    return Cleaned(gaussians.select(~removed), removed, counts, skipped)


def isolation(gaussians: Gaussians) -> Tensor:
    """Return how alone each Gaussian is: its distance to the third-nearest over the sum of both's largest deviations.

    Gaussians of a surface overlap whatever their size, in the far background too, where they are large and sparse. On
    real photographs of two scenes half of them came to less than 0.5 and 99 % to less than 3.
    """
    count = len(gaussians)
    if count <= NEIGHBOUR:
        return gaussians.means.new_zeros(count)
    means = gaussians.means.cpu().double().numpy()
    found = KDTree(means).query(means, k=NEIGHBOUR + 1, workers=-1)  # the nearest is the Gaussian itself
    distances, indices = (torch.as_tensor(np.asarray(each)[:, -1], device=gaussians.device) for each in found)
    size = gaussians.scales.amax(1)
    return distances.to(size) / (size + size[indices])


def scene_diagonal(gaussians: Gaussians) -> float:
    """Return the diagonal of the box that holds the middle 98 % of the centres along every axis."""
    ordered = gaussians.means.sort(dim=0).values
    last = len(gaussians) - 1
    return float((ordered[round(0.99 * last)] - ordered[round(0.01 * last)]).norm())


def _seen_by(
    cameras: tuple[Camera, ...], gaussians: Gaussians, config: CleanConfig, progress: Progress
) -> dict[str, Tensor]:
    """Return what the rules about cameras apply to."""
    beyond = BEYOND * distance_to_subject(cameras)
    weight = torch.zeros_like(gaussians.opacities)
    near = torch.zeros(len(gaussians), dtype=torch.bool, device=gaussians.device)
    for i, camera in enumerate(cameras):
        rendering = rendering_of(gaussians, camera, RenderOptions(weight_sum=True))
        assert rendering.weight_sum is not None
        weight += rendering.weight_sum
        known = rendering.depth_median[(rendering.depth_median > 0) & (rendering.depth_median < beyond)]
        if len(known) > 0:
            near |= in_the_way(camera, gaussians.means, config.near * float(known.median()))
        progress("looking from the cameras", i + 1, len(cameras))
    found = {"min_weight": weight < config.min_weight, "near": near}
    return {rule: mask for rule, mask in found.items() if getattr(config, rule) > 0}
