"""Real spherical harmonics up to degree 3, in the order and signs that 3D Gaussian files use.

Source: Kerbl et al. 2023 and its PLY files; constants: Sloan, "Stupid Spherical Harmonics Tricks" (2008), appendix A2.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

MAX_DEGREE = 3
C0 = 0.5 / math.sqrt(math.pi)


def coefficient_count(degree: int) -> int:
    """Return the number of coefficients a channel has at `degree`."""
    return (degree + 1) ** 2


def degree_of(coefficients: int) -> int:
    """Return the degree that has this number of coefficients.

    Raises:
        ValueError: no degree from 0 to 3 has it.
    """
    degree = math.isqrt(coefficients) - 1
    if not 0 <= degree <= MAX_DEGREE or coefficient_count(degree) != coefficients:
        raise ValueError(f"Spherical harmonics have 1, 4, 9 or 16 coefficients a channel, got {coefficients}.")
    return degree


def basis(directions: Float[Tensor, "*n 3"], degree: int) -> Float[Tensor, "*n k"]:
    """Return the basis functions at unit `directions`."""
    x, y, z = directions.unbind(-1)
    values = [torch.full_like(x, C0)]
    if degree >= 1:
        c1 = math.sqrt(3 / (4 * math.pi))
        values += [-c1 * y, c1 * z, -c1 * x]
    if degree >= 2:
        c2 = math.sqrt(15 / (4 * math.pi))
        values += [
            c2 * x * y,
            -c2 * y * z,
            math.sqrt(5 / (16 * math.pi)) * (2 * z * z - x * x - y * y),
            -c2 * x * z,
            c2 / 2 * (x * x - y * y),
        ]
    if degree >= 3:
        a, b, c = math.sqrt(35 / (32 * math.pi)), math.sqrt(105 / (4 * math.pi)), math.sqrt(21 / (32 * math.pi))
        values += [
            -a * y * (3 * x * x - y * y),
            b * x * y * z,
            -c * y * (4 * z * z - x * x - y * y),
            math.sqrt(7 / (16 * math.pi)) * z * (2 * z * z - 3 * x * x - 3 * y * y),
            -c * x * (4 * z * z - x * x - y * y),
            b / 2 * z * (x * x - y * y),
            -a * x * (x * x - 3 * y * y),
        ]
    return torch.stack(values, dim=-1)


def evaluate(sh: Float[Tensor, "*n k 3"], directions: Float[Tensor, "*n 3"], degree: int) -> Float[Tensor, "*n 3"]:
    """Return colours seen along unit `directions`, using coefficients up to `degree`: `color_from_sum` of their sum."""
    weights = basis(directions, degree)
    return color_from_sum((weights.unsqueeze(-1) * sh[..., : coefficient_count(degree), :]).sum(-2))


def color_from_sum(total: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 3"]:
    """Return the colours of sums of coefficients times basis functions: max(0, sum + 1/2).

    Where the sum is no finite number the colour is none, either (NaN), so that such Gaussians are culled: the maximum
    would make minus infinity black.
    """
    color = total + 0.5
    return torch.where(color.isfinite(), color.clamp_min(0), torch.nan)


def dc_from_color(color: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 3"]:
    """Return the degree-0 coefficients that show `color` from everywhere."""
    return (color - 0.5) / C0


def color_from_dc(dc: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 3"]:
    """Return the mean colour of degree-0 coefficients."""
    return dc * C0 + 0.5
