"""`--memory`: the settings of a reconstruction that stay below a limit."""

import math
import os
from dataclasses import replace

from ..camera import reduced_size
from ..data.photo_size import photo_size
from ..errors import BadInputError
from ..scene import Scene, split_views
from .config import ReconstructConfig
from .memory import (
    Demand,
    Means,
    TooLittleMemory,
    fitting_means,
    largest_that_fits,
    parse_memory,
    peak_bytes,
    rounded_down,
    smallest,
)


def largest_size(scene: Scene) -> tuple[int, int]:
    """Return (width, height) in pixels of the largest photograph as its file holds it; reads all headers."""
    return max(map(photo_size, scene.views), key=math.prod)


def demand_of(scene: Scene, config: ReconstructConfig, stored: tuple[int, int]) -> Demand:
    """Return what decides how much memory a scene takes; `stored` is the `largest_size` of its photographs."""
    training, _ = split_views(scene.views, config.eval_every)
    distorted = any(view.distortion is not None and not view.distortion.is_none for view in scene.views)
    with_points = scene.points is not None and len(scene.points) > 0
    return Demand(
        photographs=len(training),
        stored_px=math.prod(stored),
        searched_px=0 if scene.posed_views and with_points else _pixels(stored, config.sfm.max_image_size_px),
        fitted_px=_pixels(stored, config.long_side),
        gaussians=config.fit.densify.cap,
        distorted=distorted or not scene.posed_views,  # which structure from motion finds
        sub_frames=1 if config.fit.capture.motion == "off" else config.fit.capture.sub_frames,
        page_photographs=min(config.view_photographs, len(scene.views)) if config.view_page else None,
    )


def means_of(config: ReconstructConfig) -> Means:
    """Return how the settings do the job, as far as memory depends on it."""
    keeping = "disk" if config.photographs_on_disk else config.fit.photographs
    return Means(config.fit.moments, keeping, config.sfm.threads or os.cpu_count() or 1, config.report_views)


def peak_mib(demand: Demand, means: Means) -> float:
    """Return the most memory that a reconstruction is expected to take."""
    return max(peak_bytes(demand, means).values()) / 2**20


def within_memory(scene: Scene, config: ReconstructConfig) -> tuple[ReconstructConfig, tuple[str, ...]]:
    """Return (the settings made to stay below `config.memory`, a note on what that changed); as they are without one.

    Raises:
        BadInputError: nothing that leaves the result as good keeps it below; says what would.
    """
    if config.memory is None or not scene.views:
        return config, ()
    limit = parse_memory(config.memory)
    usual = means_of(config)
    stored = largest_size(scene)
    demand = demand_of(scene, config, stored)
    try:
        means = fitting_means(demand, usual, limit)
    except TooLittleMemory:
        raise _refusal(scene, config, demand, stored, limit) from None
    kept_in_8_bits = "uint8" if means.keeping != "float32" else config.fit.photographs
    changed = replace(
        config,
        photographs_on_disk=means.keeping == "disk",
        report_views=means.shown,
        fit=replace(config.fit, moments=means.moments, photographs=kept_in_8_bits),
        sfm=replace(config.sfm, threads=means.searches if means.searches < usual.searches else config.sfm.threads),
    )
    words = []
    if means.moments != usual.moments:
        words.append("Adam's moments are held in bfloat16")
    if means.keeping != usual.keeping:
        words.append("photographs in 8 bits" + (" and on disk" if means.keeping == "disk" else ""))
    if means.searches < usual.searches:
        words.append(f"cameras are found with {means.searches} of {usual.searches} threads")
    if means.shown < usual.shown:
        words.append(f"the report shows {means.shown} photographs")
    if not words:
        return changed, ()
    expected = peak_mib(demand, means)
    return changed, (f"To stay below {config.memory}, {', '.join(words)}: about {expected:,.0f} MiB at the most.",)


def _refusal(
    scene: Scene, config: ReconstructConfig, demand: Demand, stored: tuple[int, int], limit: int
) -> BadInputError:
    means = smallest(means_of(config))
    stages = peak_bytes(demand, means)
    least = max(stages.values())
    remedies = []
    count = rounded_down(largest_that_fits(lambda n: replace(demand, gaussians=n), demand.gaussians, means, limit))
    if count >= 1000:
        remedies.append(f"--max-gaussians {count}")

    def with_side(long_side: int) -> Demand:
        return replace(demand, fitted_px=_pixels(stored, max(long_side, 16)))

    longest = max(stored)
    side = rounded_down(largest_that_fits(with_side, min(config.long_side or longest, longest), means, limit))
    if side >= 100:
        remedies.append(f"--long-side {side}")
    if demand.searched_px and stages["cameras"] > limit:

        def with_search(size: int) -> Demand:
            return replace(demand, searched_px=_pixels(stored, max(size, 16)))

        size = rounded_down(largest_that_fits(with_search, config.sfm.max_image_size_px, means, limit))
        if size >= 400:
            remedies.append(f"--sfm.max-image-size-px {size}")
    enough = f"--memory {-(-least // 10**8) / 10:.1f}GB"
    instead = " or ".join([*remedies, enough]) if remedies else f"{enough}, or reduce the photographs first"
    return BadInputError(
        f"{scene.source} needs about {least / 2**20:,.0f} MiB at the least, with photographs in 8 bits on disk and one "
        f"thread for the cameras; --memory {config.memory} allows {limit / 2**20:,.0f} MiB. What would fit: {instead}."
    )


def _pixels(stored: tuple[int, int], long_side: int | None) -> int:
    return math.prod(reduced_size(stored, long_side))
