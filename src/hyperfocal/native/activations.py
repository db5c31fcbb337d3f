"""The activations of `hyperfocal.activations`, fused: one pass forward, one backward, on all threads."""

from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from .. import _core, activations
from .memory import empty


def scales_from_logs(logs: Float[Tensor, "*n"], threads: int) -> Float[Tensor, "*n"]:
    """Return `activations.scales_from_logs(logs)`; float32 on the CPU goes through the core."""
    if not _served(logs):
        return activations.scales_from_logs(logs)
    return cast(Tensor, _Exp.apply(logs, threads))


def opacities_from_logits(logits: Float[Tensor, "*n"], threads: int) -> Float[Tensor, "*n"]:
    """Return `activations.opacities_from_logits(logits)`; float32 on the CPU goes through the core."""
    if not _served(logits):
        return activations.opacities_from_logits(logits)
    return cast(Tensor, _Sigmoid.apply(logits, threads))


def _served(values: Tensor) -> bool:
    return values.device.type == "cpu" and values.dtype == torch.float32 and values.is_contiguous()


class _Exp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logs: Tensor, threads: int) -> Tensor:
        scales = empty(*logs.shape)
        _core.exp(logs.detach(), scales, threads)
        ctx.save_for_backward(scales)
        return scales

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        (scales,) = ctx.saved_tensors
        return grad_outputs[0] * scales, None


class _Sigmoid(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, threads: int) -> Tensor:
        opacities = empty(*logits.shape)
        _core.sigmoid(logits.detach(), opacities, threads)
        ctx.save_for_backward(opacities)
        return opacities

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        (opacities,) = ctx.saved_tensors
        return grad_outputs[0] * opacities * (1 - opacities), None
