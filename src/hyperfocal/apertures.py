"""`Aperture`: the shape of a lens's opening, as points to average pinhole pictures over and as a blur kernel.

Both lie in the picture's axes, x right and y down. What is behind the focus is blurred into the shape as it is, what is
before the focus (a negative circle) into the shape turned by half a turn.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from .errors import BadInputError

_FEWEST_BLADES, _MOST_BLADES = 3, 32
_GOLDEN = (math.sqrt(5) - 1) / 2
_NODES = 24  # of the quadrature over the columns of a pixel: coverages to about 1e-3 of a pixel
# Variance of the Gaussian nearest to a disc over the disc's own, for edges (power falls with the cube of frequency):
# the least of the integral of (2 J1(pi f) / (pi f) - exp(-2 pi^2 s^2 f^2))^2 f^-2 over f is at s = 0.2714, not at 1/4.
_NEAREST = (0.27142 / 0.25) ** 2
_SHARP = 1e-2  # pixels; a circle of at most this is inside one pixel, where its size makes no difference


@dataclass(frozen=True)
class Aperture:
    """The shape of an aperture. Its diameter is the lens's (`ThinLens.aperture_diameter`), not part of the shape.

    | kind | light over the opening | variance along each axis, of diameter c |
    |---|---|---|
    | `disc` | uniform over a disc | c² / 16 |
    | `gaussian` | normal, matched to the disc: the standard deviation is c / 4 | c² / 16 |
    | `polygon` | uniform over a regular polygon whose corners lie on the disc's edge | c² (2 + cos(2π / blades)) / 48 |
    | `smoothstep` | `0.5 + 0.5 tanh(0.25 (r² - x² - y²) + 0.5)` with r = c / 2 in pixels | |

    `smoothstep` is equation 6 of Depth-Consistent 3D Gaussian Splatting (arXiv 2511.10316). Its edge is measured in
    pixels, so that it is a kernel for pictures, not an opening: it has no points, and at a circle of 0 it still blurs.

    Raises:
        BadInputError: an unknown kind, fewer than 3 or more than 32 blades, or a rotation that is no finite number.
    """

    kind: Literal["disc", "gaussian", "polygon", "smoothstep"] = "disc"
    blades: int = 6
    """Corners of the polygon."""
    rotation: float = 0.0
    """Radians from x towards y, clockwise in the picture. At 0 one of the polygon's corners lies on the x axis."""

    def __post_init__(self) -> None:
        kinds = ("disc", "gaussian", "polygon", "smoothstep")
        if self.kind not in kinds:
            raise BadInputError(f"There is no aperture of the kind {self.kind!r}; expected one of {', '.join(kinds)}.")
        if not _FEWEST_BLADES <= self.blades <= _MOST_BLADES:
            raise BadInputError(
                f"An aperture cannot have {self.blades} blades; expected {_FEWEST_BLADES} to {_MOST_BLADES}. "
                "More are a disc."
            )
        if not math.isfinite(self.rotation):
            raise BadInputError(f"An aperture is turned by {self.rotation} radians; expected a finite number.")


def aperture_points(shape: Aperture, count: int) -> Float[Tensor, "{count} 2"]:
    """Return points (x, y) spread evenly over an aperture of diameter 1, all of equal weight.

    The average of pinhole pictures from these places (times the aperture's diameter), each sheared so that the plane in
    focus stays where it is, is the picture of the lens. The points are a lattice of the golden ratio, mapped to the
    shape by area (on the disc: Vogel's sunflower), then stretched so that their mean is 0 and their covariance
    that of the shape; where that would push a point out (of fewer than 8), all are drawn in. Same arguments give the
    same points, as float32.

    Raises:
        BadInputError: no points, or `smoothstep`, which is no opening.
    """
    if count < 1:
        raise BadInputError(f"An aperture was to be sampled at {count} points; expected at least 1.")
    if shape.kind == "smoothstep":
        raise BadInputError(
            "The smoothstep kernel has an edge that is measured in pixels, whatever the circle, so that no aperture "
            "makes it and it has no points; use `blur_kernel`, or the kinds disc, gaussian or polygon."
        )
    index = np.arange(count)
    share, turn = (index + 0.5) / count, (index * _GOLDEN) % 1
    if shape.kind == "polygon":
        side = turn * shape.blades
        along = side % 1
        corners = _corners(shape)
        first = np.floor(side).astype(int) % shape.blades
        edge = (1 - along)[:, None] * corners[first] + along[:, None] * corners[(first + 1) % shape.blades]
    else:
        edge = 0.5 * np.stack((np.cos(2 * np.pi * turn), np.sin(2 * np.pi * turn)), -1)
    # Within the radius r lies the share r^2 of a uniform shape, and 1 - exp(-r^2 / 2 sigma^2) of the Gaussian, whose
    # sigma is half of the radius 0.5 of `edge`.
    reach = np.sqrt(-0.5 * np.log1p(-share)) if shape.kind == "gaussian" else np.sqrt(share)
    points = edge * reach[:, None]
    points = points - points.mean(0)
    if count > 2:  # two points and their mean are on one line, which no stretching makes round
        spread, axes = np.linalg.eigh(points.T @ points / count)
        points = points @ (axes * np.sqrt(_variance(shape) / spread)) @ axes.T
    if shape.kind != "gaussian":
        points /= max(1.0, _farthest(shape, points))
    return torch.from_numpy(points).float()


