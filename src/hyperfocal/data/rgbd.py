"""Folders of an RGB-D camera: photographs in `color` (or `rgb`), 16-bit millimetres in `depth`.

Poses are those of `trajectory.log` (Open3D: three numbers, then camera-to-world, 4 x 4) or of `pose.txt` (a line
tx ty tz qx qy qz qw a photograph, camera-to-world, as in slambook2), in the photographs' natural order (2 before 10).
The calibration is that of an Open3D JSON file ("intrinsic_matrix" by columns), or of `intrinsics.txt` with
fx fy cx cy or a matrix. Both kinds of poses have OpenCV's axes and metres.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from ..camera import Camera
from ..errors import BadInputError
from ..files import read_json_object
from ..scene import DepthFile, Scene
from ..transforms import invert_rigid, rigid, rotation_from_quaternion
from .depth_files import MILLIMETRES
from .images import read_header
from .listed import Listed, find_mask, found_views, photographs_in, some_of
from .photographs import plain_views
from .poses import nearest_rotation

_COLORS = ("color", "colour", "rgb")
_CALIBRATIONS = (
    *("camera_intrinsic.json", "intrinsic.json", "camera_primesense.json", "intrinsics.json"),
    *("intrinsics.txt", "intrinsic.txt", "camera-intrinsics.txt"),
)
FORMAT = "an RGB-D folder"


def read_rgbd(path: Path) -> Scene | None:
    """Return the scene of an RGB-D folder, or None if `path` is none.

    Without a calibration the cameras are unknown, and the poses are left out with a note: a focal length is never
    guessed.

    Raises:
        BadInputError: there are not as many poses as photographs, or a file is damaged.
    """
    if not (path / "depth").is_dir():
        return None
    images = next(filter(None, (photographs_in(path / name) for name in _COLORS)), [])
    if not images:
        return None
    images = sorted(images, key=lambda image: _natural(image.stem))
    depths = {file.stem: file for file in sorted((path / "depth").iterdir()) if file.suffix in {".png", ".pgm", ".tif"}}
    measured = {image: DepthFile(depths[image.stem], MILLIMETRES) for image in images if image.stem in depths}
    if not measured:
        return None
    notes: tuple[str, ...] = ()
    if lost := [image.name for image in images if image not in measured]:
        notes += (f"{len(lost)} photographs have no depth map of their name: {some_of(lost)}.",)
    poses, pose_file = _poses(path)
    calibration = _calibration(path)
    if poses is None or calibration is None:
        if pose_file is not None:
            notes += (
                f"The poses in {pose_file.name} were not used, since no file says the focal length. Write fx fy cx cy "
                "in pixels into intrinsics.txt beside it.",
            )
        views, more = plain_views(images)
        of_name = {image.name: depth for image, depth in measured.items()}
        views = tuple(replace(view, depth=of_name.get(view.name)) for view in views)
        return Scene(source=path, views=views, metres_per_unit=1.0, format=FORMAT, notes=notes + more)
    if len(poses) != len(images):
        raise BadInputError(
            f"{pose_file} has {len(poses)} poses, but {images[0].parent} has {len(images)} photographs. Leave only the "
            "photographs that the poses belong to, in the same order."
        )
    entries = [
        Listed(image.name, image, _camera(image, pose, calibration), None, find_mask(image), measured.get(image))
        for image, pose in zip(images, poses, strict=True)
    ]
    assert pose_file is not None
    views, more = found_views(entries, pose_file)
    return Scene(source=path, views=views, metres_per_unit=1.0, format=f"{FORMAT} with poses", notes=notes + more)


def _natural(stem: str) -> list[tuple[int, str]]:
    """Return a key that sorts 2 before 10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", stem) if part]


def _poses(path: Path) -> tuple[list[Tensor] | None, Path | None]:
    """Return (camera-to-world [4, 4] of each photograph, the file)."""
    readers: dict[str, Callable[[Path], list[Tensor]]] = {"trajectory.log": _log, "pose.txt": _lines}
    for name, read in readers.items():
        file = path / name
        if file.is_file():
            try:
                return read(file), file
            except (OSError, ValueError, RuntimeError) as error:
                raise BadInputError(f"{file} cannot be read as poses: {error}. Write it again.") from error
    return None, None


def _log(file: Path) -> list[Tensor]:
    """Return the poses of Open3D's .log: a line of three numbers, then four lines of four."""
    lines = [line.split() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    if len(lines) % 5:
        raise ValueError(f"it has {len(lines)} lines, expected five a pose")
    return [_checked(torch.tensor([[float(v) for v in row] for row in lines[i + 1 : i + 5]], dtype=torch.float64))
            for i in range(0, len(lines), 5)]  # fmt: skip


def _lines(file: Path) -> list[Tensor]:
    """Return the poses of lines tx ty tz qx qy qz qw."""
    poses = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        values = torch.tensor([float(word) for word in line.split()], dtype=torch.float64)
        if len(values) == 0:
            continue
        if len(values) != 7 or float(values[3:].norm()) < 1e-6:
            raise ValueError(f"line {number} has {len(values)} numbers, expected tx ty tz qx qy qz qw")
        poses.append(_checked(rigid(rotation_from_quaternion(values[[6, 3, 4, 5]]), values[:3])))
    return poses


def _checked(pose: Tensor) -> Tensor:
    """Return camera-to-world made exactly rigid."""
    if pose.shape != (4, 4) or not bool(pose.isfinite().all()):
        raise ValueError("a pose is not 4 x 4 finite numbers")
    try:
        return rigid(nearest_rotation(pose[:3, :3])[0], pose[:3, 3])
    except ValueError as error:
        raise ValueError(f"a pose {error}") from error


def _calibration(path: Path) -> tuple[Tensor, tuple[int, int] | None] | None:
    """Return (fx fy cx cy, (width, height) if the file says them), None without a file."""
    file = next((path / name for name in _CALIBRATIONS if (path / name).is_file()), None)
    if file is None:
        return None
    content = read_json_object(file, remedy="Write it again.") if file.suffix == ".json" else None
    try:
        size = None
        if content is not None:
            K = torch.tensor(content["intrinsic_matrix"], dtype=torch.float64).reshape(3, 3).T
            size = (int(content["width"]), int(content["height"]))
        else:
            numbers = [float(word) for word in file.read_text(encoding="utf-8").replace(",", " ").split()]
            if len(numbers) == 4:
                numbers = [numbers[0], 0, numbers[2], 0, numbers[1], numbers[3], 0, 0, 1]
            if len(numbers) not in (9, 16):
                raise ValueError(f"it has {len(numbers)} numbers")
            side = 3 if len(numbers) == 9 else 4
            K = torch.tensor(numbers, dtype=torch.float64).reshape(side, side)
        values = torch.stack((K[0, 0], K[1, 1], K[0, 2], K[1, 2])).float()
        if not bool(values.isfinite().all()) or not bool((values[:2] > 0).all()):
            raise ValueError(f"fx fy cx cy are {values.tolist()}")
        return values, size
    except (OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise BadInputError(
            f"The calibration {file} cannot be read ({error}). Expected fx fy cx cy in pixels, or a 3 x 3 matrix."
        ) from error


def _camera(image: Path, pose: Tensor, calibration: tuple[Tensor, tuple[int, int] | None]) -> Camera:
    values, size = calibration
    if size is None:
        header = read_header(image)
        size = (header.width, header.height)
    return Camera(invert_rigid(pose).float(), values[:2], values[2:], *size)
