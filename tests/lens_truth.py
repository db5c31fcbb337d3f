"""What a thin lens sees of textured planes: the exact picture, by averaging rays from all over the lens.

The scenes are formulas, so that a ray needs no picture: neither the sharp picture nor the truth comes from the code
under test.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from hyperfocal.camera import pixel_centers


@dataclass(frozen=True)
class Plane:
    """z = z + slope * x in camera axes, where |x - middle| <= half and |y| <= half: everywhere if that is infinite."""

    z: float
    slope: float = 0.0
    middle: float = 0.0
    half: float = math.inf
    seed: int = 0
    shortest_px: float = 5.0
    """The shortest wave of its texture, at its z in a picture with this focal length:"""
    focal_px: float = 80.0

    def met(self, start: Tensor, slopes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Where rays start + (slopes, 1) z meet it: x and y, z, and whether they do."""
        z = (self.z + self.slope * start[..., 0]) / (1 - self.slope * slopes[..., 0])
        at = start + slopes * z.unsqueeze(-1)
        inside = ((at[..., 0] - self.middle).abs() <= self.half) & (at[..., 1].abs() <= self.half)
        return at, z, inside & (z > 0)

    def color(self, at: Tensor) -> Tensor:
        """Linear light [..., 3] in [0, 1]: waves of random direction, length and colour."""
        generator = torch.Generator().manual_seed(self.seed)
        waves = 12
        length = self.shortest_px * 4 ** torch.rand(waves, generator=generator) * self.z / self.focal_px
        angle, phase = 2 * math.pi * torch.rand(2, waves, generator=generator)
        weights = torch.rand(waves, 3, generator=generator) - 0.5
        weights = weights / weights.abs().sum(0) * 0.9
        along = at[..., :1] * torch.cos(angle) + at[..., 1:] * torch.sin(angle)
        return 0.5 + 0.5 * torch.sin(2 * math.pi * along / length + phase) @ weights + 0.2 * (self.seed % 3 - 1)


@dataclass(frozen=True)
class Seen:
    """Pictures [h, w, 3] in linear light, the depth of the sharp one, and where the lens sees what that hides."""

    sharp: Tensor
    depth_z: Tensor
    through_lens: Tensor
    revealed: Tensor


def look(planes: list[Plane], aperture: float, focus: float, width: int, height: int, rays: int = 300) -> Seen:
    """Return what the scene (nearest plane first) looks like; `rays` from all over the lens and the pixel's area."""
    focal_px = planes[0].focal_px
    pixel = (pixel_centers(width, height) - torch.tensor([width / 2, height / 2])) / focal_px
    grid = (torch.arange(4) + 0.5) / 4 - 0.5
    inner = torch.stack(torch.meshgrid(grid, grid, indexing="ij"), -1).reshape(-1, 2) / focal_px
    sharp = torch.stack([_seen(planes, torch.zeros(2), pixel + offset) for offset in inner]).mean(0)
    depth_z, _ = _first(planes, torch.zeros(2), pixel)

    total, revealed = torch.zeros_like(sharp), torch.zeros(height, width, dtype=torch.bool)
    for i in range(rays):
        # Vogel's spiral over the lens, and a Kronecker sequence over the pixel.
        radius, turn = aperture / 2 * math.sqrt((i + 0.5) / rays), i * math.pi * (3 - math.sqrt(5))
        start = radius * torch.tensor([math.cos(turn), math.sin(turn)])
        inside_pixel = torch.tensor([i * 0.7548776662 % 1 - 0.5, i * 0.5698402910 % 1 - 0.5]) / focal_px
        slopes = pixel + inside_pixel - start / focus
        total += _seen(planes, start, slopes)
        # Does the pinhole see the point that the ray hits?
        z, index = _first(planes, start, slopes)
        point = (start + slopes * z.unsqueeze(-1)) / z.unsqueeze(-1)
        _, pinhole = _first(planes, torch.zeros(2), point)
        column, row = point[..., 0] * focal_px + width / 2, point[..., 1] * focal_px + height / 2
        outside = (column < 0) | (column >= width) | (row < 0) | (row >= height)
        revealed |= (pinhole != index) | outside
    return Seen(sharp, depth_z, total / rays, revealed)


def _first(planes: list[Plane], start: Tensor, slopes: Tensor) -> tuple[Tensor, Tensor]:
    """z and number of the first plane that each ray meets; the last one is met by all."""
    z, index = torch.zeros(slopes.shape[:-1]), torch.full(slopes.shape[:-1], -1)
    for i in reversed(range(len(planes))):
        _, depth_z, met = planes[i].met(start, slopes)
        z, index = torch.where(met, depth_z, z), torch.where(met, i, index)
    return z, index


def _seen(planes: list[Plane], start: Tensor, slopes: Tensor) -> Tensor:
    """The colour that each ray meets."""
    _, index = _first(planes, start, slopes)
    color = torch.zeros(*slopes.shape[:-1], 3)
    for i, plane in enumerate(planes):
        at, _, _ = plane.met(start, slopes)
        here = index == i
        color[here] = plane.color(at[here])
    return color


def psnr(a: Tensor, b: Tensor, where: Tensor) -> float:
    """Peak signal to noise in dB over some pixels, for values up to 1."""
    return -10 * math.log10(float((a - b)[where].square().mean()))