def blur_kernel(
    shape: Aperture, coc_diameter_px: Float[Tensor, ""], *, size: int | None = None
) -> Float[Tensor, "k k"]:
    """Return the kernel [k, k] into which a lens with this aperture blurs a point, with sum 1 and k odd.

    Every entry is the light that falls into one pixel's square (that of `smoothstep`: at the pixel's centre, as its
    source has it), so circles grow continuously, and derivatives by the diameter exist. They are 0 for a disc or a
    polygon inside the middle pixel. For large circles the variance along each axis is that of the shape plus 1/12 for
    the square, from 8 px on to 1 % for the disc and to 4 % for all polygons.

    Args:
        shape: Of the aperture.
        coc_diameter_px: Circle of confusion, pixels. Its sign says on which side of the focus: negative turns the shape
            by half a turn, which only a polygon with an odd number of blades shows.
        size: Odd number of rows and columns; what lies outside is cut off. None is large enough for all of it (of the
            Gaussian up to 4 standard deviations, of `smoothstep` all above 1e-4).

    Raises:
        BadInputError: a circle that is not finite, or a size that is not odd and positive.
    """
    diameter = float(coc_diameter_px.detach())
    if not math.isfinite(diameter):
        raise BadInputError(
            f"A kernel for a circle of confusion of {diameter} pixels was asked for; expected a finite one."
        )
    if size is None:
        size = 2 * _half_size(shape, abs(diameter) / 2) + 1
    if size < 1 or size % 2 == 0:
        raise BadInputError(f"A kernel of {size} x {size} pixels was asked for; expected an odd size of at least 1.")
    # Coverages are differences of nearly equal numbers: in double, and rounded once.
    radius = coc_diameter_px.abs().double() / 2
    centres = torch.arange(size, dtype=torch.float64, device=radius.device) - size // 2
    if shape.kind == "gaussian":
        sigma = (radius / 2).clamp_min(_SHARP)
        steps = torch.cat((centres - 0.5, centres[-1:] + 0.5)) / (sigma * math.sqrt(2))
        light = torch.erf(steps).diff()
        kernel = light[:, None] * light[None, :]
    elif shape.kind == "smoothstep":
        squared = centres.square()
        kernel = 0.5 + 0.5 * torch.tanh(0.25 * (radius.square() - squared[:, None] - squared[None, :]) + 0.5)
    elif shape.kind == "disc":
        kernel = _disc_coverage(radius.clamp_min(_SHARP), centres)
    else:
        turned = Aperture("polygon", shape.blades, shape.rotation + (math.pi if diameter < 0 else 0.0))
        kernel = _polygon_coverage(turned, radius.clamp_min(_SHARP), centres)
    return (kernel / kernel.sum()).to(coc_diameter_px.dtype)


def _half_size(shape: Aperture, radius: float) -> int:
    """Return how many pixels on each side of the middle one get light."""
    match shape.kind:
        case "gaussian":
            return math.ceil(2 * radius)
        case "smoothstep":
            return math.ceil(math.sqrt(radius**2 + 2 + 2 * math.log(1e4)))
        case _:
            return math.ceil(max(radius - 0.5, 0))


def _corners(shape: Aperture) -> Float[np.ndarray, "blades 2"]:
    """Return the corners of a polygon inscribed in the disc of diameter 1."""
    angles = shape.rotation + 2 * np.pi * np.arange(shape.blades) / shape.blades
    return 0.5 * np.stack((np.cos(angles), np.sin(angles)), -1)


