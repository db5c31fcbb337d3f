"""The weights that the library knows by name: what for, whose, how large, under which licence. Loads no torch.

Sizes and checksums are those that their publishers state; a checksum that nobody states is None, never a guess. Those
of `xfeat.pt`, `depth-save.pth` and `aliked-n16.pth` are of files equal to the ones in their authors' repositories.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from ..errors import BadInputError

Purpose: TypeAlias = Literal["depth", "matching"]


@dataclass(frozen=True)
class WeightFile:
    """One file of a network's weights."""

    path: str
    """Below the folder of weights."""
    hub: str
    """Its repository on the Hugging Face hub, "owner/name"; empty if it is not there."""
    source: str
    """Its path in that repository."""
    sha256: str | None = None
    """Of its content; None if nobody states it."""


@dataclass(frozen=True)
class Weights:
    """What a network needs on disk, and on what terms."""

    name: str
    """On the command line."""
    purpose: Purpose
    network: str
    """What it is called by its authors."""
    gives: str
    """What one gets from it."""
    licence: str
    """As published."""
    commercial: bool
    """Whether that licence clearly allows commercial use. Weights for which it does not are never chosen by default."""
    megabytes: float
    """Of all files together, as published."""
    page: str
    """Where people find them."""
    files: tuple[WeightFile, ...]

    @property
    def size(self) -> str:
        """Their size in words."""
        return f"{self.megabytes / 1000:.2g} GB" if self.megabytes >= 1000 else f"{self.megabytes:.0f} MB"


_HUB = "https://huggingface.co/"


def _of_transformers(
    name: str,
    network: str,
    gives: str,
    hub: str,
    megabytes: float,
    licence: str,
    *,
    commercial: bool,
    sha256: str | None = None,
) -> Weights:
    """Return the entry of a network of transformers: two files in a folder of its own."""
    purpose: Purpose = "matching" if "LoFTR" in network else "depth"
    files = (
        WeightFile(f"{name}/config.json", hub, "config.json"),
        WeightFile(f"{name}/model.safetensors", hub, "model.safetensors", sha256),
    )
    return Weights(name, purpose, network, gives, licence, commercial, megabytes, _HUB + hub, files)


def _of_kornia(
    name: str, network: str, gives: str, megabytes: float, licence: str, page: str, *files: WeightFile
) -> Weights:
    return Weights(name, "matching", network, gives, licence, True, megabytes, page, files)


_UNSTATED = "not stated on its page (the authors put their relative small model under Apache-2.0)"
_LIGHTGLUE = _HUB + "kornia/lightglue"

WEIGHTS: tuple[Weights, ...] = (
    _of_transformers(
        "depth-anything-v2-small",
        "Depth Anything V2 (S)",
        "relative depth",
        "depth-anything/Depth-Anything-V2-Small-hf",
        99.2,
        "Apache-2.0",
        commercial=True,
        sha256="3152477ce0d8d6978d76b995120de97cb5b928701fd0f817769f59e249a16b70",
    ),
    _of_transformers(
        "depth-anything-v2-large",
        "Depth Anything V2 (L)",
        "relative depth",
        "depth-anything/Depth-Anything-V2-Large-hf",
        1340.0,
        "CC-BY-NC-4.0",
        commercial=False,
    ),
    _of_transformers(
        "depth-anything-v2-metric-indoor",
        "Depth Anything V2 (S)",
        "metres, indoors, up to 20",
        "depth-anything/Depth-Anything-V2-Metric-Indoor-Small-hf",
        99.2,
        _UNSTATED,
        commercial=False,
    ),
    _of_transformers(
        "depth-anything-v2-metric-outdoor",
        "Depth Anything V2 (S)",
        "metres, outdoors, up to 80",
        "depth-anything/Depth-Anything-V2-Metric-Outdoor-Small-hf",
        99.2,
        _UNSTATED,
        commercial=False,
    ),
    _of_transformers(
        "zoedepth",
        "ZoeDepth",
        "metres, indoors and outdoors",
        "Intel/zoedepth-nyu-kitti",
        1380.0,
        "MIT",
        commercial=True,
        sha256="c5494fa0938f18d71e215e245472470c3aefebd7b434abd89750e5ae4008e2dc",
    ),
    _of_transformers(
        "depth-pro",
        "Depth Pro",
        "metres, with or without a focal length",
        "apple/DepthPro-hf",
        1900.0,
        "Apple's licence for machine learning research models: research only",
        commercial=False,
    ),
    Weights(
        "metric3d-v2-small",
        "depth",
        "Metric3D v2 (ViT-S, ONNX)",
        "metres, given a focal length",
        "CC0-1.0 on the page of this form, non-commercial by the authors' own words",
        False,
        151.0,
        _HUB + "onnx-community/metric3d-vit-small",
        (WeightFile("metric3d-v2-small.onnx", "onnx-community/metric3d-vit-small", "onnx/model.onnx"),),
    ),
    _of_kornia(
        "xfeat",
        "XFeat",
        "sparse or semi-dense matches",
        6.2,
        "Apache-2.0",
        "https://github.com/verlab/accelerated_features",
        WeightFile("xfeat.pt", "", "", "0f5187fd7bedd26c7fe6acc9685444493a165a35ecc087b33c2db3627f3ea10b"),
    ),
    _of_kornia(
        "disk-lightglue",
        "DISK + LightGlue",
        "sparse matches",
        52.0,
        "Apache-2.0",
        _LIGHTGLUE,
        WeightFile(
            "depth-save.pth",
            "kornia/disk",
            "depth-save.pth",
            "9c2ee4ded238892dfa51569941372601e35e4a74aa6f84ea80053d2ab1c07abe",
        ),
        WeightFile("disk_lightglue.pth", "kornia/lightglue", "disk_lightglue.pth"),
    ),
    _of_kornia(
        "aliked-lightglue",
        "ALIKED + LightGlue",
        "sparse matches",
        50.4,
        "BSD-3-Clause (ALIKED), Apache-2.0 (LightGlue)",
        _LIGHTGLUE,
        WeightFile(
            "aliked-n16.pth",
            "kornia/aliked",
            "aliked-n16.pth",
            "5be8704840ed662d9d8c561bf7279c222092674e7eb05fd0feab94899e9d82f2",
        ),
        WeightFile("aliked_lightglue.pth", "kornia/lightglue", "aliked_lightglue.pth"),
    ),
    _of_kornia(
        "loftr",
        "LoFTR (outdoor)",
        "semi-dense matches",
        46.3,
        "Apache-2.0",
        _HUB + "kornia/loftr",
        WeightFile("loftr_outdoor.ckpt", "kornia/loftr", "loftr_outdoor.ckpt"),
    ),
    _of_transformers(
        "efficient-loftr",
        "EfficientLoFTR",
        "semi-dense matches",
        "zju-community/efficientloftr",
        64.3,
        "Apache-2.0",
        commercial=True,
    ),
)


def known_weights(name: str) -> Weights:
    """Return the entry of that name.

    Raises:
        BadInputError: there is none.
    """
    for weights in WEIGHTS:
        if weights.name == name:
            return weights
    raise BadInputError(
        f"No weights are called {name!r}; there are {', '.join(weights.name for weights in WEIGHTS)}. "
        "`hyperfocal weights list` says what each is for."
    )
