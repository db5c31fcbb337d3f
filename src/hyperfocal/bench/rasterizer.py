"""How long the CPU renderer takes, forward and backward, beside the least that its pairs would cost on this machine."""

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from ..camera import Camera
from ..gaussians import Gaussians
from ..native import release_memory
from ..native.instruction_set import instruction_set, using_instruction_set
from ..native.limit import backward_pair_ns, forward_pair_ns
from ..progress import Progress
from ..render import render
from ..rendering import RenderOptions
from .config import BenchConfig
from .harness import Cell
from .random_scene import lane_pairs, random_scene

SIZES = {"100k_640x480": (100_000, 640, 480), "1M_1280x720": (1_000_000, 1280, 720)}
MAIN, MILLION = SIZES  # the first is the size that CPU rasterisers are usually compared at
GROWTH = {
    **{f"{n // 1000}k_640x480": (n, 640, 480) for n in (10_000, 30_000, 300_000, 1_000_000)},
    **{f"100k_{w}x{h}": (100_000, w, h) for w, h in ((160, 120), (320, 240), (1280, 960))},
}
REPEATS = 40
WARM_UP = 5

Clock = Callable[[], float]


def cells(config: BenchConfig) -> list[Cell]:
    """Return the rows of the main size and the large one; growth over Gaussians and pixels for the table."""
    rows = ["two_threads", "one_thread", "all_gradients", "instruction_sets", "memory"]
    growth = [Cell("two_threads", scene) for scene in GROWTH] if config.table else []
    return [*(Cell(row, MAIN) for row in rows), Cell("two_threads", MILLION), *growth]


def measure(cell: Cell, config: BenchConfig, folder: Path, progress: Progress) -> dict[str, float]:
    """Return the figures of one row; times are medians."""
    gaussians, camera, image_gradient = random_scene(*(SIZES | GROWTH)[cell.scene])
    threads = 1 if cell.row == "one_thread" else 2
    run = Run(gaussians, camera, image_gradient, threads, everything=cell.row == "all_gradients")

    def report(done: int) -> None:
        progress(cell.name, done, REPEATS + WARM_UP)

    with torch_threads(1):  # the renderer has threads of its own
        if cell.row == "memory":
            peak = run.peak_extra_mib()
            return {} if peak is None else {"peak_extra_mib": peak}
        if cell.row == "instruction_sets":
            return compare_instruction_sets(run, report)
        # One thread is timed by the process's own clock: it does not count what other programs used.
        clock = time.process_time if threads == 1 else time.perf_counter
        forward, backward, forward_pair, backward_pair = [], [], [], []
        for repeat in range(WARM_UP + REPEATS):
            for times, value in zip((forward, backward), run.once(clock), strict=True):
                times.append(1e3 * value)
            forward_pair.append(forward_pair_ns(threads, clock=clock))
            backward_pair.append(backward_pair_ns(threads, clock=clock))
            report(repeat + 1)
    pair_ns, pair_backward_ns = _median(forward_pair), _median(backward_pair)
    figures = {
        "forward_ms": _median(forward),
        "backward_ms": _median(backward),
        "pair_forward_ns": pair_ns,
        "pair_backward_ns": pair_backward_ns,
    }
    if cell.scene == MAIN:  # counting the pairs of a million Gaussians would take a minute
        pairs = lane_pairs(gaussians, camera)
        figures["lane_pairs"] = pairs
        figures["limit_ms"] = 1e-6 * pairs * (pair_ns + pair_backward_ns)
    return figures


