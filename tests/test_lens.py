"""Lenses against figures worked out on paper, and against each other: circle and depth, calibrated form and metres."""

import math

import pytest
import torch
from jaxtyping import TypeCheckError

from hyperfocal.errors import BadInputError
from hyperfocal.lens import PhysicalLens, ThinLens


def lens_of(aperture: float, focus: float) -> ThinLens:
    return ThinLens(torch.tensor(aperture, dtype=torch.float64), torch.tensor(focus, dtype=torch.float64))


# Circles in px worked out on paper from c = A v (1/d_f - 1/d) / pitch, v = f d_f / (d_f - f), A = f / N.
FULL_FRAME, PHONE = 0.036, 0.01211  # metres of sensor: of 1600 and of 1000 columns of 12.11 um
BY_HAND = [
    (0.050, 5.6, 10.0, FULL_FRAME, 1600, {2.0: -7.9764, 5.0: -1.9941, 20.0: 0.99705, 50.0: 1.5953, math.inf: 1.9941}),
    (0.050, 5.6, 30.0, FULL_FRAME, 1600, {2.0: -9.2747, 5.0: -3.3124, 20.0: -0.33124, 50.0: 0.26499}),
    (0.0029, 1.0, 0.3, PHONE, 1000, {0.1: -4.6750, 0.7: 1.3357, 1.5: 1.8700, 3.0: 2.1037}),
    (0.050, 8.0, 1.0, 0.012, 1000, {10.0: 24.671}),
]


@pytest.mark.parametrize(("focal", "f_number", "focus", "sensor", "width", "circles"), BY_HAND)
def test_circles_are_those_worked_out_by_hand(focal, f_number, focus, sensor, width, circles):
    lens = PhysicalLens(focal, f_number, focus, sensor)
    for depth, circle in circles.items():
        assert lens.coc_diameter_px(depth, width) == pytest.approx(circle, rel=1e-4)
        assert lens.depth_m(lens.coc_diameter_px(depth, width), width) == pytest.approx(depth, rel=1e-9)
    assert lens.coc_diameter_px(focus, width) == 0
    depths = torch.tensor(list(circles), dtype=torch.float32)
    thin, focal_px = lens.thin_lens(), torch.tensor(lens.focal_px(width))
    torch.testing.assert_close(
        thin.coc_diameter_px(depths, focal_px), torch.tensor(list(circles.values())), rtol=1e-4, atol=0
    )


def test_a_lens_at_infinity_has_its_sensor_at_the_focal_length():
    lens = PhysicalLens(0.05, 2.0, math.inf, 0.036)
    assert lens.image_distance_m == 0.05
    assert lens.focal_px(720) == pytest.approx(1000)
    assert lens.coc_diameter_px(math.inf, 720) == 0
    assert lens.coc_diameter_px(10.0, 720) == pytest.approx(-0.025 * 1000 / 10)
    assert lens.depth_m(0.0, 720) == math.inf
    assert PhysicalLens(0.05, 2.0, 0.1, 0.036).image_distance_m == pytest.approx(0.1)  # life size


def test_focused_at_the_hyperfocal_distance_all_from_half_of_it_is_sharp():
    circle = 30e-6
    distance = PhysicalLens(0.05, 1.8, 5.0, 0.036).hyperfocal_m(circle)
    assert distance == pytest.approx(0.05**2 / (1.8 * circle) + 0.05)  # 46.3 m
    near, far = PhysicalLens(0.05, 1.8, distance, 0.036).depth_of_field_m(circle)
    assert near == pytest.approx(distance / 2, rel=1e-12)
    assert far == math.inf
    assert PhysicalLens(0.05, 1.8, 0.999 * distance, 0.036).depth_of_field_m(circle)[1] < math.inf
    assert PhysicalLens(0.05, 1.8, math.inf, 0.036).depth_of_field_m(circle)[1] == math.inf


def test_the_limits_of_the_depth_of_field_have_the_circle_itself():
    lens, width = PhysicalLens(0.085, 1.4, 3.0, 0.036), 6000
    near, far = lens.depth_of_field_m(lens.pixel_pitch_m(width) * 5)
    assert near < 3 < far
    assert lens.coc_diameter_px(near, width) == pytest.approx(-5)
    assert lens.coc_diameter_px(far, width) == pytest.approx(5)


def test_scene_units_change_no_circle():
    lens = PhysicalLens(0.05, 1.8, 2.0, 0.036)
    metres, units = lens.thin_lens(), lens.thin_lens(metres_per_unit=0.25)
    depths, focal_px = torch.tensor([1.0, 3.0, 8.0]), torch.tensor(lens.focal_px(1200))
    torch.testing.assert_close(metres.coc_diameter_px(depths, focal_px), units.coc_diameter_px(depths / 0.25, focal_px))


@pytest.mark.parametrize("focus", [0.7, math.inf])
def test_depth_follows_from_the_signed_circle(focus):
    lens, focal_px = lens_of(0.02, focus), torch.tensor(900.0, dtype=torch.float64)
    depths = torch.tensor([0.1, 0.5, 0.7, 4.0, math.inf], dtype=torch.float64)
    circles = lens.coc_diameter_px(depths, focal_px)
    torch.testing.assert_close(lens.depth_z(circles, focal_px), depths)
    torch.testing.assert_close(lens.inverse_depth(circles, focal_px), 1 / depths)


