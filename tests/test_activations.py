"""Activations and their inverses agree to the last bit where they can."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from hyperfocal.activations import (
    logits_from_opacities,
    logs_from_scales,
    opacities_from_logits,
    scales_from_logs,
)

MANY = 200_000


def uniform(low: float, high: float) -> torch.Tensor:
    return low + (high - low) * torch.rand(MANY, generator=torch.Generator().manual_seed(0))


def test_every_scale_that_a_log_can_name_comes_back_bit_for_bit() -> None:
    for low, high in ((-103, 88), (-12, 3), (-1, 1), (-1e-3, 1e-3)):
        scales = scales_from_logs(uniform(low, high))
        assert torch.equal(scales_from_logs(logs_from_scales(scales)), scales)


def test_every_opacity_that_a_logit_can_name_comes_back_bit_for_bit() -> None:
    for low, high in ((-103, 40), (-12, 12), (-1, 1), (-1e-3, 1e-3)):
        opacities = opacities_from_logits(uniform(low, high))
        assert torch.equal(opacities_from_logits(logits_from_opacities(opacities)), opacities)


def test_other_values_come_back_as_the_nearest_that_a_log_can_name() -> None:
    scales = torch.exp(uniform(-12, 3))  # float32 exp: mostly not in the image of the float64 one
    logs = logs_from_scales(scales)
    error = (scales_from_logs(logs) - scales).abs()
    for direction in (-torch.inf, torch.inf):
        neighbour = torch.nextafter(logs, torch.full_like(logs, direction))
        assert bool(((scales_from_logs(neighbour) - scales).abs() >= error).all())
    # Half a float32 step of a log in [-16, 16] is 2^-21.
    assert bool((error <= scales * 2**-20.9).all())


@given(st.floats(0, 1, width=32))
def test_opacities_survive_at_the_ends_of_their_range(opacity: float) -> None:
    logit = logits_from_opacities(torch.tensor([opacity]))
    assert bool(logit.isfinite().all())
    back = opacities_from_logits(logit)
    assert abs(float(back) - opacity) <= 2**-17 * opacity


def test_scales_of_zero_and_infinity_have_finite_logs() -> None:
    logs = logs_from_scales(torch.tensor([0.0, 1e-45, 3.4e38, torch.inf]))
    assert bool(logs.isfinite().all())
    assert scales_from_logs(logs)[0] == 0


def test_activations_have_the_textbook_gradients() -> None:
    logs = torch.tensor([-3.0, 0.0, 2.0], requires_grad=True)
    scales = scales_from_logs(logs)
    (gradient,) = torch.autograd.grad(scales.sum(), logs)
    torch.testing.assert_close(gradient, scales.detach())
    logits = torch.tensor([-3.0, 0.0, 2.0], requires_grad=True)
    opacities = opacities_from_logits(logits)
    (gradient,) = torch.autograd.grad(opacities.sum(), logits)
    torch.testing.assert_close(gradient, (opacities * (1 - opacities)).detach())
