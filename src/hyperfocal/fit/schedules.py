"""What depends on the step, as pure functions of how far the run is (0 at its first step, 1 at its end)."""

import math

from .config import FitConfig, LearningRates

SPREAD_EVERY = 4  # steps; it is a render of its own, and the spread of depths changes slowly


def means_rate(rates: LearningRates, progress: float) -> float:
    """Return the learning rate of positions in units of the extent: exponential from `means` to `means_final`."""
    if rates.means == 0:
        return 0.0
    return math.exp((1 - progress) * math.log(rates.means) + progress * math.log(rates.means_final))


def sh_degree(config: FitConfig, progress: float) -> int:
    """Return the degree of spherical harmonics in use."""
    if config.sh_interval == 0:
        return config.sh_degree
    # A hair is added because 3 * (1 / 30) / (1 / 30) may come out below 3.
    return min(config.sh_degree, int(progress / config.sh_interval + 1e-9))


def shrink_factor(config: FitConfig, progress: float) -> int:
    """Return by how much the photographs are shrunk."""
    return next(factor for time, factor in reversed(config.resolution) if progress >= time)


def has_spread(config: FitConfig, index: int) -> bool:
    """Return whether the loss of a step has the spread of depths in it."""
    late = index >= config.spread_start * config.steps
    return config.spread_weight > 0 and late and index % SPREAD_EVERY == 0
