"""Where the alignment of priors starts: priors between pixels, depths of matches, and the best line among many."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from ..camera import Camera, relative_pose
from ..depth import Depth

_EDGE = 1.1  # a prior whose four values around a place differ by more is at an edge there, and says nothing
_LEAST_PARALLAX_DEG = 1.0
_TRIES = 300
_FLAT = 0.02  # of the typical value: a prior that varies less cannot tell scale from shift


def sampled(prior: Depth, pixels_px: Float[Tensor, "p 2"]) -> tuple[Float64[Tensor, " p"], Bool[Tensor, " p"]]:
    """Return (the prior between pixel centres, where the four around are known and have no edge between them)."""
    height, width = prior.values.shape
    place = pixels_px.double() - 0.5
    inside = torch.isfinite(place).all(1) & (pixels_px >= 0).all(1)
    inside &= (pixels_px[:, 0] <= width) & (pixels_px[:, 1] <= height)
    place = torch.where(inside.unsqueeze(1), place, 0)
    x, y = place[:, 0].clamp(0, width - 1), place[:, 1].clamp(0, height - 1)
    left, top = x.floor().long().clamp(max=max(width - 2, 0)), y.floor().long().clamp(max=max(height - 2, 0))
    right, below = (left + 1).clamp(max=width - 1), (top + 1).clamp(max=height - 1)
    corners = torch.stack([prior.values[r, c].double() for r in (top, below) for c in (left, right)])
    known = torch.stack([prior.valid[r, c] for r in (top, below) for c in (left, right)]).all(0)
    fx, fy = x - left, y - top
    upper, lower = corners[0] + fx * (corners[1] - corners[0]), corners[2] + fx * (corners[3] - corners[2])
    least = corners.amin(0)
    smooth = corners.amax(0) <= _EDGE * least
    return upper + fy * (lower - upper), inside & known & smooth & (least > 0)


def rays(camera: Camera, pixels_px: Float[Tensor, "p 2"]) -> Float64[Tensor, "p 3"]:
    """Return the directions of pixels in camera axes, with z = 1."""
    plane = (pixels_px.double() - camera.center_px.double()) / camera.focal_px.double()
    return torch.cat((plane, torch.ones_like(plane[:, :1])), 1)


def triangulated(
    first: Camera, second: Camera, first_px: Float[Tensor, "p 2"], second_px: Float[Tensor, "p 2"], most_px: float
) -> tuple[Float64[Tensor, " p"], Bool[Tensor, " p"]]:
    """Return (depth in the first camera where both rays come nearest, where that can be believed).

    It can where both depths are positive, the rays meet at a degree or more, and the point is seen within `most_px`.
    """
    R, t = relative_pose(first, second)
    a, b = rays(first, first_px) @ R.T, rays(second, second_px)
    # |a Z_i + t - b Z_j|^2 is least where its gradient in both depths is 0: two equations.
    aa, bb, ab = a.square().sum(1), b.square().sum(1), (a * b).sum(1)
    determinant = aa * bb - ab.square()
    at, bt = a @ t, b @ t
    safe = determinant.clamp_min(1e-300)
    depth_first, depth_second = (ab * bt - bb * at) / safe, (aa * bt - ab * at) / safe
    sine = (determinant / (aa * bb)).clamp_min(0).sqrt()
    point = a * depth_first.unsqueeze(1) + t
    focal = second.focal_px.double()
    off = focal * (point[:, :2] / point[:, 2:].clamp_min(1e-12) - b[:, :2])
    told = (depth_first > 0) & (depth_second > 0) & (point[:, 2] > 0) & (off.norm(dim=1) <= most_px)
    return depth_first, told & (sine > torch.sin(torch.deg2rad(torch.tensor(_LEAST_PARALLAX_DEG))))


@dataclass(frozen=True)
class Line:
    """target ~ scale * value + shift, with scale > 0."""

    scale: float
    shift: float
    has_shift: bool


def robust_line(values: Float64[Tensor, " p"], target: Float64[Tensor, " p"], *, may_shift: bool) -> Line | None:
    """Return the line of least median relative error among those through two points: right with up to half outliers.

    Without a shift where `may_shift` is false or the values hardly vary; None if no line with a positive scale beats
    the best constant, that is if the prior says nothing.
    """
    ratio = float((target / values).median())
    if not may_shift or float(values.quantile(0.95) - values.quantile(0.05)) < _FLAT * float(values.median()):
        return Line(ratio, 0.0, False) if ratio > 0 else None
    generator = torch.Generator().manual_seed(0)
    i, j = torch.randint(len(values), (2, _TRIES), generator=generator)
    run = values[i] - values[j]
    scale = (target[i] - target[j]) / torch.where(run == 0, 1, run)
    shift = target[i] - scale * values[i]
    scale, shift = scale[(run != 0) & (scale > 0)], shift[(run != 0) & (scale > 0)]
    scale, shift = torch.cat((scale, scale.new_tensor([ratio]))), torch.cat((shift, shift.new_tensor([0.0])))
    # The lines go in groups: all at once would take memory for every line and point.
    errors = torch.cat(
        [
            ((s.unsqueeze(1) * values + b.unsqueeze(1)) / target - 1).abs().median(1).values
            for s, b in zip(scale.split(32), shift.split(32), strict=True)
        ]
    )
    best = int(errors.argmin())
    constant = float((target.median() / target - 1).abs().median())
    if not (float(scale[best]) > 0 and (float(errors[best]) < constant or float(errors[best]) == 0)):
        return None
    return Line(float(scale[best]), float(shift[best]), True)
