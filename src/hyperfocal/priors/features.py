"""What matchers by features share: who is whose best, and remembering what was found in a photograph."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias, TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..protocols import Matches
from ..shapes import Image

PHOTOGRAPHS_KEPT = 64

T = TypeVar("T")
OtherImage: TypeAlias = Float[Tensor, "other_h other_w 3"]
"""An `Image` that may have another size than the first."""


def remembering(find: Callable[[Image], T], photographs: int = PHOTOGRAPHS_KEPT) -> Callable[[Image], T]:
    """Return `find` with what it found in the last photographs kept, by object: a photograph is in many pairs."""
    kept = lru_cache(photographs)(lambda same: find(same.image))
    return lambda image: kept(_Same(image))


@dataclass(frozen=True, eq=False)
class _Same:
    """An image that equals only itself, not what has its pixels."""

    image: Image

    def __hash__(self) -> int:
        return id(self.image)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.image is other.image


def mutual_best(scores: Float[Tensor, "n m"], least: float) -> tuple[Int[Tensor, " k"], Int[Tensor, " k"]]:
    """Return (row, column) of the scores of at least `least` that are the largest of their row and of their column."""
    if 0 in scores.shape:
        none = torch.zeros(0, dtype=torch.int64, device=scores.device)
        return none, none
    best, column = scores.max(1)
    rows = torch.arange(len(scores), device=scores.device)
    keep = (scores.argmax(0)[column] == rows) & (best >= least)
    return rows[keep], column[keep]


def between_photographs(
    first: Image,
    second: OtherImage,
    first_px: Float[Tensor, "p 2"],
    second_px: Float[Tensor, "p 2"],
    confidence: Float[Tensor, " p"],
) -> Matches:
    """Return matches, less those that a network put outside of a photograph, on the first photograph's device."""
    keep = torch.ones(len(confidence), dtype=torch.bool, device=confidence.device)
    for image, pixels in ((first, first_px), (second, second_px)):
        size = pixels.new_tensor([image.shape[1], image.shape[0]])
        keep &= ((pixels >= 0) & (pixels < size)).all(1)
    kept = (one[keep].detach().float().to(first.device) for one in (first_px, second_px, confidence.clamp(0, 1)))
    return Matches(*kept)
