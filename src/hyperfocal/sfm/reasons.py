"""Why no cameras could be found, as far as it can be measured, and what helps."""

import numpy as np

from .attempt import FEWEST, Attempt
from .blur import blur_of
from .parallax import Parallax, measure_parallax

# Photographs that can be placed are at 0.26 to 0.49 by this measure (fountain, fox, buddha); a circle of confusion of 8
# pixels of 800 brings one of the fountain to 0.62.
_BLURRED = 0.6
_MOST_MEASURED = 12
_FEW_FEATURES = 100
_FLAT = 0.9
_NEARLY_ALL = 0.8  # of the pairs
_NO_DEPTH = 0.98  # of the matches of a pair; 0.77 at the fountain, whose wall is nearly flat
_FEW_MATCHES = 30

STILL = (
    "they differ by a zoom of a few percent at most, so the camera did not move: they are a focal stack, or were taken "
    "from a tripod. Cameras (and depth by parallax) need photographs from different places; step sideways between them."
)


def without_parallax(attempt: Attempt) -> str | None:
    """Return the reason if the camera stayed in one place, which no further try can mend.

    Structure from motion may place such photographs all the same, anywhere and with hardly a point.
    """
    parallax = measure_parallax(attempt.features, attempt.pairs)
    if parallax is None or parallax.pairs < FEWEST:
        return None
    if parallax.still >= _NEARLY_ALL:
        return f"In {parallax.still:.0%} of {parallax.pairs} pairs {STILL}"
    if parallax.turned >= _NEARLY_ALL and parallax.explained > _NO_DEPTH:
        return _turned(parallax)
    return None


def _turned(parallax: Parallax) -> str:
    return (
        f"The camera turned on the spot: in {parallax.turned:.0%} of {parallax.pairs} pairs the matches fit a pure "
        f"rotation (a median of {parallax.explained:.0%} of them), which shows no depth. Walk sideways, or around the "
        "subject, instead of turning."
    )


def reason(attempt: Attempt) -> str:
    """Return why an attempt failed, most certain reason first, with the remedy."""
    parallax = measure_parallax(attempt.features, attempt.pairs)
    counts = np.array([len(one.keypoints) for one in attempt.features])
    blur = _blur(attempt)
    if blur > _BLURRED:
        return (
            f"The photographs are blurred (median {blur:.2f} from 0, sharp, to 1; above {_BLURRED} "
            "little can be matched). Take them with a shorter exposure, more light and the focus on the "
            "subject; of a video, move slower."
        )
    if np.median(counts) < _FEW_FEATURES:
        return (
            f"The photographs show too little detail (median {int(np.median(counts))} features; hundreds are needed): "
            "they are dark, or of bare surfaces. Take in something with texture, or lay newspapers around the subject."
        )
    if parallax is not None and parallax.turned > 0.5:
        return _turned(parallax)
    if parallax is not None and parallax.explained > _FLAT:
        return (
            f"The photographs show no depth: a median {parallax.explained:.0%} of the matches of a pair fit one plane. "
            "Take in something that stands before or behind it, and move sideways by a fifth of the distance."
        )
    return _too_few_matches(attempt, parallax)


def _too_few_matches(attempt: Attempt, parallax: Parallax | None) -> str:
    """Return the reason where there is parallax, or nothing to tell by."""
    best = attempt.matches.max(axis=1)
    if parallax is None or np.median(best) < _FEW_MATCHES:
        return (
            "The photographs hardly overlap: the best partner of a photograph shares a median of "
            f"{int(np.median(best))} "
            f"matches with it ({_FEW_MATCHES} are needed). They show different places, or were taken too far apart: "
            "neighbouring photographs should share two thirds of what they show."
        )
    return (
        f"The photographs match (a median of {int(np.median(best))} with the best partner) and show depth, but "
        "no two or "
        "three of them agree on one rigid scene: something large moves, or they were cropped or stabilised one by one. "
        "Use the originals, mask what moves, or take photographs in between."
    )


def _blur(attempt: Attempt) -> float:
    """Return the median blur of some photographs, evenly chosen."""
    chosen = np.linspace(0, len(attempt.views) - 1, min(_MOST_MEASURED, len(attempt.views))).round().astype(int)
    return float(np.median([blur_of(attempt.views[i]) for i in sorted(set(chosen.tolist()))]))
