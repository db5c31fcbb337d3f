"""Structure from motion: cameras and points from photographs, or points from photographs with cameras."""

from .config import SfmConfig as SfmConfig
from .estimate import estimate_poses as estimate_poses
from .triangulate import triangulate_points as triangulate_points

__all__ = ["SfmConfig", "estimate_poses", "triangulate_points"]
