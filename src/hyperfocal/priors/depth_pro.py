"""Depth Pro (Bochkovskii et al. 2024) as a `DepthPrior`. The network is that of transformers.

Its weights are for research only, so it is used where it is asked for by name.
"""

import math

import torch

from ..depth import Depth
from ..shapes import Image
from .network_images import HALF, as_batch, normalised, on_pixels
from .transformers_models import load_network
from .weights import fingerprint, require_weights

SIDE = 1536  # pixels of the square that it sees, whatever the photograph's shape
FARTHEST_M, NEAREST_M = 1e4, 1e-4
VERSION = 1


class DepthPro:
    """Metres; the focal length is estimated where it is unknown."""

    def __init__(self, weights: str = "depth-pro", *, side: int = SIDE, device: torch.device | str = "cpu") -> None:
        """Load the network.

        Raises:
            BadInputError: the weights are missing, damaged, or those of another network.
            MissingExtraError: transformers is not installed.
        """
        paths = require_weights(weights)
        self._network = load_network("DepthProForDepthEstimation", paths[0].parent).to(device)
        self._side, self._device = side, device
        self.identity = f"{weights} {VERSION} {side} {fingerprint(paths)}"
        """What decides the result beside the photograph."""

    @torch.no_grad()
    def __call__(self, image: Image, focal_px: float | None = None) -> Depth:
        """Return metres; of another kind where neither we nor the network know a focal length."""
        seen = normalised(as_batch(image, self._side, self._side, self._device), HALF)
        told = self._network(pixel_values=seen)
        # It sees 1 / depth of a camera whose focal length is the width of the picture (canonical inverse depth).
        inverse = on_pixels(told.predicted_depth[0], image)
        width = image.shape[1]
        if focal_px is None and told.field_of_view is not None:
            half = math.radians(float(told.field_of_view.flatten()[0])) / 2
            focal_px = 0.5 * width / math.tan(half) if 0 < half < math.pi / 2 else None
        metres = 1 / (inverse * (width / (focal_px or width))).clamp(1 / FARTHEST_M, 1 / NEAREST_M)
        return Depth(metres, "scale_free" if focal_px is None else "metric")
