"""Density control as Markov-chain Monte Carlo (Kheradmand et al. 2024, "3D Gaussian Splatting as MCMC").

Gaussians that have faded are moved onto visible ones, new ones are put there too, and nearly transparent ones walk at
random. A move leaves the picture (almost) as it was: N Gaussians at one place share the opacity and extent of the one.
"""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ...activations import logits_from_opacities, logs_from_scales
from ...gaussians import Gaussians
from ..config import McmcConfig
from ..parameters import Parameters, Trainable, activate, append, overwrite
from ..sky import Sky
from . import Observation

_MOST_COPIES = 51  # of one Gaussian in one round, as in the authors' code; the sum of eq. 9 has as many terms
_WALK_EVERY = 5  # steps; one walk with the variance of so many small ones, at a fraction of their time
_GATE_SHARPNESS, _GATE_OPACITY = 100.0, 0.005  # of the sigmoid that lets only transparent Gaussians walk (eq. 8)


@dataclass(frozen=True)
class Mcmc:
    """The policy; it has no memory (None)."""

    config: McmcConfig

    @property
    def wants_mean_gradients(self) -> bool:
        """False: only opacities decide."""
        return False

    def init(self, count: int) -> None:
        """Return no memory."""

    def regularizers(self, gaussians: Gaussians, extent: float, share: float) -> dict[str, Float[Tensor, ""]]:
        """Return the mean opacity and the mean standard deviation in units of the extent, weighted (section 4.3)."""
        opacity_weight = self.config.opacity_weight if share < self.config.opacity_until else 0.0
        return {
            "opacity": opacity_weight * gaussians.opacities.mean(),
            "scale": self.config.scale_weight * gaussians.scales.mean() / extent,
        }

    def step(self, state: Trainable, memory: None, seen: Observation) -> tuple[Trainable, None]:
        """Walk; at a round also relocate and grow."""
        now, config = seen.step + 1, self.config
        if now % _WALK_EVERY == 0:
            size = math.sqrt(_WALK_EVERY) * config.noise * seen.means_rate_share / seen.extent
            walk_(state, seen.gaussians, size, seen.generator, seen.sky)
        first, last = config.start * seen.steps, config.stop * seen.steps
        if now % config.interval or not first <= now <= last:
            return state, None
        state = relocate(state, config.dead_opacity, seen.generator)
        rounds_left = max(1, math.ceil((config.grow_until * seen.steps - now) / config.interval) + 1)
        return grow(state, grown_count(len(state), config, rounds_left), config.dead_opacity, seen.generator), None


def walk_(
    state: Trainable, gaussians: Gaussians, size: float, generator: torch.Generator, sky: Sky | None = None
) -> None:
    """Add `size * gate(opacity) * covariance * noise` to the positions in place (eq. 8).

    Args:
        state: Changed in place.
        gaussians: Their activated values.
        size: In 1 / scene units.
        generator: Source of the noise.
        sky: Its Gaussians stay: steps grow with the square of the size, and would take them through the scene.
    """
    gate = torch.sigmoid(_GATE_SHARPNESS * (_GATE_OPACITY - gaussians.opacities))
    if sky is not None:
        gate = gate.masked_fill(sky.holds(gaussians.means), 0)
    # Where the gate is nearly shut (opacity above 0.074) a step would be less than a thousandth of the free one.
    (walking,) = torch.nonzero(gate > 1e-3, as_tuple=True)
    if size == 0 or len(walking) == 0:
        return
    noise = torch.randn(len(walking), 3, generator=generator)
    unit = torch.nn.functional.normalize(gaussians.quaternions[walking], dim=1)
    w, axis = unit[:, :1], unit[:, 1:]
    variances = gaussians.scales[walking].square_().mul_((size * gate[walking]).unsqueeze(1))
    state.values.means.index_add_(0, walking, _rotate(w, axis, _rotate(w, -axis, noise) * variances))


def _rotate(w: Float[Tensor, "m 1"], axis: Float[Tensor, "m 3"], vectors: Float[Tensor, "m 3"]) -> Float[Tensor, "m 3"]:
    """Return `vectors` turned by unit quaternions (w, axis): cheaper every step than building matrices."""
    across = 2 * torch.linalg.cross(axis, vectors)
    return vectors + w * across + torch.linalg.cross(axis, across)


