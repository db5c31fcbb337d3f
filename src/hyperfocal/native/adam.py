"""One step of Adam in place, fused and multi-threaded."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from .. import _core


@torch.no_grad()
def adam_step_(
    parameter: Float[Tensor, "n *k"],
    gradient: Float[Tensor, "n *k"],
    first_moment: Float[Tensor, "n *k"],
    second_moment: Float[Tensor, "n *k"],
    *,
    step: int,
    learning_rate: float | Float[Tensor, " columns"],
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-15,
    rows: Bool[Tensor, " n"] | None = None,
    threads: int | None = None,
) -> None:
    """Move `parameter` and both moments by one step of Adam (Kingma and Ba 2015), as torch.optim.Adam would.

    Contiguous float32 tensors on the CPU go through the native core, bit-identical for any number of threads; others
    through torch. Moments may be bfloat16 beside float32 parameters: half the memory, each rounded up or down at random
    (seeded by step and place), as rounding to nearest would stop the second moment from ever sinking.

    Args:
        parameter: Changed in place; one row per Gaussian.
        gradient: Of the loss with respect to it.
        first_moment: Running mean of the gradient, changed in place; zeros at the start.
        second_moment: Running mean of its square, changed in place; zeros at the start.
        step: Number of this step, counted from 1; corrects the bias of the moments' start at zero.
        learning_rate: For all, or one for each column of a row once its further dimensions are flattened
            (spherical harmonics `[n, k, 3]` have `3 k` columns).
        beta1: Decay of the first moment.
        beta2: Decay of the second moment.
        epsilon: Keeps the division finite.
        rows: True for the rows to step, all if None; the others keep their values and moments.
        threads: Of the native core; torch's number if None.
    """
    if step < 1:
        raise ValueError(f"`step` counts from 1, got {step}.")
    columns = parameter[0].numel() if len(parameter) else 0
    if isinstance(learning_rate, Tensor) and len(learning_rate) not in (1, columns):
        raise ValueError(
            f"`learning_rate` needs 1 value or one for each of {columns} columns, got {len(learning_rate)}."
        )
    if parameter.numel() == 0:
        return
    moved = (parameter, gradient, first_moment, second_moment)
    halved = first_moment.dtype == second_moment.dtype == torch.bfloat16 != parameter.dtype
    native = all(t.device.type == "cpu" and t.is_contiguous() for t in moved)
    native &= all(t.dtype == torch.float32 for t in (moved[:2] if halved else moved))
    if halved and not native:
        raise ValueError("Moments of bfloat16 need contiguous float32 parameters and gradients on the CPU.")
    if not native:
        _adam_step_in_torch(*moved, step, learning_rate, beta1, beta2, epsilon, rows)
        return
    rates = learning_rate if isinstance(learning_rate, Tensor) else torch.tensor([learning_rate], dtype=torch.float32)
    p, g, m, v = (t.detach().flatten(1) if t.dim() > 1 else t.detach().unsqueeze(1) for t in moved)
    rates = rates.detach().contiguous()
    step_in_core = _core.adam_step
    if halved:
        step_in_core, m, v = _core.adam_step_bfloat16, m.view(torch.int16), v.view(torch.int16)
    step_in_core(p, g, m, v, rates, rows, step, beta1, beta2, epsilon, threads or torch.get_num_threads())
    # The core writes behind autograd's back: a graph that still needs the old values must notice.
    torch.autograd.graph.increment_version((parameter, first_moment, second_moment))


def _adam_step_in_torch(
    parameter: Tensor, gradient: Tensor, first_moment: Tensor, second_moment: Tensor,
    step: int, learning_rate: float | Tensor, beta1: float, beta2: float, epsilon: float, rows: Tensor | None,
) -> None:  # fmt: skip
    """The same in plain torch, any device and float type: what the kernel is tested against."""
    chosen = slice(None) if rows is None else rows
    if isinstance(learning_rate, Tensor) and len(learning_rate) > 1:
        learning_rate = learning_rate.view(parameter.shape[1:])
    g = gradient[chosen]
    m = torch.lerp(first_moment[chosen], g, 1 - beta1)
    v = beta2 * second_moment[chosen] + (1 - beta2) * g.square()
    unbiased, spread = m / (1 - beta1**step), (v / (1 - beta2**step)).sqrt()
    first_moment[chosen], second_moment[chosen] = m, v
    parameter[chosen] -= learning_rate * unbiased / (spread + epsilon)
