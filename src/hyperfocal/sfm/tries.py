"""What to try when few photographs can be placed, in the order of what it costs."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from .config import SfmConfig

# About two minutes of matching on two cores: all pairs of 78 photographs.
_MOST_PAIRS = 3000
# Photographs that match some placed one are worth another try if more than one in ten is still missing; photographs
# of another place are not.
_GOOD = 0.9
_GOOD_OF_ALL = 0.5
# Of well-matched pairs that a model does not explain: up to 12 % where cameras were right (fox, all pairs, of which
# some match by accident), 28 % where a third of them was displaced.
TORN = 0.2


@dataclass(frozen=True)
class Try:
    """One way to find the cameras."""

    name: str
    """For people, as in "Trying again with ...". """
    config: SfmConfig
    learned: bool = False
    """With the learned matcher in place of SIFT."""
    mends: bool = False
    """Only for a model that does not hold together."""


def tries(config: SfmConfig, photographs: int, *, sift: bool, learned: bool) -> tuple[Try, ...]:
    """Return the ways to try, the configured one first; each keeps what the one before it changed.

    Args:
        config: What was asked for; without `retry` it is the only way.
        photographs: How many there are.
        sift: The first tries are with SIFT, whose number of features can be changed.
        learned: Another matcher is at hand for the end.
    """
    found = [Try("the settings given", config)]
    if not config.retry:
        return tuple(found)
    found.append(Try("another beginning", replace(config, seed=config.seed + 1), mends=True))
    # Fewer pairs leave out those that look alike by accident or from far aside.
    if sift and photographs > 2 * config.sequential_overlap and config.matching in ("auto", "exhaustive"):
        found.append(Try("neighbours and similar photographs", replace(config, matching="revisiting"), mends=True))
    all_pairs = photographs * (photographs - 1) // 2
    compares_all = config.matching == "exhaustive" or (config.matching == "auto" and photographs <= 60)
    if not compares_all and all_pairs <= _MOST_PAIRS:
        found.append(Try("all pairs", config := replace(config, matching="exhaustive")))
    if config.thresholds != "relaxed":
        found.append(Try("relaxed thresholds", config := replace(config, thresholds="relaxed")))
    if sift:
        features = config.max_features or (8192 if photographs <= 30 else 4096)
        more = replace(config, max_features=2 * features, max_image_size_px=round(1.5 * config.max_image_size_px))
        found.append(Try("more features at higher resolution", more))
    if learned:
        found.append(Try("learned features", config, learned=True))
    return tuple(found)


def is_good(placed: set[int], matches: np.ndarray, torn: float = 0.0) -> bool:
    """Return whether trying on would be a waste.

    Args:
        placed: Positions of the photographs that have a pose.
        matches: [n, n] verified matches between every two.
        torn: Share of the well-matched pairs that the cameras do not explain.
    """
    if torn > TORN or len(placed) < 3 or len(placed) < _GOOD_OF_ALL * len(matches):
        return False
    _, component = connected_components(csr_matrix(matches > 0), directed=False)
    homes = {int(component[i]) for i in placed}
    reachable = sum(int(home) in homes for home in component)
    return len(placed) >= _GOOD * reachable
