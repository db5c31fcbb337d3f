"""How much memory a reconstruction takes, and what keeps it below a limit. Plain numbers: loads no torch.

The figures were measured on the CPU backend (docs/results.md, "Memory"): the most that the process held in each stage,
for several sizes of photographs and numbers of Gaussians.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

Keeping: TypeAlias = Literal["float32", "uint8", "disk"]

UNITS = {"MB": 10**6, "GB": 10**9, "TB": 10**12, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}

BASE_BYTES = 335 * 2**20  # python, torch, the libraries of structure from motion, the holes of the heap
SFM_BYTES = 130 * 2**20  # features, matches and what its libraries keep afterwards, where cameras or points are found
MARGIN = 1.1  # on what was measured: no two scenes are alike
PYRAMID = 1 + 1 / 4 + 1 / 16  # photographs are kept at their smaller sizes too
PHOTOGRAPH_BYTES: Mapping[Keeping, int] = {"float32": 12, "uint8": 3, "disk": 0}  # a pixel
VALID_BYTES = 1  # a pixel, where not all count
DECODING_BYTES = 30  # a stored pixel, while its colours become floats
UNDISTORTING_BYTES = 80  # a stored pixel: where every pixel comes from, and the way to find it
HELD_BYTES = 13  # a stored pixel, while features are found
SEARCHING_BYTES = 260  # a searched pixel: the scale space of SIFT at double size
WORK_BYTES = 270  # a fitted pixel: what is drawn, its gradients, the loss, the renderer's scratch; FLIP takes as much
SUB_FRAME_BYTES = 400  # a Gaussian, and sub-frame of an exposure beside the first; a bound, not measured
REPORT_BYTES, SHOWN_BYTES = 150, 64  # a fitted pixel, and once for each photograph that the report shows
PAGE_BYTES, PAGE_GAUSSIAN_BYTES = 24 * 2**20, 500  # the page for browsers, and its compressed copy of a Gaussian
PAGE_PHOTOGRAPH_BYTES = 128 * 2**10  # hardly any takes more at 640 pixels
GAUSSIAN_BYTES = {"float32": 4200, "bfloat16": 3350}  # values, gradients, moments, scratch; copies at a checkpoint


class TooLittleMemory(Exception):
    """Nothing keeps the job below its limit; the message says how much the smallest needs."""


@dataclass(frozen=True)
class Demand:
    """What decides how much memory a reconstruction takes."""

    photographs: int
    """That are fitted."""
    stored_px: int
    """Pixels of the largest photograph as its file holds it."""
    searched_px: int
    """The same as searched for features; 0 if none are looked for."""
    fitted_px: int
    """The same as fitted."""
    gaussians: int
    """At most."""
    distorted: bool = False
    """The lenses' distortion is removed."""
    sub_frames: int = 1
    """Of an exposure, if motion may be fitted: all are drawn before any gradient."""
    page_photographs: int | None = None
    """That the page for browsers holds; None if there is none."""


@dataclass(frozen=True)
class Means:
    """How the job is done, as far as memory depends on it."""

    moments: Literal["float32", "bfloat16"]
    keeping: Keeping
    searches: int
    """Photographs that are searched for features at a time."""
    shown: int
    """Photographs that the report shows."""


def parse_memory(text: str) -> int:
    """Return the bytes of words like 4GB, 800 MB or 1.5GiB.

    Raises:
        ValueError: the words are no amount of memory.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)", text.strip())
    if found is None or found[2].upper() not in UNITS or float(found[1]) == 0:
        raise ValueError(
            f"`memory` is {text!r}, which is no amount of memory; expected a number and one of MB, GB, MiB, GiB, such "
            "as 4GB."
        )
    return int(float(found[1]) * UNITS[found[2].upper()])


def peak_bytes(demand: Demand, means: Means) -> dict[str, float]:
    """Return the most memory that the process is expected to hold, by stage."""
    decoding = demand.stored_px * (DECODING_BYTES + (UNDISTORTING_BYTES if demand.distorted else 0))
    kept = PYRAMID * (PHOTOGRAPH_BYTES[means.keeping] + VALID_BYTES)
    kept *= demand.photographs * demand.fitted_px
    gaussians = demand.gaussians * GAUSSIAN_BYTES[means.moments]
    moving = (demand.sub_frames - 1) * demand.gaussians * SUB_FRAME_BYTES
    searching = max(
        demand.stored_px * DECODING_BYTES, demand.stored_px * HELD_BYTES + demand.searched_px * SEARCHING_BYTES
    )
    stages = {
        "cameras": means.searches * searching if demand.searched_px else 0.0,
        "photographs": kept + decoding,
        "fit": kept + gaussians + demand.sub_frames * demand.fitted_px * WORK_BYTES + moving,
        "report": gaussians / 2 + decoding + demand.fitted_px * (REPORT_BYTES + means.shown * SHOWN_BYTES),
    }
    if demand.page_photographs is not None:
        photographs = demand.page_photographs * PAGE_PHOTOGRAPH_BYTES
        stages["page"] = PAGE_BYTES + demand.gaussians * PAGE_GAUSSIAN_BYTES + photographs + decoding
    base = BASE_BYTES + (SFM_BYTES if demand.searched_px else 0)
    return {name: MARGIN * (base + extra) for name, extra in stages.items()}


def fitting_means(demand: Demand, usual: Means, limit: int) -> Means:
    """Return the means that cost least time and keep every stage below a limit, in bytes.

    For the fit in this order, each with what is before it: moments in bfloat16, which cost nothing; photographs in 8
    bits; photographs on disk. For structure from motion fewer searches at a time, for the report fewer pictures.

    Raises:
        TooLittleMemory: none do.
    """
    for means in _by_time(usual):
        # The stages come one after another, so each is looked at for itself.
        stages = peak_bytes(demand, means)
        if max(stages["photographs"], stages["fit"]) <= limit:
            break
    else:
        raise TooLittleMemory
    means = _reduced(demand, means, limit, "searches", "cameras")
    return _reduced(demand, means, limit, "shown", "report")


def smallest(usual: Means) -> Means:
    """Return the means that take least memory."""
    return replace(list(_by_time(usual))[-1], searches=1, shown=1)


def largest_that_fits(demand_of: Callable[[int], Demand], most: int, means: Means, limit: int) -> int:
    """Return the largest number up to `most` whose demand stays below a limit; 0 if none does.

    Args:
        demand_of: Grows with its number.
        most: Where to begin.
        means: How the job is done.
        limit: In bytes.
    """
    low, high = 0, most + 1  # fits, does not fit
    while high - low > 1:
        middle = (low + high) // 2
        fits = max(peak_bytes(demand_of(middle), means).values()) <= limit
        low, high = (middle, high) if fits else (low, middle)
    return low


def rounded_down(value: int, digits: int = 2) -> int:
    """Return a whole number with no more than `digits` digits that are not zero."""
    step = 10 ** max(0, math.floor(math.log10(max(value, 1))) + 1 - digits)
    return value // step * step


def _by_time(usual: Means) -> Iterator[Means]:
    ways: tuple[Keeping, ...] = ("float32", "uint8", "disk")
    yield usual
    for keeping in ways[ways.index(usual.keeping) :]:
        yield replace(usual, moments="bfloat16", keeping=keeping)


def _reduced(demand: Demand, means: Means, limit: int, number: str, stage: str) -> Means:
    """Return the means with the largest of a number that keeps a stage below the limit, at most that it has."""
    for value in range(getattr(means, number), 0, -1):
        less = replace(means, **{number: value})
        if peak_bytes(demand, less)[stage] <= limit:
            return less
    raise TooLittleMemory
