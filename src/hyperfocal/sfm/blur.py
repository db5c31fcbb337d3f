"""How blurred a photograph is, without another one to compare it with."""

import cv2
import numpy as np

from ..data.images import grey_uint8
from ..data.photograph import load_pixels
from ..scene import View

_LONG_SIDE_PX = 800
_BOX_PX = 9


def blur_of(view: View) -> float:
    """Return 0 for as sharp as pixels allow to 1 for smeared away.

    Source: Crete et al. 2007, "The blur effect": a picture that was blurred already loses little contrast between
    neighbouring pixels when it is blurred again. Measured at 800 pixels, where most reconstructions work.
    """
    image, _ = load_pixels(view)
    ratio = min(1.0, _LONG_SIDE_PX / max(image.shape[:2]))
    grey = cv2.resize(grey_uint8(image), None, fx=ratio, fy=ratio, interpolation=cv2.INTER_AREA)
    return max(_blur_along(grey.astype(np.float32), axis) for axis in (0, 1))


def _blur_along(grey: np.ndarray, axis: int) -> float:
    size = (1, _BOX_PX) if axis == 0 else (_BOX_PX, 1)  # OpenCV's (width, height)
    steps, blurred = (np.abs(np.diff(pixels, axis=axis)) for pixels in (grey, cv2.blur(grey, size)))
    total = float(steps.sum())
    return 1.0 if total == 0 else 1.0 - float(np.maximum(0, steps - blurred).sum()) / total
