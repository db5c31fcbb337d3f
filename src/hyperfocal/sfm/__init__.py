"""Structure from motion: cameras and points from photographs, or points from photographs with cameras.

Names are loaded on first use, so that `sfm.config` can be read without torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .config import SfmConfig as SfmConfig
    from .estimate import estimate_poses as estimate_poses
    from .scale import with_scale as with_scale
    from .triangulate import triangulate_points as triangulate_points
    from .up import with_up as with_up

_HOMES = {
    "SfmConfig": "config",
    "estimate_poses": "estimate",
    "triangulate_points": "triangulate",
    "with_scale": "scale",
    "with_up": "up",
}

__all__ = ["SfmConfig", "estimate_poses", "triangulate_points", "with_scale", "with_up"]


def __getattr__(name: str) -> object:
    """Load a public name on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module 'hyperfocal.sfm' has no attribute {name!r}")
    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value
