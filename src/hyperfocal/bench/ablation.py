"""What the options of the trainer gain on real photographs: held-out views, as they came and after adjusting each."""

from collections import deque
from dataclasses import replace
from functools import cache
from pathlib import Path

from ..data import read_scene
from ..fit import CaptureConfig, ClassicConfig, FitConfig, InitialConfig, McmcConfig, fit
from ..fit.capture import corrected_camera, exposed
from ..gaussians import Gaussians
from ..metrics import psnr
from ..progress import Progress
from ..reconstruct import ReconstructConfig, reconstruct
from ..reconstruct.config import PRESETS
from ..reconstruct.looks import rendering_of
from ..scene import Photograph, Scene, split_views
from ..sfm import estimate_poses, triangulate_points
from .config import BenchConfig
from .harness import Cell
from .quality import EVAL_EVERY, SEEDS, STANDSTILL, data_folder, held_out_photographs, judge

CHANGES: dict[str, dict[str, object]] = {
    "base": {},
    "lens_auto": {"capture": CaptureConfig(lens="auto")},
    "exposure": {"capture": CaptureConfig(exposure="affine")},
    "exposure_faster": {"capture": CaptureConfig(exposure="affine", exposure_rate=1e-2)},
    "grid": {"capture": CaptureConfig(exposure="grid")},
    "grid_faster": {"capture": CaptureConfig(exposure="grid", exposure_rate=1e-2)},
    "grid_freer": {"capture": CaptureConfig(exposure="grid", exposure_rate=1e-2, grid_smoothness=0.1)},
    "pose": {"capture": CaptureConfig(pose=True)},
    "exposure_and_pose": {"capture": CaptureConfig(exposure="affine", pose=True)},
    "clear_view": {"clear_view": 0.5},
    "clearer_view": {"clear_view": 0.8},
    "sky": {"initial": InitialConfig(sky=4_000)},
    "classic": {"densify": ClassicConfig(cap=40_000)},
    "black_background": {"background": "black"},
    "no_opacity_regulariser": {"densify": McmcConfig(cap=40_000, opacity_weight=0.0)},
    "no_scale_regulariser": {"densify": McmcConfig(cap=40_000, scale_weight=0.0)},
}
# Gaussians stay as they are: only the photograph's own pose and exposure move.
ADJUSTING = FitConfig(
    steps=150,
    resolution=((0.0, 1),),
    sh_interval=0.0,
    background="black",
    learning_rates=STANDSTILL,
    densify=McmcConfig(cap=1, start=1.0, grow_until=1.0, stop=1.0, noise=0.0, opacity_weight=0.0, scale_weight=0.0),
    capture=CaptureConfig(exposure="affine", pose=True, exposure_rate=5e-3, pose_rate=5e-4),
)


def cells(config: BenchConfig) -> list[Cell]:
    """Return every change with one seed; with all seeds for the table."""
    return [Cell(row, "photographs", seed) for seed in (SEEDS if config.table else SEEDS[:1]) for row in CHANGES]


def measure(cell: Cell, config: BenchConfig, folder: Path, progress: Progress) -> dict[str, float]:
    """Return held-out figures of the quick preset with one change."""
    scene = _posed(data_folder(config, "ablation", "photographs, with or without cameras"), progress)
    quick = PRESETS["quick"]
    chosen = replace(quick.fit, seed=cell.seed, **{"capture": CaptureConfig(), **CHANGES[cell.row]})
    result = reconstruct(scene, replace(quick, eval_every=EVAL_EVERY, fit=chosen), progress=progress)
    figures = judge(result.gaussians, held_out_photographs(result), folder, {})
    figures["psnr_adjusted_db"] = adjusted_psnr_db(result.gaussians, tuple(held_out_photographs(result)))
    figures["seconds_fit"] = (result.seconds or {})["Fit"]
    return figures


def adjusted_psnr_db(gaussians: Gaussians, photographs: tuple[Photograph, ...]) -> float:
    """Return the mean PSNR after the pose and exposure of each photograph were fitted to the Gaussians.

    Cameras of held-out photographs are no truer than others, and automatic exposures differ: what is left is what the
    Gaussians themselves get wrong. Every row is treated alike.
    """
    total = 0.0
    for photograph in photographs:
        end = deque(fit((photograph,), gaussians, ADJUSTING), maxlen=1).pop().checkpoint().capture.values
        color = rendering_of(gaussians, corrected_camera(photograph.camera, end.pose[0])).color
        total += psnr(exposed(color, end.exposure[0]).clamp(0, 1), photograph.image, photograph.valid)
    return total / len(photographs)


@cache
def _posed(folder: Path, progress: Progress) -> Scene:
    """Return the scene with cameras and points: once for all rows, as finding them again takes minutes."""
    scene, sfm = read_scene(folder), ReconstructConfig().sfm
    if not scene.posed_views:
        scene = estimate_poses(scene, config=sfm, progress=progress)
    if scene.points is None:
        training, _ = split_views(scene.posed_views, EVAL_EVERY)
        seen = triangulate_points(replace(scene, views=training), config=sfm, progress=progress)
        scene = replace(scene, points=seen.points)
    return scene
