"""Renders that are as soft as the photographs that they are compared with.

A photograph that was fitted has a lens and a motion of its own. One that was held out has neither: its focus, one
number, is looked for on it, with each aperture of the others. Its motion, six numbers, is not.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch

from ..fit.blur_search import BEYOND, FOCI, seen_inverse_depths
from ..fit.config import FitConfig
from ..gaussians import Gaussians
from ..losses.photometric import l1_ssim_loss
from ..scene import Photograph
from ..shapes import Image
from .looks import rendering_of
from .photographed import PhotographedLens, as_taken

_HALVINGS = 3  # of the step from one focus to the next, around the best


@dataclass(frozen=True)
class Softly:
    """How photographs of one scene were taken, as far as it is known."""

    lenses: Mapping[str, PhotographedLens]
    """By the photographs' names."""
    apertures: tuple[PhotographedLens, ...]
    """One photograph for each aperture that was found; none where no lens was."""
    fit: FitConfig
    """Of the loss by which a focus is chosen, and of sub-frames."""

    @classmethod
    def of(cls, lenses: tuple[PhotographedLens, ...] | None, fit: FitConfig) -> "Softly | None":
        """Return how photographs were taken; None if nothing is known."""
        if not lenses:
            return None
        by_aperture = {lens.aperture_diameter: lens for lens in lenses if lens.focus_distance is not None}
        return cls({lens.name: lens for lens in lenses}, tuple(by_aperture.values()), fit)

    def picture(self, gaussians: Gaussians, photograph: Photograph) -> Image | None:
        """Return the sRGB picture that the camera of a photograph takes; None where nothing is known of its blur."""
        sub_frames = self.fit.capture.sub_frames
        if own := self.lenses.get(photograph.name):
            return as_taken(gaussians, photograph.camera, own, sub_frames=sub_frames)
        if not self.apertures:
            return None
        found = focused(gaussians, photograph, self.apertures, ssim_weight=self.fit.ssim_weight)
        return as_taken(gaussians, photograph.camera, found, sub_frames=sub_frames)


def focused(
    gaussians: Gaussians, photograph: Photograph, apertures: tuple[PhotographedLens, ...], *, ssim_weight: float
) -> PhotographedLens:
    """Return the lens, with one of some apertures and a focus looked for in 1 / z, that explains a photograph best.

    Args:
        gaussians: What is seen.
        photograph: To explain.
        apertures: At least one lens, whose focus does not matter.
        ssim_weight: Of the loss, as in the fit.
    """
    found = [_focused(gaussians, photograph, usual, ssim_weight) for usual in apertures]
    return min(found, key=lambda one: one[0])[1]


def _focused(
    gaussians: Gaussians, photograph: Photograph, usual: PhotographedLens, ssim_weight: float
) -> tuple[float, PhotographedLens]:
    """Return (its loss, the lens) with this aperture."""
    threads = torch.get_num_threads()

    def at(inverse: float) -> PhotographedLens:
        return replace(usual, name=photograph.name, focus_distance=1 / inverse, twist=(0.0,) * 6)

    def loss_of(lens: PhotographedLens) -> float:
        picture = as_taken(gaussians, photograph.camera, lens, sub_frames=1)
        target = photograph.image
        return float(l1_ssim_loss(picture, target, ssim_weight=ssim_weight, valid=photograph.valid, threads=threads))

    def loss(inverse: float) -> float:
        return loss_of(at(inverse))

    seen = seen_inverse_depths(rendering_of(gaussians, photograph.camera).depth_median)
    if seen is None:
        nothing = replace(usual, name=photograph.name, twist=(0.0,) * 6)  # is seen, so nothing is out of focus
        return loss_of(nothing), nothing
    low, high = seen
    step = (1 + 2 * BEYOND) * (high - low) / (FOCI - 1)
    tried = [low - BEYOND * (high - low) + i * step for i in range(FOCI)]
    losses = {inverse: loss(inverse) for inverse in tried if inverse > 0}
    for _ in range(_HALVINGS):
        step /= 2
        best = min(losses, key=losses.__getitem__)
        losses |= {inverse: loss(inverse) for inverse in (best - step, best + step) if inverse > 0}
    best = min(losses, key=losses.__getitem__)
    return losses[best], at(best)
