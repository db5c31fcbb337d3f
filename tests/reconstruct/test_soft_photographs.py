"""Soft photographs through `reconstruct`: what was found, the file about it, the page, and the photographs in focus."""

import json
import math
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hyperfocal.camera import Camera
from hyperfocal.data import load_photograph, read_scene
from hyperfocal.errors import BadInputError, StoppedError
from hyperfocal.fit import CaptureConfig, Checkpoint, FitConfig, McmcConfig, fit
from hyperfocal.gaussians import Gaussians
from hyperfocal.metrics import psnr
from hyperfocal.reconstruct import ReconstructConfig, Result, evaluate, read_result, reconstruct, write_result
from hyperfocal.reconstruct.blur_notes import blur_notes
from hyperfocal.reconstruct.lens_file import read_lens_json, write_lens_json
from hyperfocal.reconstruct.looks import rendering_of
from hyperfocal.reconstruct.photographed import PhotographedLens, Spread, as_taken, how_photographed, streaks_px
from hyperfocal.reconstruct.report import report
from hyperfocal.reconstruct.report_lens import aperture_words, focus_words
from hyperfocal.reconstruct.sharp import SOFT_PX, in_focus, sharp_weight
from hyperfocal.reconstruct.softly import focused
from hyperfocal.scene import Exif, Scene
from hyperfocal.synthetic import softness
from hyperfocal.synthetic.mitsuba_scene import CaptureLens
from posed_scene import write_posed_scene

EYE = tuple(tuple(float(i == j) for j in range(4)) for i in range(4))
STILL = PhotographedLens("a.png", 60.0, 0.0, None, None, (0.0,) * 6, EYE, EYE, None)
APERTURE, FOCUS = 0.6, 3.4


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> tuple[Scene, Gaussians]:
    folder = tmp_path_factory.mktemp("photos") / "ball"
    gaussians = write_posed_scene(folder, views=6, width=64, height=48)
    return read_scene(folder), gaussians


@pytest.fixture(scope="module")
def fitted(known: tuple[Scene, Gaussians]) -> Checkpoint:
    """A fit of the six photographs with what it could have found put in."""
    scene, gaussians = known
    checkpoint = next(fit(scene, gaussians, FitConfig(steps=1, densify=McmcConfig(cap=200)))).checkpoint()
    values = replace(
        checkpoint.capture.values,
        aperture=torch.full((6, 1), math.log(APERTURE)),
        focus=torch.tensor([1 / FOCUS] * 5 + [1e-3 * checkpoint.units.inverse_range]).unsqueeze(1),
        motion=torch.tensor([[0.02, -0.03, 0.1, 0.04, 0.02, 0.1]]).repeat(6, 1),
    )
    return replace(checkpoint, capture=replace(checkpoint.capture, values=values))


@pytest.fixture(scope="module")
def result(known: tuple[Scene, Gaussians], tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path]:
    out = tmp_path_factory.mktemp("result") / "soft"
    capture = CaptureConfig(lens="on", motion="on", sub_frames=2)
    config = ReconstructConfig(eval_every=6, fit=FitConfig(steps=12, densify=McmcConfig(cap=250), capture=capture))
    return reconstruct(known[0], config, out=out), out


def camera(width: int = 64, height: int = 48) -> Camera:
    return Camera(torch.eye(4), torch.full((2,), 60.0), torch.tensor([width / 2, height / 2]), width, height)


# What was found


