"""Metric3D v2 (Hu et al. 2024) in its ONNX form as a `DepthPrior`, run by onnxruntime.

The network takes every photograph for one with a focal length of 1000 px, its canonical camera. Through a camera of
twice that focal length things look twice as near, so metres are its depth times the true focal length over 1000.
"""

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from ..depth import Depth
from ..errors import BadInputError, first_line, has_package, missing_extra
from ..shapes import Image
from .network_images import IMAGENET, as_batch, on_pixels
from .weights import fingerprint, require_weights

SIZE = (616, 1064)  # height and width that the ViT forms were trained with
PATCH = 14
CANONICAL_FOCAL_PX = 1000.0
FARTHEST_M = 300.0  # beyond which its authors cut it
VERSION = 1


class Metric3D:
    """Metres where the focal length is known; else right up to one factor."""

    def __init__(self, weights: str = "metric3d-v2-small", *, size: tuple[int, int] = SIZE) -> None:
        """Load the network.

        Args:
            weights: A name of the registry.
            size: Height and width that the network sees, where its file does not fix them; multiples of 14.

        Raises:
            BadInputError: the weights are missing, damaged, or those of another network.
            MissingExtraError: onnxruntime is not installed.
        """
        paths = require_weights(weights)
        self._session = _session(paths[0])
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or len(inputs[0].shape) != 4:
            raise BadInputError(
                f"{paths[0]} takes {[one.shape for one in inputs]}; expected one picture [1, 3, height, width]. "
                "Replace it by the ONNX form of Metric3D."
            )
        self._input = inputs[0].name
        # The authors' own export fixes the size; the one on the hub names it.
        self._size = tuple(
            fixed if isinstance(fixed, int) else asked for fixed, asked in zip(inputs[0].shape[2:], size, strict=True)
        )
        outputs = [one.name for one in self._session.get_outputs()]
        self._output = next((name for name in outputs if "depth" in name), outputs[0])
        self.identity = f"{weights} {VERSION} {self._size} {fingerprint(paths)}"
        """What decides the result beside the photograph."""

    @torch.no_grad()
    def __call__(self, image: Image, focal_px: float | None = None) -> Depth:
        """Return metres where the focal length is known, else depth up to one factor."""
        height, width = image.shape[:2]
        ratio = min(self._size[0] / height, self._size[1] / width)
        inner = max(1, min(round(height * ratio), self._size[0])), max(1, min(round(width * ratio), self._size[1]))
        top, left = (self._size[0] - inner[0]) // 2, (self._size[1] - inner[1]) // 2
        # In 0 to 255, padded by the mean colour: the file normalises by itself, after which the padding is 0.
        mean = torch.tensor(IMAGENET.mean).view(1, 3, 1, 1)
        bottom, right = self._size[0] - inner[0] - top, self._size[1] - inner[1] - left
        padded = 255 * (F.pad(as_batch(image, *inner, "cpu") - mean, (left, right, top, bottom)) + mean)
        told = self._session.run([self._output], {self._input: padded.numpy()})[0]
        canonical = torch.from_numpy(np.array(told, dtype=np.float32)).reshape(-1, told.shape[-1])
        # Some exports answer at a fraction of the size that they were given.
        down, across = canonical.shape[0] / self._size[0], canonical.shape[1] / self._size[1]
        rows = slice(round(top * down), max(round((top + inner[0]) * down), round(top * down) + 1))
        columns = slice(round(left * across), max(round((left + inner[1]) * across), round(left * across) + 1))
        depth = on_pixels(canonical[rows, columns], image).clamp_min(0)
        if focal_px is None:
            return Depth(depth, "scale_free")
        return Depth((depth * (focal_px * ratio / CANONICAL_FOCAL_PX)).clamp_max(FARTHEST_M), "metric")


def _session(path: Path) -> Any:
    if not has_package("onnxruntime"):
        raise missing_extra("onnxruntime", "priors")
    onnxruntime: Any = import_module("onnxruntime")
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3  # errors only
    settings.intra_op_num_threads = torch.get_num_threads()
    try:
        return onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
    except Exception as error:  # its own, without a base in common
        raise BadInputError(
            f"The weights {path} cannot be read as an ONNX model ({first_line(error)}). Download the file again, or "
            "remove it."
        ) from error
