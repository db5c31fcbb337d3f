"""Raw exports of Polycam ("Raw data" in developer mode): a folder `keyframes` of photographs, cameras and depth.

The reference is "Polycam's data format" in the README of github.com/PolyCam/polyform: a JSON file a photograph with fx,
fy, cx, cy, width, height and the rows t_00 to t_23 of camera-to-world, in ARKit's axes (camera: x right, y up, looking
along -z; world: metres, y up); `depth` holds 16-bit millimetres. The `corrected_` folders, when there, are the same
after Polycam's bundle adjustment.
"""

import math
from pathlib import Path
from typing import Any

import torch

from ..camera import Camera
from ..errors import BadInputError
from ..files import read_bytes, read_json_object
from ..scene import DepthFile, Scene
from ..transforms import world_to_camera_from_opengl
from .depth_files import MILLIMETRES
from .listed import Listed, find_mask, found_views, photographs_in, some_of
from .poses import nearest_rotation, repair_notes

_PAIRS = (("corrected_images", "corrected_cameras"), ("images", "cameras"))


def read_polycam(path: Path) -> Scene | None:
    """Return the scene of a Polycam raw export (the folder itself or its `keyframes`), or None if it is none.

    Raises:
        BadInputError: a camera file is damaged, or no photograph is found.
    """
    if not path.is_dir():
        return None
    for folder in (path / "keyframes", path):
        for images, cameras in _PAIRS:
            files = sorted((folder / cameras).glob("*.json")) if (folder / images).is_dir() else []
            if files and b'"t_00"' in read_bytes(files[0]):
                return _scene(path, folder, images, files)
    return None


def _scene(path: Path, folder: Path, images: str, files: list[Path]) -> Scene:
    photographs = {image.stem: image for image in photographs_in(folder / images)}
    entries: list[Listed] = []
    errors: dict[str, float] = {}
    for file in files:
        image = photographs.get(file.stem, folder / images / f"{file.stem}.jpg")
        camera, errors[image.name] = _camera(read_json_object(file, remedy="Export the capture again."), file)
        depth = folder / "depth" / f"{file.stem}.png"
        measured = DepthFile(depth, MILLIMETRES) if depth.is_file() else None
        entries.append(Listed(image.name, image, camera, mask=find_mask(image), depth=measured))
    views, notes = found_views(entries, files[0].parent)
    notes += repair_notes(errors)
    if lost := sorted(photographs.keys() - {file.stem for file in files}):
        notes += (f"{len(lost)} photographs have no camera and were left out: {some_of(lost)}.",)
    corrected = " after its bundle adjustment" if images.startswith("corrected") else ""
    return Scene(
        source=path,
        views=views,
        metres_per_unit=1.0,
        up=(0.0, 1.0, 0.0),
        format=f"a raw export of Polycam{corrected}",
        notes=notes,
    )


def _camera(content: dict[str, Any], file: Path) -> tuple[Camera, float]:
    """Return (camera, how far its rotation was from one)."""
    try:
        rows = [[float(content[f"t_{i}{j}"]) for j in range(4)] for i in range(3)]
        fx, fy, cx, cy, width, height = (float(content[key]) for key in ("fx", "fy", "cx", "cy", "width", "height"))
        if not all(map(math.isfinite, (fx, fy, cx, cy, width, height, *rows[0], *rows[1], *rows[2]))):
            raise ValueError("has numbers that are not finite")
        matrix = torch.tensor(rows, dtype=torch.float64)
        rotation, error = nearest_rotation(matrix[:, :3])
        pose = world_to_camera_from_opengl(rotation, matrix[:, 3]).float()
        return Camera(pose, torch.tensor([fx, fy]), torch.tensor([cx, cy]), round(width), round(height)), error
    except (KeyError, TypeError, ValueError) as error:
        reason = f"has no {error}" if isinstance(error, KeyError) else str(error)
        raise BadInputError(f"The camera {file}: {reason}. Export the capture again, or take the file out.") from error
