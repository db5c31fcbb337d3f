import math

import numpy as np
import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from hyperfocal import sh


def sphere_quadrature() -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n"]]:
    """Unit directions and weights that integrate polynomials of degree 7 over the sphere exactly."""
    z, along_z = np.polynomial.legendre.leggauss(4)
    angle = 2 * math.pi * np.arange(8) / 8
    radius = np.sqrt(1 - z**2)[:, None]
    directions = np.stack((radius * np.cos(angle), radius * np.sin(angle), np.broadcast_to(z[:, None], (4, 8))), -1)
    weights = np.broadcast_to(along_z[:, None] * 2 * math.pi / 8, (4, 8))
    return torch.from_numpy(directions.reshape(-1, 3)), torch.from_numpy(weights.ravel().copy())


def directions(count: int) -> Float[Tensor, "n 3"]:
    values = torch.randn(count, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return torch.nn.functional.normalize(values, dim=-1)


def test_the_basis_is_orthonormal() -> None:
    points, weights = sphere_quadrature()
    values = sh.basis(points, sh.MAX_DEGREE)
    gram = values.T @ (weights.unsqueeze(-1) * values)
    assert torch.allclose(gram, torch.eye(16, dtype=torch.float64), atol=1e-12)


def test_the_first_two_degrees_are_one_minus_y_z_minus_x() -> None:
    points = directions(20)
    x, y, z = points.unbind(-1)
    c0, c1 = math.sqrt(1 / (4 * math.pi)), math.sqrt(3 / (4 * math.pi))
    expected = torch.stack((torch.full_like(x, c0), -c1 * y, c1 * z, -c1 * x), dim=-1)
    assert torch.allclose(sh.basis(points, 1), expected)


@pytest.mark.parametrize("degree", range(4))
def test_each_degree_is_even_or_odd(degree: int) -> None:
    points = directions(20)
    last = slice(degree**2, (degree + 1) ** 2)
    mirrored = sh.basis(-points, degree)[:, last]
    assert torch.allclose(mirrored, (-1) ** degree * sh.basis(points, degree)[:, last])


@pytest.mark.parametrize("degree", range(3))
def test_a_lower_degree_is_the_start_of_a_higher_one(degree: int) -> None:
    points = directions(5)
    assert torch.equal(sh.basis(points, 3)[:, : sh.coefficient_count(degree)], sh.basis(points, degree))


def test_degree_3_agrees_with_associated_legendre_functions() -> None:
    # K_l^m = sqrt((2 l + 1) / (4 pi) (l - |m|)! / (l + |m|)!); m < 0 is the sine, m > 0 the cosine. scipy's functions
    # carry the Condon-Shortley sign (-1)^m, which is the sign that the files use.
    from scipy.special import lpmv

    points = directions(50)
    x, y, z = points.numpy().T
    azimuth = np.arctan2(y, x)
    columns = []
    for degree in range(4):
        for order in range(-degree, degree + 1):
            m = abs(order)
            k = math.sqrt((2 * degree + 1) / (4 * math.pi) * math.factorial(degree - m) / math.factorial(degree + m))
            around = 1 if m == 0 else math.sqrt(2) * (np.sin(m * azimuth) if order < 0 else np.cos(m * azimuth))
            columns.append(k * lpmv(m, degree, z) * around)
    assert torch.allclose(sh.basis(points, 3), torch.from_numpy(np.stack(columns, -1)), atol=1e-12)


def test_dc_round_trip_and_colour_from_everywhere() -> None:
    color = torch.rand(7, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    dc = sh.dc_from_color(color)
    assert torch.allclose(sh.color_from_dc(dc), color)
    coefficients = torch.cat((dc.unsqueeze(1), torch.zeros(7, 15, 3, dtype=torch.float64)), dim=1)
    for degree in range(4):
        assert torch.allclose(sh.evaluate(coefficients, directions(7), degree), color)


def test_light_is_never_negative() -> None:
    assert (sh.evaluate(torch.full((1, 1, 3), -10.0), torch.tensor([[0.0, 0.0, 1.0]]), 0) == 0).all()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_sum_that_is_no_finite_number_has_no_colour(value: float) -> None:
    colors = sh.color_from_sum(torch.tensor([[value, -2.0, 0.25]]))
    assert colors.isnan().tolist() == [[True, False, False]]
    assert colors[0, 1:].tolist() == [0, 0.75]


@pytest.mark.parametrize(("coefficients", "degree"), [(1, 0), (4, 1), (9, 2), (16, 3)])
def test_degrees_and_counts(coefficients: int, degree: int) -> None:
    assert sh.coefficient_count(degree) == coefficients
    assert sh.degree_of(coefficients) == degree


@pytest.mark.parametrize("coefficients", [0, 2, 15, 25])
def test_other_counts_are_refused(coefficients: int) -> None:
    with pytest.raises(ValueError, match="1, 4, 9 or 16"):
        sh.degree_of(coefficients)
