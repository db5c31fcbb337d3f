"""Which photographs share a camera, and what is known about it before structure from motion."""

import math
from collections import Counter
from typing import Any

from ..exif_lens import FULL_FRAME_DIAGONAL_MM
from ..scene import View
from .config import SfmConfig
from .features import Features
from .native import pycolmap

# Without EXIF, the focal length in long sides that COLMAP and others start from: a moderate wide angle of 43 degrees.
_UNKNOWN_FOCAL = 1.2
_PHOTOGRAPHS_FOR_OPENCV = 8


def shared_cameras(views: list[View], features: list[Features], config: SfmConfig) -> tuple[list[Any], list[int]]:
    """Return (pycolmap cameras to start from, the position of each photograph's camera among them)."""
    keys = [_key(index, view, found, config) for index, (view, found) in enumerate(zip(views, features, strict=True))]
    counts = Counter(keys)
    groups = list(counts)
    cameras = []
    for group in groups:
        first = keys.index(group)
        cameras.append(_start(views[first], features[first], _model(config, counts[group])))
    return cameras, [groups.index(key) for key in keys]


def _key(index: int, view: View, found: Features, config: SfmConfig) -> tuple:
    """Return what photographs of one camera have in common."""
    size, exif = (found.width, found.height), view.exif
    match config.camera_sharing:
        case "single":
            return size
        case "per_photograph":
            return (index,)
        case _:
            return (*size, exif.make, exif.model, exif.focal_length_mm, exif.focal_length_35mm)


def _model(config: SfmConfig, photographs: int) -> str:
    """Return COLMAP's name of the lens model. Eight distortion parameters need more photographs than one."""
    if config.camera_model == "auto":
        return "OPENCV" if photographs >= _PHOTOGRAPHS_FOR_OPENCV else "SIMPLE_RADIAL"
    return {"pinhole": "PINHOLE", "simple_radial": "SIMPLE_RADIAL", "opencv": "OPENCV", "fisheye": "OPENCV_FISHEYE"}[
        config.camera_model
    ]


def _start(view: View, found: Features, model: str) -> Any:
    """Return a camera with the focal length that EXIF gives, or a guess that is marked as one."""
    known = view.exif.focal_length_35mm
    focal_px = (
        known * math.hypot(found.width, found.height) / FULL_FRAME_DIAGONAL_MM
        if known is not None
        else _UNKNOWN_FOCAL * max(found.width, found.height)
    )
    camera = pycolmap().Camera.create_from_model_name(0, model, focal_px, found.width, found.height)
    camera.has_prior_focal_length = known is not None
    return camera