def headlines(rows: dict[str, float]) -> dict[str, float]:
    """Return the few figures that the bars are about; those of which a part was not measured are left out."""

    def row(name: str, scene: str = MAIN) -> dict[str, float]:
        start = f"{scene}.{name}."
        return {key.removeprefix(start): value for key, value in rows.items() if key.startswith(start)}

    def total(name: str, scene: str = MAIN) -> float:
        return row(name, scene)["forward_ms"] + row(name, scene)["backward_ms"]

    figures: dict[str, Callable[[], float]] = {
        "forward_ms": lambda: row("two_threads")["forward_ms"],
        "backward_ms": lambda: row("two_threads")["backward_ms"],
        "limit_ms": lambda: row("two_threads")["limit_ms"],
        "over_limit": lambda: total("two_threads") / row("two_threads")["limit_ms"],
        "over_limit_full": lambda: total("all_gradients") / row("all_gradients")["limit_ms"],
        "over_limit_one_thread": lambda: total("one_thread") / row("one_thread")["limit_ms"],
        "million_ms": lambda: total("two_threads", MILLION),
        "avx2_ratio": lambda: row("instruction_sets")["v3_ms"] / row("instruction_sets")["v4_ms"],
        "peak_extra_mib": lambda: row("memory")["peak_extra_mib"],
    }
    measured = {}
    for name, figure in figures.items():
        try:
            measured[name] = figure()
        except KeyError:
            continue
    return measured


class Run:
    """One scene, rendered and differentiated again and again."""

    def __init__(
        self, gaussians: Gaussians, camera: Camera, image_gradient: torch.Tensor, threads: int, *, everything: bool
    ) -> None:
        self.gaussians, self.camera = gaussians, camera
        self.leaves = [tensor.requires_grad_() for tensor in gaussians.tensors().values()]
        self.image_gradients = [image_gradient]
        self.everything = everything
        if everything:
            camera_leaves = (camera.world_to_camera, camera.focal_px, camera.center_px)
            self.leaves += [tensor.requires_grad_() for tensor in camera_leaves]
            self.image_gradients += [image_gradient[..., i].contiguous() for i in range(2)]
        self.options = RenderOptions(threads=threads)

    def once(self, clock: Clock = time.perf_counter) -> tuple[float, float]:
        """Return the seconds of one forward and one backward."""
        start = clock()
        rendering = render(self.gaussians, self.camera, options=self.options)
        middle = clock()
        images = [rendering.color]
        if self.everything:
            images += [rendering.alpha, rendering.depth_expected]
        torch.autograd.grad(images, self.leaves, self.image_gradients)
        return middle - start, clock() - middle

    def peak_extra_mib(self) -> float | None:
        """Return the most memory of one forward and backward beyond inputs and outputs; None where nobody tells."""
        if not sys.platform.startswith("linux"):
            return None
        self.once()
        release_memory()
        before = _restart_peak_mib()
        rendering = render(self.gaussians, self.camera, options=self.options)
        gradients = torch.autograd.grad(rendering.color, self.leaves, self.image_gradients)
        outputs = [*gradients, *(t for t in vars(rendering).values() if t is not None)]
        return _status_mib("VmHWM") - before - sum(t.numel() * t.element_size() for t in outputs) / 2**20


def compare_instruction_sets(run: Run, report: Callable[[int], None]) -> dict[str, float]:
    """Return forward + backward with every instruction set that this machine has, in turns."""
    times: dict[str, list[float]] = {}
    for repeat in range(WARM_UP + REPEATS):
        for name in ("v3", "v4"):
            with using_instruction_set(name) as served:
                if served:
                    times.setdefault(f"{name}_ms", []).append(1e3 * sum(run.once()))
        report(repeat + 1)
    return {name: _median(values) for name, values in times.items()} or {
        f"{instruction_set()}_ms": 1e3 * sum(run.once())
    }


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Let torch itself use so many threads meanwhile: its own would wait beside the core's, and keep a core busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _median(times: list[float]) -> float:
    return statistics.median(times[WARM_UP:])


def _restart_peak_mib() -> float:
    """Make the system forget the highest memory so far; return what is held now."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status_mib("VmRSS")


def _status_mib(name: str) -> float:
    """Return a size out of Linux's account of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) / 2**10 for line in lines if line.startswith(f"{name}:"))
