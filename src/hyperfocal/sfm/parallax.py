"""Whether photographs were taken from different places at all: what their matches say before any camera is known."""

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from .features import Features

# A pair needs as many matches for its share to mean something; this many pairs give a median.
_FEWEST_MATCHES = 30
_MOST_PAIRS = 100
_CLOSE = 0.003  # of the long side: 5 pixels of 1600, the tolerance of a homography
_STILL = 0.01  # of the long side: movement of the centre after turning and zooming are taken out
_STILL_SHARE = 0.9
# Ratio of the largest to the smallest singular value of K^-1 H K, which is 1 for a rotation.
_ROTATION = 1.04


@dataclass(frozen=True)
class Parallax:
    """Figures over the well-matched pairs of a set."""

    pairs: int
    """How many were looked at."""
    explained: float
    """Median share of matches that one homography explains: 1 for a flat subject, or without parallax."""
    still: float
    """Share of pairs that only differ by a zoom: nothing moved (a focal stack, a tripod)."""
    turned: float
    """Share of pairs whose homography is that of a camera that turns on the spot."""


def measure_parallax(features: list[Features], pairs: Mapping[tuple[int, int], np.ndarray]) -> Parallax | None:
    """Return the figures, None where no two photographs share enough to tell.

    Args:
        features: Of the photographs.
        pairs: Verified matches: [m, 2] numbers of features.
    """
    usable = [pair for pair, numbers in sorted(pairs.items()) if len(numbers) >= _FEWEST_MATCHES]
    if not usable:
        return None
    chosen = np.random.default_rng(0).permutation(len(usable))[:_MOST_PAIRS]
    figures = np.array([_pair(features[i], features[j], pairs[i, j]) for i, j in (usable[k] for k in sorted(chosen))])
    return Parallax(
        len(figures), float(np.median(figures[:, 0])), float(figures[:, 1].mean()), float(figures[:, 2].mean())
    )


def _pair(first: Features, second: Features, numbers: np.ndarray) -> tuple[float, float, float]:
    """Return (share explained by a homography, whether still, whether turned) of a pair."""
    a = first.keypoints[numbers[:, 0], :2].astype(np.float64)
    b = second.keypoints[numbers[:, 1], :2].astype(np.float64)
    size = np.array([first.width, first.height], dtype=np.float64)
    tolerance = _CLOSE * size.max()
    homography, fits = cv2.findHomography(a, b, cv2.RANSAC, tolerance)
    explained = 0.0 if homography is None else float(fits.mean())
    return explained, float(_is_still(a, b, size, tolerance)), float(explained > 0.9 and _is_turn(homography, size))


def _is_still(a: np.ndarray, b: np.ndarray, size: np.ndarray, tolerance: float) -> bool:
    """Return whether two photographs differ by no more than a zoom about their centre."""
    similarity, fits = cv2.estimateAffinePartial2D(a, b, method=cv2.RANSAC, ransacReprojThreshold=tolerance)
    if similarity is None or fits.mean() < _STILL_SHARE:
        return False
    moved = np.linalg.norm(similarity[:, :2] @ (size / 2) + similarity[:, 2] - size / 2)
    turned = abs(np.arctan2(similarity[1, 0], similarity[0, 0]))
    return bool(moved < _STILL * size.max() and turned < _STILL)


def _is_turn(homography: np.ndarray, size: np.ndarray) -> bool:
    """Return whether a homography is K R K^-1 for some focal length: then the camera only turned."""
    ratios = []
    for focal in np.geomspace(0.4, 4.0, 25) * size.max():
        K = np.array([[focal, 0, size[0] / 2], [0, focal, size[1] / 2], [0, 0, 1]])
        singular = np.linalg.svd(np.linalg.inv(K) @ homography @ K, compute_uv=False)
        ratios.append(singular[0] / max(singular[2], 1e-12))
    return bool(min(ratios) < _ROTATION)
