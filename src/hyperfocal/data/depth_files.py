"""Depth maps that lie beside photographs: finding them, decoding them, and `load_depth`, which fits the photograph.

A depth map of `images/NAME.jpg` is `depth/NAME.EXT` or `depth/NAME.jpg.EXT`, the folder beside the photographs or
beside their folder. Pictures (.png, .tif, .pgm) hold whole numbers of 16 bits: millimetres. .exr and .npy hold numbers
in scene units. 0 and what is not finite are unknown.
"""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ..camera import pixel_centers, reduced_size
from ..depth import Depth, z_from_ray_distance
from ..distortion import distort, fold_radius
from ..errors import BadInputError
from ..scene import DepthFile, Scene, View
from .exr_files import EXR_SUFFIXES, decode_exr_depth
from .images import turned
from .listed import some_of
from .npy_files import read_npy
from .photo_size import photo_size

MILLIMETRES = 0.001  # metres in one step of a 16-bit picture, the custom of RGB-D cameras and phones

_WHOLE = (".png", ".tif", ".tiff", ".pgm")
_REAL = (".exr", ".npy")
_FOLDERS = ("depth", "depths")


def with_depth_beside(scene: Scene) -> Scene:
    """Return the scene with the depth maps that lie beside its photographs; views that have one keep it.

    Millimetres become scene units where the scene's scale is known. Where the scene has no cameras yet, its unit
    becomes the metre, since nothing else says what it is. Where a source with cameras does not say its scale,
    millimetres mean nothing in its units: they are left out with a note.
    """
    found = {
        view.name: file
        for view in scene.views
        if view.depth is None and isinstance(view.image, Path) and (file := find_depth(view.image)) is not None
    }
    if not found:
        return scene
    millimetres = {name for name, file in found.items() if file.suffix.lower() in _WHOLE}
    metres_per_unit = scene.metres_per_unit
    notes = scene.notes
    if millimetres and metres_per_unit is None:
        if not scene.posed_views:
            metres_per_unit = 1.0
        else:
            found = {name: file for name, file in found.items() if name not in millimetres}
            notes += (
                f"{len(millimetres)} depth maps in millimetres were left out, since the source does not say how long "
                "its unit is. As .npy or .exr in its own units they are read.",
            )
    step = MILLIMETRES / (metres_per_unit or 1.0)
    views, flat = [], []
    for view in scene.views:
        file = found.get(view.name)
        if file is not None and view.name in millimetres and not _is_deep(file):
            flat.append(file.name)
        elif file is not None:
            view = replace(view, depth=DepthFile(file, step if view.name in millimetres else 1.0))
        views.append(view)
    if flat:
        notes += (
            f"{len(flat)} pictures in {_FOLDERS[0]} have no 16 bits a pixel, so they are no measured depth and were "
            f"left out: {some_of(flat)}.",
        )
    if all(view.depth is None for view in views):
        metres_per_unit = scene.metres_per_unit
    return replace(scene, views=tuple(views), metres_per_unit=metres_per_unit, notes=notes)


def find_depth(image: Path) -> Path | None:
    """Return the depth map of a photograph, if there is one where the module's text says."""
    for parent in (image.parent, image.parent.parent):
        for folder in (parent / name for name in _FOLDERS):
            if folder == image.parent or not folder.is_dir():
                continue
            for suffix in (*_REAL, *_WHOLE):
                for stem in (image.name, image.stem):
                    if (folder / f"{stem}{suffix}").is_file():
                        return folder / f"{stem}{suffix}"
    return None


