"""What a reconstruction will cost, from a few steps of a tiny fit on this machine."""

import math
import statistics
from dataclasses import dataclass

import torch

from ..camera import Camera, reduced_size
from ..fit import FitConfig, fit
from ..fit.blur_search import LENSES_TRIED, MOTIONS_TRIED
from ..fit.blur_search import LONG_SIDE as SEARCHED_LONG_SIDE
from ..fit.config import Blur, McmcConfig
from ..fit.schedules import shrink_factor
from ..gaussians import from_points
from ..scene import Photograph, Scene, split_views
from .config import ReconstructConfig
from .memory_limit import demand_of, largest_size, means_of, peak_mib

# Rough figures of two cores of a desktop processor of 2025; they only have to give the right order of magnitude.
SFM_S_PER_MEGAPIXEL = 0.2  # finding features
SFM_S_PER_PAIR = 0.04  # matching
SFM_S_PER_PHOTOGRAPH = 0.3  # placing
MOST_PAIRS_PER_PHOTOGRAPH = 30  # in large sets, where only similar photographs are compared
POINTS_PER_PHOTOGRAPH = 300  # that structure from motion finds
LENS_STEP = 1.5  # a step through a lens, of one through a pinhole
RENDER_SHARE = 1 / 3  # a render without gradients, of a step

SAMPLES = ((10_000, 128), (40_000, 128), (10_000, 320))  # (Gaussians, pixels of a square picture's side)
WARM_UP, MEASURED = 3, 6  # steps


@dataclass(frozen=True)
class Costs:
    """What a reconstruction is expected to take."""

    stored_px: tuple[int, int]
    """Width and height of the largest photograph."""
    fitted_px: tuple[int, int]
    """The same as fitted."""
    gaussians: tuple[int, int]
    """At first and at most."""
    seconds: dict[str, float]
    """Of each stage. Blur that is to be fitted only if it is worth it counts as far as it is tried."""
    more_if_soft_s: float
    """What is added where such blur proves to be worth it."""
    memory_mib: float
    basis: str
    """Where the figures come from, for people."""

    @property
    def total_s(self) -> float:
        """Of all stages."""
        return sum(self.seconds.values())


@dataclass(frozen=True)
class StepCost:
    """Seconds of one step of a fit: a constant, and shares of the Gaussians and of the pixels."""

    fixed_s: float
    per_gaussian_s: float
    per_pixel_s: float

    def seconds(self, gaussians: int, pixels: int) -> float:
        """Return the time of a step."""
        return self.fixed_s + gaussians * self.per_gaussian_s + pixels * self.per_pixel_s


def estimate_costs(scene: Scene, config: ReconstructConfig) -> Costs:
    """Return what reconstructing `scene` will cost; runs some steps of a small fit, about a second."""
    stored = largest_size(scene)
    fitted = reduced_size(stored, config.long_side)
    pixels = fitted[0] * fitted[1]
    training, held_out = split_views(scene.views, config.eval_every)
    most = config.fit.densify.cap
    known = 0 if scene.points is None else len(scene.points)
    start = min(known or POINTS_PER_PHOTOGRAPH * len(training), most)
    cost = measure_step()
    seconds = {} if scene.posed_views else {"cameras": _sfm_seconds(len(scene.views), stored, config)}
    course = _course(config.fit, start, most, pixels)
    soft_s, sharp_s = (_fit_seconds(config.fit, cost, course, kept=kept) for kept in (True, False))
    seconds["fit"] = sharp_s + _search_seconds(config.fit, cost, start, fitted, len(training))
    seconds["evaluation"] = len(held_out or training) * (cost.seconds(most, pixels) + 2e-6 * pixels)
    return Costs(
        stored_px=stored,
        fitted_px=fitted,
        gaussians=(start, most),
        seconds=seconds,
        more_if_soft_s=soft_s - sharp_s,
        memory_mib=peak_mib(demand_of(scene, config, stored), means_of(config)),
        basis=(
            f"A step at full size was measured here on small fits: {1e3 * cost.fixed_s:.1f} ms, and "
            f"{1e8 * cost.per_gaussian_s:.1f} ms for 100,000 Gaussians and {1e9 * cost.per_pixel_s:.1f} ms for a "
            "megapixel; finding cameras is a rule of thumb."
        ),
    )


