"""Density control: where Gaussians are added, moved and removed while a fit runs.

A policy is a value with `init` and `step`; its memory is passed in and returned. To add one, write a class that meets
`Densifier` and hand it to `fit(..., densifier=...)`.
"""

from dataclasses import dataclass
from typing import Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from ...gaussians import Gaussians
from ..config import ClassicConfig, McmcConfig
from ..parameters import Trainable
from ..sky import Sky

Memory = TypeVar("Memory")


@dataclass(frozen=True)
class Observation:
    """What one optimisation step tells a policy; tensors have one row per Gaussian before the policy acts."""

    step: int
    """Steps taken before this one."""
    steps: int
    """Of the whole run."""
    extent: float
    """Size of the scene: `scene_extent`."""
    means_rate: float
    """Learning rate of positions in this step, in units of the extent."""
    means_rate_share: float
    """`means_rate` over that of the first step, in (0, 1]."""
    gaussians: Gaussians
    """Detached; scales and opacities as rendered in this step, the others already moved by the optimiser."""
    radii_px: Float[Tensor, " n"]
    """Half-extent of each footprint in this step's image; 0 where culled."""
    mean_gradients: Float[Tensor, "n 2"] | None
    """Gradient of the loss by the 2D centre in half images; None unless the policy wants it."""
    generator: torch.Generator
    """The source of every random choice."""
    sky: Sky | None = None
    """Where the sky is, if the fit has one. Its Gaussians are large, and rightly so."""


@runtime_checkable
class Densifier(Protocol[Memory]):
    """A policy of density control."""

    @property
    def wants_mean_gradients(self) -> bool:
        """Whether `Observation.mean_gradients` is needed."""
        ...

    def init(self, count: int) -> Memory:
        """Return the memory for a fit that starts with `count` Gaussians."""
        ...

    def regularizers(self, gaussians: Gaussians, extent: float, share: float) -> dict[str, Float[Tensor, ""]]:
        """Return terms to add to the loss, by name, weighted; `share` of the run is over."""
        ...

    def step(self, state: Trainable, memory: Memory, seen: Observation) -> tuple[Trainable, Memory]:
        """Act after an optimisation step; return the Gaussians and the memory to go on with."""
        ...


def densifier_for(config: McmcConfig | ClassicConfig) -> Densifier:
    """Return the policy that a configuration describes."""
    from .classic import Classic
    from .mcmc import Mcmc

    return Mcmc(config) if isinstance(config, McmcConfig) else Classic(config)
