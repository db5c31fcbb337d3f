"""One Adam step on all parameters of a fit."""

import torch
from torch import Tensor

from ..native.adam import adam_step_
from .config import LearningRates
from .parameters import Parameters, Trainable

# Kerbl et al. 2023: gradients are tiny (one photograph's mean over all its pixels), so epsilon must be tinier.
_BETAS, _EPSILON = (0.9, 0.999), 1e-15


def step_(
    state: Trainable,
    gradients: Parameters,
    *,
    step: int,
    rates: LearningRates,
    means_rate: float,
    threads: int,
) -> None:
    """Update `state` in place.

    Args:
        state: Parameters and moments.
        gradients: Of the loss, by each parameter.
        step: How many steps were taken before this one.
        rates: Learning rates; that of positions is not used.
        means_rate: Learning rate of positions in scene units.
        threads: Of the native kernel.
    """
    # One rate for each of the 3 k columns of a row: the constant coefficient's three channels come first.
    sh_rates = torch.full((3 * state.values.sh.shape[1],), rates.sh_rest)
    sh_rates[:3] = rates.sh0
    by_name: dict[str, float | Tensor] = {
        "means": means_rate,
        "quaternions": rates.quaternions,
        "log_scales": rates.log_scales,
        "opacity_logits": rates.opacity_logits,
        "sh": sh_rates,
    }
    first, second, gradient = state.first.tensors(), state.second.tensors(), gradients.tensors()
    with torch.no_grad():
        for name, parameter in state.values.tensors().items():
            adam_step_(
                parameter,
                gradient[name],
                first[name],
                second[name],
                step=step + 1,
                learning_rate=by_name[name],
                beta1=_BETAS[0],
                beta2=_BETAS[1],
                epsilon=_EPSILON,
                threads=threads,
            )
