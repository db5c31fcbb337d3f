"""XFeat (Potje et al. 2024) as a `Matcher`: learned features that hold where SIFT finds too little.

The network is kornia's (extra `priors`, Apache-2.0); the weights are the authors' `xfeat.pt` (Apache-2.0), put into the
folder of weights.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..errors import BadInputError, has_package, missing_extra
from ..protocols import Matcher, Matches
from ..shapes import Image
from .weights import find_weights, load_foreign_weights

WEIGHTS = "xfeat.pt"
MOST_FEATURES = 4096  # of a photograph, as the authors
LEAST_COSINE = 0.82  # of two descriptors that match, as the authors
_PHOTOGRAPHS_KEPT = 64


def learned_matcher() -> Callable[[], Matcher] | None:
    """Return what loads XFeat if its weights are on disk and kornia is installed, else None."""
    weights = find_weights(WEIGHTS)
    return None if weights is None or not has_package("kornia") else partial(XFeatMatcher, weights)


class XFeatMatcher:
    """Sparse XFeat features, matched where each is the other's best."""

    def __init__(self, weights: Path) -> None:
        """Load the network.

        Raises:
            BadInputError: the weights are damaged, or those of another network.
            MissingExtraError: kornia is not installed.
        """
        if not has_package("kornia"):
            raise missing_extra("kornia", "priors")
        self._network: Any = import_module("kornia.feature").XFeat(top_k=MOST_FEATURES).eval()
        try:
            self._network.net.load_state_dict(load_foreign_weights(weights))
        except RuntimeError as error:
            raise BadInputError(
                f"The weights {weights} are not those of XFeat: expected the authors' xfeat.pt. Replace or remove it."
            ) from error

        # A photograph is in many pairs: what was found in the last ones is kept, by object.
        self._found = lru_cache(_PHOTOGRAPHS_KEPT)(self._detected)

    @torch.no_grad()
    def _detected(self, photograph: "_Same") -> dict[str, Tensor]:
        return self._network.detectAndCompute(photograph.image.permute(2, 0, 1).unsqueeze(0))[0]

    @torch.no_grad()
    def __call__(self, first: Image, second: Image) -> Matches:
        """Return the mutual best matches of two sRGB images in [0, 1]."""
        found = [self._found(_Same(image)) for image in (first, second)]
        cosines = found[0]["descriptors"] @ found[1]["descriptors"].T
        i, j = mutual_best(cosines, LEAST_COSINE)
        # XFeat counts from the centre of the first pixel, we from its corner.
        pixels = [one["keypoints"][index] + 0.5 for one, index in zip(found, (i, j), strict=True)]
        return Matches(pixels[0], pixels[1], cosines[i, j].clamp(0, 1))


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
        none = torch.zeros(0, dtype=torch.int64)
        return none, none
    best, column = scores.max(1)
    rows = torch.arange(len(scores))
    keep = (scores.argmax(0)[column] == rows) & (best >= least)
    return rows[keep], column[keep]
