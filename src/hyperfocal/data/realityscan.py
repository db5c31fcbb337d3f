"""CSV of RealityScan, once RealityCapture: "Export registration", "Internal/External camera parameters".

The first line names the columns, "#name,x,y,alt,heading,pitch,roll,f,px,py,k1,k2,k3,k4,t1,t2"; the last eight may be
left out. f is in millimetres of a picture whose longer side is 36 mm, px and py are shares of that longer side from the
middle of the picture, k and t as in Brown's model. Angles are degrees: camera-to-world is Rz(-heading) Rx(pitch)
Ry(roll) for a camera that looks along -z with y up; z of the world is up. The reading of px and py and of the angles is
that of nerfstudio (process_data/realitycapture_utils.py, pull request 3131) and of brush (realitycapture.rs).
"""

import csv
import math
from pathlib import Path

import torch

from ..camera import Camera
from ..errors import BadInputError
from ..scene import Scene
from ..transforms import world_to_camera_from_opengl
from .brown import distortion_from_brown
from .images import read_header
from .listed import Listed, find_mask, found_views, only_one, photographs_named

_NEEDED = ("name", "x", "y", "alt", "heading", "pitch", "roll", "f")
_OPTIONAL = ("px", "py", "k1", "k2", "k3", "k4", "t1", "t2")


def read_realityscan(path: Path) -> Scene | None:
    """Return the scene of such a CSV (the file, or a folder with one), or None if there is none.

    Raises:
        BadInputError: a row is damaged, or there are several such files.
    """
    files = [path] if path.is_file() else sorted(path.glob("*.csv"))
    found = [(file, rows) for file in files if file.suffix.lower() == ".csv" and (rows := _rows(file)) is not None]
    if not found:
        return None
    file, rows = only_one(found, path, "lists of cameras")
    entries = []
    for line, row in enumerate(rows, start=2):
        image = photographs_named(row["name"] or "", file.parent)
        name = image.relative_to(file.parent).as_posix()
        entries.append(_listed(row, name, image, f"line {line} of {file}"))
    views, notes = found_views(entries, file)
    return Scene(source=path, views=views, up=(0.0, 0.0, 1.0), format="a CSV of RealityScan", notes=notes)


def _rows(file: Path) -> list[dict[str, str | None]] | None:
    """Return the rows by column, None if the first line does not name ours."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            reader = csv.reader(text)
            columns = [name.strip().lstrip("#").lower() for name in next(reader, [])]
            if not set(_NEEDED) <= set(columns):
                return None
            rows = [dict(zip(columns, row, strict=False)) for row in reader if row and not row[0].startswith("#")]
    except (UnicodeDecodeError, csv.Error):
        return None
    except OSError as error:
        raise BadInputError(f"{file} cannot be read: {error.strerror or error}.") from error
    if not rows:
        raise BadInputError(f"{file} names the columns of cameras, but has none. Align the photographs first.")
    return [{name: row.get(name) for name in (*_NEEDED, *_OPTIONAL)} for row in rows]


def _listed(row: dict[str, str | None], name: str, image: Path, where: str) -> Listed:
    if not image.is_file():
        return Listed(name, image, camera=None)
    header = read_header(image)
    longer = max(header.width, header.height)
    try:
        numbers = {key: float(row[key] or (0 if key in _OPTIONAL else "nan")) for key in (*_NEEDED[1:], *_OPTIONAL)}
        if not all(map(math.isfinite, numbers.values())) or not numbers["f"] > 0:
            raise ValueError(f"f, the position and the angles must be finite numbers and f positive, got {row}")
    except ValueError as error:
        raise BadInputError(f"The camera in {where}: {error}. Export it again.") from error
    focal_px = numbers["f"] * longer / 36
    angles = torch.tensor([-numbers["heading"], numbers["pitch"], numbers["roll"]], dtype=torch.float64).deg2rad()
    rotation = _about(2, angles[0]) @ _about(0, angles[1]) @ _about(1, angles[2])
    position = torch.tensor([numbers["x"], numbers["y"], numbers["alt"]], dtype=torch.float64)
    camera = Camera(
        world_to_camera=world_to_camera_from_opengl(rotation, position).float(),
        focal_px=torch.full((2,), focal_px),
        center_px=torch.tensor([header.width / 2 + numbers["px"] * longer, header.height / 2 + numbers["py"] * longer]),
        width=header.width,
        height=header.height,
    )
    distortion = distortion_from_brown(
        (numbers["k1"], numbers["k2"], numbers["k3"], numbers["k4"]),
        (numbers["t1"], numbers["t2"]),
        focal_px=focal_px,
        size=(header.width, header.height),
        where=where,
    )
    return Listed(name, image, camera, distortion, find_mask(image))


def _about(axis: int, angle: torch.Tensor) -> torch.Tensor:
    """Return the right-handed rotation [3, 3] about a coordinate axis."""
    i, j = (axis + 1) % 3, (axis + 2) % 3
    rotation = torch.eye(3, dtype=torch.float64)
    rotation[i, i] = rotation[j, j] = angle.cos()
    rotation[j, i], rotation[i, j] = angle.sin(), -angle.sin()
    return rotation
