"""The core's stereo in plain torch and Python loops, as its definition; photographs of walls whose depth is known."""

import math

import torch
from torch import Tensor

from hyperfocal.camera import Camera, unproject
from hyperfocal.native.stereo import UNSEEN, StereoSource, StereoView
from hyperfocal.scene import Photograph


def seen_at(source: StereoSource, x: Tensor, y: Tensor, inverse_depth: Tensor) -> Tensor:
    """Return the source's grey between pixel centres, NaN where it is not seen, for pixels (x, y) of the reference."""
    pixel = torch.stack((x, y, torch.ones_like(x)), -1).double()
    q = pixel @ source.homography.double().T + inverse_depth.double().unsqueeze(-1) * source.shift.double()
    u, v = q[..., 0] / q[..., 2] - 0.5, q[..., 1] / q[..., 2] - 0.5
    height, width = source.grey.shape
    inside = (q[..., 2] > 0) & (u >= 0) & (v >= 0) & (u <= width - 1) & (v <= height - 1)
    u, v = torch.where(inside, u, 0), torch.where(inside, v, 0)
    left, top = u.floor().long().clamp(max=width - 2), v.floor().long().clamp(max=height - 2)
    fx, fy, grey = u - left, v - top, source.grey.double()
    upper = grey[top, left] * (1 - fx) + grey[top, left + 1] * fx
    lower = grey[top + 1, left] * (1 - fx) + grey[top + 1, left + 1] * fx
    return torch.where(inside, upper * (1 - fy) + lower * fy, torch.nan)


def unlikeness(own: Tensor, other: Tensor, weight: Tensor, noise_power: float) -> float:
    """Return 1 - the correlation of two windows, in [0, 1]; NaN if a sample was not seen."""
    weight = weight / weight.sum()
    own, other = own - (weight * own).sum(), other - (weight * other).sum()
    powers = ((weight * own**2).sum() + noise_power) * ((weight * other**2).sum() + noise_power)
    return float((1 - (weight * own * other).sum() / powers.sqrt()).clamp(0, 1))


def sweep_twin(view: StereoView, inverse_depth: Tensor) -> Tensor:
    """Return `sweep_planes`, window by window, as numbers from 0 to 254."""
    height, width = view.grey.shape
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    cost = torch.full((height, width, len(inverse_depth)), float(UNSEEN))
    for d, rho in enumerate(inverse_depth):
        warped = [seen_at(source, x, y, torch.full_like(x, float(rho))) for source in view.sources]
        for row in range(height):
            for column in range(width):
                r = view.radius_px
                window = (slice(max(row - r, 0), row + r + 1), slice(max(column - r, 0), column + r + 1))
                own = view.grey[window].double()
                costs = [unlikeness(own, w[window], torch.ones_like(own), view.noise_power) for w in warped]
                known = sorted(c for c in costs if not math.isnan(c))
                if known:
                    half = known[: (len(known) + 1) // 2]
                    cost[row, column, d] = 254 * sum(half) / len(half)
    return cost


def semi_global_twin(grey: Tensor, cost: Tensor, step: int, jump: int, edge: float) -> tuple[Tensor, Tensor]:
    """Return (the sum over eight paths [h, w, planes], the place of its least value)."""
    height, width, planes = cost.shape
    total = torch.zeros(height, width, planes, dtype=torch.int64)
    for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, -1), (1, -1), (-1, 1)):
        path = torch.zeros(height, width, planes, dtype=torch.int64)
        for row in range(height)[:: dy or 1]:
            for column in range(width)[:: dx or 1]:
                here = cost[row, column].long()
                before_row, before_column = row - dy, column - dx
                if 0 <= before_row < height and 0 <= before_column < width:
                    before = path[before_row, before_column]
                    change = abs(float(grey[row, column]) - float(grey[before_row, before_column]))
                    far = max(int(jump * edge / (edge + change) + 0.5), step)
                    distance = (torch.arange(planes).unsqueeze(1) - torch.arange(planes)).abs()
                    penalty = torch.where(distance == 0, 0, torch.where(distance == 1, step, far))
                    here = here + (before + penalty).min(1).values - before.min()
                path[row, column] = here
        total += path
    best = total.argmin(2)
    place = best.double()
    for row in range(height):
        for column in range(width):
            d = int(best[row, column])
            if 0 < d < planes - 1:
                a, b, c = (float(total[row, column, k]) for k in (d - 1, d, d + 1))
                if a - 2 * b + c > 0:
                    place[row, column] += 0.5 * (a - c) / (a - 2 * b + c)
    return total, place


def slant_cost_twin(
    view: StereoView, row: int, column: int, plane: tuple[float, float, float], sigma: float
) -> list[float]:
    """Return 1 - the correlation of each source for a small plane at a pixel: windows of 5 x 5 samples, 2 px apart."""
    height, width = view.grey.shape
    offsets = [(dy, dx) for dy in range(-4, 5, 2) for dx in range(-4, 5, 2)]
    offsets = [(dy, dx) for dy, dx in offsets if 0 <= row + dy < height and 0 <= column + dx < width]
    dy, dx = torch.tensor(offsets, dtype=torch.float64).unbind(1)
    own = view.grey[(row + dy).long(), (column + dx).long()].double()
    change = own - float(view.grey[row, column])
    weight = 1 / ((1 + 0.5 * (change / sigma) ** 2) ** 2 * (1 + 0.5 * (dx**2 + dy**2) / 16))
    rho = plane[0] + dx * plane[1] + dy * plane[2]
    return [
        unlikeness(own, seen_at(source, column + 0.5 + dx, row + 0.5 + dy, rho), weight, view.noise_power)
        for source in view.sources
    ]


def walls(count: int = 5, width: int = 96, height: int = 72) -> tuple[list[Photograph], list[Tensor]]:
    """Return photographs, with their depth, of a slanted wall and a smaller upright one before its middle."""
    photographs, depths = [], []
    for i in range(count):
        pose = torch.eye(4)
        pose[:3, 3] = torch.tensor([-0.35 * (i - count // 2), 0.12 * (i % 2), 0.0])
        camera = Camera(pose, torch.tensor([90.0, 90.0]), torch.tensor([width / 2, height / 2]), width, height)
        # Four rays a pixel, so that edges are as soft as a sensor makes them; the depth is that of the centre.
        fine = camera.resized(2 * width, 2 * height)
        image = _colour(fine)[0].reshape(height, 2, width, 2).mean((1, 3))
        photographs.append(
            Photograph(f"{i}.png", image.unsqueeze(-1).expand(-1, -1, 3), torch.ones(height, width) > 0, camera)
        )
        depths.append(_colour(camera)[1])
    return photographs, depths


def _colour(camera: Camera) -> tuple[Tensor, Tensor]:
    """Return (grey, camera z)."""
    center = camera.centers()
    ray = unproject(camera, torch.ones(camera.height, camera.width)) - center
    normal = torch.tensor([-0.4, 0.2, 1.0])
    far = (5 - center @ normal) / (ray @ normal)
    near = (3.2 - center[2]) / ray[..., 2]
    hit = center + near.unsqueeze(-1) * ray
    front = (hit[..., 0].abs() < 0.5) & (hit[..., 1].abs() < 0.4)
    z = torch.where(front, near, far)
    point = center + z.unsqueeze(-1) * ray
    a, b = point[..., 0], point[..., 1] + 7.3 * front
    waves = (
        torch.sin(9 * a + 2 * torch.sin(5 * b)) + torch.sin(11 * b - 3 * torch.sin(4 * a)) + torch.sin(23 * a + 17 * b)
    )
    return 0.5 + 0.13 * waves, z