def test_blur_is_measured_as_generated_captures_measure_it(known: tuple[Scene, Gaussians], fitted: Checkpoint) -> None:
    scene, gaussians = known
    how = how_photographed(fitted, gaussians, scene)
    assert how is not None
    assert [lens.name for lens in how] == [view.name for view in scene.views]
    first, pinhole = how[0], scene.views[0].camera
    assert pinhole is not None
    depth_z = rendering_of(gaussians, pinhole).depth_median.numpy()
    circles = softness.circles_px(depth_z, APERTURE, FOCUS, first.focal_px)
    assert first.circle_px is not None and first.streak_px is not None
    assert first.circle_px.median == pytest.approx(np.median(circles), rel=1e-4)
    assert first.circle_px.p95 == pytest.approx(np.percentile(circles, 95), rel=1e-4)
    lens = CaptureLens(APERTURE / 2, FOCUS)
    exposure = softness.Exposure(lens, np.array(first.twist), pinhole.world_to_camera.double().numpy())
    streaks = softness.streaks_px(depth_z, pinhole.intrinsics().double().numpy(), exposure)
    assert first.streak_px.median == pytest.approx(np.median(streaks), rel=1e-4)
    assert first.streak_px.p95 == pytest.approx(np.percentile(streaks, 95), rel=1e-4)
    np.testing.assert_allclose(first.world_to_camera_start, exposure.pose(0.0), atol=1e-5)
    np.testing.assert_allclose(first.world_to_camera_end, exposure.pose(1.0), atol=1e-5)


def test_a_focus_where_the_fit_stops_is_infinity(known: tuple[Scene, Gaussians], fitted: Checkpoint) -> None:
    how = how_photographed(fitted, known[1], known[0])
    assert how is not None
    assert how[0].focus_distance == pytest.approx(FOCUS)
    assert how[-1].focus_distance == math.inf
    lens = how[-1].lens()
    assert lens is not None and bool(lens.focus_distance.isinf())


def test_without_blur_nothing_is_told(known: tuple[Scene, Gaussians], fitted: Checkpoint) -> None:
    values = fitted.capture.values
    values = replace(values, focus=torch.zeros_like(values.focus), motion=torch.zeros_like(values.motion))
    sharp = replace(fitted, capture=replace(fitted.capture, values=values))
    assert how_photographed(sharp, known[1], known[0]) is None


def test_an_f_number_needs_millimetres_and_metres(known: tuple[Scene, Gaussians], fitted: Checkpoint) -> None:
    scene, gaussians = known
    exif = tuple(replace(view, exif=Exif(focal_length_mm=24.0)) for view in scene.views)
    found = []
    for views, metres in ((exif, 0.02), (exif, None), (scene.views, 0.02)):
        how = how_photographed(fitted, gaussians, replace(scene, views=views, metres_per_unit=metres))
        assert how is not None
        found.append((how[0].f_number, aperture_words(how[0], metres)))
    assert found[0][0] == pytest.approx(0.024 / (APERTURE * 0.02))
    assert [words for _, words in found] == ["f/2", "0.6 scene units", "12 mm"]
    assert found[1][0] is found[2][0] is None


def test_uncertainty_is_told_where_it_is_known() -> None:
    lens = replace(STILL, aperture_diameter=0.1, focus_distance=1.42)
    assert focus_words(lens, 1.0) == "1.42 m"
    assert focus_words(replace(lens, focus_sigma=0.015), 1.0) == "1.420 m ± 0.030"
    assert focus_words(replace(lens, focus_distance=math.inf), None) == "infinity"
    assert focus_words(STILL, None) == "everywhere"


# lens.json


def test_lens_json_comes_back_equal(tmp_path: Path) -> None:
    some = replace(
        STILL, aperture_diameter=0.1, focus_distance=2.5, f_number=2.8, focus_sigma=0.01, circle_px=Spread(1.0, 2.0)
    )
    lenses = (some, replace(some, name="b.png", focus_distance=math.inf, twist=(0.1,) * 6), STILL)
    path = tmp_path / "lens.json"
    write_lens_json(path, lenses, metres_per_unit=1.0, sub_frames=7)
    assert read_lens_json(path) == lenses
    plain = json.loads(path.read_text())
    assert [(one["focus"], one["focus_distance"]) for one in plain["photographs"]] == [
        ("distance", 2.5), ("infinity", None), ("everywhere", None)]  # fmt: skip
    assert plain["units"] == "metres"


