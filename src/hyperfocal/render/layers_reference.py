"""Defocus in layers in plain torch, any float type: the definition that the native core is tested against.

Equations 21 to 23 of the theory page. It holds every layer of the whole picture and goes through every offset of the
discs, so it is for small pictures.
"""

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from .disc import disc

FULL = 1 + 1 / 4096  # kFull of cpp/layers.h, where it says why


def scatter_layers_reference(
    color: Float[Tensor, "s h w 3"],
    level: Float[Tensor, "s h w"],
    layer: Float[Tensor, "s h w"],
    *,
    layers: int,
) -> tuple[Float[Tensor, "h w 3"], Float[Tensor, "h w"]]:
    """Return the colour [h, w, 3] and the alpha [h, w] of sources that are scattered into layers of depth.

    Args:
        color: Linear light of the source pixels: the picture, and behind it in further planes what it hides.
        level: Their discs (`disc.level_of_diameter`). Below 0, or no number: no source.
        layer: Their places in the layers, 0 the farthest, `layers - 1` the nearest; the two next to it share linearly.
            Elsewhere, or no number: no source.
        layers: How many layers.
    """
    scattered = scattered_light(color, level, layer, layers=layers)
    weight = scattered[..., 3]
    before = torch.cumsum(weight, dim=0) - weight
    found_room = torch.minimum(weight, (FULL - before).clamp_min(0))
    share = torch.where(weight > 0, found_room / weight.clamp_min(1e-9), torch.zeros_like(weight))
    total = found_room.sum(0)
    seen = (share.unsqueeze(-1) * scattered[..., :3]).sum(0) / total.clamp_min(1e-9).unsqueeze(-1)
    return seen, total.clamp_max(1)


def scattered_light(
    color: Float[Tensor, "s h w 3"],
    level: Float[Tensor, "s h w"],
    layer: Float[Tensor, "s h w"],
    *,
    layers: int,
) -> Float[Tensor, "l h w 4"]:
    """Return equation 21 for every layer, nearest first: light (B) and weight (A). As of `scatter_layers_reference`."""
    _, h, w = level.shape
    known = (level >= 0) & (layer >= 0) & (layer <= layers - 1)
    present = known.to(color.dtype)
    level, layer = (torch.where(known, values, torch.zeros_like(values)) for values in (level, layer))
    interval = level.detach().clamp_min(0).floor().long()
    fraction = (level - interval) * present
    last = int(interval.max()) + 1
    reach = len(disc(last)) // 2
    table = torch.stack([_padded(disc(i), reach) for i in range(last + 1)]).to(color)
    # Hats: a surface between two layers is in both, by shares that add up to 1.
    places = torch.arange(layers, dtype=color.dtype, device=color.device).view(-1, 1, 1, 1)
    shares = (1 - (layer - places).abs()).clamp_min(0) * present  # [layers, s, h, w]
    light = torch.cat((color, torch.ones_like(color[..., :1])), dim=-1)

    scattered = color.new_zeros(layers, h + 2 * reach, w + 2 * reach, 4)
    for row in range(2 * reach + 1):
        for column in range(2 * reach + 1):
            value, above = table[:, row, column][interval], table[:, row, column][interval + 1]
            if not bool((value > 0).any() or (above > 0).any()):
                continue
            weight = shares * (value + fraction * (above - value))
            spread = torch.einsum("lshw,shwc->lhwc", weight, light)
            after = (0, 0, column, 2 * reach - column, row, 2 * reach - row)
            scattered = scattered + torch.nn.functional.pad(spread, after)
    return scattered[:, reach : reach + h, reach : reach + w].flip(0)


def _padded(values: Float64[Tensor, "k k"], reach: int) -> Float64[Tensor, "m m"]:
    """Return a disc in the middle of a table that reaches further."""
    more = reach - len(values) // 2
    return torch.nn.functional.pad(values, (more, more, more, more))
