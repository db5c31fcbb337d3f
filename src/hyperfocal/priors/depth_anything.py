"""Depth Anything V2 (Yang et al. 2024) as a `DepthPrior`. The network is that of transformers."""

import torch

from ..depth import Depth
from ..shapes import Image
from .network_images import IMAGENET, as_batch, nearest_multiple, normalised, on_pixels
from .transformers_models import load_network
from .weights import fingerprint, require_weights

SHORT_SIDE = 518  # pixels, as it was trained with
PATCH = 14
VERSION = 1  # of this adapter; another one makes cached depth out of date


class DepthAnything:
    """Relative disparity, or metres, as the weights were trained for."""

    def __init__(
        self,
        weights: str = "depth-anything-v2-small",
        *,
        short_side: int = SHORT_SIDE,
        device: torch.device | str = "cpu",
    ) -> None:
        """Load the network.

        Args:
            weights: A name of the registry.
            short_side: Of the photograph as the network sees it; larger shows finer detail and costs more.
            device: Where the network runs.

        Raises:
            BadInputError: the weights are missing, damaged, or those of another network.
            MissingExtraError: transformers is not installed.
        """
        paths = require_weights(weights)
        self._network = load_network("DepthAnythingForDepthEstimation", paths[0].parent).to(device)
        self._short_side, self._device = short_side, device
        self._metric = self._network.config.depth_estimation_type == "metric"
        self.identity = f"{weights} {VERSION} {short_side} {fingerprint(paths)}"
        """What decides the result beside the photograph."""

    @torch.no_grad()
    def __call__(self, image: Image, focal_px: float | None = None) -> Depth:
        """Return disparity up to an affine change, or metres. The focal length is not used."""
        height, width = image.shape[:2]
        ratio = self._short_side / min(height, width)
        size = nearest_multiple(height * ratio, PATCH), nearest_multiple(width * ratio, PATCH)
        seen = normalised(as_batch(image, *size, self._device), IMAGENET)
        values = on_pixels(self._network(pixel_values=seen).predicted_depth[0], image)
        return Depth(values.clamp_min(0), "metric" if self._metric else "affine_disparity")
