"""A bilateral grid: an affine change of colour that depends on the place in the picture and on the brightness there.

Wang et al. 2024, "Bilateral Guided Radiance Field Processing". A grid of 3 x 4 matrices spans the picture (x, y) and
the luma of the rendered colour; between its nodes it is interpolated linearly. The outermost nodes of x and y are at
the edges of the picture.

The picture is cut at the nodes. Within such a block only four columns of the grid count, so that a pixel's colour is a
product of one small matrix with the pixel's (colour, 1) times its weights of luma, and never is a matrix made for
every pixel, as `torch.nn.functional.grid_sample` makes: that took four times as long.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..color import LUMA
from ..shapes import Image

Grid = Float[Tensor, "3 4 luma rows columns"]


def sliced(color: Image, grid: Grid) -> Image:
    """Return colours c + A c + b, with [A | b] of the grid at each pixel's place and luma; differentiable in both.

    Args:
        color: As rendered. Luma below 0 or above 1 counts as 0 or 1.
        grid: [A | b] of each node; at least two along x and y, one or more of luma.
    """
    return _Slice.apply(color, grid)  # pyright: ignore[reportReturnType]


def roughness(grid: Grid) -> Float[Tensor, ""]:
    """Return the total variation: squared differences of neighbours, mean over pairs, summed over matrix and axes."""
    terms = [grid.diff(dim=axis).square().sum((0, 1)).mean() for axis in (2, 3, 4) if grid.shape[axis] > 1]
    return torch.stack(terms).sum()


@dataclass(frozen=True)
class _Block:
    """A part of the picture between neighbouring nodes; n counts its pixels, m its features."""

    place: tuple[slice, slice]
    """Rows and columns."""
    nodes: tuple[slice, slice]
    """Rows and columns of the grid: two each."""
    corners: Float[Tensor, "4 n"]
    """Weights of the four columns of nodes."""


class _Slice(torch.autograd.Function):
    """Backward looks at every block again: what it needs is cheaper to compute than to keep."""

    @staticmethod
    def forward(ctx: Any, color: Tensor, grid: Tensor) -> Tensor:
        ctx.save_for_backward(color, grid)
        planes, matrices = _planes(color), _matrices(grid)
        out = torch.empty_like(planes)
        for block in _blocks(color, grid):
            part = planes[:, *block.place]
            features = _features(part, grid.shape[2])[-1]
            corners = (_corner_matrices(matrices, block) @ features).view(4, 3, -1)
            changed = part.flatten(1) + (corners * block.corners.unsqueeze(1)).sum(0)
            out[:, *block.place] = changed.view(part.shape)
        return out.permute(1, 2, 0).contiguous()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_out: Tensor) -> tuple[Tensor, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        color, grid = ctx.saved_tensors
        planes, matrices, by_planes = _planes(color), _matrices(grid), _planes(by_out)
        by_color, by_matrices = torch.empty_like(planes), torch.zeros_like(matrices)
        luma_of = color.new_tensor(LUMA).unsqueeze(1)
        for block in _blocks(color, grid):
            part = planes[:, *block.place]
            with_one, slopes, weights, features = _features(part, grid.shape[2])
            by_part = by_planes[:, *block.place].flatten(1)
            by_corners = (block.corners.unsqueeze(1) * by_part).flatten(0, 1)
            by_matrix = (by_corners @ features.T).view(2, 2, *matrices.shape[2:])
            by_matrices[block.nodes] += by_matrix
            by_features = (_corner_matrices(matrices, block).T @ by_corners).view(len(weights), 4, -1)
            by_luma = ((by_features * with_one).sum(1) * slopes).sum(0)
            by_part = by_part + (by_features[:, :3] * weights.unsqueeze(1)).sum(0) + luma_of * by_luma
            by_color[:, *block.place] = by_part.view(part.shape)
        return by_color.permute(1, 2, 0).contiguous(), by_matrices.permute(2, 4, 3, 0, 1).contiguous()


def _planes(color: Tensor) -> Float[Tensor, "3 h w"]:
    return color.permute(2, 0, 1).contiguous()


def _matrices(grid: Tensor) -> Float[Tensor, "rows columns 3 luma 4"]:
    return grid.permute(3, 4, 0, 2, 1).contiguous()


def _corner_matrices(matrices: Tensor, block: _Block) -> Float[Tensor, "12 m"]:
    """Return what the four columns of nodes make of a pixel's features, three rows each."""
    return matrices[block.nodes].flatten(3).flatten(0, 2)


def _features(part: Float[Tensor, "3 h w"], lumas: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return (colour and 1, slopes and values of the weights of luma, their products [4 luma, pixels]) of a block."""
    with_one = torch.cat((part.flatten(1), part.new_ones(1, part[0].numel())))
    luma = part.new_tensor(LUMA) @ with_one[:3]
    position = luma.clamp(0, 1) * (lumas - 1)
    away = position - torch.arange(lumas, dtype=part.dtype, device=part.device).unsqueeze(1)
    weights = (1 - away.abs()).clamp_min(0)
    # A tent falls on both sides of its node; beyond 0 and 1 luma counts no more.
    slopes = (1 - lumas) * away.sign() * ((weights > 0) & (luma > 0) & (luma < 1))
    return with_one, slopes, weights, (weights.unsqueeze(1) * with_one).flatten(0, 1)


def _blocks(color: Tensor, grid: Tensor) -> Iterator[_Block]:
    rows = _between_nodes(color.shape[0], grid.shape[3], color)
    columns = _between_nodes(color.shape[1], grid.shape[4], color)
    for i, (place_y, weights_y) in enumerate(rows):
        for j, (place_x, weights_x) in enumerate(columns):
            if weights_y.numel() and weights_x.numel():
                corners = (weights_y[:, None, :, None] * weights_x[None, :, None, :]).flatten(2).flatten(0, 1)
                yield _Block((place_y, place_x), (slice(i, i + 2), slice(j, j + 2)), corners)


def _between_nodes(size: int, nodes: int, like: Tensor) -> list[tuple[slice, Float[Tensor, "2 _"]]]:
    """Return (pixels, weights of the node before and after each) between one node and the next, along one axis."""
    cells = nodes - 1
    positions = (torch.arange(size, dtype=torch.float64) + 0.5) * cells / size
    starts = torch.searchsorted(positions, torch.arange(cells, dtype=torch.float64)).tolist()
    found = []
    for i, (first, end) in enumerate(zip(starts, [*starts[1:], size], strict=True)):
        after = (positions[first:end] - i).to(like)
        found.append((slice(first, end), torch.stack((1 - after, after))))
    return found
