from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from hyperfocal import _core, activations
from hyperfocal.native.activations import opacities_from_logits, scales_from_logs
from hyperfocal.native.instruction_set import using_instruction_set

TWINS = [(scales_from_logs, activations.scales_from_logs), (opacities_from_logits, activations.opacities_from_logits)]


def values(count: int = 300_007) -> Tensor:
    """From where scales and opacities vanish to where they overflow, and what is no number."""
    drawn = torch.empty(count).uniform_(-110, 95, generator=torch.Generator().manual_seed(0))
    special = torch.tensor(
        [0.0, -0.0, 1e-30, -1e-30, torch.inf, -torch.inf, torch.nan, -1e30, 1e30, 88.722839, -103.97]
    )
    return torch.cat((drawn, drawn / 20, special))


@pytest.mark.parametrize("level", ["base", "v3", "v4"])
@pytest.mark.parametrize(("native", "definition"), TWINS)
def test_every_bit_is_that_of_the_definition(
    level: str, native: Callable[[Tensor, int], Tensor], definition: Callable[[Tensor], Tensor]
) -> None:
    with using_instruction_set(level) as served:
        if not served:
            pytest.skip(f"no {level} here")
        got, expected = native(values(), 2), definition(values())
    assert torch.equal(got.isnan(), expected.isnan())
    assert torch.equal(got.nan_to_num(7.0).view(torch.int32), expected.nan_to_num(7.0).view(torch.int32))


@pytest.mark.parametrize(("native", "definition"), TWINS)
def test_the_gradient_is_that_of_the_definition(
    native: Callable[[Tensor, int], Tensor], definition: Callable[[Tensor], Tensor]
) -> None:
    inputs = torch.linspace(-12, 6, 1001)
    gradients = []
    for function in (lambda x: native(x, 1), definition):
        leaf = inputs.clone().requires_grad_()
        (gradient,) = torch.autograd.grad((function(leaf) * inputs).sum(), leaf)
        gradients.append(gradient)
    assert torch.allclose(*gradients, rtol=1e-4, atol=1e-7)


def test_other_tensors_go_through_the_definition() -> None:
    logs = torch.linspace(-3, 3, 10, dtype=torch.float64, requires_grad=True)
    assert torch.equal(scales_from_logs(logs, 1), logs.exp())
    assert torch.autograd.gradcheck(lambda x: opacities_from_logits(x, 1), logs)


def test_the_core_refuses_arrays_of_two_sizes() -> None:
    with pytest.raises(ValueError, match="one size"):
        _core.exp(torch.zeros(3), torch.zeros(4), 1)
