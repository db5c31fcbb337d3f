"""`with_points_of_depth`: coloured points from the depth maps of a scene's photographs."""

from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import max_pool2d

from ..camera import unproject
from ..scene import PointCloud, Scene
from ..shapes import Map
from .photograph import load_photograph

# Depth cameras blend foreground and background at edges: a pixel whose neighbours differ by more is not believed.
_LARGEST_STEP = 0.05


def with_points_of_depth(scene: Scene, count: int, *, seed: int = 0, long_side: int | None = None) -> Scene:
    """Return the scene with at most `count` more points, taken at random pixels of its views' depth maps.

    Each view gives as many as the others, as far as it has them. Pixels at edges of depth are left out.

    Args:
        scene: Its posed views that have a depth map are looked at.
        count: Points to add; 0 adds none.
        seed: Of the choice of pixels.
        long_side: As given to `load_photograph`: the pixels to choose from.

    Raises:
        BadInputError: a photograph or its depth map cannot be read.
    """
    views = [view for view in scene.posed_views if view.depth is not None]
    if not views or count == 0:
        return scene
    generator = torch.Generator().manual_seed(seed)
    clouds = [] if scene.points is None else [scene.points]
    per_view = -(-count // len(views))
    for view in views:
        photograph = load_photograph(view, long_side=long_side)
        assert photograph.depth_z is not None, "the view has a depth map"
        places = torch.nonzero((_believed(photograph.depth_z) & photograph.valid).flatten()).squeeze(1)
        places = places[torch.randperm(len(places), generator=generator)[:per_view]]
        positions = unproject(photograph.camera, photograph.depth_z).reshape(-1, 3)[places]
        clouds.append(PointCloud(positions, photograph.image.reshape(-1, 3)[places]))
    before = 0 if scene.points is None else len(scene.points)
    points = joined(clouds)
    if len(points) == before:
        return scene.with_notes(f"The {len(views)} depth maps have no pixel that can be believed: none is used.")
    note = f"The fit starts from {len(points) - before:,} points of {len(views)} depth maps and {before:,} others."
    return replace(scene, points=points).with_notes(note)


def joined(clouds: list[PointCloud]) -> PointCloud:
    """Return all points in one cloud."""
    positions: Float[Tensor, "p 3"] = torch.cat([cloud.positions for cloud in clouds])
    return PointCloud(positions, torch.cat([cloud.colors for cloud in clouds]))


def _believed(depth_z: Map) -> Bool[Tensor, "h w"]:
    """Return where a depth is known and so are those of the neighbours, with no step between them."""
    inverse = torch.where(depth_z > 0, 1 / depth_z, 0)[None, None]
    nearest = max_pool2d(inverse, 3, stride=1, padding=1)[0, 0]
    farthest = -max_pool2d(-inverse, 3, stride=1, padding=1)[0, 0]  # 0 if any is unknown
    return (farthest > 0) & (nearest < (1 + _LARGEST_STEP) * farthest)
