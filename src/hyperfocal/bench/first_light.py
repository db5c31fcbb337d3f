"""How good a fit is where the truth is known: held-out views and depth, beside controls that could refute it.

The cameras are the true ones, so the figures are of the fit and the renderer alone.
"""

from dataclasses import replace
from functools import cache
from pathlib import Path

import torch

from ..data import load_depth, load_photograph, read_scene
from ..errors import BadInputError
from ..progress import Progress
from ..scene import Photograph, Scene, split_views
from ..shapes import Map
from .config import BenchConfig
from .evidence import figures_from, keep_view
from .harness import Cell
from .quality import EVAL_EVERY, SEEDS, STANDSTILL, reconstruct_and_judge, settings

SHIPPED = Path("captures/still_life")


def cells(config: BenchConfig) -> list[Cell]:
    """Return the fit with every seed, then what takes no fitting: its starting points, and photographs as guesses.

    For the table also the fit with Adam's moments in half the memory.
    """
    scene = capture_folder(config, None).name
    fits = ("fit", "bfloat16_moments") if config.table else ("fit",)
    controls = ("start", "nearest_photograph", "mean_photograph")
    return [Cell(fit, scene, seed) for fit in fits for seed in SEEDS] + [Cell(control, scene) for control in controls]


def measure(cell: Cell, config: BenchConfig, folder: Path, progress: Progress) -> dict[str, float]:
    """Return the figures of the fit or of a control on the held-out views."""
    capture = capture_folder(config, progress)
    scene, depth_truth = read_capture(capture)
    chosen = settings(cell.seed, long_side=None)
    if cell.row == "start":
        chosen = replace(chosen, fit=replace(chosen.fit, steps=1, learning_rates=STANDSTILL))
    if cell.row == "bfloat16_moments":
        chosen = replace(chosen, fit=replace(chosen.fit, moments="bfloat16"))
    if cell.row in ("fit", "start", "bfloat16_moments"):
        return reconstruct_and_judge(scene, chosen, folder, progress, depth_truth)[1]
    training, held_out = (tuple(map(load_photograph, views)) for views in split_views(scene.views, EVAL_EVERY))
    for photograph in held_out:
        if cell.row == "mean_photograph":
            guess = torch.stack([other.image for other in training]).mean(0)
        else:
            guess = nearest(photograph, training).image
        keep_view(folder, photograph.name, rendered=guess, truth=photograph.image, valid=photograph.valid)
    return figures_from(folder)


def nearest(photograph: Photograph, others: tuple[Photograph, ...]) -> Photograph:
    """Return the photograph whose camera is nearest in place."""
    centre = photograph.camera.centers()
    return min(others, key=lambda other: float((other.camera.centers() - centre).norm()))


def capture_folder(config: BenchConfig, progress: Progress | None) -> Path:
    """Return the capture to measure on; one of --scene-seed is rendered, unless it is there already.

    Args:
        config: Says which.
        progress: Told of the rendering; None renders nothing.

    Raises:
        BadInputError: there is no capture.
    """
    if config.scene_seed is not None and config.data is not None:
        raise BadInputError("--data and --scene-seed both say which capture to measure on; give one of them.")
    if config.scene_seed is None:
        capture = config.data or SHIPPED
        if not (capture / "cameras.json").is_file():
            raise BadInputError(
                f"{capture} holds no capture with truth (no cameras.json). Run the bench in a checkout, name a capture "
                "with --data, or generate one with --scene-seed."
            )
        return capture
    if config.out is None:
        raise BadInputError("--scene-seed renders a capture, which takes minutes: name a folder to keep it with --out.")
    capture = config.out / f"still_life_{config.scene_seed}"
    if progress is not None and not (capture / "cameras.json").is_file():
        from ..synthetic.mitsuba_capture import render_capture

        render_capture(
            capture,
            scene_seed=config.scene_seed,
            on_progress=lambda done, total: progress("rendering the capture", done, total),
        )
    return capture


@cache
def read_capture(capture: Path) -> tuple[Scene, dict[str, Map]]:
    """Return (the photographs with their true cameras, true camera z by the photograph's name).

    The photographs come without their depth maps, from which a fit would start: the truth is for measuring alone.
    """
    scene = read_scene(capture)
    truth = {view.name: depth.values for view in scene.views if (depth := load_depth(view)) is not None}
    return replace(scene, views=tuple(replace(view, depth=None) for view in scene.views)), truth


def held_out_photograph(capture: Path, view: int) -> Photograph:
    """Return one of the photographs of a capture that fits do not see."""
    return load_photograph(split_views(read_capture(capture)[0].views, EVAL_EVERY)[1][view])
