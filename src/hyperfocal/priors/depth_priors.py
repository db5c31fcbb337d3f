"""Depth priors by the names of their weights."""

from collections.abc import Callable
from functools import partial
from typing import Protocol, runtime_checkable

import torch

from ..depth import Depth
from ..errors import BadInputError, has_package
from ..shapes import Image
from .depth_anything import DepthAnything
from .depth_pro import DepthPro
from .metric3d import Metric3D
from .registry import WEIGHTS, known_weights
from .weights import weights_on_disk
from .zoe_depth import ZoeDepth


@runtime_checkable
class LearnedDepth(Protocol):
    """A `DepthPrior` that can tell results of one set of weights from those of another."""

    identity: str

    def __call__(self, image: Image, focal_px: float | None = None) -> Depth:
        """Return the depth of every pixel."""
        ...


def load_depth_prior(name: str, *, device: torch.device | str = "cpu") -> LearnedDepth:
    """Return the depth prior whose weights have this name in the registry.

    Raises:
        BadInputError: no such weights, not those of a depth prior, or they are missing or damaged.
        MissingExtraError: the package that runs it is not installed.
    """
    if known_weights(name).purpose != "depth":
        priors = [weights.name for weights in WEIGHTS if weights.purpose == "depth"]
        raise BadInputError(f"The weights {name} are those of no depth prior; expected one of {', '.join(priors)}.")
    if name == "zoedepth":
        return ZoeDepth(device=device)
    if name == "depth-pro":
        return DepthPro(device=device)
    if name.startswith("metric3d"):
        return Metric3D(name)
    return DepthAnything(name, device=device)


def ready_depth_prior() -> Callable[[], LearnedDepth] | None:
    """Return what loads the first depth prior that is on disk, can be run and may be used commercially, else None."""
    for weights in WEIGHTS:
        if weights.purpose == "depth" and weights.commercial and weights_on_disk(weights) is not None:
            runs = "onnxruntime" if weights.files[0].path.endswith(".onnx") else "transformers"
            if has_package(runs):
                return partial(load_depth_prior, weights.name)
    return None
