"""Density control by image-plane gradients (Kerbl et al. 2023, section 5.2): clone, split, prune, reset opacities."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ...activations import logits_from_opacities, logs_from_scales
from ...gaussians import Gaussians
from ...transforms import rotation_from_quaternion
from ..config import ClassicConfig
from ..parameters import Trainable, activate, append, keep, with_opacity_logits
from ..sky import Sky
from . import Observation

_SPLIT_SHRINK = 1.6  # the two halves' standard deviation is the whole's over 0.8 * 2 (section 5.2)

_LEAST_RESET_INTERVAL = 500  # steps; at a learning rate of 0.05 a reset logit needs 100 to become opaque again


@dataclass(frozen=True)
class GradientMemory:
    """Gradients seen since the last round."""

    total: Float[Tensor, " n"]
    """Sum of the lengths of the 2D-centre gradients, in half images."""
    views: Float[Tensor, " n"]
    """How many steps saw each Gaussian."""
    was_reset: bool = False
    """Whether opacities have been reset at least once."""


@dataclass(frozen=True)
class Classic:
    """The policy."""

    config: ClassicConfig

    @property
    def wants_mean_gradients(self) -> bool:
        """True: they decide where to grow."""
        return True

    def init(self, count: int) -> GradientMemory:
        """Return an empty memory."""
        return GradientMemory(torch.zeros(count), torch.zeros(count))

    def regularizers(self, gaussians: Gaussians, extent: float, share: float) -> dict[str, Float[Tensor, ""]]:
        """Return no terms."""
        return {}

    def step(self, state: Trainable, memory: GradientMemory, seen: Observation) -> tuple[Trainable, GradientMemory]:
        """Gather gradients; at a round clone, split and prune; reset opacities when it is time."""
        now, config = seen.step + 1, self.config
        if now > config.stop * seen.steps:
            return state, memory
        memory = _gathered(memory, seen)
        if now % config.interval == 0 and now >= config.start * seen.steps:
            gradient = memory.total / memory.views.clamp_min(1)
            state = densify(state, gradient, config, seen.extent, seen.generator)
            state = prune(state, config, seen.extent, too_large=memory.was_reset, sky=seen.sky)
            memory = replace(self.init(len(state)), was_reset=memory.was_reset)
        reset_interval = max(_LEAST_RESET_INTERVAL, round(config.reset_every * seen.steps))
        # Not at the very end: Gaussians need the rest of the run to become opaque again.
        if now % reset_interval == 0 and now + reset_interval <= config.stop * seen.steps:
            logits = state.values.opacity_logits
            ceiling = logits_from_opacities(torch.tensor([config.reset_opacity]))
            state = with_opacity_logits(state, torch.minimum(logits, ceiling))
            memory = replace(memory, was_reset=True)
        return state, memory


def densify(
    state: Trainable, gradient: Float[Tensor, " n"], config: ClassicConfig, extent: float, generator: torch.Generator
) -> Trainable:
    """Return `state` with small Gaussians of large gradient cloned and large ones split in two, within the cap."""
    gaussians = activate(state.values)
    chosen = _largest(gradient, gradient > config.gradient_threshold, config.cap - len(state))
    large = gaussians.scales.amax(1) > config.split_scale * extent
    clones = state.values.select(chosen & ~large)
    (split,) = torch.nonzero(chosen & large, as_tuple=True)
    if len(split) == 0:
        return append(state, clones)
    # Both halves are drawn from the Gaussian that they replace.
    twice = torch.cat((split, split))
    offsets = torch.randn(len(twice), 3, generator=generator) * gaussians.scales[twice]
    offsets = torch.einsum("nij,nj->ni", rotation_from_quaternion(gaussians.quaternions[twice]), offsets)
    halves = state.values.select(twice)
    halves = replace(
        halves,
        means=halves.means + offsets,
        log_scales=logs_from_scales(gaussians.scales[twice] / _SPLIT_SHRINK),
    )
    whole = torch.ones(len(state), dtype=torch.bool)
    whole[split] = False
    return append(append(keep(state, whole), clones), halves)


def prune(
    state: Trainable, config: ClassicConfig, extent: float, *, too_large: bool, sky: Sky | None = None
) -> Trainable:
    """Return `state` without Gaussians that are nearly transparent or, if `too_large`, very large (but for the sky)."""
    gaussians = activate(state.values)
    good = gaussians.opacities >= config.prune_opacity
    if too_large:
        small = gaussians.scales.amax(1) <= config.prune_scale * extent
        good &= small if sky is None else small | sky.holds(gaussians.means)
    return state if bool(good.all()) else keep(state, good)


def _gathered(memory: GradientMemory, seen: Observation) -> GradientMemory:
    if seen.mean_gradients is None:
        raise ValueError("Classic density control needs `Observation.mean_gradients`.")
    visible = (seen.radii_px > 0).float()
    return replace(memory, total=memory.total + seen.mean_gradients.norm(dim=1) * visible, views=memory.views + visible)


def _largest(values: Float[Tensor, " n"], mask: Bool[Tensor, " n"], room: int) -> Bool[Tensor, " n"]:
    """Return `mask` restricted to its `room` largest values."""
    if int(mask.sum()) <= room:
        return mask
    best = torch.where(mask, values, -torch.inf).topk(max(room, 0)).indices
    return torch.zeros_like(mask).index_fill(0, best, True)
