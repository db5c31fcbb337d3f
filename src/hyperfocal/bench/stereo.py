"""How right the depth is that stereo finds in posed photographs, beside what is to be had without it.

On a capture with exact depth, or, for photographs without any (--data), against half of the points that structure from
motion finds; the other half is given to stereo and to the control.
"""

import time
from dataclasses import replace
from functools import cache
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from ..camera import Camera
from ..data import load_photograph
from ..depth import Depth
from ..errors import BadInputError
from ..metrics import depth_errors
from ..priors.alignment import visible_points
from ..priors.stereo import StereoConfig, stereo_depth
from ..progress import Progress
from ..scene import Photograph, split_views
from ..sfm import triangulate_points
from ..shapes import Map
from .config import BenchConfig
from .evidence import mean_figures, read_depth, stem_of, write_depth, write_picture
from .first_light import capture_folder, read_capture
from .harness import Cell
from .stereo_controls import interpolated_depth, rectified_pair_depth

LONG_SIDE_PX = 640
ROWS = (
    "stereo",  # with the scene's points, as in a reconstruction
    "without_points",
    "planes_alone",  # no search for slanted planes
    "points_interpolated",
    "rectified_pairs",  # OpenCV's semi-global block matching
)


def cells(config: BenchConfig) -> list[Cell]:
    """Return stereo, what it is made of, and the controls, on one capture."""
    scene = capture_folder(config, None).name
    return [Cell(row, scene) for row in ROWS]


def measure(cell: Cell, config: BenchConfig, folder: Path, progress: Progress) -> dict[str, float]:
    """Return the figures of one way to find depth, and its seconds."""
    photographs, points, truth = _read(capture_folder(config, progress))
    begin = time.perf_counter()
    depths = _depths(cell.row, photographs, points, progress)
    seconds = time.perf_counter() - begin
    for photograph, depth in zip(photographs, depths, strict=True):
        _keep(folder, photograph.name, depth, truth[photograph.name])
    return recompute(cell, folder) | {"seconds": seconds}


def recompute(cell: Cell, folder: Path) -> dict[str, float]:
    """Return the figures that follow from the depth maps kept in `folder`: means over its photographs.

    Raises:
        BadInputError: there are none.
    """
    views = {
        path.stem: _figures(read_depth(path), read_depth(folder / "depth_truth" / path.name))
        for path in sorted((folder / "depth").glob("*.npy"))
    }
    if not views:
        raise BadInputError(f"{folder} holds no depth maps, so nothing can be computed from it.")
    return mean_figures(folder, views)


def _depths(
    row: str, photographs: list[Photograph], points: Float[Tensor, "p 3"], progress: Progress
) -> list[Depth] | tuple[Depth, ...]:
    match row:
        case "stereo":
            return stereo_depth(photographs, points, progress=progress)
        case "without_points":
            return stereo_depth(photographs, progress=progress)
        case "planes_alone":
            return stereo_depth(photographs, points, config=StereoConfig(rounds=0), progress=progress)
        case "points_interpolated":
            return [interpolated_depth(photograph.camera, points) for photograph in photographs]
        case _:
            return rectified_pair_depth(photographs, points)


@cache
def _read(capture: Path) -> tuple[list[Photograph], Float[Tensor, "p 3"], dict[str, Map]]:
    """Return (photographs, points to be given, true depth by photograph, 0 where unknown)."""
    scene, truth = read_capture(capture / "cameras.json")
    views = split_views(scene.posed_views, 0)[0]
    scene = triangulate_points(replace(scene, views=views, points=None))
    assert scene.points is not None, "or there is an error that says so"
    photographs = [load_photograph(view, long_side=LONG_SIDE_PX) for view in views]
    positions = scene.points.positions
    if truth:
        return photographs, positions, truth
    return photographs, positions[::2], {p.name: _sparse(p.camera, positions[1::2]) for p in photographs}


def _sparse(camera: Camera, points: Float[Tensor, "p 3"]) -> Map:
    """Return the depth of points in the pixels that see them."""
    seen, depth_z = visible_points(camera, points), torch.zeros(camera.height, camera.width)
    column, row = seen.pixels_px.long().unbind(1)
    depth_z[row, column] = seen.depth_z
    return depth_z


def _keep(folder: Path, name: str, depth: Depth, truth: Map) -> None:
    """Write a depth map, the truth, and a picture of inverse depth for people."""
    stem = stem_of(name)
    for kind, values in (("depth", depth.values), ("depth_truth", truth)):
        write_depth(folder / kind / f"{stem}.npy", values)
    inverse = torch.where(depth.valid, 1 / depth.values, 0)
    brightest = torch.quantile(inverse[depth.valid], 0.99) if bool(depth.valid.any()) else inverse.new_ones(())
    write_picture(folder / "rendered" / f"{stem}.png", (inverse / brightest * 255).clamp(0, 255).byte().numpy())


def _figures(depth: Map, truth: Map) -> dict[str, float]:
    """Return the errors where depth and truth are known, and how much of the truth is."""
    known = truth > 0
    judged = known & (depth > 0)
    figures = {"coverage": float(judged.sum() / known.sum())}
    if not bool(judged.any()):
        return figures | {"right_3_percent": 0.0}
    wrong = ((depth - truth).abs() / truth)[judged].double()
    return figures | {
        "median_rel": float(wrong.median()),
        "abs_rel": depth_errors(depth, truth, judged).abs_rel,
        "within_1_percent": float((wrong < 0.01).double().mean()),
        "within_3_percent": float((wrong < 0.03).double().mean()),
        "right_3_percent": float((wrong < 0.03).sum() / known.sum()),  # of all that is known, found or not
    }
