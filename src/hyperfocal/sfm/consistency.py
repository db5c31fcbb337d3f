"""Whether a model is one rigid piece: its cameras must explain what its photographs share."""

from collections.abc import Mapping
from typing import Any

import numpy as np

_FEWEST_MATCHES = 50  # of a pair, for its share to mean something
_BROKEN = 0.1  # of a pair's matches that became common points; 0.9 and more is usual


def torn_share(model: Any, pairs: Mapping[tuple[int, int], np.ndarray]) -> float:
    """Return the share of well-matched pairs whose matches a model hardly explains.

    Two halves of a scene may each be right and still be joined wrongly, by a few points: the photographs across the
    seam then have hundreds of verified matches that fit no common point. Measured: 0 to 12 % where the cameras were
    right (fountain, fox), 15 % where one of fox's 50 was displaced, 28 % where a third of them was.

    Args:
        model: Of pycolmap.
        pairs: Verified matches of photographs: [m, 2] numbers of features.
    """
    points = {
        number - 1: np.array([seen.point3D_id if seen.has_point3D() else -1 for seen in image.points2D])
        for number, image in model.images.items()
        if image.has_pose
    }
    shares = []
    for (i, j), numbers in pairs.items():
        if i in points and j in points and len(numbers) >= _FEWEST_MATCHES:
            first, second = points[i][numbers[:, 0]], points[j][numbers[:, 1]]
            shares.append(float(((first == second) & (first >= 0)).mean()))
    return float(np.mean(np.array(shares) < _BROKEN)) if shares else 0.0
