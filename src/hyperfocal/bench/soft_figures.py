"""How near the blur that a fit has found comes to the true one."""

import math
import statistics

import numpy as np
from jaxtyping import Float

from ..fit import CaptureConfig, Checkpoint
from ..fit.parameters import activate
from ..fit.pyramid import PhotographStore
from ..fit.uncertainty import focus_sigma
from ..scene import Photograph
from ..synthetic.softness import circles_px, streak_vectors_px
from .soft_captures import Shots, Truth

_ENDS = (0.05, 0.95)  # of the true 1 / z of all pixels, between which lies the scene's range


def blur_figures(
    checkpoint: Checkpoint, photographs: tuple[Photograph, ...], shots: Shots, config: CaptureConfig
) -> dict[str, float]:
    """Return the errors of focus, aperture and streaks, and the blur itself, found and true; only of what was fitted.

    Errors of focus are |1/z - 1/z_true| over the scene's range of 1 / z, of aperture A / A_true - 1, and of streaks the
    mean length of the difference to the true ones, over theirs; forwards or backwards, as streaks have no direction.
    `two_sigma_cover` is the share of the photographs whose true focus is within twice what `focus_sigma` says.

    Args:
        checkpoint: The end of a fit.
        photographs: That were fitted.
        shots: With the truth.
        config: Of the fit.
    """
    names = checkpoint.photographs
    truths, values = [shots.truth[name] for name in names], checkpoint.capture.values
    figures = {}
    if values.has_lens:
        aperture = math.exp(float(values.aperture[0])) * shots.metres_per_unit
        inverse_focus = (values.focus[:, 0].double() / shots.metres_per_unit).numpy()
        store = PhotographStore(photographs, bits="float32")
        gaussians = activate(checkpoint.gaussians.values, checkpoint.color_space)
        sigma = focus_sigma(gaussians, store, values, config, checkpoint.units)
        figures |= _lens_figures(aperture, inverse_focus, (sigma.double() / shots.metres_per_unit).numpy(), truths)
    if values.has_motion:
        twists = values.motion.double().numpy() * np.array([1.0] * 3 + [shots.metres_per_unit] * 3)
        figures |= _motion_figures(twists, truths)
    return figures


def _lens_figures(
    aperture: float, inverse_focus: Float[np.ndarray, "v"], sigma: Float[np.ndarray, "v"], truths: list[Truth]
) -> dict[str, float]:
    """Return the figures of a lens in metres."""
    figures = {
        "circle_px": _median_circle_px(truths, [(aperture, 1 / x) for x in inverse_focus]),
        "circle_true_px": _median_circle_px(truths, [(t.aperture, t.focus_distance) for t in truths]),
    }
    true_focus = np.array([math.nan if t.focus_distance is None else 1 / t.focus_distance for t in truths])
    if np.isfinite(true_focus).all():
        errors = np.abs(inverse_focus - true_focus) / inverse_range(truths)
        figures |= {
            "focus_error": float(errors.mean()),
            "focus_error_median": float(np.median(errors)),
            "focus_error_worst": float(errors.max()),
            "aperture_error": aperture / truths[0].aperture - 1,
            "two_sigma_cover": float((np.abs(inverse_focus - true_focus) <= 2 * sigma).mean()),
        }
    return figures


def _motion_figures(twists: Float[np.ndarray, "v 6"], truths: list[Truth]) -> dict[str, float]:
    """Return the figures of motions in metres."""
    found = [streak_vectors_px(t.depth_z, t.K, twist) for t, twist in zip(truths, twists, strict=True)]
    true = [streak_vectors_px(t.depth_z, t.K, t.twist) for t in truths]
    figures = {"streak_px": _median_length(found), "streak_true_px": _median_length(true)}
    if all(t.twist.any() for t in truths):
        errors = [streak_error(a, b) for a, b in zip(found, true, strict=True)]
        figures |= {
            "streak_error": statistics.fmean(errors),
            "streak_error_median": statistics.median(errors),
            "streak_error_worst": max(errors),
        }
    return figures


def inverse_range(truths: list[Truth]) -> float:
    """Return the range of 1 / z in the photographs, in 1 / metres."""
    known = np.concatenate([1 / t.depth_z[t.depth_z > 0].astype(float) for t in truths])
    low, high = np.quantile(known, _ENDS)
    return float(high - low)


def streak_error(found: Float[np.ndarray, "2 p"], true: Float[np.ndarray, "2 p"]) -> float:
    """Return the mean length of the difference over that of the true streaks, forwards or backwards."""
    least = min(float(np.linalg.norm(sign * found - true, axis=0).mean()) for sign in (1, -1))
    return least / float(np.linalg.norm(true, axis=0).mean())


def _median_circle_px(truths: list[Truth], lenses: list[tuple[float, float | None]]) -> float:
    """Return the median circle of all pixels at their true depth; None is no lens."""
    circles = [
        circles_px(t.depth_z, aperture, 1.0 if focus is None else focus, t.K[0, 0])
        for t, (aperture, focus) in zip(truths, lenses, strict=True)
    ]
    return float(np.median(np.concatenate(circles)))


def _median_length(streaks: list[Float[np.ndarray, "2 _"]]) -> float:
    return float(np.median(np.linalg.norm(np.concatenate(streaks, axis=1), axis=0)))
