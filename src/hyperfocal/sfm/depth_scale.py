"""`scaled_to_depth`: the unit of cameras from photographs, by the depth maps that came with them."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from ..data.depth_files import load_depth
from ..scene import PointCloud, Scene, View

_FEWEST = 30  # points with a measured depth
_WORST = 0.25  # median difference of the measured depths from those of the cameras, after scaling


def scaled_to_depth(
    scene: Scene,
    seen: Mapping[str, tuple[Float[Tensor, "k 2"], Float[Tensor, "k 3"]]],
    metres_per_unit: float | None,
) -> Scene:
    """Return the scene in the unit of its depth maps: cameras and points are scaled about the origin.

    The factor is the median, over all points in all photographs, of measured over triangulated depth. Where the two do
    not agree, the depth maps are left out with a note, as no other factor would make them fit.

    Args:
        scene: With cameras, in any unit.
        seen: By view name: (pixels as taken, the points that were matched there).
        metres_per_unit: Of the unit of the depth maps.

    Raises:
        BadInputError: a depth map cannot be read.
    """
    measured = [view for view in scene.posed_views if view.depth is not None]
    if not measured:
        return _without_depth(scene)
    ratios = torch.cat([_ratios(view, *seen[view.name]) for view in measured])
    if len(ratios) < _FEWEST:
        return _without_depth(scene).with_notes(
            f"The depth maps were left out: only {len(ratios)} of the points that the photographs share have a "
            f"measured depth, and {_FEWEST} are needed to find the scale."
        )
    factor = float(ratios.median())
    off = float((ratios / factor - 1).abs().median())
    if off > _WORST:
        return _without_depth(scene).with_notes(
            f"The depth maps were left out: after scaling they differ from the depth of {len(ratios):,} points that "
            f"the photographs share by {off:.0%} (median), at most {_WORST:.0%} is believed."
        )
    return replace(
        scene,
        views=tuple(_scaled(view, factor) for view in scene.views),
        points=None if scene.points is None else PointCloud(factor * scene.points.positions, scene.points.colors),
        metres_per_unit=metres_per_unit,
    ).with_notes(
        f"The scale is that of the {len(measured)} depth maps, which differ from the depth of {len(ratios):,} points "
        f"that the photographs share by {off:.1%} (median)."
    )


def _ratios(view: View, pixels: Float[Tensor, "k 2"], positions: Float[Tensor, "k 3"]) -> Float[Tensor, " k_known"]:
    """Return measured over triangulated depth of the points of a view that have both."""
    depth = load_depth(replace(view, distortion=None))  # as taken, as the pixels are
    assert depth is not None and view.camera is not None, "only views with both are asked for"
    rows, columns = depth.values.shape
    x, y = pixels.long().unbind(1)
    inside = (x >= 0) & (x < columns) & (y >= 0) & (y < rows)
    found = depth.values[y.clamp(0, rows - 1), x.clamp(0, columns - 1)]
    axis, shift = view.camera.world_to_camera[2, :3], view.camera.world_to_camera[2, 3]
    triangulated = positions @ axis + shift
    known = inside & (found > 0) & (triangulated > 0)
    return found[known] / triangulated[known]


def _scaled(view: View, factor: float) -> View:
    """Return the view in a world that is `factor` times as large."""
    if view.camera is None:
        return view
    world_to_camera = view.camera.world_to_camera.clone()
    world_to_camera[:3, 3] *= factor
    return replace(view, camera=replace(view.camera, world_to_camera=world_to_camera))


def _without_depth(scene: Scene) -> Scene:
    return replace(scene, views=tuple(replace(view, depth=None) for view in scene.views))
