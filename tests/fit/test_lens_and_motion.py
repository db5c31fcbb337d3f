"""A lens and a camera's motion, found from photographs that were taken with both known."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from test_loop import HEIGHT, WIDTH, last, perturbed, photographs_of, small, world

from hyperfocal.bench.quality import STANDSTILL
from hyperfocal.camera import Camera, project
from hyperfocal.fit import CaptureConfig, McmcConfig, fit
from hyperfocal.fit.capture import CaptureParameters, Units, as_captured, fitted, lens_of, shutter_of
from hyperfocal.fit.config import Blur
from hyperfocal.fit.pyramid import PhotographStore
from hyperfocal.fit.uncertainty import focus_sigma
from hyperfocal.lens import ThinLens
from hyperfocal.render import render
from hyperfocal.rendering import RenderOptions
from hyperfocal.scene import Exif, Photograph
from hyperfocal.shutter import MotionPath, Shutter
from scenes import ring_of_cameras

VIEWS = 8
APERTURE = 0.8
# The sphere is between z = 3.1 and 4.9 of every camera: near, middle and far are in focus somewhere.
NEAR, FAR = 3.1, 4.9
FOCI = torch.tensor([3.2, 4.3, 3.5, 4.0, 3.3, 4.2, 3.8, 3.1])
STILL_SCENE = {"learning_rates": STANDSTILL, "densify": McmcConfig(cap=300, start=0.9, grow_until=0.9, stop=0.9)}


def taken(lens: bool = False, motion: bool = False, foci: torch.Tensor = FOCI) -> tuple[Photograph, ...]:
    cameras = ring_of_cameras(VIEWS, WIDTH, HEIGHT)
    valid = torch.ones(HEIGHT, WIDTH, dtype=torch.bool)
    photographs = []
    with torch.no_grad():
        for i in range(VIEWS):
            picture = render(
                world(),
                cameras[i],
                lens=ThinLens(torch.tensor(APERTURE), foci[i]) if lens else None,
                shutter=Shutter(path=MotionPath.constant_velocity(twists()[i])) if motion else None,
                options=RenderOptions(opacity_law="optical_depth"),
            ).color
            photographs.append(Photograph(f"{i}", picture.clamp(0, 1), valid, cameras[i]))
    return tuple(photographs)


def twists() -> torch.Tensor:
    return 0.08 * torch.randn(VIEWS, 6, generator=torch.Generator().manual_seed(2)) * torch.tensor([1, 1, 1, 1, 1, 0.3])


def found(photographs: tuple[Photograph, ...], capture: CaptureConfig, steps: int = 400) -> CaptureParameters:
    """Return what is found of photographs of a scene that is known."""
    config = small(steps, background="black", capture=capture, **STILL_SCENE)
    return last(fit(photographs, world(), config)).checkpoint().capture.values


def test_the_pinhole_and_the_still_frame_are_the_start() -> None:
    config, start = CaptureConfig(lens="on", motion="on"), as_captured(2).values
    assert fitted(config, start) == ()
    assert fitted(config, replace(start, focus=torch.ones(2, 1))) == ("aperture", "focus")
    assert fitted(config, replace(start, motion=torch.ones(2, 6))) == ("motion",)
    assert lens_of({"aperture": start.aperture[0], "focus": start.focus[0]}) is None
    assert lens_of({}) is None and shutter_of({}, config) is None


@pytest.mark.parametrize("lens", [True, False], ids=["soft", "sharp"])
@pytest.mark.parametrize("motion", [True, False], ids=["moved", "still"])
def test_auto_fits_the_blur_that_there_is(lens: bool, motion: bool) -> None:
    capture = CaptureConfig(
        lens="auto", motion="auto", blur_start=0.0, blur_check=0.75, circle_px=3.0, streak_px=3.0, sub_frames=4
    )
    config = small(160, background="black", capture=capture, **STILL_SCENE)
    checkpoint = next(s for s in fit(taken(lens, motion), world(), config) if s.index == 120).checkpoint()
    assert checkpoint.capture.values.has_motion == motion, checkpoint.blur_gains
    assert checkpoint.capture.values.has_lens == lens, checkpoint.blur_gains
    assert set(checkpoint.blur_gains) == {"lens", "motion"}


@pytest.mark.parametrize("mode", ["on", "auto"])
def test_what_is_asked_for_stays_and_what_auto_fits_has_to_be_worth_it(mode: Blur) -> None:
    capture = CaptureConfig(lens=mode, motion=mode, blur_start=0.0, blur_check=0.5, sub_frames=2, worth=0.99)
    stages: set[str] = set()
    config = small(8, background="black", capture=capture)
    steps = fit(taken(True, True)[:2], world(), config, progress=lambda stage, done, total: stages.add(stage))
    checkpoint = last(steps).checkpoint()
    assert {"looking for the lens", "looking for motion"} <= stages, "they take seconds"
    assert checkpoint.capture.values.blur_names == (("aperture", "focus", "motion") if mode == "on" else ())
    assert max(checkpoint.blur_gains.values()) < 0.99


def test_aperture_and_focus_are_found_from_photographs_of_a_known_scene() -> None:
    values = found(taken(lens="on"), CaptureConfig(lens="on", circle_px=3.0))
    assert values.aperture[:, 0].exp().tolist() == pytest.approx([APERTURE] * VIEWS, rel=0.05)
    errors = (values.focus[:, 0] - 1 / FOCI).abs() / (1 / NEAR - 1 / FAR)
    assert errors.max() < 0.05


@pytest.mark.parametrize("focus", [1.5, 60.0], ids=["before everything", "beyond everything"])
def test_a_photograph_that_is_focused_on_nothing_does_no_harm(focus: float) -> None:
    foci = FOCI.clone()
    foci[3] = focus
    values = found(taken(lens=True, foci=foci), CaptureConfig(lens="on", circle_px=3.0))
    assert values.aperture[0].exp().item() == pytest.approx(APERTURE, rel=0.1)
    errors = (values.focus[:, 0] - 1 / foci).abs() / (1 / NEAR - 1 / FAR)
    assert errors[[0, 1, 2, 4, 5, 6, 7]].max() < 0.1
    assert (values.focus[3] > 1 / NEAR) == (focus < NEAR)  # on the right side of everything


def test_photographs_of_another_f_number_get_an_aperture_of_their_own() -> None:
    photographs = taken(lens=True)
    stopped_down = [replace(p, exif=Exif(focal_length_mm=50.0, f_number=8.0)) for p in photographs_of(world())]
    mixed = tuple((stopped_down if i % 2 else photographs)[i] for i in range(VIEWS))
    aperture = found(mixed, CaptureConfig(lens="on", circle_px=3.0)).aperture[:, 0].exp()
    assert aperture[::2].tolist() == pytest.approx([APERTURE] * (VIEWS // 2), rel=0.05)
    assert (aperture[1::2] < 0.3 * APERTURE).all()


def test_the_focus_is_the_less_certain_the_noisier_the_photographs() -> None:
    photographs, config = taken(lens=True), CaptureConfig(lens="on")
    start = as_captured(VIEWS).values
    values = replace(
        start, aperture=torch.full((VIEWS, 1), math.log(APERTURE)), focus=1 / FOCI.unsqueeze(1)
    )  # the truth
    units = Units(extent=1.0, inverse_range=1 / NEAR - 1 / FAR, distance=4.0, focal_px=61.0)
    generator = torch.Generator().manual_seed(1)
    sigmas = []
    for noise in (0.0, 0.01, 0.04):
        noisy = [
            replace(p, image=p.image + noise * torch.randn(p.image.shape, generator=generator)) for p in photographs
        ]
        store = PhotographStore(noisy, bits="float32")
        sigmas.append(focus_sigma(world(), store, values, config, units))
    assert (sigmas[0] < 1e-3 * units.inverse_range).all()
    assert (sigmas[1] > 3 * sigmas[0]).all()
    # Standard deviations are in proportion to the noise; one of about 20 blocks is known to a sixth.
    assert (sigmas[2] / sigmas[1]).mean() == pytest.approx(4, rel=0.25)


def test_two_sigma_hold_the_focus_of_noisy_photographs_of_a_known_scene() -> None:
    generator = torch.Generator().manual_seed(4)
    noisy = tuple(
        replace(p, image=p.image + 0.03 * torch.randn(p.image.shape, generator=generator)) for p in taken(lens=True)
    )
    config = small(400, background="black", capture=CaptureConfig(lens="on", circle_px=3.0), **STILL_SCENE)
    end = last(fit(noisy, world(), config)).checkpoint()
    sigma = focus_sigma(world(), PhotographStore(noisy, bits="float32"), end.capture.values, config.capture, end.units)
    assert int(((end.capture.values.focus[:, 0] - 1 / FOCI).abs() < 2 * sigma).sum()) >= VIEWS - 1
    assert (sigma < 0.2 * end.units.inverse_range).all()


def test_without_a_lens_there_is_no_uncertainty() -> None:
    store = PhotographStore(taken(), bits="float32")
    with pytest.raises(ValueError, match="no lens"):
        focus_sigma(world(), store, as_captured(VIEWS).values, CaptureConfig(), Units(1.0, 0.1, 4.0, 61.0))


def test_motion_is_found_up_to_its_direction() -> None:
    values = found(taken(motion="on"), CaptureConfig(motion="on", streak_px=3.0, sub_frames=12))
    cameras = ring_of_cameras(VIEWS, WIDTH, HEIGHT)
    for i in range(VIEWS):
        streaks, truth = streaks_px(cameras[i], values.motion[i]), streaks_px(cameras[i], twists()[i])
        error = min((streaks - truth).norm(), (streaks + truth).norm())  # a streak does not tell which end was first
        assert error < 0.25 * truth.norm()


def streaks_px(camera: Camera, twist: torch.Tensor) -> torch.Tensor:
    """Return the way of each Gaussian across the picture while the shutter is open."""
    ends = MotionPath.constant_velocity(twist).at(torch.tensor([-0.5, 0.5]))
    first, last = (
        project(replace(camera, world_to_camera=end @ camera.world_to_camera), world().means) for end in ends
    )
    return last[0] - first[0]


def test_of_sharp_photographs_the_aperture_closes() -> None:
    values = found(taken(), CaptureConfig(lens="on"))
    focal_px = float(ring_of_cameras(VIEWS, WIDTH, HEIGHT).focal_px.mean())
    assert float(values.aperture[0, 0].exp()) * focal_px * (1 / NEAR - 1 / FAR) < 1  # px, between the ends of the scene


@pytest.mark.parametrize("stop", [2, 6, 11])
def test_a_fit_with_lens_and_motion_goes_on_as_if_never_stopped(stop: int) -> None:
    config = small(16, capture=CaptureConfig(lens="on", motion="on", sub_frames=2, blur_start=0.25, blur_check=0.5))
    photographs = taken(lens="on")[:3]
    steps = fit(photographs, world(60), config)
    for _ in range(stop - 1):
        next(steps)
    checkpoint = next(steps).checkpoint()
    whole = last(steps)
    resumed = last(fit(photographs, world(60), config, resume=checkpoint))
    assert torch.equal(whole.gaussians().means, resumed.gaussians().means)
    for name, tensor in whole.checkpoint().capture.values.tensors().items():
        assert torch.equal(tensor, resumed.checkpoint().capture.values.tensors()[name]), name


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"blur_start": 1.0}, "blur_start"),
        ({"blur_start": 0.3}, "blur_check"),
        ({"sub_frames": 1}, "sub_frames"),
        ({"circle_px": 0.0}, "circle_px"),
        ({"focus_rate": -1.0}, "focus_rate"),
        ({"worth": 1.5}, "worth"),
    ],
)
def test_mistakes_are_said(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        CaptureConfig(**change)


def test_the_first_step_is_finite() -> None:
    config = small(3, capture=CaptureConfig(lens="on", motion="on", sub_frames=2, blur_start=0.0))
    assert math.isfinite(last(fit(taken(lens="on")[:2], perturbed(world()), config)).loss)
