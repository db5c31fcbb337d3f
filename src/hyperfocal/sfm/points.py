"""Points of a pycolmap model as our `PointCloud`."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ..scene import PointCloud
from .features import Features


def point_cloud(model: Any, features: list[Features]) -> PointCloud:
    """Return the points of a model, each with the mean colour of the features that see it."""
    points = [model.points3D[number] for number in sorted(model.points3D)]
    positions = np.array([point.xyz for point in points], dtype=np.float32).reshape(-1, 3)
    colors = np.array([_color(point.track.elements, features) for point in points], dtype=np.float32).reshape(-1, 3)
    return PointCloud(torch.from_numpy(positions), torch.from_numpy(colors / 255))


def points_seen(model: Any, image: Any) -> tuple[Float[Tensor, "k 2"], Float[Tensor, "k 3"]]:
    """Return (pixels of a photograph as it was taken, the points of the model that were matched there)."""
    seen = [(point.xy, model.points3D[point.point3D_id].xyz) for point in image.points2D if point.has_point3D()]
    pixels = np.array([pixel for pixel, _ in seen], dtype=np.float32).reshape(-1, 2)
    positions = np.array([position for _, position in seen], dtype=np.float32).reshape(-1, 3)
    return torch.from_numpy(pixels), torch.from_numpy(positions)


def _color(track: Any, features: list[Features]) -> np.ndarray:
    return np.mean([features[seen.image_id - 1].colors[seen.point2D_idx] for seen in track], axis=0)
