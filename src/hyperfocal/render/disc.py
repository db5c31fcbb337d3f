"""The disc of defocus on a grid of pixels: for every diameter an anti-aliased disc of unit sum and exact variance.

`disc(level)` is a table of discs of rising diameter, and what lies between two of them is mixed from both. So the disc
is continuous in its diameter, its sum is exactly 1 at every diameter, and the reference and the native core compute
with the same table.

- Shape: 1 inside, 0 outside, with a linear edge one pixel wide; sampled at pixel centres and divided by its sum. Its
  radius is the one at which the variance along each axis is that of the true disc, `diameter ** 2 / 16`: that is what
  shows of a small disc, and it reaches down to 0, the identity, where covered pixels would stop at about one.
- Levels: `level = (sqrt(1 + diameter ** 2) - 1) / STEP_PX`. Even in the diameter, and smooth where it is 0, in focus.
"""

from functools import lru_cache
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from ..native.layers import Stencils

STEP_PX = 0.25  # between the diameters of neighbouring discs of the table


def level_of_diameter(diameter_px: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Return the (broken) level of discs of any sign: 0 at 0, with slope 0 there."""
    # d^2 / (1 + sqrt(1 + d^2)) is the same as the formula above, without its cancellation.
    squared = diameter_px.square()
    return squared / ((1 + (1 + squared).sqrt()) * STEP_PX)


def diameter_of_level(level: int) -> float:
    """Return the diameter of a whole level in pixels."""
    return ((1 + STEP_PX * level) ** 2 - 1) ** 0.5


@lru_cache(maxsize=4096)
def disc(level: int) -> Float64[Tensor, "k k"]:
    """Return the disc of a whole level, centred: an odd number of rows and columns, with sum 1."""
    variance = diameter_of_level(level) ** 2 / 16
    if level == 0:
        return torch.ones(1, 1, dtype=torch.float64)
    # The variance on the grid waves a little around that of the continuous shape: the radius is found on the grid, by
    # bisection. The variance rises with the radius, from 0 at a radius of half a pixel.
    low, high = 0.5, 2 * variance**0.5 + 1.5
    squares = np.arange(int(high + 2)) ** 2
    times = np.where(squares == 0, 1, 2)  # a quarter of the plane stands for all of it
    r, weight = np.sqrt(squares + squares[:, None]), times * times[:, None]
    for _ in range(40):
        radius = (low + high) / 2
        heights = np.clip(radius + 0.5 - r, 0, 1) * weight
        low, high = (radius, high) if (heights * squares).sum() < variance * heights.sum() else (low, radius)
    values = np.clip((low + high) / 2 + 0.5 - r, 0, 1)
    reach = int(np.flatnonzero(values[0])[-1])
    whole = np.abs(np.arange(-reach, reach + 1))
    values = values[np.ix_(whole, whole)]
    return torch.from_numpy(values / values.sum())


@lru_cache(maxsize=4)
def disc_stencils(intervals: int) -> Stencils:
    """Return the discs of levels 0 to `intervals` as differences along their rows."""
    reaches, first_row, row_start, columns, bases, slopes, count = [], [], [], [], [], [], 0
    for lower, upper in pairwise(disc(level).numpy() for level in range(intervals + 1)):
        reach = len(upper) // 2
        base = np.zeros((len(upper), len(upper) + 2))  # a column of 0 on each side, for the differences at the ends
        inner = slice(reach - len(lower) // 2, reach + len(lower) // 2 + 1)
        base[inner, 1:-1][:, inner] = lower
        slope = np.pad(upper, ((0, 0), (1, 1))) - base
        base, slope = np.diff(base, axis=1), np.diff(slope, axis=1)
        rows, x = np.nonzero((base != 0) | (slope != 0))
        reaches.append(reach)
        first_row.append(len(row_start))
        row_start += [count, *(count + np.cumsum(np.bincount(rows, minlength=len(upper))))]
        count += len(x)
        columns.append(x - reach)
        bases.append(base[rows, x])
        slopes.append(slope[rows, x])
    integers = [reaches, first_row, row_start, np.concatenate(columns)]
    reals = [np.concatenate(bases), np.concatenate(slopes)]
    return Stencils(
        *(torch.from_numpy(np.asarray(array, np.int32)) for array in integers),
        *(torch.from_numpy(array) for array in reals),
    )