def test_lens_json_has_the_keys_of_the_truth_about_generated_captures(tmp_path: Path) -> None:
    depth_z = np.ones((2, 2))
    truth = softness.lens_json(
        ["a"], [softness.Exposure(None, np.zeros(6), np.eye(4))], np.eye(3), [depth_z], sub_frames=1
    )
    write_lens_json(tmp_path / "lens.json", (STILL,), metres_per_unit=None, sub_frames=1)
    ours = json.loads((tmp_path / "lens.json").read_text())
    assert set(truth["photographs"][0]) <= set(ours["photographs"][0])


@pytest.mark.parametrize("change", [{"twist": [1, 2]}, {"focus": "near"}, {"world_to_camera_end": [[1]]}])
def test_a_damaged_lens_json_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    path = tmp_path / "lens.json"
    write_lens_json(path, (STILL,), metres_per_unit=None, sub_frames=1)
    plain = json.loads(path.read_text())
    plain["photographs"][0].update(change)
    path.write_text(json.dumps(plain))
    with pytest.raises(BadInputError, match=r"lens\.json is damaged"):
        read_lens_json(path)
    assert read_lens_json(tmp_path / "none.json") is None


# The photographs in focus


def test_a_pixel_is_the_photographs_where_it_is_sharp_and_the_renders_where_not(known: tuple[Scene, Gaussians]) -> None:
    scene, gaussians = known
    photograph = load_photograph(scene.views[0])
    other = replace(photograph, image=1 - photograph.image)  # nothing like the render
    rendering = rendering_of(gaussians, photograph.camera)
    known_depth = rendering.depth_median > 0
    inner = -torch.nn.functional.max_pool2d(-known_depth.float()[None], 13, 1, 6)[0] > 0
    sharp = in_focus(gaussians, other, STILL)
    assert inner.any() and not known_depth.all()
    torch.testing.assert_close(sharp[inner], other.image[inner], atol=1e-4, rtol=0)
    assert torch.equal(sharp[~known_depth], rendering.color.clamp(0, 1)[~known_depth])
    blurred = in_focus(gaussians, other, replace(STILL, aperture_diameter=20.0, focus_distance=100.0))
    assert torch.equal(blurred, rendering.color.clamp(0, 1))
    nowhere = in_focus(gaussians, replace(other, valid=torch.zeros_like(other.valid)), STILL)
    assert torch.equal(nowhere, rendering.color.clamp(0, 1))


def test_blur_before_what_is_in_focus_reaches_over_it_and_blur_behind_does_not() -> None:
    focus, other, circle = 2.0, {"near": 1.0, "far": 1e4}, 12.0
    weights = {}
    for name, z in other.items():
        depth_z = torch.full((48, 64), focus)
        depth_z[:, :32] = z
        aperture = circle / (60 * abs(1 / focus - 1 / z))
        weights[name] = sharp_weight(
            depth_z, camera(), replace(STILL, aperture_diameter=aperture, focus_distance=focus)
        )
        assert bool((weights[name][:, :32] == 0).all())
        assert bool((weights[name][:, 46:58] > 0.999).all())
    assert bool((weights["near"][:, 32:38] == 0).all())  # half of the circle
    assert bool((weights["far"][4:44, 37] > 0.99).all())
    steps = weights["near"].diff(dim=1).abs().max()
    assert 0 < float(steps) < 0.5, "the seam is smooth"


def test_streaks_blur_too() -> None:
    depth_z = torch.full((48, 64), 2.0)
    turned = replace(STILL, twist=(0.0, 2 * SOFT_PX / 60, 0.0, 0.0, 0.0, 0.0))
    assert streaks_px(depth_z, camera(), torch.tensor(turned.twist))[24, 32] == pytest.approx(2 * SOFT_PX, rel=1e-3)
    assert bool((sharp_weight(depth_z, camera(), turned) == 0).all())