def relocate(state: Trainable, dead_opacity: float, generator: torch.Generator) -> Trainable:
    """Return `state` with each dead Gaussian moved onto a live one, drawn in proportion to opacity (section 4.2)."""
    gaussians = activate(state.values)
    alive = gaussians.opacities > dead_opacity
    (dead,) = torch.nonzero(~alive, as_tuple=True)
    if len(dead) == 0 or len(dead) == len(state):
        return state
    hosts = torch.multinomial(gaussians.opacities * alive, len(dead), replacement=True, generator=generator)
    state, shared = _share(state, gaussians, hosts, dead_opacity)
    return overwrite(state, dead, shared)


def grow(state: Trainable, count: int, dead_opacity: float, generator: torch.Generator) -> Trainable:
    """Return `state` grown to `count` Gaussians, new ones on others drawn in proportion to their opacity."""
    added = count - len(state)
    gaussians = activate(state.values)
    if added <= 0 or not bool((gaussians.opacities > 0).any()):
        return state
    hosts = torch.multinomial(gaussians.opacities, added, replacement=True, generator=generator)
    state, shared = _share(state, gaussians, hosts, dead_opacity)
    return append(state, shared)


def grown_count(count: int, config: McmcConfig, rounds_left: int) -> int:
    """Return how many Gaussians there should be after a round that is the first of `rounds_left`.

    Growing by one factor each round reaches the cap in the last of them.
    """
    if count >= config.cap:
        return count
    factor = max(1 + config.least_growth, (config.cap / max(count, 1)) ** (1 / rounds_left))
    return min(config.cap, math.ceil(factor * count))


def shared_opacity_and_shrink(
    opacities: Float[Tensor, " m"], copies: Int[Tensor, " m"]
) -> tuple[Float[Tensor, " m"], Float[Tensor, " m"]]:
    """Return (opacity, factor on the standard deviations) of each of `copies` Gaussians that stand for one (eq. 9).

    The opacity satisfies 1 - (1 - o')^N = o exactly; the factor keeps the integral of the opacity along a ray through
    the middle. The double sum of the paper is one sum, since sum_{i=1}^{N} C(i-1, k-1) = C(N, k):
    factor = o / sum_{k=1}^{N} C(N, k) (-1)^{k-1} o'^k / sqrt(k). Computed in float64: the terms alternate.
    """
    o, n = opacities.double(), copies.double().unsqueeze(1)
    shared = -torch.expm1(torch.log1p(-o) / copies)
    k = torch.arange(1, int(copies.max()) + 1, dtype=torch.float64)
    log_binomials = torch.lgamma(n + 1) - torch.lgamma(k + 1) - torch.lgamma((n - k).clamp_min(0) + 1)
    signs = torch.where(k % 2 == 1, 1.0, -1.0).double()
    terms = signs * torch.exp(log_binomials + k * shared.log().unsqueeze(1)) / k.sqrt()
    factor = o / torch.where(k <= n, terms, 0).sum(1)
    return shared.to(opacities.dtype), factor.to(opacities.dtype)


def _share(
    state: Trainable, gaussians: Gaussians, hosts: Int[Tensor, " m"], least_opacity: float
) -> tuple[Trainable, Parameters]:
    """Return (`state` with each host sharing its place, the rows of the newcomers, one for each entry of `hosts`)."""
    unique, position, newcomers = hosts.unique(return_inverse=True, return_counts=True)
    copies = (newcomers + 1).clamp_max(_MOST_COPIES)
    # An opacity of 1 in float32 would make infinite logarithms.
    opacities = gaussians.opacities[unique].clamp_max(1 - 1e-6)
    shared, factor = shared_opacity_and_shrink(opacities, copies)
    rows = replace(
        state.values.select(unique),
        opacity_logits=logits_from_opacities(shared.clamp_min(least_opacity)),
        log_scales=logs_from_scales(gaussians.scales[unique] * factor.unsqueeze(1)),
    )
    return overwrite(state, unique, rows), rows.select(position)
