"""How far a rendered image is from a photograph."""

import torch
from jaxtyping import Float
from torch import Tensor

from ..native.ssim import fused_l1_ssim_loss
from ..native.ssim import ssim_map as ssim_map
from ..shapes import Image, Mask


def l1_map(rendered: Float[Tensor, "h w c"], target: Float[Tensor, "h w c"]) -> Float[Tensor, "h w c"]:
    """Return the absolute difference at every pixel and channel."""
    return (rendered - target).abs()


def l1_ssim_loss(
    rendered: Image,
    target: Image,
    *,
    ssim_weight: float = 0.2,
    valid: Mask | None = None,
    threads: int | None = None,
) -> Float[Tensor, ""]:
    """Return the mean over valid pixels of (1 - ssim_weight) |rendered - target| + ssim_weight (1 - SSIM).

    The photometric loss of 3D Gaussian Splatting (Kerbl et al. 2023, equation 7). Float32 images on the CPU go through
    the fused native kernel unless `target` wants a gradient as well; others through torch.

    Args:
        rendered: What receives the gradient.
        target: The photograph, in the same colour space.
        ssim_weight: In [0, 1]; 0.2 is the value of the source.
        valid: True where the photograph counts. Elsewhere the rendering is taken to equal the target, so that a window
            which reaches over the mask's edge sees nothing to complain about there; no gradient goes there either.
            With no valid pixel at all the loss is 0.
        threads: Of the native kernel; torch's number if None.
    """
    if not 0 <= ssim_weight <= 1:
        raise ValueError(f"`ssim_weight` must be between 0 and 1, got {ssim_weight}.")
    native = all(image.device.type == "cpu" and image.dtype == torch.float32 for image in (rendered, target))
    if native and not target.requires_grad:
        return fused_l1_ssim_loss(rendered, target, ssim_weight=ssim_weight, valid=valid, threads=threads)
    if valid is not None:
        rendered = torch.where(valid.unsqueeze(-1), rendered, target.detach())
    loss = (1 - ssim_weight) * l1_map(rendered, target) + ssim_weight * (1 - ssim_map(rendered, target))
    if valid is None:
        return loss.mean()
    return (loss * valid.unsqueeze(-1)).sum() / (loss.shape[-1] * valid.sum().clamp_min(1))
