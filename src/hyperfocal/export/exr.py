"""OpenEXR files of maps in 32-bit floats, by the package OpenEXR of the extra `raw`."""

from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import torch

from ..errors import BadInputError, has_package, missing_extra
from ..files import replacing
from ..shapes import Image, Map

Unit: TypeAlias = Literal["metres", "scene"]
_ABOUT = "hyperfocal camera z in the unit of hyperfocalUnit; 0 is unknown"


def require_openexr() -> None:
    """Raise unless EXR files can be written here.

    Raises:
        MissingExtraError: OpenEXR is not installed.
    """
    if not has_package("OpenEXR"):
        raise missing_extra("OpenEXR", "raw")


def write_depth_exr(path: Path, depth_z: Map, *, unit: Unit, normals: Image | None = None) -> None:
    """Write camera z as the channel "Z", and normals as "N.X", "N.Y" and "N.Z", exactly as they are.

    The header says which unit ("hyperfocalUnit": "metres" or "scene"). 0 is unknown in both.

    Raises:
        BadInputError: the file cannot be written.
        MissingExtraError: OpenEXR is not installed.
    """
    require_openexr()
    import OpenEXR  # pyright: ignore[reportMissingImports]

    channels = {"Z": depth_z}
    if normals is not None:
        channels |= {f"N.{axis}": normals[..., i] for i, axis in enumerate("XYZ")}
    arrays = {name: np.ascontiguousarray(map_.detach().numpy(), dtype=np.float32) for name, map_ in channels.items()}
    header = {
        "compression": OpenEXR.ZIP_COMPRESSION,
        "type": OpenEXR.scanlineimage,
        "hyperfocalUnit": unit,
        "comments": _ABOUT,
    }
    with replacing(path) as temporary:
        try:
            OpenEXR.File(header, arrays).write(str(temporary))
        except RuntimeError as error:  # what OpenEXR makes of a full disk or a missing folder
            reason = str(error).rstrip(".")
            raise BadInputError(
                f"Could not write {path}: {reason}. Nothing was changed there; free some space or choose another "
                "folder with --out."
            ) from error


def read_depth_exr(path: Path) -> tuple[Map, Unit]:
    """Return (camera z, its unit) of a file of `write_depth_exr`.

    Raises:
        BadInputError: the file is missing or damaged, or holds no depth of ours.
        MissingExtraError: OpenEXR is not installed.
    """
    require_openexr()
    import OpenEXR  # pyright: ignore[reportMissingImports]

    try:
        file = OpenEXR.File(str(path), separate_channels=True)
    except (RuntimeError, OSError, ValueError) as error:
        raise BadInputError(f"Could not read the EXR file {path}: {error}. Copy it again.") from error
    unit = file.header().get("hyperfocalUnit")
    channels = file.channels()
    if "Z" not in channels or unit not in ("metres", "scene"):
        raise BadInputError(
            f'{path} has the channels {", ".join(sorted(channels))} and the unit {unit!r}; expected a channel "Z" with '
            'the unit "metres" or "scene", as `hyperfocal render --exr` writes.'
        )
    return torch.from_numpy(np.array(channels["Z"].pixels, dtype=np.float32)), unit