def load_depth(view: View, *, long_side: int | None = None) -> Depth | None:
    """Return the depth map of a view as `load_photograph` returns its picture: same pixels, same undistorted pinhole.

    Each pixel takes the file's number at the place it comes from, the nearest one: depth is never blended across an
    edge. It is camera z in scene units, and 0 where it is unknown or where the lens did not see.

    Args:
        view: The photograph; its camera may be unknown if its depth is along the axis.
        long_side: As given to `load_photograph`.

    Returns:
        None if the view has no depth map.

    Raises:
        BadInputError: the file cannot be decoded, has another shape than the photograph, or holds distances along rays
            of an unknown camera.
        MissingExtraError: it is an EXR, and OpenEXR is not installed.
        ValueError: `long_side` is not positive.
    """
    if long_side is not None and long_side < 1:
        raise ValueError(f"long_side must be at least 1 pixel, got {long_side}.")
    if view.depth is None:
        return None
    numbers = turned(read_depth_numbers(view.depth.path), view.orientation)
    width, height = photo_size(view)
    _check_shape(numbers, width, height, view.depth.path, view.name)
    size = reduced_size((width, height), long_side)
    places, seen = _places(view, *size)
    rows, columns = numbers.shape
    x = (places[..., 0] * columns).floor().long().clamp(0, columns - 1)
    y = (places[..., 1] * rows).floor().long().clamp(0, rows - 1)
    values = torch.from_numpy(numbers)[y, x] * view.depth.units_per_step
    values = torch.where(seen & values.isfinite() & (values > 0), values, 0)
    if view.depth.kind == "ray_distance":
        if view.camera is None:
            raise BadInputError(
                f"The depth of {view.name} is measured along the rays of its camera, which is unknown. Estimate poses "
                "first."
            )
        values = z_from_ray_distance(view.camera.resized(*size), values)
    return Depth(values, "scene")


def read_depth_numbers(path: Path) -> np.ndarray:
    """Return the numbers [h, w] of a depth map as they are stored.

    Raises:
        BadInputError: not a depth map that can be read.
        MissingExtraError: it is an EXR, and OpenEXR is not installed.
    """
    if not path.is_file():
        raise BadInputError(f"The depth map {path} does not exist (any more).")
    if path.suffix.lower() in EXR_SUFFIXES:
        return decode_exr_depth(path)
    try:
        if path.suffix.lower() == ".npy":
            numbers = read_npy(path)
        else:
            numbers = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    except (OSError, cv2.error) as error:
        raise BadInputError(f"The depth map {path} could not be decoded: {error}. Copy it again.") from error
    if numbers is not None and numbers.ndim == 3 and numbers.shape[2] == 1:
        numbers = numbers[..., 0]
    if numbers is None or numbers.ndim != 2 or numbers.dtype.kind not in "uif" or 0 in numbers.shape:
        got = "nothing readable" if numbers is None else f"{numbers.dtype} {numbers.shape}"
        raise BadInputError(
            f"The depth map {path} should hold one number a pixel (16-bit whole numbers or floats), got {got}. "
            "Write it again, or take it out of the folder."
        )
    if numbers.dtype == np.uint8 and path.suffix.lower() != ".npy":
        raise BadInputError(
            f"The depth map {path} has 8 bits a pixel: a picture for the eye, not a measurement. Write 16 bits, or "
            "take it out of the folder."
        )
    return numbers.astype(np.float32)


def _is_deep(file: Path) -> bool:
    """Return whether a picture has 16 bits or floats in its one channel, by its first pixels' type."""
    try:
        read_depth_numbers(file)
    except BadInputError:
        return False
    return True


def _check_shape(numbers: np.ndarray, width: int, height: int, path: Path, name: str) -> None:
    """Raise unless the map has the photograph's shape, with one pixel of rounding in the smaller of the two."""
    rows, columns = numbers.shape
    ratio = width / columns
    if abs(rows * ratio - height) > max(1.0, ratio):
        raise BadInputError(
            f"The depth map {path} has {columns} x {rows} pixels, but its photograph {name} has {width} x {height}, "
            "another shape. A depth map may be smaller than its photograph, but must show the same part."
        )


def _places(view: View, width: int, height: int) -> tuple[Float[Tensor, "h w 2"], Tensor]:
    """Return (where in the distorted photograph each pixel looks, as shares of its width and height; seen there)."""
    pixels = pixel_centers(width, height)
    share = pixels / torch.tensor([width, height])
    if view.camera is None or view.distortion is None or view.distortion.is_none:
        return share, torch.ones(height, width, dtype=torch.bool)
    camera = view.camera.resized(width, height)
    plane = (pixels - camera.center_px) / camera.focal_px
    share = (distort(view.distortion, plane) * camera.focal_px + camera.center_px) / torch.tensor([width, height])
    inside = ((share >= 0) & (share < 1)).all(-1)
    return share, inside & (plane.norm(dim=-1) < fold_radius(view.distortion))
