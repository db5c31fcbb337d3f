"""Stereo by plane sweep in the native core: costs of planes, a smooth choice among them, and planes that fit better."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from .. import _core
from ..shapes import Map

MOST_SOURCES = 16  # of stereo.h
MOST_PLANES = 1024
MOST_RADIUS = 8
UNSEEN = 255
"""The cost of a window that no source sees; others are 0 to 254."""
MOST_SLANT_RADIUS = 4


@dataclass(frozen=True)
class StereoSource:
    """A picture beside the reference, and where the reference's pixels lie in it.

    A point at pixel (x, y) of the reference and inverse depth rho is seen at q_x / q_z, q_y / q_z of
    q = homography (x, y, 1) + rho * shift.
    """

    grey: Map
    """NaN where the picture counts for nothing."""
    homography: Float[Tensor, "3 3"]
    """Of points infinitely far away."""
    shift: Float[Tensor, "3"]


@dataclass(frozen=True)
class StereoView:
    """A reference picture with its sources, and how windows of them are compared.

    Raises:
        ValueError: sources or a window that the core does not serve.
    """

    grey: Map
    """Finite everywhere."""
    sources: tuple[StereoSource, ...]
    radius_px: int = 3
    """A window has 2 radius + 1 samples each way."""
    noise_power: float = 1e-5
    """Variance of grey that counts as no texture."""

    def __post_init__(self) -> None:
        if not 1 <= len(self.sources) <= MOST_SOURCES:
            raise ValueError(f"Stereo takes 1 to {MOST_SOURCES} sources, got {len(self.sources)}.")
        if not 1 <= self.radius_px <= MOST_RADIUS:
            raise ValueError(f"A window's radius must be 1 to {MOST_RADIUS} px, got {self.radius_px}.")
        if not self.noise_power > 0:
            raise ValueError(
                f"noise_power must be positive, or windows without texture divide by 0: {self.noise_power}."
            )

    def arrays(self) -> tuple[Tensor, Tensor, Tensor, Tensor, int, float]:
        """Return what describes the view to the core."""
        flat = torch.cat([source.grey.detach().float().flatten() for source in self.sources])
        sizes = torch.tensor([source.grey.shape for source in self.sources], dtype=torch.int32)
        maps = torch.stack([torch.cat((s.homography.flatten(), s.shift)) for s in self.sources]).float()
        return self.grey.float().contiguous(), flat, sizes, maps, self.radius_px, self.noise_power


def sweep_planes(
    view: StereoView, inverse_depth: Float[Tensor, " planes"], *, threads: int | None = None
) -> UInt8[Tensor, "h w planes"]:
    """Return the cost of every plane at every pixel: the mean over the better half of the sources that see the window.

    254 (1 - correlation), 254 where the correlation is negative, `UNSEEN` where no source sees the whole window. The
    same for any number of `threads` (torch's if None), as everything in this file.
    """
    if not 1 <= len(inverse_depth) <= MOST_PLANES:
        raise ValueError(f"Stereo takes 1 to {MOST_PLANES} planes, got {len(inverse_depth)}.")
    cost = torch.empty(*view.grey.shape, len(inverse_depth), dtype=torch.uint8)
    _core.sweep_planes(*view.arrays(), inverse_depth.float().contiguous(), threads or torch.get_num_threads(), cost)
    return cost


class Smoothed(NamedTuple):
    """The plane of each pixel, with a fraction, and how clearly it is the best."""

    place: Map
    margin: Map
    """How much dearer a path's best plane is that is no neighbour of it, as a share of the dearest cost."""


def semi_global(
    grey: Map, cost: UInt8[Tensor, "h w planes"], *, step: int, jump: int, edge: float, threads: int | None = None
) -> Smoothed:
    """Return the plane of the least sum of costs along eight straight paths (Hirschmueller 2008).

    Args:
        grey: The reference picture.
        cost: Of `sweep_planes`.
        step: What a pixel costs whose plane is one beside its neighbour's, of 254.
        jump: What one farther away costs where the picture has no edge; less at edges, never less than `step`.
        edge: The difference of grey that halves `jump`.
        threads: torch's if None.

    Raises:
        ValueError: penalties beyond what 16 bits hold for eight paths.
    """
    if not 0 <= step <= jump <= 1000:
        raise ValueError(f"Penalties must be 0 <= step <= jump <= 1000, got {step} and {jump}.")
    place, margin = torch.empty(grey.shape), torch.empty(grey.shape)
    threads = threads or torch.get_num_threads()
    _core.semi_global(grey.float().contiguous(), cost.contiguous(), step, jump, edge, threads, place, margin)
    return Smoothed(place, margin)


class Slants(NamedTuple):
    """A small plane in space for every pixel: its inverse depth is affine in the pixel."""

    inverse_depth: Map
    along_x: Map
    """Change of inverse depth per pixel to the right."""
    along_y: Map
    cost: Map
    """1 - correlation, plus what leaving the anchor costs; 2 where no source sees the window."""


@dataclass(frozen=True)
class SlantSearch:
    """How planes are searched that fit better."""

    spacing: float
    """Of the sweep's planes in inverse depth: the first change that is tried."""
    anchor_weight: float = 0.02
    """What it costs to leave the anchor by one spacing; two cost twice that, and so does all beyond."""
    grey_sigma: float = 0.1
    """Samples of a window count less that differ from its centre by more: they may be of another surface."""
    radius: int = 2
    """Of a window, in samples: there are 2 radius + 1 each way."""
    stride_px: int = 2
    """Between the samples of a window."""
    rounds: int = 2

    def __post_init__(self) -> None:
        if not 1 <= self.radius <= MOST_SLANT_RADIUS or self.stride_px < 1 or not 0 <= self.rounds <= 20:
            raise ValueError(
                f"A search takes a radius of 1 to {MOST_SLANT_RADIUS} samples, a stride of at least 1 px and 0 to 20 "
                f"rounds, got {self.radius}, {self.stride_px} and {self.rounds}."
            )


def refine_slants(
    view: StereoView, start: Slants, anchor: Map, search: SlantSearch, *, threads: int | None = None
) -> Slants:
    """Return planes that fit better than those to start from: PatchMatch on a chessboard (Galliani et al. 2015)."""
    planes = Slants(*(tensor.detach().float().clone().contiguous() for tensor in start))
    _core.refine_slants(
        *view.arrays(),
        anchor.float().contiguous(),
        search.spacing,
        search.anchor_weight,
        search.grey_sigma,
        search.radius,
        search.stride_px,
        search.rounds,
        threads or torch.get_num_threads(),
        *planes,
    )
    return planes
