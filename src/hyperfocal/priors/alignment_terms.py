"""What the alignment of priors to a scene minimises: residuals in pixels, each of one or two photographs.

Every function is elementwise over its residuals, so that `solve` has all derivatives from one backward pass.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

# (log scale, shift) of the first and of the second photograph of each residual -> [r, k]: k numbers a residual
Residual = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
_LEAST = (
    1e-6  # of an aligned depth or inverse depth, in units of the scene's typical one: below it, nothing is in front
)


@dataclass(frozen=True)
class Term:
    """Residuals of one kind, in pixels."""

    name: str
    first: Int64[Tensor, " r"]
    """Which photograph's scale and shift a residual depends on."""
    second: Int64[Tensor, " r"]
    """Which other one's; the same as `first` where there is none."""
    residual: Residual


@dataclass(frozen=True)
class Solution:
    """Log scales and shifts with the norms of all residuals that they leave, term by term."""

    log_scale: Float64[Tensor, " n"]
    shift: Float64[Tensor, " n"]
    norms: tuple[Tensor, ...]
    """Of each term's residuals, [r]."""


def aligned(prior: Tensor, log_scale: Tensor, shift: Tensor, *, inverse: bool) -> Tensor:
    """Return the depth that an aligned prior says: exp(u) D + b (equation 26 of the paper), or one over that."""
    value = (log_scale.exp() * prior + shift).clamp_min(_LEAST)
    return 1 / value if inverse else value


def point_term(
    prior: Float64[Tensor, " r"], depth_z: Float64[Tensor, " r"], inverse: Tensor, view: Int64[Tensor, " r"], px: float
) -> Term:
    """Return how far aligned priors are from known depths, relatively, times the pixels that one stands for.

    Linear in scale and shift: of depth for priors of depth, of inverse depth for those of disparity.
    """
    target = torch.where(inverse, 1 / depth_z, depth_z)

    def residual(u: Tensor, b: Tensor, _u: Tensor, _b: Tensor) -> Tensor:
        return (px * ((u.exp() * prior + b) / target - 1)).unsqueeze(-1)

    return Term("points", view, view, residual)


@dataclass(frozen=True)
class MatchGeometry:
    """Matches with all that is known of them beside the alignment; lengths in units of the scene's typical depth."""

    first: Int64[Tensor, " r"]
    second: Int64[Tensor, " r"]
    prior_first: Float64[Tensor, " r"]
    prior_second: Float64[Tensor, " r"]
    inverse_first: Tensor
    inverse_second: Tensor
    turned: Float64[Tensor, "r 3"]
    """R_ji x_i: the first photograph's ray, with z = 1, in the axes of the second camera."""
    moved: Float64[Tensor, "r 3"]
    """t_ji."""
    focal_px: Float64[Tensor, "r 2"]
    """Of the second photograph, as the next."""
    seen: Float64[Tensor, "r 2"]
    """(p_j - c_j) / f_j: where it sees the point."""

    def depth_first(self, u: Tensor, b: Tensor) -> Tensor:
        """Return the aligned depth in the first photograph."""
        return _of_either(self.prior_first, self.inverse_first, u, b)

    def depth_second(self, u: Tensor, b: Tensor) -> Tensor:
        """Return the aligned depth in the second photograph."""
        return _of_either(self.prior_second, self.inverse_second, u, b)


def _of_either(prior: Tensor, inverse: Tensor, u: Tensor, b: Tensor) -> Tensor:
    return torch.where(inverse, aligned(prior, u, b, inverse=True), aligned(prior, u, b, inverse=False))


def reprojection_term(matches: MatchGeometry) -> Term:
    """Return equation 28's first sum: where the second photograph would see the point, from where it does.

    With R_ji and t_ji, as X_i is in the axes of camera i: the paper prints the pose of camera j.
    """

    def residual(u: Tensor, b: Tensor, _u: Tensor, _b: Tensor) -> Tensor:
        point = matches.turned * matches.depth_first(u, b).unsqueeze(-1) + matches.moved
        return matches.focal_px * (point[:, :2] / point[:, 2:].clamp_min(_LEAST) - matches.seen)

    return Term("reprojection", matches.first, matches.first, residual)


