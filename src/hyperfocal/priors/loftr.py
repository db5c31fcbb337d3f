"""LoFTR (Sun et al. 2021) and EfficientLoFTR (Wang et al. 2024) as `Matcher`s: semi-dense, no features to detect.

Both were trained with cameras whose pixels are counted from the corner of the picture, as ours are, so their places
need no half pixel; neither has been run with its real weights here.
"""

from importlib import import_module
from typing import Any

import torch

from ..errors import BadInputError, has_package, missing_extra
from ..protocols import Matches
from ..shapes import Image
from .features import OtherImage, between_photographs, mutual_best
from .network_images import Seen, as_batch, grey, seen, shrunk_size
from .transformers_models import load_network
from .weights import load_foreign_weights, require_weights

LONG_SIDE = 840  # pixels, as LoFTR was trained with outdoors
EFFICIENT_LONG_SIDE = 832
_EFFICIENT_MULTIPLE = 32


class LoftrMatcher:
    """LoFTR of kornia (extra `priors`)."""

    def __init__(self, *, long_side: int = LONG_SIDE, device: torch.device | str = "cpu") -> None:
        """Load the network.

        Args:
            long_side: Photographs are reduced to it; time and memory grow with its fourth power.
            device: Where the network runs.

        Raises:
            BadInputError: the weights are missing, damaged, or those of another network.
            MissingExtraError: kornia is not installed.
        """
        (path,) = require_weights("loftr")
        if not has_package("kornia"):
            raise missing_extra("kornia", "priors")
        network: Any = import_module("kornia.feature").LoFTR(pretrained=None)
        weights = load_foreign_weights(path)
        try:
            network.load_state_dict(weights.get("state_dict", weights))
        except (RuntimeError, AttributeError, TypeError) as error:
            raise BadInputError(
                f"The weights {path} are not those of LoFTR: expected loftr_outdoor.ckpt. Replace or remove the file."
            ) from error
        self._network = network.eval().to(device)
        self._long_side, self._device = long_side, device

    @torch.no_grad()
    def __call__(self, first: Image, second: OtherImage) -> Matches:
        """Return the matches of two sRGB images in [0, 1]; confidence is that of the coarse match."""
        shown = [seen(image, self._long_side, 8, self._device) for image in (first, second)]
        told = self._network({"image0": grey(shown[0].batch), "image1": grey(shown[1].batch)})
        places = [told[f"keypoints{side}"] * one.scale for side, one in enumerate(shown)]
        return between_photographs(first, second, places[0], places[1], told["confidence"])


class EfficientLoftrMatcher:
    """EfficientLoFTR of transformers (extra `priors`).

    The network of transformers 5.24 hands back, for one number of a match, the first photograph's cell that matches the
    second's cell of that number, and the second's that matches the first's: two different matches, refined as if they
    were one. So cells are matched here, and only its features and its refinement are used.
    """

    def __init__(self, *, long_side: int = EFFICIENT_LONG_SIDE, device: torch.device | str = "cpu") -> None:
        """Load the network.

        Args:
            long_side: Photographs are reduced to it; time and memory grow with its fourth power.
            device: Where the network runs.

        Raises:
            BadInputError: the weights are missing, damaged, or those of another network.
            MissingExtraError: transformers is not installed.
        """
        paths = require_weights("efficient-loftr")
        self._network = load_network("EfficientLoFTRForKeypointMatching", paths[0].parent).to(device)
        self._long_side, self._device = long_side, device

    @torch.no_grad()
    def __call__(self, first: Image, second: OtherImage) -> Matches:
        """Return the matches of two sRGB images in [0, 1]; confidence is that of the coarse match."""
        # It wants both photographs in one size, into which the smaller one is stretched.
        sizes = [
            shrunk_size(image.shape[0], image.shape[1], self._long_side, _EFFICIENT_MULTIPLE)
            for image in (first, second)
        ]
        height, width = max(size[0] for size in sizes), max(size[1] for size in sizes)
        shown = [
            Seen(
                as_batch(image, height, width, self._device),
                torch.tensor([image.shape[1] / width, image.shape[0] / height], device=self._device),
            )
            for image in (first, second)
        ]
        pixels = torch.stack([grey(one.batch)[0].expand(3, -1, -1) for one in shown]).unsqueeze(0)
        coarse, *finer = self._network.efficientloftr(pixels).feature_maps
        channels, rows, columns = coarse.shape[2:]
        cells = coarse[0].flatten(2).transpose(1, 2) / channels**0.5
        settings = self._network.config
        likeness = cells[0] @ cells[1].T / settings.coarse_matching_temperature
        confidence = likeness.softmax(0) * likeness.softmax(1)
        i, j = mutual_best(confidence, settings.coarse_matching_threshold)
        cell_px = height / rows
        places = torch.stack([torch.stack((index % columns, index // columns), 1) * cell_px for index in (i, j)])
        inside = torch.ones_like(i, dtype=torch.bool)
        border = settings.coarse_matching_border_removal
        for index in (i, j):  # of cells at the border the features are wrong, as the authors
            row, column = index // columns, index % columns
            inside &= (row >= border) & (row < rows - border) & (column >= border) & (column < columns - border)
        i, j, places = i[inside], j[inside], places[:, inside]
        if len(i):
            fine = self._network.refinement_layer(coarse / settings.hidden_size**0.5, finer)
            places = self._network._fine_matching(fine[0][:, i], fine[1][:, j], places.unsqueeze(0), 1.0)[0]
        first_px, second_px = (one * show.scale for one, show in zip(places, shown, strict=True))
        return between_photographs(first, second, first_px, second_px, confidence[i, j])