def _side_normals(shape: Aperture) -> Float[np.ndarray, "blades 2"]:
    """Return the directions out through the middles of a polygon's sides; the apothem is 0.5 cos(pi / blades)."""
    angles = shape.rotation + 2 * np.pi * (np.arange(shape.blades) + 0.5) / shape.blades
    return np.stack((np.cos(angles), np.sin(angles)), -1)


def gaussian_variance(shape: Aperture) -> float:
    """Return the variance along each axis of the Gaussian that blurs most like a shape of diameter 1.

    A disc ends where a Gaussian of equal variance still has its tails and its peak: pictures of edges are blurred more
    alike by one that is a little wider.
    """
    return _variance(shape) * (1 if shape.kind == "gaussian" else _NEAREST)


def _variance(shape: Aperture) -> float:
    """Return the variance along any axis of a shape of diameter 1."""
    return (2 + math.cos(2 * math.pi / shape.blades)) / 48 if shape.kind == "polygon" else 1 / 16


def _farthest(shape: Aperture, points: Float[np.ndarray, "n 2"]) -> float:
    """Return how far out the outermost point is; 1 is the edge of the disc or polygon of diameter 1."""
    if shape.kind == "polygon":
        return float((points @ _side_normals(shape).T).max() / (0.5 * math.cos(math.pi / shape.blades)))
    return float(np.linalg.norm(points, axis=1).max() / 0.5)


def _nodes() -> tuple[Float[Tensor, "q"], Float[Tensor, "q"]]:
    """Return places in [0, 1] and weights of Gauss and Legendre's quadrature."""
    places, weights = np.polynomial.legendre.leggauss(_NODES)
    return torch.from_numpy((places + 1) / 2), torch.from_numpy(weights / 2)


def _disc_coverage(radius: Float[Tensor, ""], centres: Float[Tensor, "k"]) -> Float[Tensor, "k k"]:
    """Return the area of each pixel (rows y, columns x) within a disc.

    Exact along y, by quadrature along x, in the angle whose sine is x / radius: there the disc's edge is smooth.
    """
    limits = torch.stack((centres - 0.5, centres + 0.5)) / radius
    inside = limits.abs() < 1
    angles = torch.where(inside, torch.asin(torch.where(inside, limits, 0)), limits.sign() * (math.pi / 2))
    first, width = angles[0], angles[1] - angles[0]
    places, weights = (values.to(radius.device) for values in _nodes())
    angle = first[:, None] + width[:, None] * places
    reach = radius * angle.cos()
    columns = reach * width[:, None] * weights  # dx = radius cos(angle) d(angle)
    return _covered(-reach, reach, centres, columns)


def _polygon_coverage(shape: Aperture, radius: Float[Tensor, ""], centres: Float[Tensor, "k"]) -> Float[Tensor, "k k"]:
    """Return the area of each pixel within a polygon whose corners lie `radius` from the middle; exact along y.

    The polygon is the common part of half-planes `n . p <= apothem` with n pointing out through the middle of each
    side, which leaves no order of corners to get wrong.
    """
    corners = torch.from_numpy(_corners(shape)[:, 0]).to(radius.device) * 2
    normals = _side_normals(shape).tolist()
    apothem = radius * math.cos(math.pi / shape.blades)
    first = torch.maximum(centres - 0.5, radius * corners.min())
    width = (torch.minimum(centres + 0.5, radius * corners.max()) - first).clamp_min(0)
    places, weights = (values.to(radius.device) for values in _nodes())
    x = first[:, None] + width[:, None] * places
    # Sides that run along y bound x alone, which is done.
    below = [(apothem - nx * x) / ny for nx, ny in normals if ny > 1e-9]
    above = [(apothem - nx * x) / ny for nx, ny in normals if ny < -1e-9]
    return _covered(torch.stack(above).amax(0), torch.stack(below).amin(0), centres, width[:, None] * weights)


def _covered(
    low: Float[Tensor, "k q"], high: Float[Tensor, "k q"], centres: Float[Tensor, "k"], columns: Float[Tensor, "k q"]
) -> Float[Tensor, "k k"]:
    """Return the light in every pixel: the length of [low, high] in its rows, summed over the columns' widths."""
    top, bottom = centres[:, None, None] - 0.5, centres[:, None, None] + 0.5
    length = torch.minimum(high, bottom).clamp_min(top) - torch.maximum(low, top).clamp_max(bottom)
    return (length.clamp_min(0) * columns).sum(-1)
