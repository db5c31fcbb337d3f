"""How long the cuda backend takes beside plain `gsplat.rasterization`, whose stages it uses: what our hooks cost."""

import statistics
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import Tensor

from ..camera import Camera
from ..gaussians import Gaussians
from ..progress import Progress
from ..render import render
from ..render.cuda import check_gpu, plain_rasterization
from ..rendering import RenderOptions
from .config import BenchConfig
from .harness import Cell
from .random_scene import random_scene

# Gaussians, columns, rows.
SIZES = {"100k_640x480": (100_000, 640, 480), "1M_1280x720": (1_000_000, 1280, 720)}
BLUR_PX = 4.0
DEVICE = "cuda"
REPEATS = 50
WARM_UP = 10


def cells(config: BenchConfig) -> list[Cell]:
    """Return the comparison with gsplat, and what the median depth and a blur add to it, at every size."""
    return [Cell(row, scene) for scene in SIZES for row in ("sharp", "sharp_with_median", "blurred")]


def measure(cell: Cell, config: BenchConfig, folder: Path, progress: Progress) -> dict[str, float]:
    """Return medians of the wall-clock time, the GPU idle before and after; with ratios where gsplat does the same.

    Raises:
        BadInputError: there is no GPU.
    """
    check_gpu()
    gaussians, camera, image_gradient = random_scene(*SIZES[cell.scene])
    gaussians, camera, image_gradient = gaussians.to(DEVICE), camera.to(DEVICE), image_gradient.to(DEVICE)
    leaves = [tensor.requires_grad_() for tensor in gaussians.tensors().values()]
    options = options_of(cell.row, len(gaussians))
    pictures: dict[str, Callable[[], Tensor]] = {"ours": lambda: render(gaussians, camera, options=options).color}
    if cell.row == "sharp":
        pictures["gsplat"] = lambda: by_gsplat(gaussians, camera)
    # In turn, so that a clock that the GPU lowers as it warms up is the same for both.
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in pictures}
    for repeat in range(WARM_UP + REPEATS):
        for name, picture in pictures.items():
            times[name].append(forward_and_backward(picture, leaves, image_gradient))
        progress(cell.name, repeat + 1, WARM_UP + REPEATS)
    figures: dict[str, float] = {}
    for name, pairs in times.items():
        for stage, values in zip(("forward", "backward"), zip(*pairs[WARM_UP:], strict=True), strict=True):
            figures[f"{name}_{stage}_ms"] = 1000 * statistics.median(values)
    if cell.row == "sharp":
        for stage in ("forward", "backward"):
            figures[f"{stage}_ratio"] = figures[f"ours_{stage}_ms"] / figures[f"gsplat_{stage}_ms"]
        ours, theirs = (sum(figures[f"{name}_{s}_ms"] for s in ("forward", "backward")) for name in pictures)
        figures["ratio"] = ours / theirs
        with torch.no_grad():
            figures["largest_difference"] = float((pictures["ours"]() - pictures["gsplat"]()).abs().max())
    return figures


def options_of(row: str, n: int) -> RenderOptions:
    """Return the options of a row; the light of a blurred splat of 2 px stays about what it was."""
    if row != "blurred":
        return RenderOptions(depth_median=row == "sharp_with_median")
    variance = torch.full((1, n), BLUR_PX**2, device=DEVICE)
    return RenderOptions(depth_median=False, variance_px2=variance, opacity_factor=4 / (4 + variance))


def by_gsplat(gaussians: Gaussians, camera: Camera) -> Tensor:
    """Return the picture by gsplat's own function: colour and expected depth, as ours has them."""
    colors, _, _ = plain_rasterization()(
        gaussians.means,
        gaussians.quaternions,
        gaussians.scales,
        gaussians.opacities,
        gaussians.sh,
        camera.world_to_camera.unsqueeze(0),
        camera.intrinsics().unsqueeze(0),
        camera.width,
        camera.height,
        sh_degree=gaussians.sh_degree,
        render_mode="RGB+ED",
    )
    return colors[0, :, :, :3]


def forward_and_backward(
    picture: Callable[[], Tensor], leaves: Iterable[Tensor], image_gradient: Tensor
) -> tuple[float, float]:
    """Return the seconds of one forward and one backward pass."""
    marks = [mark()]
    color = picture()
    marks.append(mark())
    torch.autograd.grad(color, list(leaves), image_gradient)
    marks.append(mark())
    return marks[1] - marks[0], marks[2] - marks[1]


def mark() -> float:
    """Return the time in seconds when the GPU has done all it was told."""
    torch.cuda.synchronize()
    return time.perf_counter()