def test_renders_take_the_colours_of_a_photograph_where_exposures_differ(known: tuple[Scene, Gaussians]) -> None:
    scene, gaussians = known
    photograph = load_photograph(scene.views[0])
    render = rendering_of(gaussians, photograph.camera).color.clamp(0, 1)
    darker = replace(photograph, image=0.6 * render)
    half = torch.zeros_like(photograph.valid)
    half[:, :32] = True
    picture = in_focus(gaussians, replace(darker, valid=half), STILL, match_colors=True)
    off = (picture - darker.image)[:, 40:].abs().mean(), (render - darker.image)[:, 40:].abs().mean()
    assert off[0] < 0.5 * off[1]


# Scores


def test_the_focus_of_a_held_out_photograph_is_found_on_it(known: tuple[Scene, Gaussians]) -> None:
    scene, gaussians = known
    photograph = load_photograph(scene.views[0])
    true = replace(STILL, aperture_diameter=APERTURE, focus_distance=FOCUS)
    soft = replace(photograph, image=as_taken(gaussians, photograph.camera, true, sub_frames=1).clamp(0, 1))
    wider = replace(true, aperture_diameter=3 * APERTURE)
    found = focused(gaussians, soft, (wider, replace(true, focus_distance=4.5)), ssim_weight=0.2)
    assert found.focus_distance is not None
    assert found.aperture_diameter == APERTURE
    assert 1 / found.focus_distance == pytest.approx(1 / FOCUS, abs=0.01)
    again = as_taken(gaussians, photograph.camera, found, sub_frames=1).clamp(0, 1)
    assert psnr(again, soft.image) > psnr(photograph.image, soft.image) + 10


# Decisions


@pytest.mark.parametrize(
    ("mode", "gains", "found", "expected"),
    [
        ("off", {}, False, ()),
        ("auto", {"lens": 0.001}, False, ("No lens", "lowered the loss by only 0.1 %", "auto wants at least 1 %")),
        ("auto", {"lens": -0.1}, False, ("No lens", "did not lower the loss")),
        ("auto", {"lens": 0.021}, True, ("A lens", "2.1 %", "auto wants at least 1 %", "understate")),
        ("on", {"lens": 0.021}, True, ("A lens", "as asked", "2.1 %")),
        ("on", {"lens": 0.001}, True, ("as asked, though", "0.1 %", "would have fitted none")),
        ("on", {}, False, ("was not checked", "20%")),
    ],
)
def test_decisions_are_told_with_their_numbers(
    mode: str, gains: dict[str, float], found: bool, expected: tuple[str, ...]
) -> None:
    config = FitConfig(capture=CaptureConfig(lens=mode))  # pyright: ignore[reportArgumentType]
    lenses = (replace(STILL, aperture_diameter=0.1, focus_distance=2.0),) if found else None
    told = " ".join(blur_notes(config, gains, lenses, held_out=True))
    assert bool(told) == bool(expected)
    for words in expected:
        assert words in told


def test_scores_of_moved_held_out_photographs_say_what_they_leave_out() -> None:
    config = FitConfig(capture=CaptureConfig(motion="on"))
    moved = (replace(STILL, twist=(0.1,) * 6),)
    assert "not looked for" in blur_notes(config, {"motion": 0.1}, moved, held_out=True)[-1]
    assert "fitted to it" in blur_notes(config, {"motion": 0.1}, moved, held_out=False)[-1]


# The whole job


def test_a_result_of_soft_photographs_comes_back_equal(result: tuple[Result, Path]) -> None:
    made, out = result
    back = read_result(out)
    assert made.lenses is not None and len(made.lenses) == 5
    assert back.lenses == made.lenses
    assert back.notes == made.notes
    assert back.scores == made.scores == evaluate(back)
    assert back.scores.views[0].as_taken_psnr_db is not None
    assert "As taken dB" in back.scores.columns()
    assert any("as asked" in note for note in made.notes)


