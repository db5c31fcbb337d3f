"""What a fit decided about lens and motion, and why, in sentences for the user."""

from collections.abc import Mapping

from ..fit.config import CaptureConfig, FitConfig
from .photographed import PhotographedLens


def blur_notes(
    config: FitConfig, gains: Mapping[str, float], lenses: tuple[PhotographedLens, ...] | None, *, held_out: bool
) -> tuple[str, ...]:
    """Return what was asked for and decided, with the numbers; nothing where blur was not asked for.

    Args:
        config: What was asked for.
        gains: By how much a lens and motion lowered the loss when that was checked (`Checkpoint.blur_gains`).
        lenses: What was found.
        held_out: Whether scores are of photographs that were not fitted.
    """
    capture = config.capture
    found = {
        "lens": any(lens.focus_distance is not None for lens in lenses or ()),
        "motion": any(lens.moves for lens in lenses or ()),
    }
    notes = [_decision(name, capture, gains.get(name), found[name]) for name in ("lens", "motion")]
    told = tuple(note for note in notes if note)
    return (*told, _about_scores(found["lens"], held_out=held_out)) if lenses else told


def _decision(name: str, capture: CaptureConfig, gain: float | None, found: bool) -> str:
    asked = {"lens": capture.lens, "motion": capture.motion}[name]
    if asked == "off":
        return ""
    if gain is None:
        return (
            f"Whether a {_called(name)} is worth it was not checked: the fit was over before the step at which it "
            f"would have been ({capture.blur_check:.0%} of the run, fit.capture.blur_check)."
        )
    least, lowered = f"{100 * capture.worth:.2g} %", f"{100 * gain:.2g} %"
    if not found:
        how = f"lowered the loss by only {lowered}" if gain > 0 else "did not lower the loss"
        counts = "the photographs count as in focus everywhere" if name == "lens" else "the camera counts as still"
        wanted = f", and auto wants at least {least}" if asked == "auto" else ""
        return f"No {_called(name)} was fitted: on trial it {how}{wanted}, so {counts}."
    if asked == "auto":
        return (
            f"A {_called(name)} was fitted for each photograph: on trial it lowered the loss by {lowered}, and auto "
            f"wants at least {least}."
        )
    if gain >= capture.worth:
        return f"A {_called(name)} was fitted for each photograph, as asked: it lowered the loss by {lowered} early on."
    how = f"lowered the loss by only {lowered}" if gain > 0 else "did not lower the loss"
    sharp = "in focus everywhere" if name == "lens" else "free of motion blur"
    return (
        f"A {_called(name)} was fitted for each photograph, as asked, though it {how} early on: the "
        f"photographs may well be {sharp}, and auto, which wants {least}, would have fitted none."
    )


def _called(name: str) -> str:
    return "lens" if name == "lens" else "camera motion"


def _about_scores(has_lens: bool, *, held_out: bool) -> str:
    soft = (
        "Scores compare sharp renders with soft photographs, so they understate this scene. "
        '"As taken" compares renders that are as soft as each photograph: '
    )
    if not held_out:
        return soft + "through the lens and the motion that were fitted to it."
    if not has_lens:
        return (
            "Scores compare sharp renders with held-out photographs that are blurred by motion, which was not looked "
            "for in them, so they understate this scene."
        )
    return (
        soft + "of each held-out one the focus, one number, was looked for on the photograph itself, with the "
        "apertures of the others, as is customary for what differs from photograph to photograph. Its motion was not."
    )
