"""COLMAP's cameras, images and points3D files, binary and text, as plain records.

Source: the format page of COLMAP's documentation. Newer models bring rigs and frames files too; the images files still
hold every full pose, so these two are not needed. Counts are checked against the file's size before they are believed.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import BadInputError

# Identifier in binary files, name in text files, number of parameters.
_MODELS = (
    ("SIMPLE_PINHOLE", 3), ("PINHOLE", 4), ("SIMPLE_RADIAL", 4), ("RADIAL", 5), ("OPENCV", 8), ("OPENCV_FISHEYE", 8),
    ("FULL_OPENCV", 12), ("FOV", 5), ("SIMPLE_RADIAL_FISHEYE", 4), ("RADIAL_FISHEYE", 5), ("THIN_PRISM_FISHEYE", 12),
    ("RAD_TAN_THIN_PRISM_FISHEYE", 16), ("SIMPLE_DIVISION", 4), ("DIVISION", 5), ("SIMPLE_FISHEYE", 3), ("FISHEYE", 4),
    ("EUCM", 6), ("EQUIRECTANGULAR", 2),
)  # fmt: skip


@dataclass(frozen=True)
class CameraRecord:
    """One line of cameras.txt."""

    model: str
    width: int
    height: int
    parameters: tuple[float, ...]


@dataclass(frozen=True)
class ImageRecord:
    """One image: its pose (world to camera, OpenCV axes), camera and file name."""

    quaternion: tuple[float, ...]
    """wxyz, perhaps not quite of unit length."""
    translation: tuple[float, ...]
    camera: int
    name: str


def read_cameras(folder: Path) -> dict[int, CameraRecord]:
    """Return the cameras of a model folder by number.

    Raises:
        BadInputError: the file is missing, cut short or not of this format.
    """
    if (file := folder / "cameras.bin").is_file():
        cursor = _Cursor(file)
        cameras = {}
        for _ in range(cursor.count(smallest=24)):
            number, model, width, height = cursor.take("<iiQQ")
            if not 0 <= model < len(_MODELS):
                raise cursor.broken(f"camera {number} has the unknown model number {model}")
            name, count = _MODELS[model]
            cameras[number] = CameraRecord(name, width, height, cursor.take(f"<{count}d"))
        return cameras
    counts = dict(_MODELS)
    cameras = {}
    for line, fields in _rows(file := folder / "cameras.txt"):
        try:
            camera = CameraRecord(fields[1], int(fields[2]), int(fields[3]), tuple(map(float, fields[4:])))
            cameras[int(fields[0])] = camera
        except (ValueError, IndexError) as error:
            raise _broken_line(file, line, "a camera", error) from error
        if len(camera.parameters) != counts.get(camera.model, len(camera.parameters)):
            raise _broken_line(file, line, f"{counts[camera.model]} parameters", len(camera.parameters))
    return cameras


def read_images(folder: Path) -> list[ImageRecord]:
    """Return the images of a model folder.

    Raises:
        BadInputError: the file is missing, cut short or not of this format.
    """
    if (file := folder / "images.bin").is_file():
        cursor = _Cursor(file)
        images = []
        for _ in range(cursor.count(smallest=73)):
            _, *pose, camera = cursor.take("<I7dI")
            name = cursor.text()
            cursor.skip(cursor.count(smallest=24) * 24)  # the 2D points
            images.append(ImageRecord(tuple(pose[:4]), tuple(pose[4:]), camera, name))
        return images
    images = []
    for line, fields in _rows(file := folder / "images.txt", every_other=True):
        try:
            pose = tuple(map(float, fields[1:8]))
            images.append(ImageRecord(pose[:4], pose[4:], int(fields[8]), " ".join(fields[9:])))
        except (ValueError, IndexError) as error:
            raise _broken_line(file, line, "an image", error) from error
        if not images[-1].name:
            raise _broken_line(file, line, "an image name", "nothing")
    return images


def read_points(folder: Path) -> tuple[np.ndarray, np.ndarray] | None:
    """Return (positions [p, 3] float64, colours [p, 3] uint8) of a model folder; None without a points file.

    Raises:
        BadInputError: the file is cut short or not of this format.
    """
    positions, colors = [], []
    if (file := folder / "points3D.bin").is_file():
        cursor = _Cursor(file)
        for _ in range(cursor.count(smallest=51)):
            _, x, y, z, red, green, blue, _ = cursor.take("<Q3d3Bd")
            cursor.skip(cursor.count(smallest=8) * 8)  # the track
            positions.append((x, y, z))
            colors.append((red, green, blue))
    elif (file := folder / "points3D.txt").is_file():
        for line, fields in _rows(file):
            try:
                x, y, z = map(float, fields[1:4])
                red, green, blue = map(int, fields[4:7])
            except ValueError as error:
                raise _broken_line(file, line, "a point", error) from error
            positions.append((x, y, z))
            colors.append((red, green, blue))
    else:
        return None
    return np.array(positions).reshape(-1, 3), np.array(colors).clip(0, 255).astype(np.uint8).reshape(-1, 3)


class _Cursor:
    """Reads a binary file from its start, refusing to go beyond its end."""

    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            self._data = file.read_bytes()
        except OSError as error:
            raise BadInputError(f"{file} cannot be read: {error.strerror or error}.") from error
        self._at = 0

    def take(self, layout: str) -> tuple:
        """Return the next values of a struct layout."""
        size = struct.calcsize(layout)
        self._require(size)
        values = struct.unpack_from(layout, self._data, self._at)
        self._at += size
        return values

    def skip(self, size: int) -> None:
        """Pass over some bytes."""
        self._require(size)
        self._at += size

    def count(self, smallest: int) -> int:
        """Return the next 64-bit count of records of at least `smallest` bytes, which must fit into the rest."""
        (count,) = self.take("<Q")
        self._require(count * smallest)
        return count

    def text(self) -> str:
        """Return the next zero-terminated string."""
        end = self._data.find(b"\0", self._at)
        if end < 0:
            raise self.broken("a name has no end")
        text = self._data[self._at : end]
        self._at = end + 1
        try:
            return text.decode("utf-8")
        except UnicodeDecodeError as error:
            raise self.broken("a name is not text") from error

    def broken(self, reason: str) -> BadInputError:
        """Return the error that names the file."""
        return BadInputError(
            f"{self._file} is not a whole COLMAP file: {reason} at byte {self._at} of {len(self._data)}. "
            "Copy the model again, or export it again with COLMAP."
        )

    def _require(self, size: int) -> None:
        if size > len(self._data) - self._at:
            raise self.broken(f"{size} more bytes were expected")


def _rows(file: Path, every_other: bool = False) -> list[tuple[int, list[str]]]:
    """Return (line number, fields) of a text file without comments and blank lines.

    With `every_other`, the line after each row belongs to it and is dropped, be it blank or not.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise BadInputError(f"{file} is not text: {error}. Export the model again with COLMAP.") from error
    except OSError as error:
        raise BadInputError(f"{file} cannot be read: {error.strerror or error}. A model needs it.") from error
    rows = []
    numbered = iter(enumerate(lines, start=1))
    for number, line in numbered:
        if not line.strip() or line.startswith("#"):
            continue
        rows.append((number, line.split()))
        if every_other:
            next(numbered, None)
    return rows


def _broken_line(file: Path, line: int, expected: str, got: object) -> BadInputError:
    return BadInputError(
        f"Line {line} of {file} should hold {expected}, got: {got}. Export the model again with COLMAP."
    )
