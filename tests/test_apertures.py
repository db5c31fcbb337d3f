"""Shapes of apertures: points and kernels against each other and against figures worked out on paper."""

import math
from itertools import pairwise

import numpy as np
import pytest
import scipy.optimize
import scipy.special
import torch
from torch import Tensor

from hyperfocal.apertures import Aperture, aperture_points, blur_kernel, gaussian_variance
from hyperfocal.errors import BadInputError

DISC, GAUSSIAN, SMOOTHSTEP = Aperture("disc"), Aperture("gaussian"), Aperture("smoothstep")
SHAPES = [DISC, GAUSSIAN, SMOOTHSTEP, Aperture("polygon", 3, 0.1), Aperture("polygon", 6), Aperture("polygon", 9, -2.0)]
OPENINGS = [shape for shape in SHAPES if shape.kind != "smoothstep"]


def name(shape: Aperture) -> str:
    return f"{shape.kind}{shape.blades}" if shape.kind == "polygon" else shape.kind


def px(diameter: float) -> Tensor:
    return torch.tensor(diameter, dtype=torch.float64)


def variances(kernel: Tensor) -> tuple[float, float]:
    """Return the variances along x and y in px^2 of a kernel centred on its middle."""
    squared = (torch.arange(len(kernel)) - len(kernel) // 2).square()
    return float((kernel.sum(0) * squared).sum()), float((kernel.sum(1) * squared).sum())


def angular_moment(places: Tensor, weights: Tensor, order: int) -> complex:
    """Return the mean of (x + i y)^order: 0 for a shape that is symmetric under fewer turns than its order."""
    z = torch.complex(places[:, 0].double(), places[:, 1].double())
    return complex((weights * z**order).sum() / weights.sum())


def kernel_places(kernel: Tensor) -> tuple[Tensor, Tensor]:
    """Return (x, y) of each entry of a kernel, and its light."""
    steps = torch.arange(len(kernel)) - len(kernel) // 2
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    return torch.stack((x.flatten(), y.flatten()), -1), kernel.flatten()


@pytest.mark.parametrize("shape", SHAPES, ids=name)
@pytest.mark.parametrize("diameter", [0.0, 0.3, 1.0, 2.7, -6.4, 30.0])
def test_a_kernel_is_odd_holds_all_light_and_has_none_below_zero(shape, diameter):
    for dtype in (torch.float32, torch.float64):
        kernel = blur_kernel(shape, torch.tensor(diameter, dtype=dtype))
        assert kernel.dtype == dtype
        assert len(kernel) % 2 == 1
        assert float(kernel.sum()) == pytest.approx(1, abs=1e-5)
        assert float(kernel.min()) >= 0


@pytest.mark.parametrize("shape", [DISC, GAUSSIAN], ids=name)
def test_disc_and_gaussian_have_the_variance_of_a_disc(shape):
    for diameter in (12.0, 20.0, 41.3):
        for found in variances(blur_kernel(shape, px(diameter))):
            assert found == pytest.approx(diameter**2 / 16 + 1 / 12, rel=3e-3)
    assert variances(blur_kernel(shape, px(20.0)))[0] == pytest.approx(20**2 / 16, rel=0.01)


def test_a_disc_covers_the_pixels_that_it_covers():
    kernel = blur_kernel(DISC, px(3.0)) * math.pi * 1.5**2
    assert kernel.shape == (3, 3)
    assert float(kernel[1, 1]) == pytest.approx(1)
    # Of the pixel [0.5, 1.5] x [-0.5, 0.5] the circle of radius 1.5 cuts off what lies beyond sqrt(1.5^2 - y^2):
    # the covered area is the integral of that over y, less the half pixel to its left.
    beside = 0.5 * math.sqrt(1.5**2 - 0.5**2) + 1.5**2 * math.asin(0.5 / 1.5) - 0.5
    assert kernel[0, 1].tolist() == pytest.approx(beside, abs=1e-3)
    assert kernel[1, 0].tolist() == pytest.approx(beside, abs=1e-3)
    corner = (math.pi * 1.5**2 - 1 - 4 * beside) / 4
    assert kernel[2, 2].tolist() == pytest.approx(corner, abs=1e-3)


@pytest.mark.parametrize("shape", [DISC, Aperture("polygon", 5, 0.4)], ids=name)
def test_a_kernel_is_the_share_of_fine_samples_in_each_pixel(shape):
    diameter, fine = 7.3, 41  # samples a side of each pixel, by brute force
    kernel = blur_kernel(shape, px(diameter))
    half = len(kernel) / 2
    steps = (torch.arange(len(kernel) * fine) + 0.5) / fine - half
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    if shape.kind == "disc":
        inside = x**2 + y**2 <= (diameter / 2) ** 2
    else:  # inside the edge from every corner to the next
        angles = [shape.rotation + 2 * math.pi * i / shape.blades for i in range(shape.blades + 1)]
        corners = [(diameter / 2 * math.cos(a), diameter / 2 * math.sin(a)) for a in angles]
        inside = torch.ones_like(x, dtype=torch.bool)
        for (ax, ay), (bx, by) in pairwise(corners):
            inside &= (bx - ax) * (y - ay) - (by - ay) * (x - ax) >= 0
    counted = inside.double().unflatten(0, (-1, fine)).unflatten(2, (-1, fine)).sum((1, 3))
    torch.testing.assert_close(kernel, counted / counted.sum(), atol=1e-4, rtol=0)


@pytest.mark.parametrize("blades", [3, 5, 6, 8, 12])
def test_a_polygon_is_not_empty_and_symmetric_under_its_turns(blades):
    kernel = blur_kernel(Aperture("polygon", blades, 0.3), px(81.0))
    area = blades / 2 * math.sin(2 * math.pi / blades) * 40.5**2
    assert float(kernel.max()) == pytest.approx(1 / area, rel=1e-3)  # pixels that are covered whole
    places, weights = kernel_places(kernel)
    scale = 40.5**blades
    for order in range(1, blades):
        assert abs(angular_moment(places, weights, order)) < 2e-3 * 40.5**order, order
    found = angular_moment(places, weights, blades) / scale
    assert abs(found) > 0.005
    # A corner lies at the rotation.
    assert math.remainder(math.atan2(found.imag, found.real) - 0.3 * blades, 2 * math.pi) == pytest.approx(0, abs=0.05)


def test_a_square_turned_by_a_quarter_is_itself_and_by_an_eighth_is_not():
    corner = blur_kernel(Aperture("polygon", 4), px(9.0))
    torch.testing.assert_close(corner, torch.rot90(corner), atol=1e-5, rtol=0)
    torch.testing.assert_close(blur_kernel(Aperture("polygon", 4, math.pi / 2), px(9.0)), corner, atol=1e-9, rtol=0)
    upright = blur_kernel(Aperture("polygon", 4, math.pi / 4), px(9.0))
    side = 9 / math.sqrt(2)
    assert float(upright[4].gt(1e-6).sum()) == 7  # 6.36 px wide, where the other is 9
    assert upright[4, 4].tolist() == pytest.approx(1 / side**2, rel=1e-6)
    assert float((upright - corner).abs().max()) > 0.01


def test_before_the_focus_a_polygon_is_turned_by_half_a_turn():
    triangle = Aperture("polygon", 3, 0.2)
    behind, before = blur_kernel(triangle, px(11.0)), blur_kernel(triangle, px(-11.0))
    torch.testing.assert_close(before, behind.flip(0, 1), atol=1e-4, rtol=0)
    assert float((before - behind).abs().max()) > 0.5 * float(behind.max())


def test_smoothstep_has_the_values_of_its_formula():
    kernel = blur_kernel(SMOOTHSTEP, px(6.0), size=7)
    raw = [0.5 + 0.5 * math.tanh(0.25 * (9 - r2) + 0.5) for r2 in (0, 9, 18)]  # middle, edge, corner; r = 3
    assert raw == pytest.approx([0.995930, 0.731059, 0.029312], abs=1e-6)
    found = [float(kernel[3, 3]), float(kernel[3, 6]), float(kernel[0, 0])]
    assert [value / found[0] for value in found] == pytest.approx([value / raw[0] for value in raw])
    assert float(kernel.sum()) == pytest.approx(1)


@pytest.mark.parametrize("shape", SHAPES, ids=name)
@pytest.mark.parametrize("diameter", [2.3, -7.7])
def test_the_derivative_of_a_kernel_by_the_diameter_is_right(shape, diameter):
    circle = torch.tensor(diameter, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda c: blur_kernel(shape, c, size=11), circle, eps=1e-6, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("shape", OPENINGS, ids=name)
def test_no_blur_is_one_pixel_with_a_derivative_of_zero(shape):
    circle = torch.tensor(0.0, requires_grad=True)
    kernel = blur_kernel(shape, circle, size=3)
    assert kernel[1, 1].item() == 1
    kernel.square().sum().backward()
    assert circle.grad.item() == 0


@pytest.mark.parametrize("shape", OPENINGS, ids=name)
@pytest.mark.parametrize("count", [8, 16, 64, 256])
def test_points_have_the_moments_of_their_shape_and_lie_in_it(shape, count):
    points = aperture_points(shape, count).double()
    assert points.shape == (count, 2)
    variance = (2 + math.cos(2 * math.pi / shape.blades)) / 48 if shape.kind == "polygon" else 1 / 16
    torch.testing.assert_close(points.mean(0), torch.zeros(2).double(), atol=1e-7, rtol=0)
    torch.testing.assert_close(points.T @ points / count, variance * torch.eye(2).double(), atol=1e-6, rtol=0)
    assert len(torch.unique((points * 1e5).round(), dim=0)) == count
    if shape.kind == "disc":
        assert points.norm(dim=1).max() <= 0.5
    if shape.kind == "polygon":
        middles = shape.rotation + 2 * math.pi * (torch.arange(shape.blades) + 0.5) / shape.blades
        out = points @ torch.stack((middles.cos(), middles.sin())).double()
        assert out.max() <= 0.5 * math.cos(math.pi / shape.blades) + 1e-7


@pytest.mark.parametrize("shape", OPENINGS, ids=name)
def test_points_spread_as_the_kernel_does(shape):
    diameter = 9.0
    kernel = blur_kernel(shape, px(diameter))
    pixels = (aperture_points(shape, 4096) * diameter).round().long() + len(kernel) // 2
    inside = ((pixels >= 0) & (pixels < len(kernel))).all(1)  # the Gaussian's tail is cut off in the kernel
    counted = torch.zeros_like(kernel)
    counted.index_put_((pixels[inside, 1], pixels[inside, 0]), torch.ones(1).double(), accumulate=True)
    torch.testing.assert_close(counted / 4096, kernel, atol=2e-3, rtol=0)


@pytest.mark.parametrize("shape", OPENINGS, ids=name)
def test_one_point_is_the_middle(shape):
    assert aperture_points(shape, 1).tolist() == [[0, 0]]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Aperture("polygon", 2), "2 blades; expected 3 to 32"),
        (lambda: Aperture("polygon", 6, math.inf), "turned by inf"),
        (lambda: aperture_points(DISC, 0), "at 0 points"),
        (lambda: aperture_points(SMOOTHSTEP, 4), "no points; use `blur_kernel`"),
        (lambda: blur_kernel(DISC, px(math.nan)), "nan pixels"),
        (lambda: blur_kernel(DISC, px(3.0), size=4), "4 x 4"),
    ],
)
def test_what_makes_no_sense_is_refused(make, words):
    with pytest.raises(BadInputError, match=words):
        make()


def test_the_gaussian_nearest_to_a_disc_is_where_the_error_in_pictures_of_edges_is_least():
    frequency = np.geomspace(1e-3, 30, 20_000)
    disc = 2 * scipy.special.j1(np.pi * frequency) / (np.pi * frequency)

    def error(sigma: float) -> float:
        gaussian = np.exp(-2 * (np.pi * sigma * frequency) ** 2)
        return float(np.trapezoid(((disc - gaussian) / frequency) ** 2, frequency))

    best = float(scipy.optimize.fminbound(error, 0.1, 0.6))
    assert gaussian_variance(Aperture()) == pytest.approx(best**2, rel=1e-3)
    assert error(best) < 0.8 * error(0.25)
    assert gaussian_variance(Aperture("gaussian")) == 1 / 16
