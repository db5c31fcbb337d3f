"""A prior fitted to another depth map cell by cell, and where the two do not agree (equations 35 to 39 of the paper).

The paper: Neural Networks 195 (2026) 108320, "Depth-Consistent 3D Gaussian Splatting" with defocus and multi-view
supervision. What its published code leaves broken is put right here: cells without enough places are left out instead
of counting as the largest error, and the extremes of the normaliser carry no gradient.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import interpolate

from ..shapes import Map, Mask

LEAST_CELL_PX, LARGEST_CELL_PX = 15, 60  # the paper's
LEAST_PLACES = 5  # of a cell, as in the paper
RIDGE = 1e-6  # as in the paper


def cell_side_px(match_stride_px: float) -> int:
    """Return the side of cells that hold about nine matches of that stride, within the paper's 15 to 60 px."""
    return int(min(max(LEAST_CELL_PX, round(3 * match_stride_px)), LARGEST_CELL_PX))


@dataclass(frozen=True)
class GridFit:
    """Scale and shift of a prior in each cell, with the error that they leave."""

    scale: Float[Tensor, "rows columns"]
    """0 in cells with too few places, as the next two."""
    shift: Float[Tensor, "rows columns"]
    error: Float[Tensor, "rows columns"]
    """Mean of |depth - (scale prior + shift)| over the cell's places (38)."""
    places: Int[Tensor, "rows columns"]
    """How many places a cell has."""
    valid: Bool[Tensor, "rows columns"]
    """Cells with at least `LEAST_PLACES`."""
    cell_px: int

    def fitted(self, prior: Map) -> tuple[Map, Mask]:
        """Return (scale prior + shift at every pixel, where its cell is valid)."""
        cell = _cells(prior.shape[0], prior.shape[1], self.cell_px, self.scale.shape[1])
        scale, shift, valid = (grid.flatten()[cell] for grid in (self.scale, self.shift, self.valid))
        return torch.where(valid, scale * prior + shift, 0), valid

    def normalised_error(self) -> Float[Tensor, "rows columns"]:
        """Return the errors of valid cells from 0 (least) to 1 (largest) (39); 0 where all are equal, and elsewhere."""
        if not bool(self.valid.any()):
            return torch.zeros_like(self.error)
        known = self.error.detach()[self.valid]
        least, span = known.min(), known.max() - known.min()
        return torch.where(self.valid, (self.error - least) / torch.where(span > 0, span, 1), 0)

    def error_map(self, height: int, width: int, *, normalised: bool = False) -> tuple[Map, Mask]:
        """Return (the error between the centres of valid cells, linearly, where a pixel's cell is valid)."""
        error = self.normalised_error() if normalised else self.error
        size = (self.error.shape[0] * self.cell_px, self.error.shape[1] * self.cell_px)
        both = torch.stack((torch.where(self.valid, error, 0), self.valid.to(error)))[None]
        values, weights = interpolate(both, size, mode="bilinear", align_corners=False)[0, :, :height, :width]
        valid = self.valid.flatten()[_cells(height, width, self.cell_px, self.error.shape[1])]
        return torch.where(valid, values / weights.clamp_min(1e-12), 0), valid


def gridwise_fit(
    depth_z: Map,
    prior: Float[Tensor, "prior_h prior_w"],
    at: Bool[Tensor, "at_h at_w"],
    cell_px: int,
    *,
    ridge: float = RIDGE,
) -> GridFit:
    """Fit depth ~ scale prior + shift in every cell, by least squares with a ridge on both (35 to 37).

    Differentiable in `depth_z` and `prior`; sums are taken in float64.

    Args:
        depth_z: For instance rendered.
        prior: Of the same kind of depth, or disparity for disparity.
        at: Which pixels count: those of matches. Where either map is not positive and finite, none does.
        cell_px: Side of the square cells; those at the right and lower edge may be smaller.
        ridge: Added to the diagonal of the normal matrix.

    Raises:
        ValueError: maps of different sizes, or settings that are not positive.
    """
    if not depth_z.shape == prior.shape == at.shape:
        raise ValueError(
            f"Depth, prior and mask must be of one size, got {list(depth_z.shape)}, {list(prior.shape)} and "
            f"{list(at.shape)}: resize the prior to the depth."
        )
    if cell_px < 1 or not ridge > 0:
        raise ValueError(f"Cells need a side of at least 1 px and a positive ridge, got {cell_px} and {ridge}.")
    height, width = depth_z.shape
    rows, columns = -(-height // cell_px), -(-width // cell_px)
    counts = at & torch.isfinite(depth_z) & torch.isfinite(prior) & (depth_z > 0) & (prior > 0)
    cell = _cells(height, width, cell_px, columns).to(depth_z.device)[counts]
    x, y = prior[counts].double(), depth_z[counts].double()

    def summed(values: Tensor) -> Tensor:
        return values.new_zeros(rows * columns).index_add(0, cell, values)

    n, sum_x, sum_xx = summed(torch.ones_like(x)), summed(x), summed(x * x)
    sum_y, sum_xy = summed(y), summed(x * y)
    determinant = (sum_xx + ridge) * (n + ridge) - sum_x.square()
    valid = n >= LEAST_PLACES
    safe = torch.where(valid, determinant, 1)
    scale = torch.where(valid, ((n + ridge) * sum_xy - sum_x * sum_y) / safe, 0)
    shift = torch.where(valid, ((sum_xx + ridge) * sum_y - sum_x * sum_xy) / safe, 0)
    left = summed((y - (scale[cell] * x + shift[cell])).abs())
    error = torch.where(valid, left / n.clamp_min(1), 0)

    def grid(values: Tensor) -> Tensor:
        return values.reshape(rows, columns).to(depth_z.dtype)

    places = n.long().reshape(rows, columns)
    return GridFit(grid(scale), grid(shift), grid(error), places, valid.reshape(rows, columns), cell_px)


def _cells(height: int, width: int, cell_px: int, columns: int) -> Int[Tensor, "h w"]:
    """Return which cell, row by row, each pixel is in."""
    y, x = torch.arange(height) // cell_px, torch.arange(width) // cell_px
    return y.unsqueeze(1) * columns + x
