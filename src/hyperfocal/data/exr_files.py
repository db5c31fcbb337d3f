"""OpenEXR files: linear colours as photographs, and single channels as depth."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..color import srgb_from_linear
from ..errors import BadInputError, has_package, missing_extra
from ..scene import Exif
from .image_header import ImageHeader

EXR_SUFFIXES = frozenset({".exr"})

# Names that renderers and phone apps give to depth, the likeliest first.
_DEPTH_CHANNELS = ("Z", "depth.Z", "depth.V", "Depth.V", "depth", "Depth", "V", "Y", "R")


def has_openexr() -> bool:
    """Return whether EXR files can be decoded here."""
    return has_package("OpenEXR")


def read_exr_header(path: Path) -> ImageHeader:
    """Return the size of an EXR; it has no orientation and no EXIF.

    Raises:
        BadInputError: not an EXR.
        MissingExtraError: OpenEXR is not installed.
    """
    (left, top), (right, bottom) = _opened(path, header_only=True)[0]["dataWindow"]
    return ImageHeader(int(right - left) + 1, int(bottom - top) + 1, 1, Exif())


def decode_exr(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Return (rgb, alpha or None) in [0, 1]: linear light as sRGB, brighter than 1 cut off.

    Raises:
        BadInputError: damaged, or it has no colours.
        MissingExtraError: OpenEXR is not installed.
    """
    channels = _opened(path)[1]
    names = ("R", "G", "B") if "R" in channels and "G" in channels and "B" in channels else ("Y", "Y", "Y")
    if names[0] not in channels:
        raise BadInputError(
            f"{path} has the channels {', '.join(sorted(channels))}; as a photograph it needs R, G and B, or Y. "
            "Write these channels, or take it out of the folder."
        )
    linear = np.stack([channels[name].astype(np.float32) for name in names], axis=2)
    rgb = srgb_from_linear(torch.from_numpy(np.nan_to_num(linear, nan=0.0, posinf=1.0)).clamp_(0, 1)).clamp_(0, 1)
    return rgb.numpy(), channels["A"].astype(np.float32) if "A" in channels else None


def decode_exr_depth(path: Path) -> np.ndarray:
    """Return the numbers [h, w] of the one channel, or of the channel with a name that depth usually has.

    Raises:
        BadInputError: damaged, or no channel can be told to be the depth.
        MissingExtraError: OpenEXR is not installed.
    """
    channels = _opened(path)[1]
    name = next(iter(channels)) if len(channels) == 1 else next((n for n in _DEPTH_CHANNELS if n in channels), None)
    if name is None:
        raise BadInputError(
            f"{path} has the channels {', '.join(sorted(channels))}, none of which can be told to be depth. "
            "Name it Z, or write it alone."
        )
    return channels[name].astype(np.float32)


def _opened(path: Path, *, header_only: bool = False) -> tuple[Any, dict[str, np.ndarray]]:
    """Return (header, channels by name) of the first part of an EXR."""
    if not has_openexr():
        raise missing_extra("OpenEXR", "raw")
    import OpenEXR  # pyright: ignore[reportMissingImports]

    if not path.is_file():
        raise BadInputError(f"The photograph {path} does not exist (any more).")
    try:
        with OpenEXR.File(str(path), separate_channels=True, header_only=header_only) as file:
            # Copies, since closing the file empties what it has given out.
            channels = {} if header_only else {name: np.array(one.pixels) for name, one in file.channels().items()}
            return dict(file.header()), channels
    except (RuntimeError, ValueError, TypeError, KeyError) as error:
        raise BadInputError(
            f"{path} could not be decoded: {error}. The file is damaged, cut short or not an EXR; write it again, or "
            "take it out of the folder."
        ) from error
