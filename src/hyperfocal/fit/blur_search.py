"""How photographs are blurred, found by trying: gradients lead neither past the focus nor away from standing still."""

import math
from collections.abc import Callable, Iterable
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from ..gaussians import Gaussians
from ..render import render
from ..rendering import RenderOptions
from ..scene import Photograph
from .capture import CaptureParameters, Units
from .config import CaptureConfig
from .pyramid import PhotographStore

_LONG_SIDE = 240  # pixels of the photographs to try on, or a little more
_FOCI = 9
_DIRECTIONS = 8
_SHARES = (0.5, 1.0, 2.0, 4.0)  # of the first amount of blur, tried in turns
_ENDS = (0.02, 0.98)  # of a photograph's pixels by depth, between which, and a little beyond, its focus is looked for
_BEYOND = 0.1

Loss = Callable[[Photograph, dict[str, Tensor]], float]
"""Of a photograph, with these fields of `CaptureParameters`."""


@torch.no_grad()
def with_lens(
    values: CaptureParameters,
    photographs: PhotographStore,
    gaussians: Gaussians,
    config: CaptureConfig,
    units: Units,
    loss: Loss,
    threads: int,
) -> CaptureParameters:
    """Return the parameters with an aperture for all, and with the focus of each that explains it best.

    Args:
        values: Of all photographs.
        photographs: To explain.
        gaussians: What is known of the scene, without blur as far as that is known.
        config: The first circle.
        units: Of the scene.
        loss: What is compared.
        threads: Of the renderer.
    """
    usual = config.circle_px / (units.focal_px * units.inverse_range)
    least = torch.full((len(photographs), len(_SHARES)), math.inf)
    foci = torch.zeros_like(least)
    for i in range(len(photographs)):
        photograph = _small(photographs, i)
        depth_z = render(gaussians, photograph.camera, options=RenderOptions(threads=threads)).depth_median
        known = 1 / depth_z[depth_z > 0]
        low, high = torch.quantile(known, known.new_tensor(_ENDS)).tolist() if len(known) else (1 / units.distance,) * 2
        low, high = low - _BEYOND * (high - low), high + _BEYOND * (high - low)
        for j, share in enumerate(_SHARES):
            for focus in torch.linspace(max(low, 0.1 / units.distance), high, _FOCI):
                row = _row(values, i) | {
                    "aperture": torch.tensor([math.log(share * usual)]),
                    "focus": focus.unsqueeze(0),
                }
                found = loss(photograph, row)
                if found < least[i, j]:
                    least[i, j], foci[i, j] = found, focus
    chosen = int(least.sum(0).argmin())
    aperture = torch.full_like(values.aperture, math.log(_SHARES[chosen] * usual))
    return replace(values, aperture=aperture, focus=foci[:, chosen : chosen + 1].contiguous())


@torch.no_grad()
def with_motion(
    values: CaptureParameters, photographs: PhotographStore, config: CaptureConfig, units: Units, loss: Loss
) -> CaptureParameters:
    """Return the parameters with the turn of the camera that explains each photograph best, of some.

    Streaks in all directions are tried; forwards and backwards look alike.
    """
    motion = values.motion.clone()
    for i in range(len(photographs)):
        photograph = _small(photographs, i)
        tried = list(_turns(config.streak_px / units.focal_px))
        motion[i] = min(tried, key=lambda turn: loss(photograph, _row(values, i) | {"motion": turn}))
    return replace(values, motion=motion)


def _turns(usual: float) -> Iterable[Float[Tensor, "6"]]:
    """Yield twists that draw a picture's middle out into streaks, given the usual angle of one."""
    for share in _SHARES:
        for direction in range(_DIRECTIONS):
            angle = math.pi * direction / _DIRECTIONS
            across, down = share * usual * math.cos(angle), share * usual * math.sin(angle)
            yield torch.tensor([-down, across, 0.0, 0.0, 0.0, 0.0])


def _small(photographs: PhotographStore, i: int) -> Photograph:
    camera = photographs.cameras[i]
    return photographs.photograph(i, max(1, max(camera.width, camera.height) // _LONG_SIDE))


def _row(values: CaptureParameters, photograph: int) -> dict[str, Tensor]:
    """Return what is known of the blur of a photograph."""
    fields = values.tensors()
    return {name: fields[name][photograph] for name in ("aperture", "focus")}
