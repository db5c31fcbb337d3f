"""Printed ArUco markers in photographs, found with OpenCV."""

from collections import Counter
from dataclasses import dataclass

import cv2
import numpy as np

from ..data.images import grey_uint8
from ..data.photograph import load_pixels
from ..errors import BadInputError
from ..progress import Progress
from ..scene import View
from .rays import Intersection, intersect

# A corner that is off by more, of the long side, belongs to a wrong camera or a bent print.
_WORST = 0.003


@dataclass(frozen=True)
class MarkerSides:
    """The sides of the markers that two or more photographs see."""

    lengths: np.ndarray
    """[k] in scene units."""
    markers: int
    photographs: int
    """That show one of them."""
    error_px: float
    """Median distance of corners from where they were triangulated."""


def find_markers(view: View, dictionary: str) -> dict[int, np.ndarray]:
    """Return the corners [4, 2] in pixels of each marker of a photograph; numbers that appear twice are left out.

    Raises:
        BadInputError: OpenCV has no such dictionary.
    """
    name = f"DICT_{dictionary}"
    if not hasattr(cv2.aruco, name):
        known = ", ".join(sorted(n.removeprefix("DICT_") for n in dir(cv2.aruco) if n.startswith("DICT_")))
        raise BadInputError(f"There is no ArUco dictionary {dictionary}; known are {known}.")
    settings = cv2.aruco.DetectorParameters()
    settings.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
    detector = cv2.aruco.ArucoDetector(cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, name)), settings)
    corners, numbers, _ = detector.detectMarkers(grey_uint8(load_pixels(view)[0]))
    if numbers is None:
        return {}
    flat = [int(number) for number in np.asarray(numbers).ravel()]
    counts = Counter(flat)
    # OpenCV counts from the centre of the first pixel, we from its corner.
    found = zip(flat, corners, strict=True)
    return {number: np.asarray(c).reshape(4, 2) + 0.5 for number, c in found if counts[number] == 1}


def marker_sides(views: tuple[View, ...], dictionary: str, progress: Progress) -> MarkerSides:
    """Return the sides of the markers that posed views see, triangulated through their cameras."""
    seen: dict[int, list[tuple[View, np.ndarray]]] = {}
    shown = 0
    for done, view in enumerate(views, start=1):
        found = find_markers(view, dictionary)
        shown += bool(found)
        for number, corners in found.items():
            seen.setdefault(number, []).append((view, corners))
        progress("Looking for markers", done, len(views))
    lengths, errors, used = [], [], 0
    for sightings in seen.values():
        corners = [_corner(sightings, k) for k in range(4)] if len(sightings) > 1 else []
        if not corners or any(corner is None for corner in corners):
            continue
        points = np.stack([corner.point.numpy() for corner in corners if corner is not None])
        errors += [corner.error_px for corner in corners if corner is not None]
        lengths += np.linalg.norm(points - np.roll(points, -1, axis=0), axis=1).tolist()
        used += 1
    return MarkerSides(np.array(lengths), used, shown, float(np.median(errors)) if errors else np.nan)


def _corner(sightings: list[tuple[View, np.ndarray]], k: int) -> Intersection | None:
    """Return a corner of a marker, or None where its photographs do not agree."""
    found = intersect([(view, (float(corners[k, 0]), float(corners[k, 1]))) for view, corners in sightings])
    camera = sightings[0][0].camera
    assert camera is not None
    return found if found.error_px <= _WORST * max(camera.width, camera.height) and found.angle_deg > 1 else None
