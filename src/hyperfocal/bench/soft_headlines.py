"""The figures of the bench `soft` that its bars are about, from those of its cells."""

import math
import statistics
from collections.abc import Callable

from .soft_captures import OWN, Setting, setting_of

BLUR_FIGURES = ("focus_error", "focus_error_median", "aperture_error", "streak_error", "streak_error_median")
"""Of the row that fits what blurred the photographs; without a prefix where only one kind of capture has them."""


def headlines(rows: dict[str, float]) -> dict[str, float]:
    """Return means over the still lifes, each itself a mean over the seeds; what was not measured is left out.

    Beside each: `_worst` and `_spread`, the standard deviation, over several still lifes; and `_noise`, the standard
    deviation of the seeds, of a gain that of both of its rows together. Aperture errors are without their sign.

    Names begin with what is not usual: `full_` (size), `half_` and `double_` (blur), `sfm_` (cameras), and blur figures
    of captures with defocus and motion with `both_`. Decisions are counted: `auto_right` of `auto_captures`.
    """
    groups: dict[str, list[Setting]] = {}
    for name in dict.fromkeys(key.split(".")[0] for key in rows):
        setting = setting_of(name)
        groups.setdefault(_prefix(setting), []).append(setting)
    found: dict[str, float] = {}
    for prefix, settings in groups.items():
        for kind, own in OWN.items():
            those = [setting for setting in settings if setting.kind == kind]
            for row, what in ((own, "gain"), (f"{own}_linear", "linear_gain"), ("deblurred", "control_gain")):
                gains = [_difference(rows, s.name, row, s.name, "base") for s in those]
                found |= _summary(f"{prefix}{kind}_{what}_db", gains, worst=min)
            gaps = [_difference(rows, s.sharp.name, "base", s.name, own) for s in those]
            found |= _summary(f"{prefix}{kind}_below_sharp_db", gaps, worst=max)
            for figure in BLUR_FIGURES:
                errors = [_value(rows, f"{s.name}.{own}.{figure}") for s in those]
                errors = [error and (abs(error[0]), error[1]) for error in errors]
                found |= _summary(f"{prefix}{'both_' * (kind == 'both')}{figure}", errors, worst=max)
            covers = [_value(rows, f"{s.name}.{own}.two_sigma_cover") for s in those]
            found |= _summary(f"{prefix}{'both_' * (kind == 'both')}two_sigma_cover", covers, worst=min)
        sharp = [setting.name for setting in settings if setting.kind == "sharp"]
        losses = [_difference(rows, name, "base", name, "lens") for name in sharp]
        found |= _summary(f"{prefix}sharp_loss_db", losses, worst=max)
        decisions = [rows[key] for s in settings if (key := f"{s.name}.auto.right") in rows]
        if decisions:
            found |= {f"{prefix}auto_right": sum(decisions), f"{prefix}auto_captures": float(len(decisions))}
    return found


def _prefix(setting: Setting) -> str:
    words = {setting.amount: setting.amount != "normal", "full": setting.full, "sfm": setting.sfm}
    return "".join(f"{word}_" for word, unusual in words.items() if unusual)


def _value(rows: dict[str, float], key: str) -> tuple[float, float | None] | None:
    """Return a figure and the noise of its seeds."""
    return (rows[key], rows.get(f"{key}.noise")) if key in rows else None


def _difference(
    rows: dict[str, float], scene: str, row: str, other_scene: str, other_row: str
) -> tuple[float, float | None] | None:
    """Return the PSNR of one row less that of another, and the noise of both together."""
    a, b = _value(rows, f"{scene}.{row}.psnr_db"), _value(rows, f"{other_scene}.{other_row}.psnr_db")
    if a is None or b is None:
        return None
    noise = None if a[1] is None or b[1] is None else math.hypot(a[1], b[1])
    return a[0] - b[0], noise


def _summary(
    name: str, measured: list[tuple[float, float | None] | None], *, worst: Callable[[list[float]], float]
) -> dict[str, float]:
    """Return the mean of what was measured, and what belongs beside it."""
    values = [entry[0] for entry in measured if entry is not None]
    noises = [entry[1] for entry in measured if entry is not None and entry[1] is not None]
    if not values:
        return {}
    found = {name: statistics.fmean(values)}
    if len(values) > 1:
        found |= {f"{name}_spread": statistics.stdev(values), f"{name}_worst": worst(values)}
    return found | ({f"{name}_noise": statistics.fmean(noises)} if noises else {})
