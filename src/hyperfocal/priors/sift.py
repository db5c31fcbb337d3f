"""SIFT (Lowe 2004) of OpenCV as a `Matcher`: no weights, a few thousand sharp matches."""

from dataclasses import dataclass

import cv2
import torch
from jaxtyping import Float
from torch import Tensor

from ..data.images import grey_uint8
from ..protocols import Matches
from ..shapes import Image
from .features import OtherImage, mutual_best, remembering


@dataclass(frozen=True)
class _Found:
    pixels: Float[Tensor, "n 2"]
    descriptors: Float[Tensor, "n 128"]


class SiftMatcher:
    """SIFT features, matched where each is clearly the other's best."""

    def __init__(self, *, most_features: int = 8192, most_ratio: float = 0.8) -> None:
        """Choose how many and how sure.

        Args:
            most_features: Of a photograph.
            most_ratio: Of the distance to the best over that to the second best, as Lowe.
        """
        self._most_features, self._most_ratio = most_features, most_ratio
        self._found = remembering(self._find)

    def __call__(self, first: Image, second: OtherImage) -> Matches:
        """Return the matches of two sRGB images in [0, 1]; confidence is how much better the best is than the next."""
        a, b = self._found(first), self._found(second)
        if min(len(a.pixels), len(b.pixels)) < 2:
            none = first.new_zeros(0, 2)
            return Matches(none, none, first.new_zeros(0))
        cosines = a.descriptors @ b.descriptors.T
        i, j = mutual_best(cosines, -1.0)
        best, second_best = (2 - 2 * cosines[i].topk(2, dim=1).values).clamp_min(0).sqrt().unbind(1)
        ratio = best / second_best.clamp_min(1e-6)
        clear = ratio <= self._most_ratio
        matches = a.pixels[i[clear]], b.pixels[j[clear]], 1 - ratio[clear]
        return Matches(*(one.to(first.device) for one in matches))

    def _find(self, image: Image) -> _Found:
        # Without precise upscaling OpenCV's keypoints lie a quarter of a pixel aside.
        keypoints, descriptors = cv2.SIFT.create(self._most_features, enable_precise_upscale=True).detectAndCompute(
            grey_uint8(image), None
        )
        if not keypoints:
            return _Found(torch.zeros(0, 2), torch.zeros(0, 128))
        # The square root of a histogram compares better (Arandjelovic and Zisserman 2012).
        rooted = torch.from_numpy(descriptors).clamp_min(0)
        rooted = (rooted / rooted.sum(1, keepdim=True).clamp_min(1e-6)).sqrt()
        # OpenCV counts from the centre of the first pixel, we from its corner.
        pixels = torch.tensor([keypoint.pt for keypoint in keypoints], dtype=torch.float32) + 0.5
        return _Found(pixels, rooted)
