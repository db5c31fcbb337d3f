"""What was measured of a result, as plain values: scores of views, the course of the fit."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import fmean


@dataclass(frozen=True)
class ViewScore:
    """How close one render is to its photograph, both rounded to 8 bits, over the photograph's valid pixels."""

    name: str
    psnr_db: float
    """Peak signal-to-noise ratio; infinite for equal pictures."""
    ssim: float
    """Structural similarity, 1 for equal pictures."""
    flip: float
    """Mean FLIP error, 0 for equal pictures."""
    lpips: float | None = None
    """Learned perceptual error, 0 for equal pictures; None where it cannot be computed."""
    depth_abs_rel: float | None = None
    """Mean of |median depth - the photograph's depth map| / the latter, where both know it; None without a map."""
    depth_known: float | None = None
    """Share of the depth map's known pixels at which the Gaussians have a depth too."""
    as_taken_psnr_db: float | None = None
    """PSNR of a render that is as soft as the photograph: through its lens and its shutter; None where neither is known
    (or pictures are equal)."""


@dataclass(frozen=True)
class Table:
    """The scores of some views of a result."""

    views: tuple[ViewScore, ...]
    held_out: bool
    """True if the fit has not seen these photographs; on those that it has seen, scores flatter."""
    lpips_obstacle: str | None = None
    """Why there is no LPIPS."""

    @property
    def evaluated_on(self) -> str:
        """Which photographs the scores are about, for people."""
        return "held-out photographs" if self.held_out else "training photographs"

    def mean(self) -> ViewScore:
        """Return the mean of every score over the views."""
        return ViewScore(
            name="mean",
            psnr_db=fmean(view.psnr_db for view in self.views),
            ssim=fmean(view.ssim for view in self.views),
            flip=fmean(view.flip for view in self.views),
            lpips=_mean_of_known([view.lpips for view in self.views]),
            depth_abs_rel=_mean_of_known([view.depth_abs_rel for view in self.views]),
            depth_known=_mean_of_known([view.depth_known for view in self.views]),
            as_taken_psnr_db=_mean_of_known([view.as_taken_psnr_db for view in self.views]),
        )

    def columns(self) -> dict[str, Callable[[ViewScore], str]]:
        """Return the headings of the scores that any view has, each with how a view's is written."""
        shown = {
            "PSNR dB": ("psnr_db", 2),
            "As taken dB": ("as_taken_psnr_db", 2),
            "SSIM": ("ssim", 4),
            "FLIP": ("flip", 4),
            "LPIPS": ("lpips", 4),
            "Depth AbsRel": ("depth_abs_rel", 4),
            "Depth known": ("depth_known", 3),
        }
        return {
            heading: partial(_written, name=name, decimals=decimals)
            for heading, (name, decimals) in shown.items()
            if any(getattr(view, name) is not None for view in self.views)
        }


def _written(score: ViewScore, name: str, decimals: int) -> str:
    value = getattr(score, name)
    return "" if value is None else f"{value:.{decimals}f}"


def _mean_of_known(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


@dataclass(frozen=True)
class CurvePoint:
    """The fit at one step."""

    step: int
    loss: float
    """Mean of the steps since the previous point."""
    gaussians: int


def plain_from_score(score: ViewScore) -> dict[str, str | float | None]:
    """Return a score for JSON, which has no infinity: None stands for equal pictures."""
    return {**vars(score), "psnr_db": score.psnr_db if math.isfinite(score.psnr_db) else None}


def score_from_plain(plain: dict[str, str | float | None]) -> ViewScore:
    """Return the score that `plain_from_score` made `plain` of."""
    psnr_db = plain["psnr_db"]
    return ViewScore(**{**plain, "psnr_db": math.inf if psnr_db is None else psnr_db})  # pyright: ignore[reportArgumentType]
