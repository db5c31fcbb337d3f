"""How photographs are blurred, found by trying: gradients lead neither past the focus nor away from standing still."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..gaussians import Gaussians
from ..progress import Progress, silent
from ..render import render
from ..scene import Photograph
from .capture import CaptureParameters, Units
from .config import CaptureConfig
from .pyramid import PhotographStore

LONG_SIDE = 240  # pixels of the photographs to try on, or a little more
FOCI = 9  # even over what a photograph sees
_DIRECTIONS = 8
_SHARES = (0.5, 1.0, 2.0, 4.0)  # of the first amount of blur, tried in turns
_ENDS = (0.02, 0.98)  # of a photograph's pixels by depth, between which, and a little beyond, its focus is looked for
BEYOND = 0.1
_NEARER = (0.5, 1.0, 2.0, 4.0)  # than all that is seen, by this part of its range of 1 / z: of photographs out of focus
_FARTHER = (0.5, 0.1)  # than all that is seen: of its least 1 / z

# For each photograph.
LENSES_TRIED = (FOCI + len(_NEARER) + len(_FARTHER)) * len(_SHARES)
MOTIONS_TRIED = _DIRECTIONS * len(_SHARES)

Loss: TypeAlias = Callable[[Photograph, dict[str, Tensor]], float]
"""Of a photograph, with these fields of `CaptureParameters`."""


@dataclass(frozen=True)
class Search:
    """What blur is looked for in."""

    photographs: PhotographStore
    """To explain."""
    gaussians: Gaussians
    """What is known of the scene."""
    config: CaptureConfig
    """What is wanted: with auto, what is worth it."""
    units: Units
    """Of the scene."""
    groups: Int[Tensor, " v"]
    """Of photographs that share an aperture."""
    apertures: Float[Tensor, " v"]
    """Around which to look for that of each photograph; the same in a group."""
    loss: Loss
    """What is compared."""
    progress: Progress = silent
    """Told of every photograph."""


@torch.no_grad()
def found(values: CaptureParameters, search: Search) -> CaptureParameters:
    """Return the parameters with the lens and the motion that are wanted, on trial with auto.

    Args:
        values: Of all photographs, without blur.
        search: Where and how to look.
    """
    finders = {"lens": (search.config.lens, _with_lens), "motion": (search.config.motion, _with_motion)}
    wanted = {name: find for name, (mode, find) in finders.items() if mode != "off"}
    while wanted:
        # The better explanation first, and the other only for what is left: a streak looks a little like a circle.
        tried = {name: find(values, search) for name, find in wanted.items()}
        best = min(tried, key=lambda name: _total(tried[name], search)) if len(tried) > 1 else next(iter(tried))
        values = tried[best]
        del wanted[best]
    return values


@torch.no_grad()
def checked(values: CaptureParameters, search: Search) -> tuple[CaptureParameters, dict[str, float]]:
    """Return the parameters without what auto does not find worth it; by how much each kind of blur lowers the loss.

    By now gradients have refined what `found` guessed, and the Gaussians are sharper for it: taking away blur that is
    there costs many times what finding it gained, and blur that is not there has vanished.

    Args:
        values: Of all photographs, with blur.
        search: Where and how to look.
    """
    config = search.config
    modes = {"lens": config.lens, "motion": config.motion}
    if modes["motion"] != "off":
        values = _with_motion(values, search)
    gains: dict[str, float] = {}
    left = {name for name, mode in modes.items() if mode != "off"}
    while left:
        loss = _total(values, search)
        gained = {name: 1 - loss / max(_total(_without(values, name), search), 1e-12) for name in left}
        least = min(gained, key=gained.__getitem__)
        gains[least] = gained[least]
        left.remove(least)
        if modes[least] == "auto" and gains[least] < config.worth:
            values = _without(values, least)
    return values, gains


def _without(values: CaptureParameters, name: str) -> CaptureParameters:
    """Return the parameters without one kind of blur."""
    if name == "motion":
        return replace(values, motion=torch.zeros_like(values.motion))
    return replace(values, aperture=torch.zeros_like(values.aperture), focus=torch.zeros_like(values.focus))


def _total(values: CaptureParameters, search: Search) -> float:
    return sum(search.loss(photograph, row) for photograph, row in _all(values, search.photographs))


def _with_lens(values: CaptureParameters, search: Search) -> CaptureParameters:
    """Return the parameters with an aperture for each group, and with the focus of each photograph."""
    groups, units = search.groups, search.units
    least = torch.full((len(search.photographs), len(_SHARES)), math.inf)
    foci = torch.zeros_like(least)
    for i, (photograph, row) in enumerate(_all(values, search.photographs)):
        for focus in _foci(search.gaussians, photograph, units):
            for j, share in enumerate(_SHARES):
                aperture = (share * search.apertures[i]).log().unsqueeze(0)
                found = search.loss(photograph, row | {"aperture": aperture, "focus": focus.unsqueeze(0)})
                if found < least[i, j]:
                    least[i, j], foci[i, j] = found, focus
        search.progress("looking for the lens", i + 1, len(search.photographs))
    # By the product of losses: one photograph that nothing explains well does not decide for all.
    chosen = torch.stack([least[groups == group].clamp_min(1e-9).log().sum(0).argmin() for group in groups])
    apertures = (search.apertures * torch.tensor(_SHARES)[chosen]).log()
    return replace(values, aperture=apertures.unsqueeze(1), focus=foci.gather(1, chosen.unsqueeze(1)))


def _foci(gaussians: Gaussians, photograph: Photograph, units: Units) -> Float[Tensor, " f"]:
    """Return values of 1 / z to try as the focus of a photograph: even over what it sees, and some beyond."""
    seen = seen_inverse_depths(render(gaussians, photograph.camera).depth_median)
    if seen is None:
        return torch.tensor([1 / units.distance])
    low, high = seen
    extent = max(high - low, units.inverse_range)
    within = torch.linspace(max(low - BEYOND * extent, _FARTHER[0] * low), high + BEYOND * extent, FOCI)
    return torch.cat((within, high + extent * torch.tensor(_NEARER), low * torch.tensor(_FARTHER)))


def seen_inverse_depths(depth_z: Float[Tensor, "h w"]) -> tuple[float, float] | None:
    """Return the least and the largest 1 / z of a picture, but for a few pixels; None where no depth is known."""
    known = 1 / depth_z[depth_z > 0]
    if len(known) == 0:
        return None
    low, high = torch.quantile(known, known.new_tensor(_ENDS)).tolist()
    return low, high


def _with_motion(values: CaptureParameters, search: Search) -> CaptureParameters:
    """Return the parameters with the motion that explains each photograph best: of some turns, and its own if any."""
    motion = values.motion.clone()
    for i, (photograph, row) in enumerate(_all(values, search.photographs)):
        tried = list(_turns(search.config.streak_px / search.units.focal_px))
        tried += [values.motion[i]] if values.has_motion else []
        motion[i] = min(tried, key=lambda turn: search.loss(photograph, row | {"motion": turn}))
        search.progress("looking for motion", i + 1, len(search.photographs))
    return replace(values, motion=motion)


def _turns(usual: float) -> Iterable[Float[Tensor, "6"]]:
    """Yield twists that draw the middle of a picture out into streaks. Forwards and backwards look alike."""
    for share in _SHARES:
        for direction in range(_DIRECTIONS):
            angle = math.pi * direction / _DIRECTIONS
            across, down = share * usual * math.cos(angle), share * usual * math.sin(angle)
            yield torch.tensor([-down, across, 0.0, 0.0, 0.0, 0.0])


def _all(values: CaptureParameters, photographs: PhotographStore) -> Iterable[tuple[Photograph, dict[str, Tensor]]]:
    """Yield each photograph, small, with what is known of its blur."""
    names = values.blur_names
    for i, camera in enumerate(photographs.cameras):
        small = photographs.photograph(i, max(1, max(camera.width, camera.height) // LONG_SIDE))
        yield small, values.row(i, names)
