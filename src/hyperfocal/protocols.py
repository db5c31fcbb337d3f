"""What users can bring themselves: any callable of the right signature fits."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from .depth import Depth
from .shapes import Image


@dataclass(frozen=True)
class Matches:
    """Pixels of two photographs that see the same point."""

    first_px: Float[Tensor, "p 2"]
    """(x, y) in the first photograph; pixel centres are at +0.5."""
    second_px: Float[Tensor, "p 2"]
    """(x, y) in the second photograph."""
    confidence: Float[Tensor, " p"]
    """In [0, 1]; where two matches compete for a pixel, the more confident one counts."""


@runtime_checkable
class Matcher(Protocol):
    """Finds correspondences between two photographs."""

    def __call__(self, first: Image, second: Image) -> Matches:
        """Return the matches of two sRGB images in [0, 1]."""
        ...


@runtime_checkable
class DepthPrior(Protocol):
    """Guesses the depth of a single photograph from what it has learned of others."""

    def __call__(self, image: Image, focal_px: float | None = None) -> Depth:
        """Return the depth of every pixel of an sRGB image in [0, 1], with its kind.

        Args:
            image: Undistorted.
            focal_px: Its focal length in its own pixels; None if unknown. A prior that cannot give metres without it
                returns a depth of another kind.
        """
        ...
