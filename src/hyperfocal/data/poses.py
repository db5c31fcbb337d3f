"""Checking poses that come from files."""

import torch
from jaxtyping import Float
from torch import Tensor

from .listed import some_of

# Up to the first, differences are rounding of the printed numbers; up to the second, they are repaired and noted.
ROUNDING = 1e-5
REPAIRABLE = 1e-3


def nearest_rotation(
    matrix: Float[Tensor, "3 3"],
) -> tuple[Float[Tensor, "3 3"], float]:
    """Return (the rotation nearest to `matrix` in the least-squares sense, largest entry of |M^T M - 1|).

    Raises:
        ValueError: an entry is not finite, or the matrix mirrors or is further from a rotation than `REPAIRABLE`;
            the message says which.
    """
    m = matrix.double()
    if not bool(m.isfinite().all()):
        raise ValueError("has entries that are not finite numbers")
    error = float((m.T @ m - torch.eye(3, dtype=torch.float64)).abs().max())
    if error > REPAIRABLE:
        raise ValueError(f"is not a rotation (its columns are off from orthonormal by {error:.3g})")
    if float(torch.linalg.det(m)) < 0:
        raise ValueError("mirrors the scene (its determinant is -1)")
    u, _, vt = torch.linalg.svd(m)
    return u @ vt, error


def repair_notes(errors: dict[str, float]) -> tuple[str, ...]:
    """Return a note about the poses that `nearest_rotation` changed by more than rounding, none without such poses.

    Args:
        errors: What it returned, by the photograph's name.
    """
    repaired = [name for name, error in errors.items() if error > ROUNDING]
    if not repaired:
        return ()
    return (f"{len(repaired)} poses were not exactly rigid and were made so: {some_of(repaired)}.",)
