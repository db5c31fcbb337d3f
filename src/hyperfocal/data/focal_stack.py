"""Focal stacks: one view, focused at many distances. Either the user says so, or the pictures leave no doubt."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image as Pillow

from ..errors import BadInputError
from ..scene import Scene, View
from .image_header import DAMAGED
from .images import read_header
from .listed import some_of

FEWEST = 3
_MOST_LOOKED_AT = 12  # spread over the stack: enough to tell, and it bounds the time

# Two pictures of a stack, blurred until focus no longer matters, differ by little more than the lens's breathing. Of
# eight real stacks, the worst match correlated 0.988. Of five series of a moving camera, four had a worst match of
# 0.945 or less; that of an RGB-D camera which hardly moved had 0.987, but its sharpness did not wander.
_SIDE_PX = 192
_LEAST_CORRELATION, _USUAL_CORRELATION = 0.96, 0.985  # of every picture, of half of them
_MOST_SCALE = 1.2
_MOST_SHIFT = 0.03  # of the width
_MOST_BRIGHTNESS = 1.25
# The sharpness of a place over the stack, best to worst, in the median over the places with texture.
_LEAST_SHARPNESS_RATIO = 3.5
_LEAST_OWN_AREA, _LEAST_OWNERS = 0.03, 3  # so many pictures must be the sharpest in such a share of the frame


def as_focal_stack(scene: Scene) -> Scene:
    """Return the photographs of a folder as the focal stack that the user says they are.

    Pictures of another camera or size than most (a result of stacking beside its sources) are left out with a note.

    Raises:
        BadInputError: fewer than three pictures of one camera and size.
    """
    views, others = _one_camera(scene.views)
    if len(views) < FEWEST:
        raise BadInputError(
            f"{scene.source} was said to be a focal stack, but has only {len(views)} photographs of one camera and one "
            f"size; at least {FEWEST} are needed. Leave --kind away, or put the stack into a folder of its own."
        )
    notes = scene.notes
    if others:
        notes += (f"Not part of the focal stack, since camera or size differ: {some_of(others)}.",)
    return replace(scene, views=views, kind="focal_stack", format="a focal stack", notes=notes)


def recognised(scene: Scene) -> Scene:
    """Return the scene, as a focal stack if its photographs leave no doubt: one framing, sharp in turns.

    All photographs must come from one camera with one exposure and have one size; blurred to where focus no longer
    matters and freed of the lens's breathing, they must be alike; and different parts must be sharp in different ones.
    """
    views, others = _one_camera(scene.views)
    if len(views) < FEWEST or len(others) > 1 or not _one_exposure(views):
        return scene
    step = max(1, len(views) / _MOST_LOOKED_AT)
    looked_at = [views[int(i * step)] for i in range(min(len(views), _MOST_LOOKED_AT))]
    if not _looks_like_a_stack(looked_at):
        return scene
    return as_focal_stack(scene).with_notes(
        "The photographs show one framing, each sharp in another part, so they were taken for a focal stack; if they "
        "are not, say --kind photographs."
    )


def _one_camera(views: tuple[View, ...]) -> tuple[tuple[View, ...], list[str]]:
    """Return (the views of the most frequent camera and size, the names of the others)."""
    keys = [(view.exif.make, view.exif.model, _size(view)) for view in views]
    if not keys:
        return (), []
    best = max(keys, key=keys.count)
    chosen = tuple(view for view, key in zip(views, keys, strict=True) if key == best)
    return chosen, [view.name for view, key in zip(views, keys, strict=True) if key != best]


def _size(view: View) -> tuple[int, int]:
    assert isinstance(view.image, Path)
    return read_header(view.image).size(view.orientation)


def _one_exposure(views: tuple[View, ...]) -> bool:
    """Return whether nothing that EXIF knows differs but the focus: an exposure bracket is no focal stack."""
    settings = {(v.exif.focal_length_mm, v.exif.f_number) for v in views}
    times = [v.exif.exposure_s for v in views if v.exif.exposure_s is not None]
    return len(settings) == 1 and (not times or max(times) <= 1.2 * min(times))


def _looks_like_a_stack(views: list[View]) -> bool:
    """Return whether the pictures show one framing, sharp in turns. Most other folders fail at the first comparison."""
    middle = len(views) // 2
    reference = _grey(views[middle])
    if reference is None or float(reference.std()) < 2:
        return False
    aligned, correlations = [], []
    # The ends first: there, a walk around a thing has gone farthest.
    for view in sorted(views, key=lambda one: -abs(views.index(one) - middle)):
        picture = _grey(view)
        if picture is None or picture.shape != reference.shape:
            return False
        placed = _placed(picture, reference)
        if placed is None:
            return False
        aligned.append(placed[0])
        correlations.append(placed[1])
    if float(np.median(correlations)) < _USUAL_CORRELATION:
        return False
    energy = np.stack([_sharpness(picture) for picture in aligned])
    best, worst = energy.max(0), energy.min(0)
    textured = best > np.median(best)
    ratio = float(np.median((best / (worst + 1e-3))[textured]))
    own_area = np.bincount(energy.argmax(0).ravel(), minlength=len(aligned)) / best.size
    return ratio >= _LEAST_SHARPNESS_RATIO and int((own_area >= _LEAST_OWN_AREA).sum()) >= _LEAST_OWNERS


def _grey(view: View) -> np.ndarray | None:
    """Return a small grey picture, decoded as cheaply as its format allows; None where Pillow alone cannot."""
    assert isinstance(view.image, Path)
    try:
        with Pillow.open(view.image) as opened:
            opened.draft("L", (2 * _SIDE_PX, 2 * _SIDE_PX))
            grey = np.asarray(opened.convert("L"), np.float32)
    except DAMAGED:
        return None
    scale = _SIDE_PX / max(grey.shape)
    size = (max(8, round(grey.shape[1] * scale)), max(8, round(grey.shape[0] * scale)))
    return cv2.resize(grey, size, interpolation=cv2.INTER_AREA)


def _placed(picture: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, float] | None:
    """Return (the picture moved onto the reference, their correlation), None if more than the focus differs."""
    if not 1 / _MOST_BRIGHTNESS < (picture.mean() + 1) / (reference.mean() + 1) < _MOST_BRIGHTNESS:
        return None
    blurred, target = cv2.GaussianBlur(picture, (0, 0), 4), cv2.GaussianBlur(reference, (0, 0), 4)
    warp: Any = np.eye(2, 3, dtype=np.float32)
    stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 60, 1e-4)
    everywhere: Any = None  # no mask
    try:
        correlation, warp = cv2.findTransformECC(target, blurred, warp, cv2.MOTION_AFFINE, stop, everywhere, 5)
    except cv2.error:
        return None
    height, width = reference.shape
    middle = np.array([width / 2, height / 2])
    shift = float(np.linalg.norm(warp[:, :2] @ middle + warp[:, 2] - middle)) / width
    scale = float(np.sqrt(abs(np.linalg.det(warp[:, :2]))))
    if correlation < _LEAST_CORRELATION or shift > _MOST_SHIFT or not 1 / _MOST_SCALE < scale < _MOST_SCALE:
        return None
    flags = cv2.INTER_LINEAR + cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(picture, warp, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return moved, correlation


def _sharpness(picture: np.ndarray) -> np.ndarray:
    """Return the local energy of the finest detail."""
    return cv2.GaussianBlur(cv2.Laplacian(picture, cv2.CV_32F, ksize=3) ** 2, (0, 0), 6)
