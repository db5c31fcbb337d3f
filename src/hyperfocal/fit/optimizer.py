"""One Adam step on all parameters of a fit."""

import torch
from torch import Tensor

from .config import LearningRates
from .parameters import Parameters, Trainable

# Kerbl et al. 2023: gradients are tiny (one photograph's mean over all its pixels), so epsilon must be tinier.
_BETAS, _EPSILON = (0.9, 0.999), 1e-15


def adam_step_(
    parameter: Tensor,
    gradient: Tensor,
    first_moment: Tensor,
    second_moment: Tensor,
    *,
    step: int,
    learning_rate: float | Tensor,
    beta1: float,
    beta2: float,
    epsilon: float,
) -> None:
    """Update in place (Kingma & Ba 2015, algorithm 1); `step` counts from 1."""
    first_moment.lerp_(gradient, 1 - beta1)
    second_moment.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
    denominator = (second_moment / (1 - beta2**step)).sqrt_().add_(epsilon)
    parameter.sub_(first_moment / denominator * (learning_rate / (1 - beta1**step)))


def step_(
    state: Trainable,
    gradients: Parameters,
    *,
    step: int,
    rates: LearningRates,
    means_rate: float,
) -> None:
    """Update `state` in place.

    Args:
        state: Parameters and moments.
        gradients: Of the loss, by each parameter.
        step: How many steps were taken before this one.
        rates: Learning rates; that of positions is not used.
        means_rate: Learning rate of positions in scene units.
    """
    sh_rates = state.values.sh.new_full((state.values.sh.shape[1], 1), rates.sh_rest)
    sh_rates[0] = rates.sh0
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
            )
