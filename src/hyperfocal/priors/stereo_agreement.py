"""Depth maps of several photographs against each other: what two or more of them agree on is believed."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import grid_sample

from ..camera import Camera, pixel_centers, project, unproject, unproject_places
from ..native.stereo import Slants
from ..shapes import Map


@dataclass(frozen=True)
class Agreement:
    """How the depth of a photograph compares with that of its sources."""

    count: Int[Tensor, "h w"]
    """Sources that see the point at the same depth."""
    asked: Int[Tensor, "h w"]
    """Sources whose picture the point is in."""
    inverse_depth: Map
    """The mean of the pixel's own and of all that agree."""


def agreement(
    camera: Camera,
    slants: Slants,
    sources: list[tuple[Camera, Map]],
    tolerance: float,
    least_tolerance: float,
) -> Agreement:
    """Compare inverse depths with those of the sources at the places where they see the same points.

    Args:
        camera: Of the photograph.
        slants: Its inverse depths and their slopes.
        sources: Camera and inverse depth of each.
        tolerance: Largest relative difference of inverse depth that is agreement.
        least_tolerance: The largest difference, where that is more.
    """
    inverse = slants.inverse_depth
    points = unproject(camera, 1 / inverse).reshape(-1, 3)
    pixels = pixel_centers(camera.width, camera.height)
    total, weight = inverse.clone(), torch.ones_like(inverse)
    asked = torch.zeros(inverse.shape, dtype=torch.int64)
    for other, other_inverse in sources:
        places, depth_z = (tensor.reshape(*inverse.shape, -1) for tensor in project(other, points))
        depth_z = depth_z[..., 0]
        inside = (depth_z > 0) & (places >= 0).all(-1)
        inside &= (places[..., 0] <= other.width) & (places[..., 1] <= other.height)
        found = _sampled(other_inverse, torch.where(inside.unsqueeze(-1), places, 0))
        away = (found - 1 / depth_z).abs()
        allowed = torch.clamp(tolerance / depth_z, min=least_tolerance)
        agrees = inside & (found > 0) & (away <= allowed)
        # The point that the source believes in, as the photograph sees it: beside the pixel, so back along its slope.
        there = unproject_places(other, places, 1 / found)
        back_px, back_z = (tensor.reshape(*inverse.shape, -1) for tensor in project(camera, there.reshape(-1, 3)))
        off = back_px - pixels
        as_seen = 1 / back_z[..., 0] - off[..., 0] * slants.along_x - off[..., 1] * slants.along_y
        agrees &= torch.isfinite(as_seen) & ((as_seen - inverse).abs() <= 2 * allowed)
        total += torch.where(agrees, as_seen, 0)
        weight += agrees
        asked += inside
    return Agreement(weight.long() - 1, asked, total / weight)


def _sampled(values: Map, places: Float[Tensor, "h w 2"]) -> Map:
    """Return values between pixels. Inverse depth is affine on a plane, so this is exact there."""
    height, width = values.shape
    grid = places / places.new_tensor([width, height]) * 2 - 1
    return grid_sample(values[None, None], grid[None], mode="bilinear", padding_mode="border", align_corners=False)[
        0, 0
    ]
