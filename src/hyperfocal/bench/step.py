"""How long a whole training step takes (render, loss, gradient, Adam, density control), beside the renderer alone."""

import statistics
import time
from pathlib import Path

import torch

from ..fit import FitConfig, fit
from ..progress import Progress
from ..render import render
from ..scene import Photograph
from .config import BenchConfig
from .harness import Cell
from .quality import STANDSTILL
from .random_scene import random_scene
from .rasterizer import Run, torch_threads

# The second is the size at which other programs' steps on a CPU have been measured.
SIZES = {"100k_640x480": (100_000, 640, 480), "50k_400x300": (50_000, 400, 300)}
MAIN = next(iter(SIZES))
THREADS = 2
REPEATS = 60
WARM_UP = 10


def cells(config: BenchConfig) -> list[Cell]:
    """Return a step of every size."""
    return [Cell("step", scene) for scene in SIZES]


def measure(cell: Cell, config: BenchConfig, folder: Path, progress: Progress) -> dict[str, float]:
    """Return the medians of a step and of the renderer, one after the other in the same minute."""
    size = SIZES[cell.scene]
    gaussians, camera, image_gradient = random_scene(*size)
    with torch.no_grad():
        image = render(*random_scene(*size, seed=1)[:2]).color.clamp(0, 1)
    photograph = Photograph("other.png", image, torch.ones(image.shape[:2], dtype=torch.bool), camera)
    settings = FitConfig(
        steps=10 * (WARM_UP + REPEATS),  # none of them is near the end
        resolution=((0.0, 1),),
        sh_interval=0.0,
        learning_rates=STANDSTILL,  # so that every step does the same work; Adam works all the same
    )
    run = Run(gaussians, camera, image_gradient, THREADS, everything=False)
    step_ms, raster_ms = [], []
    with torch_threads(THREADS):
        steps = fit((photograph,), gaussians.detach(), settings)
        for repeat in range(WARM_UP + REPEATS):
            start = time.perf_counter()
            next(steps)
            step_ms.append(1e3 * (time.perf_counter() - start))
            with torch_threads(1):
                raster_ms.append(1e3 * sum(run.once()))
            progress(cell.name, repeat + 1, WARM_UP + REPEATS)
    return {
        "step_ms": statistics.median(step_ms[WARM_UP:]),
        "step_mean_ms": statistics.fmean(step_ms[WARM_UP:]),  # with its share of density control
        "raster_ms": statistics.median(raster_ms[WARM_UP:]),
    }


def headlines(rows: dict[str, float]) -> dict[str, float]:
    """Return the step of the main size, and how many times the renderer's time it takes."""
    step_ms, raster_ms = (rows.get(f"{MAIN}.step.{name}_ms") for name in ("step", "raster"))
    if step_ms is None or raster_ms is None:
        return {}
    return {"step_ms": step_ms, "step_over_raster": step_ms / raster_ms}
