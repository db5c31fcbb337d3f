"""Defocus in layers by the native core: sources scattered into layers of depth that cover each other."""

from dataclasses import dataclass
from typing import Any, cast

import torch
from jaxtyping import Float, Float64, Int32
from torch import Tensor
from torch.autograd.function import once_differentiable

from .. import _core
from .memory import empty

_STATE_WORDS = 6  # of layers.h


@dataclass(frozen=True)
class Stencils:
    """Point-spread functions as differences along their rows, as `cpp/layers.h` wants them.

    Interval i holds the functions between levels i and i + 1: `base + fraction * slope`.
    """

    reach: Int32[Tensor, " i"]
    """Rows and columns that the functions of an interval reach each way."""
    first_row: Int32[Tensor, " i"]
    """Where the first of an interval's rows stands in `row_start`."""
    row_start: Int32[Tensor, " r"]
    """The first difference of each row; 2 reach + 2 numbers an interval, the last of them the end."""
    dx: Int32[Tensor, " e"]
    """Columns from the source at which the function changes."""
    base: Float64[Tensor, " e"]
    """The change there at the interval's lower level."""
    slope: Float64[Tensor, " e"]
    """What is added to it at the upper one."""

    def arrays(self) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Return the tensors in the core's order."""
        return self.reach, self.first_row, self.row_start, self.dx, self.base, self.slope


def scatter_layers(
    color: Float[Tensor, "s h w 3"],
    level: Float[Tensor, "s h w"],
    layer: Float[Tensor, "s h w"],
    stencils: Stencils,
    *,
    layers: int,
    threads: int | None = None,
) -> tuple[Float[Tensor, "h w 3"], Float[Tensor, "h w"]]:
    """Return `render.layers_reference.scatter_layers_reference` of float32 tensors on the CPU: colour and alpha.

    The same for any number of `threads` (torch's if None), bit by bit, gradients included.
    """
    outputs = _ScatterLayers.apply(color, level, layer, stencils, layers, threads or torch.get_num_threads())
    return cast(tuple[Tensor, Tensor], outputs)


class _ScatterLayers(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, color: Tensor, level: Tensor, layer: Tensor, stencils: Stencils, layers: int, threads: int
    ) -> tuple[Tensor, Tensor]:
        color, level, layer = color.detach().contiguous(), level.detach().contiguous(), layer.detach().contiguous()
        _, h, w = level.shape
        out_color, out_alpha, state = torch.empty(h, w, 3), torch.empty(h, w), empty(h, w, _STATE_WORDS)
        _core.draw_layers(color, level, layer, layers, *stencils.arrays(), threads, out_color, out_alpha, state)
        ctx.save_for_backward(color, level, layer, out_color, out_alpha, state)
        ctx.stencils, ctx.layers, ctx.threads = stencils, layers, threads
        ctx.set_materialize_grads(False)
        return out_color, out_alpha

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, d_color: Tensor | None, d_alpha: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        color, level, layer, out_color, out_alpha, state = ctx.saved_tensors
        stencils: Stencils = ctx.stencils
        to_color, to_level, to_layer = torch.empty_like(color), torch.empty_like(level), torch.empty_like(layer)
        _core.undraw_layers(
            color,
            level,
            layer,
            ctx.layers,
            *stencils.arrays(),
            ctx.threads,
            out_color,
            out_alpha,
            state,
            None if d_color is None else d_color.contiguous(),
            None if d_alpha is None else d_alpha.contiguous(),
            to_color,
            to_level,
            to_layer,
        )
        return to_color, to_level, to_layer, None, None, None
