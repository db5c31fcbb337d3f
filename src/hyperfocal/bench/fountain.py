"""Photographs of a fountain whose cameras were surveyed: are they found again, and do held-out views look right?"""

from pathlib import Path

import torch

from ..data import read_scene
from ..progress import Progress
from ..scene import Scene
from ..transforms import align_similarity
from .config import BenchConfig
from .harness import Cell
from .quality import SEEDS, data_folder, reconstruct_and_judge, settings

HOLDS = "images/ and the surveyed cameras.json, in metres"
LONG_SIDE_PX = 800


def cells(config: BenchConfig) -> list[Cell]:
    """Return one seed, or all of them for the table: a reconstruction takes minutes."""
    return [Cell("reconstruct", "fountain", seed) for seed in (SEEDS if config.table else SEEDS[:1])]


def measure(cell: Cell, config: BenchConfig, folder: Path, progress: Progress) -> dict[str, float]:
    """Return the figures of a reconstruction from the photographs alone."""
    data = data_folder(config, "fountain", HOLDS)
    photographs, survey = read_scene(data / "images"), read_scene(data / "cameras.json")
    result, figures = reconstruct_and_judge(photographs, settings(cell.seed, long_side=LONG_SIDE_PX), folder, progress)
    return {
        "photographs": len(photographs.views),
        "registered": len(result.scene.posed_views),
        **camera_errors_cm(result.scene, survey),
        **figures,
    }


def camera_errors_cm(found: Scene, survey: Scene) -> dict[str, float]:
    """Return the errors of the found camera centres after the similarity that fits them best to the survey (metres)."""
    surveyed = {view.name: view.camera.centers() for view in survey.views if view.camera is not None}
    pairs = [
        (view.camera.centers(), surveyed[view.name])
        for view in found.views
        if view.camera is not None and view.name in surveyed
    ]
    source, target = (torch.stack(centers).double() for centers in zip(*pairs, strict=True))
    scale, rotation, translation = align_similarity(source, target)
    errors = (scale * source @ rotation.T + translation - target).norm(dim=1)
    return {
        "camera_rms_cm": 100 * float(errors.square().mean().sqrt()),
        "camera_max_cm": 100 * float(errors.max()),
    }