def test_the_photographs_in_focus_are_a_scene_that_readers_open(result: tuple[Result, Path]) -> None:
    made, out = result
    for path in (out / "sharp", out / "sharp" / "cameras.json"):
        scene = read_scene(path)
        assert scene.notes == ()
        assert scene.up == made.scene.up or path.is_dir()
        assert len(scene.posed_views) == len(made.training) == 5
        cameras = {Path(view.name).stem: view.camera for view in made.scene.views}
        for view in scene.posed_views:
            camera = cameras[Path(view.name).stem]
            assert view.camera is not None and camera is not None
            torch.testing.assert_close(view.camera.world_to_camera, camera.world_to_camera, atol=1e-5, rtol=0)
            torch.testing.assert_close(view.camera.focal_px, camera.focal_px)
            torch.testing.assert_close(view.camera.center_px, camera.center_px)
            assert load_photograph(view).image.shape == (48, 64, 3)
    points = read_scene(out / "sharp").points
    assert points is not None
    opaque = made.gaussians.opacities >= 0.5
    assert len(points) == int(opaque.sum())
    assert read_scene(out / "sharp").up is None
    with Image.open(out / "sharp" / "images" / f"{Path(made.training[0]).stem}.png") as picture:
        assert picture.size == (64, 48)


def test_the_report_has_a_row_for_each_fitted_photograph(result: tuple[Result, Path]) -> None:
    made, out = result
    page = (out / "report.html").read_text()
    section = page[page.index("Lens and motion") : page.index("The fit</h2>")]
    assert made.lenses is not None
    for lens in made.lenses:
        assert f"<td>{lens.name}</td><td>{focus_words(lens, None)}</td>" in section
    assert section.count('class="dots"') == 15  # focus, blur and streaks of five
    assert "Streak px" in section
    assert "Lens and motion" not in report(replace(made, lenses=None))


def test_a_photograph_that_is_gone_is_named(result: tuple[Result, Path], tmp_path: Path) -> None:
    made, _ = result
    gone = replace(made.scene, views=tuple(replace(v, image=tmp_path / v.name) for v in made.scene.views))
    write_result(tmp_path, replace(made, scene=gone))
    assert sum("is not among the photographs in focus" in note for note in read_result(tmp_path).notes) == 5
    assert not (tmp_path / "sharp" / "transforms.json").exists()


def test_an_interrupted_fit_goes_on_with_its_lens(known: tuple[Scene, Gaussians], tmp_path: Path) -> None:
    capture = CaptureConfig(lens="auto", motion="auto", sub_frames=2, worth=0.0)
    fit_config = FitConfig(steps=20, densify=McmcConfig(cap=250), capture=capture)
    config = ReconstructConfig(checkpoint_every=5, fit=fit_config)

    def stop(stage: str, done: int, total: int) -> None:
        if stage == "fitting" and done == 10:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(StoppedError):
        reconstruct(known[0], config, out=tmp_path / "out", progress=stop)
    resumed = reconstruct(known[0], config, out=tmp_path / "out", resume=True)
    undisturbed = reconstruct(known[0], config)
    assert resumed.lenses == undisturbed.lenses
    assert resumed.notes == undisturbed.notes
    assert any("lens was" in note for note in resumed.notes)


def test_auto_leaves_sharp_photographs_alone_and_says_why(known: tuple[Scene, Gaussians], tmp_path: Path) -> None:
    capture = CaptureConfig(lens="auto", worth=0.9)
    config = ReconstructConfig(fit=FitConfig(steps=4, densify=McmcConfig(cap=250), capture=capture))
    made = reconstruct(known[0], config, out=tmp_path / "out")
    assert made.lenses is None
    assert any(note.startswith("No lens was fitted") and "auto wants at least 90 %" in note for note in made.notes)
    assert {path.name for path in (tmp_path / "out").iterdir()} & {"lens.json", "sharp"} == set()
    assert read_result(tmp_path / "out").lenses is None
