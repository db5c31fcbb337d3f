"""The lens of a film: how focus and aperture go from keyframe to keyframe."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from scipy.interpolate import PchipInterpolator

from .lens import ThinLens
from .paths import CameraPath


def lens_along(path: CameraPath, count: int) -> ThinLens | None:
    """Return the lenses of the `count` cameras of `paths.sample`; None unless a keyframe tells focus and one aperture.

    The logarithms of both pass through the keyframes that tell them and do not overshoot in between (Fritsch and
    Carlson 1980); before the first that tells and after the last they stay.
    """
    start, last = path.keyframes[0].time_s, path.keyframes[-1].time_s
    at = start + path.seconds * np.arange(count) / count if path.closed else np.linspace(start, last, count)
    focus = _along(path, [keyframe.focus_distance for keyframe in path.keyframes], at)
    aperture = _along(path, [keyframe.aperture_diameter for keyframe in path.keyframes], at)
    if focus is None or aperture is None:
        return None
    return ThinLens(torch.from_numpy(aperture).float(), torch.from_numpy(focus).float())


def _along(path: CameraPath, told: Sequence[float | None], at: Float[np.ndarray, "t"]) -> Float[np.ndarray, "t"] | None:
    """Return a positive quantity at some times; None if no keyframe tells it."""
    knots = [(k.time_s, np.log(value)) for k, value in zip(path.keyframes, told, strict=True) if value is not None]
    if not knots:
        return None
    if path.closed:
        knots = [(time + turn * path.seconds, value) for turn in (-1, 0, 1) for time, value in knots]
    times, values = np.array(knots).T
    if len(times) == 1:
        return np.full(len(at), np.exp(values[0]))
    return np.exp(PchipInterpolator(times, values)(at.clip(times[0], times[-1])))
