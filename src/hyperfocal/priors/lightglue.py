"""DISK (Tyszkiewicz et al. 2020) or ALIKED (Zhao et al. 2023), matched by LightGlue (Lindenberger et al. 2023).

The networks are kornia's (extra `priors`); it would download their weights, so they are loaded here, from the folder of
weights.
"""

import re
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import BadInputError, has_package, missing_extra
from ..protocols import Matches
from ..shapes import Image
from .features import OtherImage, between_photographs, remembering
from .network_images import seen
from .weights import load_foreign_weights, require_weights

LONG_SIDE = 1024  # pixels, about what LightGlue was trained with
MOST_FEATURES = 2048  # of a photograph, as it was trained with
_DESCRIPTOR = 128  # numbers, of both kinds of features


@dataclass(frozen=True)
class _Found:
    keypoints: Float[Tensor, "n 2"]
    """In the network's pixels, whose centres are whole numbers."""
    descriptors: Float[Tensor, "n c"]
    size: Float[Tensor, " 2"]
    scale: Float[Tensor, " 2"]


class LightGlueMatcher:
    """Learned sparse features; a network decides which of them match."""

    def __init__(
        self,
        features: Literal["disk", "aliked"] = "disk",
        *,
        long_side: int = LONG_SIDE,
        most_features: int = MOST_FEATURES,
        device: torch.device | str = "cpu",
    ) -> None:
        """Load both networks.

        Args:
            features: Which ones.
            long_side: Photographs are reduced to it.
            most_features: Of a photograph.
            device: Where the networks run.

        Raises:
            BadInputError: weights are missing, damaged, or those of another network.
            MissingExtraError: kornia is not installed.
        """
        detector_file, matcher_file = require_weights(f"{features}-lightglue")
        if not has_package("kornia"):
            raise missing_extra("kornia", "priors")
        kornia: Any = import_module("kornia.feature")
        weights = load_foreign_weights(detector_file)
        if features == "disk":
            self._detector = _loaded(kornia.DISK(), weights.get("extractor", weights), detector_file)
        else:
            network = kornia.ALIKED("aliked-n16", max_num_keypoints=most_features)
            self._detector = _loaded(network, weights, detector_file)
        matcher = kornia.LightGlue(None, input_dim=_DESCRIPTOR, weights=None)
        # As published, blocks are named by their kind first; kornia's by their layer.
        renamed = {
            re.sub(r"^(self|cross)_attn\.(\d+)\.", r"transformers.\2.\1_attn.", name): value
            for name, value in load_foreign_weights(matcher_file).items()
        }
        self._matcher = _loaded(matcher, renamed, matcher_file)
        self._features, self._long_side, self._most = features, long_side, most_features
        self._device = device
        self._detector.to(device)
        self._matcher.to(device)
        self._found = remembering(self._detected)

    @torch.no_grad()
    def _detected(self, image: Image) -> _Found:
        shown = seen(image, self._long_side, 16, self._device)
        if self._features == "disk":
            found = self._detector(shown.batch, n=self._most, pad_if_not_divisible=True)[0]
        else:
            found = self._detector(shown.batch)[0]
        size = shown.scale.new_tensor([shown.batch.shape[-1], shown.batch.shape[-2]])
        return _Found(found.keypoints.float(), found.descriptors, size, shown.scale)

    @torch.no_grad()
    def __call__(self, first: Image, second: OtherImage) -> Matches:
        """Return the matches of two sRGB images in [0, 1]; confidence is the network's score."""
        found = [self._found(image) for image in (first, second)]
        words = [
            {
                "keypoints": one.keypoints.unsqueeze(0),
                "descriptors": one.descriptors.unsqueeze(0),
                "image_size": one.size.unsqueeze(0),
            }
            for one in found
        ]
        if min(len(one.keypoints) for one in found) == 0:
            none = found[0].keypoints[:0]
            return between_photographs(first, second, none, none, none[:, 0])
        told = self._matcher({"image0": words[0], "image1": words[1]})
        pairs, scores = told["matches"][0], told["scores"][0]
        places = [(one.keypoints[pairs[:, side]] + 0.5) * one.scale for side, one in enumerate(found)]
        return between_photographs(first, second, places[0], places[1], scores)


def _loaded(network: Any, state: dict[str, Any], path: object) -> Any:
    """Return a network with its weights, ready to look at pictures.

    Raises:
        BadInputError: they are those of another network.
    """
    try:
        lacking = network.load_state_dict(state, strict=False)
    except (RuntimeError, AttributeError, TypeError) as error:
        raise BadInputError(
            f"The weights {path} are not those of {type(network).__name__} of kornia: shapes differ. Replace the file."
        ) from error
    learned = {name for name, _ in network.named_parameters()}  # buffers that are missing are computed, not learned
    if missing := learned.intersection(lacking.missing_keys):
        raise BadInputError(
            f"The weights {path} are not those of {type(network).__name__} of kornia: {len(missing)} of its values are "
            f"missing, such as {min(missing)}. Replace the file."
        )
    return network.eval()