def measure_step() -> StepCost:
    """Return what a step costs on this machine now, from three small fits."""
    times = {sample: _median_step(*sample) for sample in SAMPLES}
    (few, small), (many, _), (_, large) = SAMPLES
    base = times[few, small]
    per_gaussian = max(times[many, small] - base, 0.0) / (many - few)
    per_pixel = max(times[few, large] - base, 0.0) / (large**2 - small**2)
    return StepCost(max(base - few * per_gaussian - small**2 * per_pixel, 0.0), per_gaussian, per_pixel)


def _median_step(count: int, side: int) -> float:
    generator = torch.Generator().manual_seed(0)
    means = torch.rand(count, 3, generator=generator) - 0.5 + torch.tensor([0.0, 0.0, 1.5])
    # Sized so that a step takes as long as one on a real scene of as many Gaussians and pixels.
    gaussians = from_points(means, torch.rand(count, 3, generator=generator), torch.full((count,), 3.7 * count**-0.5))
    camera = Camera(torch.eye(4), torch.full((2,), 1.3 * side), torch.full((2,), side / 2), side, side)
    image = torch.rand(side, side, 3, generator=generator)
    photograph = Photograph("calibration", image, torch.ones(side, side, dtype=torch.bool), camera)
    config = FitConfig(
        steps=WARM_UP + MEASURED, sh_interval=0.0, resolution=((0.0, 1),), densify=McmcConfig(cap=count, interval=100)
    )
    ends = [step.seconds for step in fit((photograph, photograph), gaussians, config)]
    return statistics.median(b - a for a, b in zip(ends[WARM_UP - 1 :], ends[WARM_UP:], strict=False))


def _course(fit_config: FitConfig, start: int, most: int, pixels: int) -> list[tuple[int, int]]:
    """Return (Gaussians, pixels) of every step: growth by a constant factor until the cap, coarse to fine."""
    densify = fit_config.densify
    full = densify.grow_until if isinstance(densify, McmcConfig) else densify.stop
    course = []
    for step in range(fit_config.steps):
        share = step / fit_config.steps
        grown = min(max((share - densify.start) / max(full - densify.start, 1e-9), 0.0), 1.0)
        course.append((round(start * (most / start) ** grown), pixels // shrink_factor(fit_config, share) ** 2))
    return course


def _fit_seconds(fit_config: FitConfig, cost: StepCost, course: list[tuple[int, int]], *, kept: bool) -> float:
    """Return the time of all steps, if blur that is fitted only where it is worth it is kept, or if it is not."""
    capture, steps = fit_config.capture, fit_config.steps
    begin, check = (math.ceil(share * steps) for share in (capture.blur_start, capture.blur_check))
    times = [cost.seconds(count, area) for count, area in course]

    def softer(*modes: Blur) -> float:
        return (LENS_STEP if capture.lens in modes else 1.0) * (capture.sub_frames if capture.motion in modes else 1)

    after = softer("on", "auto") if kept else softer("on")
    return sum(times[:begin]) + softer("on", "auto") * sum(times[begin:check]) + after * sum(times[check:])


def _search_seconds(
    fit_config: FitConfig, cost: StepCost, gaussians: int, size: tuple[int, int], photographs: int
) -> float:
    """Return the time in which lens and motion are looked for by trying some, on small photographs."""
    capture = fit_config.capture
    shrink = max(1, max(size) // SEARCHED_LONG_SIDE) ** 2
    render_s = RENDER_SHARE * cost.seconds(gaussians, math.prod(size) // shrink)
    lens, motion = capture.lens != "off", capture.motion != "off"
    turns = 1 + (lens and motion)  # the one for which there is less reason is looked for again, and motion once more
    moves = (turns + 1) * capture.sub_frames * MOTIONS_TRIED * motion
    return photographs * render_s * (turns * LENSES_TRIED * lens + moves)


def _sfm_seconds(photographs: int, stored: tuple[int, int], config: ReconstructConfig) -> float:
    width, height = reduced_size(stored, config.sfm.max_image_size_px)
    pairs = photographs * min(photographs - 1, MOST_PAIRS_PER_PHOTOGRAPH) / 2
    features = SFM_S_PER_MEGAPIXEL * photographs * width * height / 1e6
    return features + SFM_S_PER_PAIR * pairs + SFM_S_PER_PHOTOGRAPH * photographs
