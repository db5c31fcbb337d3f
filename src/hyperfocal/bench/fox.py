"""Photographs of a toy fox taken by hand with a phone: everything from photographs alone, with time and memory."""

from pathlib import Path

from ..data import read_scene
from ..progress import Progress
from .config import BenchConfig
from .harness import Cell
from .quality import SEEDS, data_folder, reconstruct_and_judge, settings

LONG_SIDE_PX = 800


def cells(config: BenchConfig) -> list[Cell]:
    """Return one seed, or all of them for the table: a reconstruction takes minutes."""
    return [Cell("reconstruct", "fox", seed) for seed in (SEEDS if config.table else SEEDS[:1])]


def measure(cell: Cell, config: BenchConfig, folder: Path, progress: Progress) -> dict[str, float]:
    """Return the figures of a reconstruction from the photographs alone."""
    photographs = read_scene(data_folder(config, "fox", "the photographs in images/") / "images")
    result, figures = reconstruct_and_judge(photographs, settings(cell.seed, long_side=LONG_SIDE_PX), folder, progress)
    return {"photographs": len(photographs.views), "registered": len(result.scene.posed_views), **figures}