def test_depth_of_an_impossible_circle_is_unknown_and_its_gradient_finite():
    lens, focal_px = lens_of(0.02, 2.0), torch.tensor(1000.0, dtype=torch.float64)
    circles = torch.tensor(
        [-4.0, 9.99, 10.0, 10.5], dtype=torch.float64, requires_grad=True
    )  # infinity's circle is 10 px
    depths = lens.depth_z(circles, focal_px)
    assert depths.tolist() == pytest.approx([1 / 0.7, 2000.0, math.inf, 0.0])
    (slopes,) = torch.autograd.grad(depths[:2].sum(), circles)
    assert slopes.isfinite().all()
    assert slopes[2:].tolist() == [0, 0]


def test_a_pinhole_tells_no_depth():
    lens = lens_of(0.0, 2.0)
    assert lens.coc_diameter_px(torch.tensor([0.5, 9.0]).double(), torch.tensor(100.0).double()).tolist() == [0, 0]
    with pytest.raises(BadInputError, match="pinhole, whose pictures are sharp"):
        lens.depth_z(torch.zeros(2).double(), torch.tensor(100.0).double())


def test_a_batch_of_lenses_is_one_of_each():
    lenses = ThinLens(torch.tensor([0.1, 0.2]), torch.tensor([1.0, math.inf]))
    assert lenses.is_batch
    assert lenses.as_batch(2) is lenses
    assert (float(lenses[1].aperture_diameter), float(lenses[1].focus_distance)) == (pytest.approx(0.2), math.inf)
    shared = lenses[0].as_batch(3)
    assert shared.focus_distance.tolist() == [1.0, 1.0, 1.0]
    assert lenses.to(dtype=torch.float64).aperture_diameter.dtype == torch.float64
    with pytest.raises(TypeError, match="single view"):
        lenses[0][0]


@pytest.mark.parametrize(
    ("aperture", "focus", "words"),
    [
        (-0.1, 1.0, "aperture diameter of -0.1"),
        (math.nan, 1.0, "aperture diameter of nan"),
        (math.inf, 1.0, "aperture diameter of inf"),
        (0.1, 0.0, "focused at 0 scene"),
        (0.1, -2.0, "focused at -2"),
        (0.1, math.nan, "focused at nan"),
    ],
)
def test_a_thin_lens_that_cannot_be_is_refused(aperture, focus, words):
    with pytest.raises(BadInputError, match=words):
        lens_of(aperture, focus)


def test_one_bad_lens_of_many_is_refused():
    apertures = torch.full((9,), 0.1)
    apertures[8] = -1
    with pytest.raises(BadInputError, match=r"0\.1, 0\.1, 0\.1, 0\.1, \.\.\."):
        ThinLens(apertures, torch.ones(9))
    with pytest.raises((TypeCheckError, RuntimeError)):
        ThinLens(torch.ones(2), torch.ones(3))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"focal_length_m": 0.0}, "focal_length_m = 0"),
        ({"focal_length_m": math.inf}, "focal_length_m = inf"),
        ({"f_number": -1.8}, "f_number = -1.8"),
        ({"f_number": 0.0}, "f_number = 0.*pinhole is `ThinLens`"),
        ({"f_number": math.inf}, "f_number = inf"),
        ({"sensor_width_m": 0.0}, "sensor_width_m = 0"),
        ({"sensor_width_m": math.nan}, "sensor_width_m = nan"),
        ({"focus_distance_m": 0.05}, "50 mm cannot be focused at 0.05 m"),
        ({"focus_distance_m": 0.04}, "no real image"),
        ({"focus_distance_m": -3.0}, "focused at -3 m"),
        ({"focus_distance_m": math.nan}, "focused at nan m"),
        ({"focal_length_m": 50.0}, "meant in millimetres"),
    ],
)
def test_a_physical_lens_that_cannot_be_is_refused(changed, words):
    whole = {"focal_length_m": 0.05, "f_number": 1.8, "focus_distance_m": 2.0, "sensor_width_m": 0.036}
    with pytest.raises(BadInputError, match=words):
        PhysicalLens(**{**whole, **changed})


def test_questions_that_make_no_sense_are_refused():
    lens = PhysicalLens(0.05, 1.8, 2.0, 0.036)
    with pytest.raises(BadInputError, match="at 0 m; expected a depth above 0"):
        lens.coc_diameter_px(0.0, 1000)
    with pytest.raises(BadInputError, match=r"at infinity the circle is .* px in a picture 1000 px wide"):
        lens.depth_m(1000.0, 1000)
    with pytest.raises(BadInputError, match="largest sharp circle of 0 m"):
        lens.hyperfocal_m(0.0)
    with pytest.raises(BadInputError, match="largest sharp circle"):
        lens.depth_of_field_m(math.nan)
    with pytest.raises(BadInputError, match="width of 0 pixels"):
        lens.focal_px(0)
    with pytest.raises(BadInputError, match="scene unit of 0 metres"):
        lens.thin_lens(metres_per_unit=0.0)
