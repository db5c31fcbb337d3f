"""Photographs of a toy fox taken by hand with a phone, with the cameras of their transforms.json: quality and cost."""

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
    """Return the figures of what `hyperfocal reconstruct --eval` makes of the folder."""
    scene = read_scene(data_folder(config, "fox", "images/ and transforms.json"))
    result, figures = reconstruct_and_judge(scene, settings(cell.seed, long_side=LONG_SIDE_PX), folder, progress)
    return {"photographs": len(scene.views), "posed": len(result.scene.posed_views), **figures}
