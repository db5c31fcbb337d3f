"""Dense optical flow (DIS, Kroeger et al. 2016; OpenCV) as a `Matcher`: no weights, matches all over the picture.

Flow follows what moves little. It is taken both ways, and a match counts where the way back ends where it began and
both ends look alike: where nothing can be followed, flow is smooth both ways, and agrees with itself.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import torch

from ..data.images import grey_uint8
from ..protocols import Matches
from ..shapes import Image
from .features import OtherImage

# OpenCV's presets stop at half of the resolution, which costs half of the accuracy: on exact truth (views 0 and 1 of
# the still life) the median error of all matches falls from 0.27 to 0.13 px with these.
_FINEST_SCALE = 0
_PATCH_STRIDE_PX = 2
_GRADIENT_STEPS = 25
_VARIATIONAL_STEPS = 10

_WINDOW_PX = 9  # of what is compared
_LEAST_VARIANCE = 1.0  # of greys up to 255: below it there is only noise


@dataclass(frozen=True)
class DenseFlowMatcher:
    """Flow there and back on a grid of pixels."""

    stride_px: int = 8
    """Between the pixels of the first photograph that are matched."""
    most_return_px: float = 1.0
    """How far from its beginning the way back may end."""

    least_likeness: float = 0.6
    """Correlation of the surroundings of both ends, of at most 1."""

    def __post_init__(self) -> None:
        if self.stride_px < 1 or self.most_return_px <= 0:
            raise ValueError(f"Stride and return must be positive, got {self.stride_px=}, {self.most_return_px=}.")

    def __call__(self, first: Image, second: OtherImage) -> Matches:
        """Return the matches of two sRGB images in [0, 1] of one size; confidence is 1 for a perfect match.

        Raises:
            ValueError: the images differ in size.
        """
        if first.shape != second.shape:
            raise ValueError(
                f"Flow needs two images of one size, got {first.shape[1]} x {first.shape[0]} and {second.shape[1]} x "
                f"{second.shape[0]}; resize one of them, or take another matcher."
            )
        greys = [grey_uint8(image) for image in (first, second)]
        there, back = _flow(greys[0], greys[1]), _flow(greys[1], greys[0])
        height, width = greys[0].shape
        offset = self.stride_px // 2
        rows, columns = np.mgrid[offset : height : self.stride_px, offset : width : self.stride_px].reshape(2, -1)
        start = np.stack((columns, rows), 1).astype(np.float32)  # OpenCV's pixels: centres are whole numbers
        end = start + there[rows, columns]
        inside = ((end >= 0) & (end <= (width - 1, height - 1))).all(1)
        start, end = start[inside], end[inside]
        returned = end + cv2.remap(back, end[:, 0], end[:, 1], cv2.INTER_LINEAR).reshape(-1, 2)
        away = np.linalg.norm(returned - start, axis=1)
        alike = _likeness(greys[0], greys[1], there)[rows, columns][inside]
        good = (away < self.most_return_px) & (alike >= self.least_likeness)
        confidence = (1 - away[good] / self.most_return_px) * alike[good].clip(0, 1)
        matches = (start[good] + 0.5, end[good] + 0.5, confidence)
        return Matches(*(torch.from_numpy(np.ascontiguousarray(one)).to(first.device) for one in matches))


def _flow(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return where each pixel of the source went [h, w, 2]."""
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flow.setFinestScale(_FINEST_SCALE)
    flow.setPatchStride(_PATCH_STRIDE_PX)
    flow.setGradientDescentIterations(_GRADIENT_STEPS)
    flow.setVariationalRefinementIterations(_VARIATIONAL_STEPS)
    return flow.calc(source, target, np.zeros((*source.shape, 2), np.float32))  # to start from no motion


def _likeness(source: np.ndarray, target: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """Return the correlation [h, w] of each pixel's surroundings with those of where it went; 0 without texture."""
    rows, columns = np.mgrid[: source.shape[0], : source.shape[1]].astype(np.float32)
    moved = cv2.remap(
        target, columns + flow[..., 0], rows + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
    )
    a, b = source.astype(np.float32), moved.astype(np.float32)

    def mean(values: np.ndarray) -> np.ndarray:
        return cv2.boxFilter(values, -1, (_WINDOW_PX, _WINDOW_PX))

    mean_a, mean_b = mean(a), mean(b)
    variance = (mean(a * a) - mean_a**2).clip(0) * (mean(b * b) - mean_b**2).clip(0)
    return (mean(a * b) - mean_a * mean_b) / np.sqrt(np.maximum(variance, _LEAST_VARIANCE**2))
