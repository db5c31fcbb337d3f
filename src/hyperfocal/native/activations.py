"""The activations of `hyperfocal.activations`, fused: one pass forward, one backward, on all threads."""

from collections.abc import Callable
from typing import Any, TypeAlias, cast

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from .. import _core, activations
from .memory import empty

_Kernel: TypeAlias = Callable[[Any, Any, int], None]
_Through: TypeAlias = Callable[[Tensor, Tensor], Tensor]


def scales_from_logs(logs: Float[Tensor, "*n"], threads: int) -> Float[Tensor, "*n"]:
    """Return `activations.scales_from_logs(logs)`; float32 on the CPU goes through the core."""
    if not _served(logs):
        return activations.scales_from_logs(logs)
    return cast(Tensor, _Activation.apply(logs, _core.exp, torch.mul, threads))


def opacities_from_logits(logits: Float[Tensor, "*n"], threads: int) -> Float[Tensor, "*n"]:
    """Return `activations.opacities_from_logits(logits)`; float32 on the CPU goes through the core."""
    if not _served(logits):
        return activations.opacities_from_logits(logits)
    return cast(Tensor, _Activation.apply(logits, _core.sigmoid, _through_sigmoid, threads))


def _served(values: Tensor) -> bool:
    return values.device.type == "cpu" and values.dtype == torch.float32 and values.is_contiguous()


def _through_sigmoid(gradient: Tensor, opacities: Tensor) -> Tensor:
    return gradient * opacities * (1 - opacities)


class _Activation(torch.autograd.Function):
    """A kernel of the core, and a function of (gradient, result) that is the gradient to its input."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, kernel: _Kernel, through: _Through, threads: int) -> Tensor:
        result = empty(*values.shape)
        kernel(values.detach(), result, threads)
        ctx.save_for_backward(result)
        ctx.through = through
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        (result,) = ctx.saved_tensors
        return ctx.through(grad_outputs[0], result), None, None, None
