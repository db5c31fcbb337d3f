"""Lens distortion: the OpenCV models that photographs come with, removed when a photograph is loaded.

The formulas are OpenCV's (calib3d documentation, "Detailed Description" and the fisheye namespace).
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

DistortionModel: TypeAlias = Literal[
    "opencv",  # k1 k2 p1 p2 [k3]
    "full_opencv",  # k1 k2 p1 p2 k3 k4 k5 k6: radial numerator and denominator
    "fisheye",  # k1 k2 k3 k4 of the equidistant angle
]
_COUNTS = {"opencv": (4, 5), "full_opencv": (8,), "fisheye": (4,)}


@dataclass(frozen=True)
class Distortion:
    """A distortion model and its coefficients, acting on the normalised image plane (x/z, y/z).

    Raises:
        ValueError: the number of coefficients does not fit the model, or one is not finite.
    """

    model: DistortionModel
    coefficients: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.coefficients) not in _COUNTS[self.model]:
            expected = " or ".join(map(str, _COUNTS[self.model]))
            raise ValueError(f"The {self.model} model has {expected} coefficients, got {len(self.coefficients)}.")
        if not bool(torch.tensor(self.coefficients).isfinite().all()):
            raise ValueError(f"Distortion coefficients must be finite, got {self.coefficients}.")

    @property
    def is_none(self) -> bool:
        """True when the coefficients do nothing (a fisheye always does something)."""
        return self.model != "fisheye" and not any(self.coefficients)


def distort(distortion: Distortion, plane: Float[Tensor, "*p 2"]) -> Float[Tensor, "*p 2"]:
    """Return where points of the ideal normalised image plane appear in the distorted photograph."""
    c = list(distortion.coefficients)
    r2 = plane.square().sum(-1, keepdim=True)
    if distortion.model == "fisheye":
        r = r2.clamp_min(1e-24).sqrt()  # clamped inside the root, whose gradient at 0 is infinite
        angle = torch.atan(r)
        a2 = angle * angle
        return plane * angle * (1 + a2 * (c[0] + a2 * (c[1] + a2 * (c[2] + a2 * c[3])))) / r
    k3 = c[4] if len(c) > 4 else 0.0
    radial = 1 + r2 * (c[0] + r2 * (c[1] + r2 * k3))
    if distortion.model == "full_opencv":
        radial = radial / (1 + r2 * (c[5] + r2 * (c[6] + r2 * c[7])))
    x, y = plane.unbind(-1)
    p1, p2 = c[2], c[3]
    xx, yy, xy = x * x, y * y, x * y
    tangential = torch.stack((2 * p1 * xy + p2 * (3 * xx + yy), p1 * (xx + 3 * yy) + 2 * p2 * xy), dim=-1)
    return plane * radial + tangential


def undistort(
    distortion: Distortion, distorted: Float[Tensor, "*p 2"], iterations: int = 30
) -> tuple[Float[Tensor, "*p 2"], Tensor]:
    """Return (ideal plane positions, valid) of points of the distorted photograph.

    Newton's method with the exact Jacobian; `valid` [*p] is False where it did not come back to the point within 1e-5
    or came back beyond the fold of the polynomial: there, no ideal ray exists.
    """
    flat = distorted.detach().reshape(-1, 2).double()
    plane = flat.clone()
    active = torch.arange(len(flat), device=flat.device)  # the points that have not arrived yet
    for _ in range(iterations):
        guess = plane[active].requires_grad_(True)
        with torch.enable_grad():
            x, y = distort(distortion, guess).unbind(-1)
            dx = torch.autograd.grad(x.sum(), guess, retain_graph=True)[0]
            dy = torch.autograd.grad(y.sum(), guess)[0]
        error = torch.stack((x.detach(), y.detach()), -1) - flat[active]
        determinant = dx[:, 0] * dy[:, 1] - dx[:, 1] * dy[:, 0]
        determinant = torch.where(determinant.abs() < 1e-9, 1e-9, determinant)
        step = torch.stack(
            (
                (dy[:, 1] * error[:, 0] - dx[:, 1] * error[:, 1]) / determinant,
                (dx[:, 0] * error[:, 1] - dy[:, 0] * error[:, 0]) / determinant,
            ),
            -1,
        )
        plane[active] = guess.detach() - step.clamp(-0.5, 0.5)
        active = active[(step.abs() > 1e-12).any(-1)]
        if len(active) == 0:
            break
    residual = (distort(distortion, plane) - flat).norm(dim=-1)
    valid = (residual < 1e-5) & plane.isfinite().all(-1) & (plane.norm(dim=-1) < fold_radius(distortion))
    return plane.to(distorted.dtype).reshape(distorted.shape), valid.reshape(distorted.shape[:-1])


def fold_radius(distortion: Distortion) -> float:
    """Return the radius on the ideal plane up to which the radial model grows; beyond it the picture folds back.

    Infinite for a model that never folds. The tangential terms, which are small, are left out.
    """
    c = list(distortion.coefficients)
    if distortion.model == "fisheye":  # d/da of a (1 + k1 a^2 + ...), as a polynomial in a^2
        folds = _smallest_positive_root(np.array([1, 3 * c[0], 5 * c[1], 7 * c[2], 9 * c[3]]))
        angle = folds**0.5
        return float(np.tan(angle)) if angle < np.pi / 2 else float("inf")
    polynomial = np.polynomial.Polynomial
    s = polynomial([0, 1])  # the squared radius
    numerator = polynomial([1, c[0], c[1], c[4] if len(c) > 4 else 0])
    denominator = polynomial([1, c[5], c[6], c[7]]) if distortion.model == "full_opencv" else polynomial([1])
    # d/dr of r N(r^2) / D(r^2), times D^2; a pole of the fraction ends the model just as well.
    slope = (numerator + 2 * s * numerator.deriv()) * denominator - 2 * s * numerator * denominator.deriv()
    return min(_smallest_positive_root(slope.coef), _smallest_positive_root(denominator.coef)) ** 0.5


def _smallest_positive_root(coefficients: np.ndarray) -> float:
    """Return the smallest positive real root of a polynomial (constant term first), or infinity."""
    # A vanishing leading term has its roots far outside any lens, but ruins the others numerically.
    roots = np.polynomial.Polynomial(np.polynomial.polynomial.polytrim(coefficients, tol=1e-12)).roots()
    real = roots[np.abs(roots.imag) < 1e-9 * (1 + np.abs(roots))].real
    return float(min(real[real > 0], default=np.inf))
