"""How long the CPU renderer takes, forward and backward, on random Gaussians in front of one camera."""

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from ..camera import Camera
from ..gaussians import Gaussians
from ..progress import Progress
from ..render import render
from ..rendering import RenderOptions
from .config import BenchConfig
from .harness import Cell

# Gaussians, columns, rows. The first is the size that CPU rasterisers are usually compared at.
SIZES = {"100k_640x480": (100_000, 640, 480), "1M_1280x720": (1_000_000, 1280, 720)}
THREADS = {"two_threads": 2, "one_thread": 1}
REPEATS = 20
WARM_UP = 3


def cells(config: BenchConfig) -> list[Cell]:
    """Return every number of threads at every size."""
    return [Cell(row, scene) for scene in SIZES for row in THREADS]


def measure(cell: Cell, config: BenchConfig, folder: Path, progress: Progress) -> dict[str, float]:
    """Return medians: of wall-clock time with two threads; of the process's CPU time, too, with one."""
    gaussians, camera, image_gradient = random_scene(*SIZES[cell.scene])
    leaves = [tensor.requires_grad_() for tensor in gaussians.tensors().values()]
    options = RenderOptions(threads=THREADS[cell.row])
    # The processor's own clock counts every thread, so it is the renderer's time only where there is one thread.
    clocks = {"ms": time.perf_counter} | ({"cpu_ms": time.process_time} if cell.row == "one_thread" else {})
    before = torch.get_num_threads()
    torch.set_num_threads(THREADS[cell.row])
    try:
        forward: list[dict[str, float]] = []
        backward: list[dict[str, float]] = []
        for repeat in range(WARM_UP + REPEATS):
            start = read(clocks)
            color = render(gaussians, camera, options=options).color
            middle = read(clocks)
            torch.autograd.grad(color, leaves, image_gradient)
            end = read(clocks)
            forward.append({unit: middle[unit] - start[unit] for unit in clocks})
            backward.append({unit: end[unit] - middle[unit] for unit in clocks})
            progress(cell.name, repeat + 1, WARM_UP + REPEATS)
    finally:
        torch.set_num_threads(before)
    return {
        f"{stage}_{unit}": statistics.median(1000 * taken[unit] for taken in times[WARM_UP:])
        for stage, times in (("forward", forward), ("backward", backward))
        for unit in clocks
    }


def read(clocks: dict[str, Callable[[], float]]) -> dict[str, float]:
    """Return what every clock shows, in seconds."""
    return {unit: clock() for unit, clock in clocks.items()}


def random_scene(count: int, width: int, height: int, seed: int = 0) -> tuple[Gaussians, Camera, torch.Tensor]:
    """Return (Gaussians, camera, gradient of a loss by the image): the same numbers from the same seed, everywhere.

    Centres fill the view between z = 2 and 10; footprints have a standard deviation of 1.5 to 3 px along each axis;
    opacities lie between 0.1 and 0.9; colours are of degree 3. The order of the draws is part of the definition.
    """
    random = np.random.default_rng(seed)
    focal_px, center = 0.8 * width, np.array([width / 2, height / 2])
    depth = random.uniform(2, 10, count)
    pixels = np.stack([random.uniform(0, width, count), random.uniform(0, height, count)], axis=1)
    footprint_px = np.exp(random.uniform(np.log(1.5), np.log(3.0), (count, 3)))
    quaternions = random.normal(size=(count, 4))
    opacities = random.uniform(0.1, 0.9, count)
    coefficients = np.zeros((count, 16, 3))
    coefficients[:, 0] = random.normal(0, 0.8, (count, 3))
    coefficients[:, 1:] = random.normal(0, 0.1, (count, 15, 3))
    image_gradient = random.normal(size=(height, width, 3)) / (height * width)

    means = np.concatenate([(pixels - center) / focal_px * depth[:, None], depth[:, None]], axis=1)
    quaternions /= np.linalg.norm(quaternions, axis=1, keepdims=True)
    gaussians = Gaussians(
        means=_float(means),
        quaternions=_float(quaternions),
        scales=_float(footprint_px * depth[:, None] / focal_px),
        opacities=_float(opacities),
        sh=_float(coefficients),
    )
    camera = Camera(
        world_to_camera=torch.eye(4),
        focal_px=torch.tensor([focal_px, focal_px]),
        center_px=_float(center),
        width=width,
        height=height,
    )
    return gaussians, camera, _float(image_gradient)


def _float(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array.astype(np.float32))
