"""Photographs as networks want them, and what networks say back on the photograph's pixels.

Networks want `[1, c, h, w]` of their own size, often a multiple of a patch, and normalised. Corners of pixels stay
corners in all of it, so a place in pixels only scales.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ..color import LUMA
from ..shapes import Image, Map


@dataclass(frozen=True)
class Normalisation:
    """What is taken from, and what divides, each channel of a picture in [0, 1]."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = Normalisation((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))  # to [-1, 1]


def nearest_multiple(pixels: float, multiple: int) -> int:
    """Return the multiple that is nearest to a length, at least one of it."""
    return max(1, round(pixels / multiple)) * multiple


def shrunk_size(height: int, width: int, long_side: int, multiple: int = 1) -> tuple[int, int]:
    """Return (height, width) with the longer one at most `long_side`, both multiples; nothing is enlarged by more."""
    ratio = min(1.0, long_side / max(height, width))
    return nearest_multiple(height * ratio, multiple), nearest_multiple(width * ratio, multiple)


def as_batch(image: Image, height: int, width: int, device: torch.device | str) -> Float[Tensor, "1 3 height width"]:
    """Return an image resampled to a network's size; areas are averaged where it shrinks."""
    batch = image.to(device=device, dtype=torch.float32).permute(2, 0, 1).unsqueeze(0)
    if batch.shape[-2:] == (height, width):
        return batch
    shrinks = height < batch.shape[-2] or width < batch.shape[-1]
    return F.interpolate(batch, (height, width), mode="bicubic", align_corners=False, antialias=shrinks).clamp(0, 1)


def normalised(batch: Float[Tensor, "1 3 h w"], by: Normalisation) -> Float[Tensor, "1 3 h w"]:
    """Return a batch less its mean, over its deviation."""
    mean, std = (batch.new_tensor(value).view(1, 3, 1, 1) for value in (by.mean, by.std))
    return (batch - mean) / std


@dataclass(frozen=True)
class Seen:
    """A photograph as a network sees it."""

    batch: Float[Tensor, "1 3 h w"]
    scale: Float[Tensor, " 2"]
    """The photograph's pixels in one of the network's, along x and y; corners are at the same place."""


def seen(image: Image, long_side: int, multiple: int, device: torch.device | str) -> Seen:
    """Return an image reduced to at most `long_side` pixels, both sides multiples."""
    height, width = shrunk_size(image.shape[0], image.shape[1], long_side, multiple)
    scale = torch.tensor([image.shape[1] / width, image.shape[0] / height], device=device)
    return Seen(as_batch(image, height, width, device), scale)


def grey(batch: Float[Tensor, "1 3 h w"]) -> Float[Tensor, "1 1 h w"]:
    """Return a batch in shades of grey."""
    return (batch * batch.new_tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)


def on_pixels(values: Float[Tensor, "network_h network_w"], like: Image) -> Map:
    """Return a network's map on the pixels, and on the device, of an image."""
    height, width = like.shape[:2]
    batch = values.detach().float().view(1, 1, *values.shape)
    if batch.shape[-2:] != (height, width):
        batch = F.interpolate(batch, (height, width), mode="bilinear", align_corners=False)
    return batch[0, 0].to(like.device)
