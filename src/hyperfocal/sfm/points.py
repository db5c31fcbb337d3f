"""Points of a pycolmap model as our `PointCloud`."""

from typing import Any

import numpy as np
import torch

from ..scene import PointCloud
from .features import Features


def point_cloud(model: Any, features: list[Features]) -> PointCloud:
    """Return the points of a model, each with the mean colour of the features that see it."""
    points = [model.points3D[number] for number in sorted(model.points3D)]
    positions = np.array([point.xyz for point in points], dtype=np.float32).reshape(-1, 3)
    colors = np.array([_color(point.track.elements, features) for point in points], dtype=np.float32).reshape(-1, 3)
    return PointCloud(torch.from_numpy(positions), torch.from_numpy(colors / 255))


def _color(track: Any, features: list[Features]) -> np.ndarray:
    return np.mean([features[seen.image_id - 1].colors[seen.point2D_idx] for seen in track], axis=0)
