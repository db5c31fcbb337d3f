from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperfocal.distortion import Distortion, distort, fold_radius, undistort

# Coefficients, not Distortions: type checks use the random module, which is not for strategies.
small, smaller, positive = st.floats(-0.1, 0.1), st.floats(-0.01, 0.01), st.floats(0, 0.1)
tangential = (smaller, smaller)
opencv = st.tuples(st.just("opencv"), st.tuples(small, small, *tangential))
opencv_k3 = st.tuples(st.just("opencv"), st.tuples(small, small, *tangential, small))
full = st.tuples(st.just("full_opencv"), st.tuples(small, small, *tangential, small, positive, positive, small))
fisheye = st.tuples(st.just("fisheye"), st.tuples(*[st.floats(-0.02, 0.02)] * 4))
models = st.one_of(opencv, opencv_k3, full, fisheye)


def plane_grid(largest: float, count: int = 9) -> torch.Tensor:
    axis = torch.linspace(-largest, largest, count, dtype=torch.float64)
    return torch.cartesian_prod(axis, axis)


@settings(max_examples=40)
@given(models)
def test_undistort_inverts_distort(drawn: Any):
    distortion = Distortion(*drawn)
    plane = plane_grid(0.6)
    plane = plane[plane.norm(dim=1) < 0.9 * fold_radius(distortion)]
    back, valid = undistort(distortion, distort(distortion, plane))
    assert bool(valid.all())
    torch.testing.assert_close(back, plane, atol=1e-6, rtol=0)


@given(st.one_of(opencv, opencv_k3, full))
def test_distort_is_opencv_projectpoints(drawn: Any):
    distortion = Distortion(*drawn)
    plane = plane_grid(0.8)
    points = torch.cat((plane, torch.ones(len(plane), 1, dtype=torch.float64)), 1).numpy()
    theirs, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), np.eye(3), np.array(distortion.coefficients))
    np.testing.assert_allclose(distort(distortion, plane).numpy(), theirs[:, 0], atol=1e-12)


@given(fisheye)
def test_fisheye_is_opencv_fisheye(drawn: Any):
    distortion = Distortion(*drawn)
    plane = plane_grid(2.0)
    points = torch.cat((plane, torch.ones(len(plane), 1, dtype=torch.float64)), 1).numpy()[:, None]
    coefficients = np.array(distortion.coefficients)
    theirs, _ = cv2.fisheye.projectPoints(points, np.zeros(3), np.zeros(3), np.eye(3), coefficients)
    np.testing.assert_allclose(distort(distortion, plane).numpy(), theirs[:, 0], atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_middle_of_a_fisheye_stays_in_the_middle(dtype: torch.dtype):
    middle = torch.zeros(1, 2, dtype=dtype)
    distortion = Distortion("fisheye", (0.1, 0.0, 0.0, 0.0))
    back, valid = undistort(distortion, middle)
    assert bool(valid.all())
    assert distort(distortion, middle).abs().max() == 0
    assert back.abs().max() < 1e-12


def test_fold_of_barrel_distortion_is_at_the_stationary_radius():
    # r (1 + k r^2) with k = -0.3 is stationary at r = sqrt(1 / 0.9).
    assert fold_radius(Distortion("opencv", (-0.3, 0.0, 0.0, 0.0))) == pytest.approx((1 / 0.9) ** 0.5)
    # The angle a (1 + k a^2) with k = -0.3 is stationary at the same number of radians.
    assert fold_radius(Distortion("fisheye", (-0.3, 0.0, 0.0, 0.0))) == pytest.approx(np.tan((1 / 0.9) ** 0.5))
    # r / (1 + k r^2) with k = 0.25 is largest at r = 2.
    rational = Distortion("full_opencv", (0.0, 0.0, 0.0, 0.0, 0.0, 0.25, 0.0, 0.0))
    assert fold_radius(rational) == pytest.approx(2.0)


def test_pincushion_distortion_never_folds():
    assert fold_radius(Distortion("opencv", (0.1, 0.02, 0.0, 0.0))) == float("inf")
    assert fold_radius(Distortion("fisheye", (0.0, 0.0, 0.0, 0.0))) == float("inf")


@given(models)
def test_radius_grows_up_to_the_fold(drawn: Any):
    distortion = Distortion(*drawn)
    limit = min(fold_radius(distortion), 3.0)
    radius = torch.linspace(0, limit, 400, dtype=torch.float64)[:-1]
    c = list(distortion.coefficients)
    if distortion.model != "fisheye":
        c[2] = c[3] = 0.0  # the radial part only
    straight = distort(Distortion(distortion.model, tuple(c)), torch.stack((radius, 0 * radius), 1))[:, 0]
    assert bool((straight.diff() > -1e-12).all())


def test_points_beyond_the_fold_have_no_ideal_ray():
    # With k = -0.3 nothing lands further out than 0.7027: r (1 - 0.3 r^2) at its top.
    _, valid = undistort(Distortion("opencv", (-0.3, 0.0, 0.0, 0.0)), torch.tensor([[0.69, 0.0], [0.72, 0.0]]))
    assert valid.tolist() == [True, False]


def test_wrong_numbers_of_coefficients_are_refused():
    with pytest.raises(ValueError, match="4 or 5 coefficients, got 3"):
        Distortion("opencv", (0.0, 0.0, 0.0))
    with pytest.raises(ValueError, match="finite"):
        Distortion("fisheye", (0.0, 0.0, 0.0, float("nan")))


def test_zero_coefficients_do_nothing_except_to_a_fisheye():
    assert Distortion("opencv", (0.0,) * 4).is_none
    assert Distortion("full_opencv", (0.0,) * 8).is_none
    assert not Distortion("fisheye", (0.0,) * 4).is_none
