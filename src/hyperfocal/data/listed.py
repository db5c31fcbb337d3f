"""Photographs that a file lists with their cameras (COLMAP, transforms.json, cameras.json), found on disk."""

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import TypeVar

from ..camera import Camera
from ..distortion import Distortion
from ..errors import BadInputError
from ..scene import DepthFile, View
from .image_header import ImageHeader
from .images import PHOTOGRAPH_SUFFIXES, read_header

T = TypeVar("T")


@dataclass(frozen=True)
class Listed:
    """One entry of such a file."""

    name: str
    image: Path
    camera: Camera | None
    """None only for a photograph that does not exist."""
    distortion: Distortion | None = None
    mask: Path | None = None
    depth: DepthFile | None = None


def path_inside(folder: Path, name: str, listed_in: Path) -> Path:
    """Return the path of a listed file, which must lie below `folder`.

    Raises:
        BadInputError: the name is absolute, empty or leads out of the folder.
    """
    plain = name.replace("\\", "/")  # written on Windows
    parts = PurePosixPath(plain).parts
    if not parts or plain.startswith("/") or ".." in parts or ":" in parts[0] or "\0" in plain:
        raise BadInputError(
            f"{listed_in} names the file {name!r}, which is not below {folder}. For safety only files below that "
            "folder are read: move the photographs there and make the names relative."
        )
    return folder.joinpath(*parts)


def only_one(found: list[tuple[Path, T]], folder: Path, described: str) -> tuple[Path, T]:
    """Return the only one of some files of a kind, each with what was found in it.

    Raises:
        BadInputError: there are several; names them as `described`.
    """
    if len(found) > 1:
        names = ", ".join(file.name for file, _ in found)
        raise BadInputError(f"{folder} holds several {described}: {names}. Name the one to read, or leave one there.")
    return found[0]


def photographs_named(label: str, folder: Path) -> Path:
    """Return the photograph that a program calls `label`, with or without its suffix, in `folder` or its `images`.

    Where there is none, a path where it could be.

    Raises:
        BadInputError: several photographs fit, or the label is no name.
    """
    name = label.replace("\\", "/").rsplit("/", 1)[-1]  # some programs write where the file was on another machine
    if not name or "\0" in name or name == "..":
        raise BadInputError(f"A camera has the name {label!r}, which is no photograph's. Export the cameras again.")
    for place in (folder, folder / "images"):
        by_name, by_stem = _names_in(place, place.stat().st_mtime_ns if place.is_dir() else 0)
        for fits in (by_name.get(name.casefold(), ()), by_stem.get(name.casefold(), ())):
            if len(fits) > 1:
                files = some_of([file.name for file in fits])
                raise BadInputError(f"The camera {label} could be any of {files} in {place}. Keep one of them.")
            if fits:
                return fits[0]
    return folder / "images" / name


@lru_cache(maxsize=4)
def _names_in(folder: Path, _changed: int) -> tuple[dict[str, list[Path]], dict[str, list[Path]]]:
    """Return the photographs of a folder by name and by name without suffix, in lower case."""
    by_name, by_stem = {}, {}
    for file in photographs_in(folder):
        by_name.setdefault(file.name.casefold(), []).append(file)
        by_stem.setdefault(file.stem.casefold(), []).append(file)
    return by_name, by_stem


def photographs_in(folder: Path, suffixes: frozenset[str] = PHOTOGRAPH_SUFFIXES) -> list[Path]:
    """Return the photographs directly in a folder by name; hidden files are somebody's housekeeping."""
    if not folder.is_dir():
        return []
    return sorted(
        file
        for file in folder.iterdir()
        if file.suffix.lower() in suffixes and not file.name.startswith(".") and file.is_file()
    )


def find_mask(image: Path) -> Path | None:
    """Return the mask of a photograph, `masks/NAME.png` or `masks/STEM.png` beside it or its folder, if any."""
    for folder in (image.parent / "masks", image.parent.parent / "masks"):
        for name in (f"{image.name}.png", f"{image.stem}.png"):
            if (folder / name).is_file():
                return folder / name
    return None


def found_views(entries: list[Listed], listed_in: Path) -> tuple[tuple[View, ...], tuple[str, ...]]:
    """Return (views whose photograph exists, notes about the others), cameras fitted to the stored sizes.

    Raises:
        BadInputError: no photograph exists, one cannot be read, or its shape does not fit its camera.
    """
    twice = sorted(name for name, count in Counter(entry.name for entry in entries).items() if count > 1)
    if twice:
        raise BadInputError(f"{listed_in} lists photographs more than once: {some_of(twice)}. Keep one entry of each.")
    views, missing, without_mask = [], [], []
    for entry in entries:
        if entry.camera is None or not entry.image.is_file():
            missing.append(entry.name)
            continue
        header = read_header(entry.image)
        camera, orientation = _fitted(entry.camera, header, f"{entry.image}, listed in {listed_in},")
        mask = entry.mask
        if mask is not None and not mask.is_file():
            without_mask.append(entry.name)
            mask = None
        views.append(
            View(entry.name, entry.image, camera, entry.distortion, mask, header.exif, orientation, entry.depth)
        )
    if not views:
        expected = f", such as {entries[0].image}" if entries else ""
        raise BadInputError(
            f"{listed_in} lists {len(entries)} photographs, but none of them exists{expected}. "
            "Put the photographs where the file expects them, or correct the names in it."
        )
    notes = []
    if missing:
        notes.append(
            f"{len(missing)} of {len(entries)} photographs listed in {listed_in.name} do not exist and were left out: "
            f"{some_of(missing)}."
        )
    if without_mask:
        notes.append(f"{len(without_mask)} masks do not exist; used without mask: {some_of(without_mask)}.")
    return tuple(sorted(views, key=lambda view: view.name)), tuple(notes)


def some_of(names: list[str], limit: int = 5) -> str:
    """Return a list of names for people, cut after `limit`."""
    rest = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {rest} more" if rest > 0 else "")


def _fitted(camera: Camera, header: ImageHeader, photograph: str) -> tuple[Camera, int]:
    """Return (camera at the size of the file, orientation that its pixels are meant in).

    Tools that write poses look at the pixels as stored and ignore EXIF's orientation, so that is tried first; if only
    the upright picture has the camera's shape, the tool saw it upright. A smaller or larger copy of the photograph is
    fine as long as the shape is kept.
    """
    for orientation in (1, header.orientation):
        width, height = header.size(orientation)
        ratio = width / camera.width
        # Both sides were rounded when a copy was made, hence one pixel of the smaller picture.
        if abs(camera.height * ratio - height) <= max(1.0, ratio):
            same = (width, height) == (camera.width, camera.height)
            return camera if same else camera.resized(width, height), orientation
    raise BadInputError(
        f"The photograph {photograph} has {header.width} x {header.height} pixels, but its camera is for "
        f"{camera.width} x {camera.height}, another shape. Use the photographs that the poses were made from."
    )
