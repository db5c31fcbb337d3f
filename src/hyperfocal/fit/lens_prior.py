"""What EXIF says about lenses, as a prior of the apertures and the focus distances that are fitted."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ..exif_lens import believable
from ..scene import Exif
from .capture import CaptureParameters, Units

_APERTURE_SIGMA = 0.1  # of its logarithm: f-numbers are named in thirds of a stop, which is 12 % of the diameter
_FOCUS_SIGMA = 0.25  # of 1 / distance, as a share of it or of the scene's range, whichever is more: a motor's steps


@dataclass(frozen=True)
class LensPrior:
    """What EXIF says, a number for each photograph; not a number where it says nothing."""

    apertures: Float[Tensor, " v"]
    """Logarithm of the diameter in metres."""
    foci: Float[Tensor, " v"]
    """1 / focus distance in 1 / metres."""


def lens_prior(exifs: Sequence[Exif]) -> LensPrior:
    """Return what EXIF says about the lens of each photograph, as far as it can be believed."""
    apertures, foci = [], []
    for exif in map(believable, exifs):
        focal_mm, f_number = exif.focal_length_mm, exif.f_number
        apertures.append(math.nan if focal_mm is None or f_number is None else math.log(1e-3 * focal_mm / f_number))
        foci.append(math.nan if exif.focus_distance_m is None else 1 / exif.focus_distance_m)
    return LensPrior(torch.tensor(apertures), torch.tensor(foci))


def first_apertures(prior: LensPrior, usual: float, units: Units) -> Float[Tensor, " v"]:
    """Return the aperture, in scene units, around which to look for that of each photograph.

    Args:
        prior: Counts where the size of the scene is known.
        usual: Elsewhere.
        units: Of the scene.
    """
    if units.metres is None:
        return torch.full_like(prior.apertures, usual)
    return torch.where(prior.apertures.isfinite(), prior.apertures.exp() / units.metres, usual)


def cost(
    prior: LensPrior, photograph: int, row: dict[str, Tensor], values: CaptureParameters, units: Units
) -> Float[Tensor, ""]:
    """Return log(1 + deviation^2), summed over what EXIF says of a photograph, in standard deviations.

    The logarithm (of a Cauchy distribution) lets go of EXIF that is wrong. Where the size of the scene is not known, it
    is taken to be the one with which apertures agree in the mean: then EXIF tells the ratio of apertures to each other
    and to focus distances.

    Args:
        prior: Of all photographs.
        photograph: Its number.
        row: Its aperture and focus, by field.
        values: Of all photographs.
        units: Of the scene.
    """
    total = row["aperture"].new_zeros(())
    known = prior.apertures.isfinite()
    if units.metres is not None:
        log_metres = math.log(units.metres)
    elif bool(known.any()):
        log_metres = float((prior.apertures - values.aperture[:, 0])[known].mean())
    else:
        return total
    aperture, focus, metres = prior.apertures[photograph], prior.foci[photograph], math.exp(log_metres)
    if bool(aperture.isfinite()):
        total = total + torch.log1p(((row["aperture"][0] + log_metres - aperture) / _APERTURE_SIGMA).square())
    if bool(focus.isfinite()):
        sigma = _FOCUS_SIGMA * max(float(focus), units.inverse_range / metres)
        total = total + torch.log1p(((row["focus"][0] / metres - focus) / sigma).square())
    return total
