"""EXIF as a prior of lenses: it decides where photographs do not tell, and is outweighed by those that do."""

import math
from dataclasses import replace

import pytest
import torch
from test_lens_and_motion import APERTURE, FOCI, STILL_SCENE, VIEWS, taken
from test_loop import HEIGHT, WIDTH, last, small, world

from hyperfocal.fit import CaptureConfig, fit
from hyperfocal.fit.capture import CaptureParameters, Units, as_captured
from hyperfocal.fit.lens_prior import cost, first_apertures, lens_prior
from hyperfocal.gaussians import Gaussians
from hyperfocal.lens import ThinLens
from hyperfocal.render import render
from hyperfocal.rendering import RenderOptions
from hyperfocal.scene import Exif, Photograph
from scenes import ring_of_cameras

UNITS = Units(extent=1.0, inverse_range=0.2, distance=4.0, focal_px=60.0, metres=0.5)
# 50 mm at f/2 and f/4, and a camera that says nothing.
EXIFS = (
    Exif(focal_length_mm=50.0, f_number=2.0, focus_distance_m=2.0),
    Exif(focal_length_mm=50.0, f_number=4.0, focus_distance_m=math.inf),
    Exif(),
)
PRIOR = lens_prior(EXIFS)
SAID = (0.025, 0.0125)  # metres


def values_of(apertures: list[float], inverse_foci: list[float]) -> CaptureParameters:
    start = as_captured(len(apertures)).values
    return replace(
        start, aperture=torch.tensor(apertures).log().unsqueeze(1), focus=torch.tensor(inverse_foci).unsqueeze(1)
    )


def cost_of(values: CaptureParameters, photograph: int, units: Units) -> float:
    return float(cost(PRIOR, photograph, values.row(photograph, ("aperture", "focus")), values, units))


def test_what_exif_says_costs_nothing_and_a_standard_deviation_log_2() -> None:
    # In units of half a metre: 0.05 and 0.025, focused 4 units away and at infinity.
    right = values_of([0.05, 0.025, 7.0], [0.25, 0.0, 3.0])
    assert [cost_of(right, i, UNITS) for i in range(3)] == pytest.approx([0, 0, 0], abs=1e-9)
    wider = replace(right, aperture=right.aperture + 0.1)
    assert [cost_of(wider, i, UNITS) for i in range(3)] == pytest.approx([math.log(2), math.log(2), 0], abs=1e-5)
    # A quarter of 1 / (2 m); at infinity, of the scene's range of 0.2 per half metre.
    nearer = replace(right, focus=right.focus + 0.5 * torch.tensor([[0.125], [0.1], [1.0]]))
    assert [cost_of(nearer, i, UNITS) for i in range(3)] == pytest.approx([math.log(2), math.log(2), 0], abs=1e-5)


def test_without_a_scale_exif_tells_ratios_only() -> None:
    unknown = replace(UNITS, metres=None)
    for size in (0.1, 1.0, 30.0):
        in_ratio = values_of([2 * size, size, 5.0], [0.5 * SAID[1] / size, 0.0, 3.0])
        assert cost_of(in_ratio, 0, unknown) == pytest.approx(0, abs=1e-6)
        assert cost_of(in_ratio, 1, unknown) == pytest.approx(0, abs=1e-6)
    equal = values_of([1.0, 1.0, 1.0], [0.0, 0.0, 0.0])
    assert cost_of(equal, 1, unknown) > 2
    nothing = lens_prior([Exif(), Exif(f_number=2.0)])
    row = equal.row(0, ("aperture", "focus"))
    assert float(cost(nothing, 0, row, equal, unknown)) == 0


def test_exif_that_is_far_off_lets_go() -> None:
    pulls = []
    for factor in (1.1, 10.0):
        values = values_of([0.05 * factor, 0.025, 1.0], [0.25, 0.0, 3.0])
        row = {name: value.clone().requires_grad_() for name, value in values.row(0, ("aperture", "focus")).items()}
        cost(PRIOR, 0, row, values, UNITS).backward()
        assert row["aperture"].grad is not None
        pulls.append(float(row["aperture"].grad))
    assert 0 < pulls[1] < 0.1 * pulls[0]


def test_the_search_begins_where_exif_and_the_scale_say() -> None:
    assert first_apertures(PRIOR, 3.0, UNITS).tolist() == pytest.approx([0.05, 0.025, 3.0])
    assert first_apertures(PRIOR, 3.0, replace(UNITS, metres=None)).tolist() == [3.0, 3.0, 3.0]


def test_exif_decides_where_photographs_do_not_tell() -> None:
    """Of things all at one depth, a wide lens focused nearby looks like a narrow one focused far off."""
    point = world()
    point = replace(point, means=0.02 * point.means, scales=0.1 * point.scales)
    photographs = tuple(blurred(point, i) for i in range(VIEWS))
    assert aperture_of(photographs, point, metres=1.0) == pytest.approx(APERTURE, rel=0.05)
    blind = tuple(replace(photograph, exif=Exif()) for photograph in photographs)
    assert abs(aperture_of(blind, point, metres=1.0) / APERTURE - 1) > 0.1, "nothing else told"


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_photographs_that_tell_outweigh_exif(factor: float) -> None:
    wrong = Exif(focal_length_mm=1000.0, f_number=1 / (factor * APERTURE))
    photographs = tuple(replace(photograph, exif=wrong) for photograph in taken(lens=True))
    assert aperture_of(photographs, world(), metres=1.0) == pytest.approx(APERTURE, rel=0.08)


def blurred(gaussians: Gaussians, i: int) -> Photograph:
    camera = ring_of_cameras(VIEWS, WIDTH, HEIGHT)[i]
    lens = ThinLens(torch.tensor(APERTURE), FOCI[i])
    with torch.no_grad():
        color = render(gaussians, camera, lens=lens, options=RenderOptions(opacity_law="optical_depth")).color
    exif = Exif(focal_length_mm=1000.0, f_number=1 / APERTURE)
    return Photograph(f"{i}", color.clamp(0, 1), torch.ones(HEIGHT, WIDTH, dtype=torch.bool), camera, exif=exif)


def aperture_of(photographs: tuple[Photograph, ...], start: Gaussians, metres: float) -> float:
    config = small(400, background="black", capture=CaptureConfig(lens="on", circle_px=3.0), **STILL_SCENE)
    end = last(fit(photographs, start, config, metres_per_unit=metres)).checkpoint()
    return float(end.capture.values.aperture[0, 0].exp())
