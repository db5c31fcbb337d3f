"""Structural similarity: its definition in torch, and the fused L1 + SSIM loss of the native core.

Source: Wang, Bovik, Sheikh, Simoncelli 2004, equation 13 with a Gaussian window of 11 pixels and sigma 1.5, in the form
that the training loss and the evaluation of 3D Gaussian Splatting use: every channel by itself, zeros around the image,
biased variances, values in [0, 1].
"""

from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from .. import _core
from ..shapes import Image, Mask
from .memory import empty

WINDOW_PX = 11
SIGMA_PX = 1.5
C1 = 0.01**2  # keeps the ratio of means finite where both images are black
C2 = 0.03**2  # the same for the ratio of variances where both are flat


def ssim_map(rendered: Float[Tensor, "h w c"], target: Float[Tensor, "h w c"]) -> Float[Tensor, "h w c"]:
    """Return the structural similarity at every pixel and channel: 1 where the images agree.

    Plain torch, any device and float type: the definition that the native kernel is tested against.
    """
    offsets = torch.arange(WINDOW_PX, dtype=torch.float64) - WINDOW_PX // 2
    weights = torch.exp(-offsets.square() / (2 * SIGMA_PX**2))
    weights = (weights / weights.sum()).to(rendered)

    x, y = rendered.movedim(-1, 0), target.movedim(-1, 0)
    planes = torch.stack((x, y, x * x, y * y, x * y)).flatten(0, 1).unsqueeze(1)
    planes = torch.nn.functional.conv2d(planes, weights.view(1, 1, -1, 1), padding=(WINDOW_PX // 2, 0))
    planes = torch.nn.functional.conv2d(planes, weights.view(1, 1, 1, -1), padding=(0, WINDOW_PX // 2))
    mean_x, mean_y, mean_xx, mean_yy, mean_xy = planes.unflatten(0, (5, -1)).squeeze(2)

    likeness = (2 * mean_x * mean_y + C1) * (2 * (mean_xy - mean_x * mean_y) + C2)
    variances = (mean_xx - mean_x.square()) + (mean_yy - mean_y.square())
    return (likeness / ((mean_x.square() + mean_y.square() + C1) * (variances + C2))).movedim(0, -1)


def fused_l1_ssim_loss(
    rendered: Image, target: Image, *, ssim_weight: float, valid: Mask | None = None, threads: int | None = None
) -> Float[Tensor, ""]:
    """Return `losses.photometric.l1_ssim_loss` of float32 images on the CPU; only `rendered` receives a gradient.

    The same for any number of `threads` (torch's if None), bit by bit.
    """
    return cast(Tensor, _FusedL1Ssim.apply(rendered, target, valid, ssim_weight, threads or torch.get_num_threads()))


class _FusedL1Ssim(torch.autograd.Function):
    """The kernel has all it needs for the gradient while it computes the loss, so the gradient is made in forward."""

    @staticmethod
    def forward(
        ctx: Any, rendered: Tensor, target: Tensor, valid: Tensor | None, ssim_weight: float, threads: int
    ) -> Tensor:
        rendered, target = rendered.detach().contiguous(), target.detach().contiguous()
        gradient = empty(*rendered.shape) if ctx.needs_input_grad[0] else None
        valid = None if valid is None else valid.contiguous()
        loss = _core.photometric_loss(rendered, target, valid, gradient, ssim_weight, threads)
        ctx.save_for_backward(gradient)
        return rendered.new_tensor(loss)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *grad_outputs: Tensor
    ) -> tuple[Tensor, None, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return torch.mul(gradient, grad_outputs[0], out=empty(*gradient.shape)), None, None, None, None
