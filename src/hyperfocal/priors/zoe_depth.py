"""ZoeDepth (Bhat et al. 2023) as a `DepthPrior`. The network is that of transformers."""

import math

import torch
import torch.nn.functional as F

from ..depth import Depth
from ..shapes import Image
from .network_images import HALF, as_batch, nearest_multiple, normalised, on_pixels
from .transformers_models import load_network
from .weights import fingerprint, require_weights

SIZE = (384, 512)  # height and width that it was trained with
PATCH = 32
VERSION = 1


class ZoeDepth:
    """Metres, indoors and outdoors."""

    def __init__(self, weights: str = "zoedepth", *, device: torch.device | str = "cpu") -> None:
        """Load the network.

        Raises:
            BadInputError: the weights are missing, damaged, or those of another network.
            MissingExtraError: transformers is not installed.
        """
        paths = require_weights(weights)
        self._network = load_network("ZoeDepthForDepthEstimation", paths[0].parent).to(device)
        self._device = device
        self.identity = f"{weights} {VERSION} {fingerprint(paths)}"
        """What decides the result beside the photograph."""

    @torch.no_grad()
    def __call__(self, image: Image, focal_px: float | None = None) -> Depth:
        """Return metres. The focal length is not used."""
        height, width = image.shape[:2]
        # It is wrong along the border of what it sees, so its authors mirror the photograph's margin outwards.
        margin_y, margin_x = (min(int(3 * math.sqrt(side / 2)), side - 1) for side in (height, width))
        padded = F.pad(image.permute(2, 0, 1).unsqueeze(0), (margin_x, margin_x, margin_y, margin_y), mode="reflect")
        full = padded[0].permute(1, 2, 0)
        ratios = SIZE[0] / full.shape[0], SIZE[1] / full.shape[1]
        ratio = min(ratios, key=lambda one: abs(1 - one))  # the one that changes the photograph least, as the authors
        size = nearest_multiple(full.shape[0] * ratio, PATCH), nearest_multiple(full.shape[1] * ratio, PATCH)
        seen = normalised(as_batch(full, *size, self._device), HALF)
        values = on_pixels(self._network(pixel_values=seen).predicted_depth[0], full)
        inside = values[margin_y : margin_y + height, margin_x : margin_x + width]
        return Depth(inside.clamp_min(0).contiguous(), "metric")
