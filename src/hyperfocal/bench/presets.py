"""What each preset of `reconstruct` gives for its time: the same held-out photographs, as large as `best` fits them."""

from dataclasses import replace
from pathlib import Path

from ..data import read_scene
from ..progress import Progress
from ..reconstruct import reconstruct
from ..reconstruct.config import PRESETS
from .config import BenchConfig
from .harness import Cell
from .quality import EVAL_EVERY, SEEDS, data_folder, held_out_photographs, judge

ROWS = {"quick": PRESETS["quick"], "default": PRESETS["default"], "best": PRESETS["best"]}


def cells(config: BenchConfig) -> list[Cell]:
    """Return the presets, the fastest first, with one seed; with all of them for the table."""
    return [Cell(row, "photographs", seed) for seed in (SEEDS if config.table else SEEDS[:1]) for row in ROWS]


def measure(cell: Cell, config: BenchConfig, folder: Path, progress: Progress) -> dict[str, float]:
    """Return the figures of a preset."""
    scene, preset = read_scene(data_folder(config, "presets", "photographs, with or without cameras")), ROWS[cell.row]
    chosen = replace(preset, eval_every=EVAL_EVERY, fit=replace(preset.fit, seed=cell.seed))
    result = reconstruct(scene, chosen, progress=progress)
    largest = replace(result, config=replace(result.config, long_side=ROWS["best"].long_side))
    stages = result.seconds or {}
    return {
        **judge(result.gaussians, held_out_photographs(largest), folder, {}),
        "fit_psnr_db": result.scores.mean().psnr_db,
        "gaussians": float(len(result.gaussians)),
        "seconds": sum(stages.values()),
        "seconds_fit": stages["Fit"],
        **({} if result.peak_memory_mib is None else {"peak_memory_mib": result.peak_memory_mib}),
    }