def ratio_term(matches: MatchGeometry, px: float) -> Term:
    """Return equation 28's second sum: the ratio of both aligned depths, from what geometry says of it (27).

    With aligned depths on both sides: the paper prints the ratio of the raw ones, which no shift can fit.
    """

    def residual(u: Tensor, b: Tensor, u_second: Tensor, b_second: Tensor) -> Tensor:
        depth = matches.depth_first(u, b)
        gamma = matches.turned[:, 2] + matches.moved[:, 2] / depth
        return (px * (matches.depth_second(u_second, b_second) / depth - gamma)).unsqueeze(-1)

    return Term("ratio", matches.first, matches.second, residual)


def solve(
    terms: list[Term],
    start: tuple[Float64[Tensor, " n"], Float64[Tensor, " n"]],
    *,
    shift_is_free: Tensor,
    huber_px: float,
    weights: list[Tensor],
    steps: int = 50,
) -> Solution:
    """Return the log scales and shifts of least weighted Huber loss near those to start from (Levenberg-Marquardt).

    Args:
        terms: Of all photographs.
        start: Log scales and shifts.
        shift_is_free: False where a shift stays as it is.
        huber_px: Residuals count by their square up to here, and by their size beyond.
        weights: [r] of each term's residuals; 0 leaves one out.
        steps: At most.
    """
    n = len(start[0])
    state = torch.cat(start)
    free = torch.cat((torch.ones(n, dtype=torch.bool), shift_is_free)).nonzero().squeeze(1)
    damping, (loss, hessian, gradient) = 1e-4, _linearised(terms, state, huber_px, weights)
    for _ in range(steps):
        H, g = hessian[free][:, free], gradient[free]
        # A photograph that nothing depends on has an empty row: the floor keeps the matrix invertible, and it in place.
        damped = H + torch.diag(damping * H.diagonal() + 1e-12 * H.diagonal().max().clamp_min(1e-300))
        tried = state.clone()
        tried[free] -= torch.linalg.solve(damped, g)
        other = _linearised(terms, tried, huber_px, weights)
        if bool(torch.isfinite(tried).all()) and other[0] <= loss:
            moved, won = float((tried - state).abs().max()), float(loss - other[0])
            state, (loss, hessian, gradient) = tried, other
            damping = max(damping / 10, 1e-12)
            if moved < 1e-13 or (won <= 1e-15 * float(loss) and moved < 1e-9):
                break
        else:
            damping *= 10
            if damping > 1e12:
                break
    norms = tuple(term.residual(*_parameters(term, state)).norm(dim=1) for term in terms)
    return Solution(state[:n], state[n:], norms)


def _parameters(term: Term, state: Tensor) -> list[Tensor]:
    """Return the four parameters that each residual depends on."""
    n = len(state) // 2
    return [state[index].detach() for index in (term.first, term.first + n, term.second, term.second + n)]


def _linearised(
    terms: list[Term], state: Tensor, huber_px: float, weights: list[Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """Return (loss, Gauss-Newton matrix, gradient)."""
    n = len(state) // 2
    hessian, gradient, loss = state.new_zeros(2 * n, 2 * n), state.new_zeros(2 * n), state.new_zeros(())
    for term, weight in zip(terms, weights, strict=True):
        if not len(term.first):
            continue
        inputs = [value.requires_grad_() for value in _parameters(term, state)]
        residuals = term.residual(*inputs)
        norm = residuals.detach().norm(dim=1)
        factor = weight * (huber_px / norm.clamp_min(huber_px))
        inside = norm <= huber_px
        loss = loss + (weight * torch.where(inside, 0.5 * norm.square(), huber_px * (norm - 0.5 * huber_px))).sum()
        columns = torch.stack((term.first, term.first + n, term.second, term.second + n), 1)
        for k in range(residuals.shape[1]):
            # Elementwise, so the gradient of the sum holds each residual's own derivatives.
            grads = torch.autograd.grad(residuals[:, k].sum(), inputs, retain_graph=True, allow_unused=True)
            J = torch.stack([torch.zeros_like(norm) if d is None else d for d in grads], 1)
            gradient.index_put_((columns,), J * (factor * residuals[:, k].detach()).unsqueeze(1), accumulate=True)
            rows, others = columns.unsqueeze(2).expand(-1, 4, 4), columns.unsqueeze(1).expand(-1, 4, 4)
            blocks = factor[:, None, None] * J.unsqueeze(2) * J.unsqueeze(1)
            hessian.index_put_((rows, others), blocks, accumulate=True)
    return loss, hessian, gradient
