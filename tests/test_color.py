from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from hyperfocal.color import linear_from_srgb, srgb_from_linear, to_uint8


def test_round_trip() -> None:
    values = torch.linspace(0, 1, 1001, dtype=torch.float64)
    assert torch.allclose(srgb_from_linear(linear_from_srgb(values)), values, atol=1e-7)
    assert torch.allclose(linear_from_srgb(srgb_from_linear(values)), values, atol=1e-7)


@pytest.mark.parametrize(
    ("srgb", "linear"),
    [
        (0.0, 0.0),
        (1.0, 1.0),
        (0.5, 0.21404114),  # IEC 61966-2-1, by hand: ((0.5 + 0.055) / 1.055) ** 2.4
        (0.04045, 0.0031308),  # where the straight piece ends
        (0.02, 0.02 / 12.92),
    ],
)
def test_known_values(srgb: float, linear: float) -> None:
    assert linear_from_srgb(torch.tensor([srgb])).item() == pytest.approx(linear, abs=1e-6)
    assert srgb_from_linear(torch.tensor([linear])).item() == pytest.approx(srgb, abs=1e-5)


@pytest.mark.parametrize("convert", [linear_from_srgb, srgb_from_linear])
def test_gradient_is_finite_and_positive_also_below_zero(convert: Callable[[Tensor], Tensor]) -> None:
    values = torch.tensor([-1.0, -1e-6, 0.0, 1e-6, 0.003, 0.05, 1.0, 3.0], requires_grad=True)
    (gradient,) = torch.autograd.grad(convert(values).sum(), values)
    assert gradient.isfinite().all()
    assert (gradient > 0).all()


@pytest.mark.parametrize("convert", [linear_from_srgb, srgb_from_linear])
def test_brighter_stays_brighter(convert: Callable[[Tensor], Tensor]) -> None:
    assert (convert(torch.linspace(-0.1, 1.5, 4001, dtype=torch.float64)).diff() > 0).all()


def test_8_bits_are_the_nearest_and_cut_at_the_ends() -> None:
    values = torch.tensor([-1.0, 0.0, 0.4 / 255, 0.6 / 255, 254.4 / 255, 1.0, 2.0])
    assert to_uint8(values).tolist() == [0, 0, 0, 1, 254, 255, 255]
