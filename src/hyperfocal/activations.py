"""Activations that keep scales and opacities in their range, each with its inverse.

`fit` trains logs and logits, and PLY files store them; everything else sees activated values. Both sides use these
functions, so that what is trained, written and read again is the same to the last bit.

An activation works in float64 and rounds once to float32. Its inverse returns, of the float32 numbers next to the
exact inverse, the one that the activation takes closest to the given value. Every value that an activation can return
therefore comes back bit for bit: `scales_from_logs(logs_from_scales(s)) == s` for every `s` that came from
`scales_from_logs`. Other values come back as the nearest that a float32 log or logit can name (relative error at most
2^-24 max(1, |log s|), plus the rounding of the result).
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

# Beyond these the activated float32 no longer changes (exp(-104) rounds to 0, sigmoid(18) to 1) or overflows.
_LOWEST, _HIGHEST_LOG, _HIGHEST_LOGIT = -104.0, 88.72283, 18.0


def scales_from_logs(logs: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Return exp(logs), correctly rounded from float64."""
    return logs.double().exp().to(logs.dtype)


def logs_from_scales(scales: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Return the logs whose `scales_from_logs` is nearest to `scales`; finite also for scales of 0."""
    exact = scales.double().log().clamp(_LOWEST, _HIGHEST_LOG)
    return _nearest_inverse(scales, exact, scales_from_logs)


def opacities_from_logits(logits: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Return 1 / (1 + exp(-logits)), correctly rounded from float64."""
    return logits.double().sigmoid().to(logits.dtype)


def logits_from_opacities(opacities: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Return the logits whose `opacities_from_logits` is nearest to `opacities`; finite also for 0 and 1."""
    exact = opacities.double().logit().clamp(_LOWEST, _HIGHEST_LOGIT)
    return _nearest_inverse(opacities, exact, opacities_from_logits)


def _nearest_inverse(
    values: Float[Tensor, "*n"], exact: Float[Tensor, "*n"], activate: Callable[[Tensor], Tensor]
) -> Float[Tensor, "*n"]:
    """Return, of the rounded `exact` and its two neighbours in the type of `values`, what `activate` takes closest."""
    best = exact.to(values.dtype)
    best_error = (activate(best).double() - values.double()).abs()
    # The rounded inverse is almost always the answer; look at the neighbours of the few others only.
    wrong = best_error > 0
    middle, target, error = best[wrong], values[wrong].double(), best_error[wrong]
    choice = middle.clone()
    for direction in (-torch.inf, torch.inf):
        neighbour = torch.nextafter(middle, torch.full_like(middle, direction))
        neighbour_error = (activate(neighbour).double() - target).abs()
        choice = torch.where(neighbour_error < error, neighbour, choice)
        error = torch.minimum(neighbour_error, error)
    return best.masked_scatter(wrong, choice)
