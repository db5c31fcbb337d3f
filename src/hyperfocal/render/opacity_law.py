"""What a Gaussian's opacity becomes when a blur widens its footprint: the definition, for the reference and gsplat.

With `area_ratio` the area of the footprint before the blur over that after it:

- energy: opacity times the ratio. What one Gaussian alone takes from the light behind it stays the same; many that tile
  a surface overlap more and more as they are blurred, and let light through.
- optical depth: -log(1 - alpha) summed over the plane stays the same, so a tiled surface stays closed; a Gaussian that
  is alone takes up to pi^2 / 6 times as much light.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from ..rendering import OpacityLaw

_SERIES_TO = 2.0  # of the optical depth; beyond, exponentials converge faster
# B_2n / ((2n + 1) (2n)!): the series converges for t < 2 pi.
_SERIES = (
    *(1 / 36, -1 / 3600, 1 / 211680, -1 / 10886400, 1 / 526901760, -691 / 2730 / 13 / math.factorial(12)),
    *(7 / 6 / 15 / math.factorial(14), -3617 / 510 / 17 / math.factorial(16)),
)
_TERMS = 18
_STEPS = 8
_MOST = 1 - 1e-6  # an opacity of 1 has no finite depth


def spread_opacity(opacities: Float[Tensor, " n"], area_ratio: Float[Tensor, " n"], law: OpacityLaw) -> Tensor:
    """Return the opacities of widened footprints.

    Args:
        opacities: Before, in (0, 1).
        area_ratio: Area of the footprint before over after, in (0, 1].
        law: How they follow.
    """
    if law == "none":
        return opacities
    if law == "energy":
        return opacities * area_ratio
    depth = -torch.log1p(-opacities.clamp_max(_MOST))
    wanted = area_ratio * summed_depth(depth)
    with torch.no_grad():  # Newton, from the left of the root of a concave function: never past it
        started = depth - (1 - area_ratio) * summed_depth(depth) / _slope(depth)
        found = torch.maximum(wanted + wanted.square() / 4, started)
        for _ in range(_STEPS):
            found = (found - (summed_depth(found) - wanted) / _slope(found)).clamp_min(0)
    # One more step, which carries the gradient (implicit function theorem).
    return -torch.expm1((summed_depth(found) - wanted) / _slope(found) - found)


def summed_depth(depth: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Return the optical depth of a Gaussian summed over its plane, in units of 2 pi sigma^2.

    That is the dilogarithm of the peak opacity 1 - e^-depth, or the integral of s / (e^s - 1) from 0 to `depth`.
    """
    near = depth.clamp_max(_SERIES_TO)
    power, series = near, near - near.square() / 4
    for coefficient in _SERIES:
        power = power * near.square()
        series = series + coefficient * power
    far = depth.clamp_min(_SERIES_TO)
    tail = sum(torch.exp(-k * far) * (far / k + 1 / k**2) for k in range(1, _TERMS))
    return torch.where(depth < _SERIES_TO, series, math.pi**2 / 6 - tail)


def _slope(depth: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Return the derivative of `summed_depth`."""
    safe = depth.clamp_min(1e-6)
    return torch.where(depth < 1e-6, 1 - depth / 2, safe / torch.expm1(safe))
