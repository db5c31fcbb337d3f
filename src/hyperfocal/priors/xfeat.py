"""XFeat (Potje et al. 2024) as a `Matcher`: learned features that hold where SIFT finds too little.

The network is kornia's (extra `priors`, Apache-2.0); the weights are the authors' `xfeat.pt` (Apache-2.0), put into the
folder of weights.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import BadInputError, has_package, missing_extra
from ..protocols import Matcher, Matches
from ..shapes import Image
from .features import OtherImage, between_photographs, mutual_best, remembering
from .network_images import as_batch, nearest_multiple
from .weights import find_weights, load_foreign_weights, say_licence

WEIGHTS = "xfeat.pt"
MOST_FEATURES = 4096  # of a photograph, as the authors
LEAST_COSINE = 0.82  # of two descriptors that match, as the authors
DENSE_SCALES = ((0.6, 0.2), (1.3, 0.8))  # (size, share of the features) of the semi-dense form, as the authors
LEAST_REFINED = 0.25  # confidence of the refinement of a semi-dense match, as the authors
_CELL_PX = 8  # of the network, whose sizes are multiples of four of them
_MULTIPLE = 4 * _CELL_PX
# Where the first of the 8 places of a refinement lies from the middle of its cell, in the network's pixels. The
# authors' code says -4. By the loss of their training a place is the whole pixel below the true one, which makes it
# -3.5. Measured it is -3: a photograph and the same made smaller by 0.6 then agree to 0.1 px, and of the matches of two
# photographs of `fountain` 0.77 are within 1 px of their epipolar lines, not 0.36.
_FIRST_PLACE = -3.0


def learned_matcher() -> Callable[[], Matcher] | None:
    """Return what loads XFeat if its weights are on disk and kornia is installed, else None."""
    weights = find_weights(WEIGHTS)
    return None if weights is None or not has_package("kornia") else partial(XFeatMatcher, weights)


def _network(weights: Path) -> Any:
    if not has_package("kornia"):
        raise missing_extra("kornia", "priors")
    network: Any = import_module("kornia.feature").XFeat(top_k=MOST_FEATURES).eval()
    try:
        network.net.load_state_dict(load_foreign_weights(weights))
    except RuntimeError as error:
        raise BadInputError(
            f"The weights {weights} are not those of XFeat: expected the authors' xfeat.pt. Replace or remove it."
        ) from error
    say_licence("xfeat")
    return network


class XFeatMatcher:
    """Sparse XFeat features, matched where each is the other's best."""

    def __init__(self, weights: Path) -> None:
        """Load the network.

        Raises:
            BadInputError: the weights are damaged, or those of another network.
            MissingExtraError: kornia is not installed.
        """
        self._network = _network(weights)
        self._found = remembering(self._detected)

    @torch.no_grad()
    def _detected(self, image: Image) -> dict[str, Tensor]:
        return self._network.detectAndCompute(image.permute(2, 0, 1).unsqueeze(0))[0]

    @torch.no_grad()
    def __call__(self, first: Image, second: OtherImage) -> Matches:
        """Return the mutual best matches of two sRGB images in [0, 1]."""
        found = [self._found(image) for image in (first, second)]
        cosines = found[0]["descriptors"] @ found[1]["descriptors"].T
        i, j = mutual_best(cosines, LEAST_COSINE)
        # XFeat counts from the centre of the first pixel, we from its corner.
        pixels = [one["keypoints"][index] + 0.5 for one, index in zip(found, (i, j), strict=True)]
        return Matches(pixels[0], pixels[1], cosines[i, j].clamp(0, 1))


@dataclass(frozen=True)
class _Cells:
    """The most reliable cells of a photograph, of both sizes in which it was looked at."""

    pixels: Float[Tensor, "n 2"]
    scale: Float[Tensor, "n 2"]
    """The photograph's pixels in one of the network's."""
    descriptors: Float[Tensor, "n c"]


class DenseXFeatMatcher:
    """Semi-dense XFeat: cells all over the photograph, matched, then refined in the first one."""

    def __init__(self, weights: Path, *, most_features: int = MOST_FEATURES) -> None:
        """Load the network.

        Raises:
            BadInputError: the weights are damaged, or those of another network.
            MissingExtraError: kornia is not installed.
        """
        self._network = _network(weights)
        self._most_features = most_features
        self._found = remembering(self._cells)

    @torch.no_grad()
    def _cells(self, image: Image) -> _Cells:
        found = []
        for size, share in DENSE_SCALES:
            height, width = (nearest_multiple(side * size, _MULTIPLE) for side in image.shape[:2])
            cells = self._network.detectAndComputeDense(
                as_batch(image, height, width, "cpu"), top_k=round(share * self._most_features), multiscale=False
            )
            keypoints, descriptors = cells["keypoints"][0], cells["descriptors"][0]
            scale = keypoints.new_tensor([image.shape[1] / width, image.shape[0] / height])
            # A cell is told by its first pixel; it stands for the middle of its pixels (see _FIRST_PLACE).
            found.append(_Cells((keypoints + _CELL_PX / 2) * scale, scale.expand_as(keypoints), descriptors))
        return _Cells(*(torch.cat(parts) for parts in zip(*(vars(one).values() for one in found), strict=True)))

    @torch.no_grad()
    def __call__(self, first: Image, second: OtherImage) -> Matches:
        """Return the mutual best matches of two sRGB images in [0, 1], those whose refinement is sure."""
        a, b = self._found(first), self._found(second)
        i, j = mutual_best(a.descriptors @ b.descriptors.T, -torch.inf)
        # One of 8 x 8 places for the first pixel, as likely as the network says (softmax of three times its words).
        told = 3 * self._network.net.fine_matcher(torch.cat((a.descriptors[i], b.descriptors[j]), dim=1))
        likely = told.softmax(1)
        places = torch.arange(_CELL_PX) + _FIRST_PLACE
        grid = torch.stack((places.repeat(_CELL_PX), places.repeat_interleave(_CELL_PX)), 1)
        refined = a.pixels[i] + likely @ grid * a.scale[i]
        sure = likely.amax(1)
        keep = sure > LEAST_REFINED
        return between_photographs(first, second, refined[keep], b.pixels[j[keep]], sure[keep])
