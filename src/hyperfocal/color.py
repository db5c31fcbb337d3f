"""Colour spaces. Light adds up in linear space; photographs and displays use sRGB (IEC 61966-2-1)."""

from typing import Literal, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

ColorSpace: TypeAlias = Literal["srgb", "linear"]

LUMA = (0.299, 0.587, 0.114)  # of red, green and blue as displayed (ITU-R BT.601)


def linear_from_srgb(srgb: Float[Tensor, "*c"]) -> Float[Tensor, "*c"]:
    """Return linear light of sRGB values (gradient finite everywhere, also at and below 0)."""
    bend = srgb.clamp_min(0.04045)
    return torch.where(srgb <= 0.04045, srgb / 12.92, ((bend + 0.055) / 1.055) ** 2.4)


def srgb_from_linear(linear: Float[Tensor, "*c"]) -> Float[Tensor, "*c"]:
    """Return sRGB values of linear light (gradient finite everywhere, also at and below 0)."""
    bend = linear.clamp_min(0.0031308)
    return torch.where(linear <= 0.0031308, linear * 12.92, 1.055 * bend ** (1 / 2.4) - 0.055)


def displayed(color: Float[Tensor, "*c"], color_space: ColorSpace) -> Float[Tensor, "*c"]:
    """Return colours of a space in sRGB, as photographs and files hold them."""
    return srgb_from_linear(color) if color_space == "linear" else color


def to_uint8(image: Float[Tensor, "*c"]) -> Tensor:
    """Return the nearest 8-bit values of an image in [0, 1], as a photograph file would hold it."""
    return (image.detach().clamp(0, 1) * 255).round().to(torch.uint8)
