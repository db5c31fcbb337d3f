"""What a pair of a Gaussian and a pixel costs at least: the yardstick of `hyperfocal bench rasterizer`."""

import time
from collections.abc import Callable

from .. import _core

PAIRS = 64 * 64  # of one repeat (limit.h)


def forward_pair_ns(threads: int, repeats: int = 500, clock: Callable[[], float] = time.perf_counter) -> float:
    """Return the nanoseconds per pair of a forward pass that stays in the first-level cache, all threads together."""
    return _pair_ns(_core.limit_forward, threads, repeats, clock)


def backward_pair_ns(threads: int, repeats: int = 250, clock: Callable[[], float] = time.perf_counter) -> float:
    """The same of a backward pass."""
    return _pair_ns(_core.limit_backward, threads, repeats, clock)


def _pair_ns(run: Callable[[int, int], float], threads: int, repeats: int, clock: Callable[[], float]) -> float:
    start = clock()
    run(threads, repeats)
    return 1e9 * (clock() - start) / (PAIRS * repeats * threads)
