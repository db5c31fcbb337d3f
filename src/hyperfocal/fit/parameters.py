"""Trainable Gaussians: raw parameters with Adam's moments, and the row surgery that density control does on them.

The tensors are updated in place by the optimiser; the functions here return new values and leave their arguments alone.
"""

from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..activations import logits_from_opacities, logs_from_scales
from ..color import ColorSpace
from ..gaussians import Gaussians
from ..native.activations import opacities_from_logits, scales_from_logs


@dataclass(frozen=True)
class Parameters:
    """What Adam moves: any real number is a valid value."""

    means: Float[Tensor, "n 3"]
    """Centres in scene units."""
    quaternions: Float[Tensor, "n 4"]
    """wxyz, any length above zero."""
    log_scales: Float[Tensor, "n 3"]
    """Natural logs of the standard deviations."""
    opacity_logits: Float[Tensor, " n"]
    sh: Float[Tensor, "n k 3"]

    def __len__(self) -> int:
        return len(self.means)

    def tensors(self) -> dict[str, Tensor]:
        """Return the fields by name."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def select(self, index: Tensor) -> "Parameters":
        """Return (copies of) the rows at a boolean mask or at integer positions."""
        return Parameters(**{name: tensor[index] for name, tensor in self.tensors().items()})


@dataclass(frozen=True)
class Trainable:
    """Parameters and Adam's moments of each, row by row."""

    values: Parameters
    first: Parameters
    """Running mean of the gradients."""
    second: Parameters
    """Running mean of the squared gradients."""

    def __len__(self) -> int:
        return len(self.values)

    @property
    def moments(self) -> torch.dtype:
        """Type of the moments."""
        return self.first.means.dtype


def parameters_from_gaussians(gaussians: Gaussians) -> Parameters:
    """Return float32 copies of `gaussians` as raw parameters."""
    g = gaussians.detach().to(dtype=torch.float32)
    return Parameters(
        means=g.means.clone(memory_format=torch.contiguous_format),
        quaternions=g.quaternions.clone(memory_format=torch.contiguous_format),
        log_scales=logs_from_scales(g.scales).contiguous(),
        opacity_logits=logits_from_opacities(g.opacities).contiguous(),
        sh=g.sh.clone(memory_format=torch.contiguous_format),
    )


def activate(parameters: Parameters, color_space: ColorSpace = "srgb", threads: int = 1) -> Gaussians:
    """Return the Gaussians of raw parameters, differentiable; means, quaternions and sh are shared, not copied."""
    return Gaussians(
        means=parameters.means,
        quaternions=parameters.quaternions,
        scales=scales_from_logs(parameters.log_scales, threads),
        opacities=opacities_from_logits(parameters.opacity_logits, threads),
        sh=parameters.sh,
        color_space=color_space,
    )


def trainable(values: Parameters, moments: torch.dtype = torch.float32) -> Trainable:
    """Return `values` with moments of zero, of the given type."""
    return Trainable(values, _zeros_like(values, moments), _zeros_like(values, moments))


def keep(state: Trainable, index: Tensor) -> Trainable:
    """Return the rows at a boolean mask or at integer positions, with their moments."""
    return Trainable(state.values.select(index), state.first.select(index), state.second.select(index))


def append(state: Trainable, rows: Parameters) -> Trainable:
    """Return `state` with `rows` at its end, their moments zero."""
    zeros = _zeros_like(rows, state.moments)
    return Trainable(_joined(state.values, rows), _joined(state.first, zeros), _joined(state.second, zeros))


def overwrite(state: Trainable, index: Int[Tensor, " m"], rows: Parameters) -> Trainable:
    """Return `state` with `rows` at the positions `index`, their moments zero. Positions must not repeat."""
    zeros = _zeros_like(rows, state.moments)
    return Trainable(
        _written(state.values, index, rows), _written(state.first, index, zeros), _written(state.second, index, zeros)
    )


def with_opacity_logits(state: Trainable, logits: Float[Tensor, " n"]) -> Trainable:
    """Return `state` with other opacities, whose moments are zero; all else is untouched."""
    return Trainable(
        replace(state.values, opacity_logits=logits),
        replace(state.first, opacity_logits=torch.zeros_like(logits, dtype=state.moments)),
        replace(state.second, opacity_logits=torch.zeros_like(logits, dtype=state.moments)),
    )


def _zeros_like(rows: Parameters, dtype: torch.dtype) -> Parameters:
    return Parameters(**{name: torch.zeros_like(tensor, dtype=dtype) for name, tensor in rows.tensors().items()})


def _joined(a: Parameters, b: Parameters) -> Parameters:
    other = b.tensors()
    return Parameters(**{name: torch.cat((tensor, other[name])) for name, tensor in a.tensors().items()})


def _written(target: Parameters, index: Tensor, rows: Parameters) -> Parameters:
    other = rows.tensors()
    return Parameters(**{k: t.index_copy(0, index, other[k]) for k, t in target.tensors().items()})
