"""A sky: a dome of Gaussians so far away that it looks the same from every camera.

Nothing but Gaussians, so that every viewer of PLY files shows it. It stands around all cameras, at a multiple of their
distance to what they look at; where it is follows from the cameras alone, so that a fit that goes on finds it again.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ..camera import Camera, in_picture, project
from ..gaussians import Gaussians, from_points
from .config import InitialConfig
from .extent import distance_to_subject
from .pyramid import PhotographStore

_CELLS = 24  # along the longer side of a picture: where a cell has points of the scene, it does not show the sky
_GREY = 0.5


@dataclass(frozen=True)
class Sky:
    """Where the dome is."""

    center: Float[Tensor, "3"]
    """The mean of the cameras."""
    radius: float
    """In scene units."""

    def holds(self, means: Float[Tensor, "n 3"]) -> Bool[Tensor, " n"]:
        """Return which Gaussians belong to the sky: those farther away than half its radius."""
        return (means - self.center).norm(dim=1) > self.radius / 2


def sky_of(cameras: Sequence[Camera], config: InitialConfig) -> Sky | None:
    """Return where the sky of a scene is; None if the config asks for none."""
    if config.sky == 0:
        return None
    center = torch.stack([camera.centers() for camera in cameras]).mean(0)
    return Sky(center, config.sky_distance * distance_to_subject(cameras))


def without_size_of(sky: Sky | None, gaussians: Gaussians) -> Gaussians:
    """Return the Gaussians as regularisers should see them: those of the sky have no size to make smaller."""
    if sky is None:
        return gaussians
    return replace(gaussians, scales=gaussians.scales.masked_fill(sky.holds(gaussians.means).unsqueeze(1), 0))


def dome(
    sky: Sky,
    count: int,
    cameras: Sequence[Camera],
    points: Float[Tensor, "p 3"],
    *,
    photographs: PhotographStore | None = None,
    shrink: int = 1,
    opacity: float = 0.1,
    sh_degree: int = 3,
) -> Gaussians:
    """Return the Gaussians of a dome that some camera sees past the points of the scene.

    Args:
        sky: Where it is.
        count: Of the Gaussians if the dome were whole; they are about as large as they are apart.
        cameras: Of the photographs.
        points: Of the scene. A part of a picture (a 24th of its longer side) with any of them does not show the sky.
        photographs: Of `cameras`, for colours: the mean of the pixels that show the sky there. Grey without.
        shrink: Factor by which the photographs are shrunk for it.
        opacity: Of every Gaussian.
        sh_degree: Degree of the coefficients.
    """
    positions = sky.center + sky.radius * _directions(count)
    total, seen = torch.zeros(count, 3), torch.zeros(count)
    for i, camera in enumerate(cameras):
        photograph = None if photographs is None else photographs.photograph(i, shrink)
        camera = camera if photograph is None else photograph.camera
        (open_,) = _open_to(camera, positions, points).nonzero(as_tuple=True)
        x, y = project(camera, positions[open_])[0].long().unbind(1)
        if photograph is not None:
            valid = photograph.valid[y, x]
            open_, x, y = open_[valid], x[valid], y[valid]
            total[open_] += photograph.image[y, x]
        seen[open_] += 1
    colors = total / seen.clamp_min(1).unsqueeze(1) if photographs is not None else torch.full((count, 3), _GREY)
    shown = seen > 0
    spacing = sky.radius * math.sqrt(4 * math.pi / count)
    positions, colors = positions[shown], colors[shown].clamp(0, 1)
    scales = torch.full((len(positions),), spacing)
    return from_points(positions, colors, scales, opacity=opacity, sh_degree=sh_degree)


def _open_to(camera: Camera, positions: Float[Tensor, "n 3"], points: Float[Tensor, "p 3"]) -> Bool[Tensor, " n"]:
    """Return which positions are within a picture, in a part of it that has no points of the scene."""
    cell_px = math.ceil(max(camera.width, camera.height) / _CELLS)
    covered = torch.zeros(math.ceil(camera.height / cell_px), math.ceil(camera.width / cell_px), dtype=torch.bool)

    def cells(places: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        pixels, depth_z = project(camera, places)
        inside = in_picture(camera, pixels, depth_z)
        x, y = (pixels.where(inside.unsqueeze(1), 0) // cell_px).long().unbind(1)
        return inside, y, x

    inside, y, x = cells(points)
    covered[y[inside], x[inside]] = True
    inside, y, x = cells(positions)
    return inside & ~covered[y, x]


def _directions(count: int) -> Float[Tensor, "count 3"]:
    """Return directions at about even distances on the whole sphere (Fibonacci's lattice)."""
    i = torch.arange(count, dtype=torch.float64) + 0.5
    height = 1 - 2 * i / count
    angle = math.pi * (1 + math.sqrt(5)) * i
    flat = (1 - height.square()).sqrt()
    return torch.stack((flat * angle.cos(), flat * angle.sin(), height), dim=1).to(torch.float32)
