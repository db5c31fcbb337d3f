"""Soft captures: focus, aperture and motion have the amounts that were asked for, and the truth beside them is true."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.linalg
from PIL import Image

from hyperfocal.errors import BadInputError
from hyperfocal.synthetic import mitsuba_capture
from hyperfocal.synthetic.__main__ import main
from hyperfocal.synthetic.cameras import intrinsics, look_at, two_ring_path
from hyperfocal.synthetic.mitsuba_capture import CaptureFiles, render_capture
from hyperfocal.synthetic.mitsuba_scene import CaptureLens, load_mitsuba, render_light
from hyperfocal.synthetic.softness import (
    Exposure,
    Softness,
    aperture_for_circle,
    circles_px,
    plan_exposures,
    rigid_motion,
    streaks_px,
)
from hyperfocal.synthetic.still_life import build_still_life

WIDTH, HEIGHT = 32, 24
K = intrinsics(WIDTH, HEIGHT, 35.0)
POSES = two_ring_path(6)
POSE = look_at(np.array([0.3, -1.1, 0.6]), np.array([0.0, 0.05, 0.1]))
SOFT = Softness(circle_px=5.0, streak_px=3.0, sub_frames=4, seed=2)


def depths_of(views: int) -> list[np.ndarray]:
    """Uneven grounds from 0.5 to 3 m, with a hole in each."""
    rng = np.random.default_rng(1)
    maps = [np.sort(rng.uniform(0.5, 3, (HEIGHT, WIDTH)), axis=0)[::-1].astype(np.float32) for _ in range(views)]
    for z in maps:
        z[3:5, 3:5] = 0
    return maps


def test_the_aperture_gives_the_median_circle():
    depths, focus = depths_of(3), [0.8, 1.5, 2.5]
    aperture = aperture_for_circle(5.0, depths, focus, 400.0)
    by_hand = [
        400 * aperture * abs(1 / d - 1 / float(z)) for zs, d in zip(depths, focus, strict=True) for z in zs.flat if z
    ]
    assert len(by_hand) == 3 * (WIDTH * HEIGHT - 4)
    assert np.median(by_hand) == pytest.approx(5.0)
    assert aperture_for_circle(10.0, depths, focus, 400.0) == pytest.approx(2 * aperture)


def test_a_flat_wall_in_focus_cannot_be_blurred():
    with pytest.raises(BadInputError, match="No aperture gives a median circle of 5 px"):
        aperture_for_circle(5.0, [np.full((4, 4), 1.5, np.float32)], [1.5], 400.0)
    with pytest.raises(BadInputError, match="sees nothing at all"):
        plan_exposures(SOFT, POSES[:1], K, [np.zeros((4, 4), np.float32)])


def test_a_plan_has_the_medians_and_one_aperture_and_focus_from_near_to_far():
    depths = depths_of(6)
    plan = plan_exposures(SOFT, POSES, K, depths)
    assert len({exposure.lens.aperture_radius for exposure in plan}) == 1
    pairs = list(zip(depths, plan, strict=True))
    circles = [circles_px(z, 2 * e.lens.aperture_radius, e.lens.focus_distance, K[0, 0]) for z, e in pairs]
    assert np.median(np.concatenate(circles)) == pytest.approx(5.0)
    assert np.median(np.concatenate([streaks_px(z, K, e) for z, e in pairs])) == pytest.approx(3.0, rel=1e-5)
    shares = sorted(float((z[z > 0] < e.lens.focus_distance).mean()) for z, e in pairs)
    for i, share in enumerate(shares):  # one from each sixth of the middle 80 %
        assert 0.1 + 0.8 * i / 6 - 0.01 <= share <= 0.1 + 0.8 * (i + 1) / 6 + 0.01


def test_a_seed_is_a_plan():
    depths = depths_of(6)
    first, again = plan_exposures(SOFT, POSES, K, depths), plan_exposures(SOFT, POSES, K, depths)
    other = plan_exposures(dataclasses.replace(SOFT, seed=3), POSES, K, depths)
    for a, b, c in zip(first, again, other, strict=True):
        assert a.lens == b.lens
        np.testing.assert_array_equal(a.twist, b.twist)
        assert a.lens.focus_distance != c.lens.focus_distance
        assert not np.array_equal(a.twist, c.twist)


def test_without_a_circle_there_is_no_lens_and_without_a_streak_no_motion():
    for exposure in plan_exposures(Softness(streak_px=2.0), POSES, K, depths_of(6)):
        assert exposure.lens is None
        assert exposure.moves
    for exposure in plan_exposures(Softness(circle_px=2.0), POSES, K, depths_of(6)):
        assert exposure.lens is not None
        assert not exposure.moves
        np.testing.assert_array_equal(exposure.pose(0.3), exposure.world_to_camera)


def test_a_twist_is_a_turn_and_a_shift():
    quarter = rigid_motion(np.array([0, 0, math.pi / 2, 0, 0, 0]))
    np.testing.assert_allclose(quarter, [[0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], atol=1e-12)
    np.testing.assert_allclose(rigid_motion(np.array([0.0, 0, 0, 1, 2, 3]))[:3, 3], [1, 2, 3])
    exposure = Exposure(None, np.array([0.1, -0.2, 0.3, 0.01, 0.02, -0.03]), POSE)
    np.testing.assert_allclose(exposure.pose(0.5), POSE, atol=1e-12)
    # At constant velocity the second half repeats the first.
    half = exposure.pose(0.5) @ np.linalg.inv(exposure.pose(0.0))
    np.testing.assert_allclose(half @ half @ exposure.pose(0.0), exposure.pose(1.0), atol=1e-12)
    np.testing.assert_allclose(rigid_motion(exposure.twist) @ exposure.pose(0.0), exposure.pose(1.0), atol=1e-12)


def test_streaks_of_a_sideways_camera_are_longer_near_by():
    z = np.full((HEIGHT, WIDTH), 2.0, np.float32)
    z[:, :10] = 0.5
    z[0, 0] = 0
    exposure = Exposure(None, np.array([0, 0, 0, 0.05, 0, 0]), POSE)
    streaks = streaks_px(z, K, exposure)
    assert len(streaks) == HEIGHT * WIDTH - 1
    assert sorted(set(np.round(streaks, 6))) == pytest.approx([K[0, 0] * 0.05 / 2, K[0, 0] * 0.05 / 0.5], abs=1e-5)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"circle_px": -1.0}, "circle_px"),
        ({"circle_px": math.nan}, "circle_px"),
        ({"streak_px": math.inf}, "streak_px"),
        ({"sub_frames": 0}, "sub_frames"),
    ],
)
def test_softness_that_makes_no_sense_is_refused(settings: dict[str, Any], words: str):
    with pytest.raises(BadInputError, match=words):
        Softness(**settings)


@pytest.fixture(scope="module")
def mitsuba() -> Any:
    pytest.importorskip("mitsuba", reason='rendering needs Mitsuba: pip install "hyperfocal[synthetic]"')
    return load_mitsuba("scalar_rgb")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let captures use the table and the walls of a coarse still life."""
    still_life = build_still_life(0, detail=0.04)
    room = dataclasses.replace(still_life, surfaces=still_life.surfaces[:22])
    monkeypatch.setattr(mitsuba_capture, "build_still_life", lambda *_, **__: room)


@pytest.mark.usefixtures("quick")
def test_a_soft_capture_says_the_whole_truth(mitsuba: Any, tmp_path: Path):
    calls: list[tuple[int, int]] = []
    files = CaptureFiles("jpeg", linear=True, depth="npz")
    soft = Softness(circle_px=2.0, streak_px=2.0, sub_frames=2, seed=1)
    path = render_capture(
        tmp_path, views=2, width=WIDTH, height=HEIGHT, samples=8, softness=soft, files=files,
        on_progress=lambda done, total: calls.append((done, total)),
    )  # fmt: skip
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]
    truth = json.loads((tmp_path / "lens.json").read_text())
    cameras = json.loads((tmp_path / "cameras.json").read_text())
    assert truth["circle_px"]["median"] == pytest.approx(2.0)
    assert truth["streak_px"]["median"] == pytest.approx(2.0, rel=1e-5)
    assert min(truth["circle_px"]["p95"], truth["streak_px"]["p95"]) > 2.0
    assert truth["sub_frames"] == 2
    circles = []
    for number, (told, camera) in enumerate(zip(truth["photographs"], cameras["views"], strict=True)):
        assert told["image"] == camera["image"]
        z = np.load(tmp_path / "depth" / f"{number:04d}.npz")["z"]
        focus = told["focus_distance"]
        assert z.min() < focus < z.max()
        circles.append(told["aperture_diameter"] * path.K[0, 0] * np.abs(1 / focus - 1 / z.astype(float)))
        start, end = np.array(told["world_to_camera_start"]), np.array(told["world_to_camera_end"])
        # The camera of the file is half-way: the same motion leads to it and on from it.
        middle = np.array(camera["world_to_camera"])
        np.testing.assert_allclose(middle @ np.linalg.inv(start), end @ np.linalg.inv(middle), atol=1e-12)
        assert np.abs(start - end).max() > 1e-4
        with Image.open(tmp_path / told["image"]) as photograph:
            details = photograph.getexif().get_ifd(0x8769)
        assert float(details[0x9206]) == pytest.approx(focus, rel=1e-4)
        assert float(details[0x829D]) == pytest.approx(0.035 / told["aperture_diameter"], rel=1e-4)
    assert np.median(circles) == pytest.approx(2.0)


@pytest.mark.usefixtures("quick")
def test_an_exposure_is_the_mean_of_its_moments_in_linear_light(mitsuba: Any, tmp_path: Path):
    files = CaptureFiles(linear=True, depth="none")
    soft = Softness(streak_px=4.0, sub_frames=2)
    small = {"views": 2, "width": WIDTH, "height": HEIGHT, "files": files}
    path = render_capture(tmp_path / "soft", samples=8, softness=soft, **small)
    truth = json.loads((tmp_path / "soft" / "lens.json").read_text())["photographs"][0]
    assert truth["focus_distance"] is None
    start, end = np.array(truth["world_to_camera_start"]), np.array(truth["world_to_camera_end"])
    # The moments are at a quarter and at three quarters of the way; their seeds are those of the first two passes.
    scene = mitsuba_capture.mitsuba_scene(mitsuba, mitsuba_capture.build_still_life(0))
    step = np.real(scipy.linalg.fractional_matrix_power(end @ np.linalg.inv(start), 0.25))
    moments = []
    for number in range(2):
        seed = int(np.random.SeedSequence([0, 0, number]).generate_state(1)[0] >> 1)
        pose = np.linalg.matrix_power(step, 2 * number + 1) @ start
        moments.append(render_light(mitsuba, scene, pose, path.K, (WIDTH, HEIGHT), samples=4, seed=seed))
    linear = np.load(tmp_path / "soft" / "linear" / "0000.npz")["linear"]
    assert np.abs(moments[0] - moments[1]).mean() > 0.005
    # A ray that meets an edge may, by the rounding of its pose, pass it.
    assert np.mean(np.abs(linear - (moments[0] + moments[1]) / 2) < 1e-3) > 0.98


@pytest.mark.usefixtures("quick")
def test_the_command_makes_soft_photographs(mitsuba: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    small = f"--views 2 --width {WIDTH} --height {HEIGHT} --samples 1 --circle-px 3 --soft-seed 4"
    assert main([str(tmp_path), *small.split()]) == 0
    truth = json.loads((tmp_path / "lens.json").read_text())
    assert truth["circle_px"]["median"] == pytest.approx(3.0)
    assert truth["streak_px"] == {"median": 0.0, "p95": 0.0}
    assert main([str(tmp_path), *small.split(), "--aperture-radius", "0.01"]) == 2
    assert "both `lens` and `softness`" in capsys.readouterr().err


@pytest.mark.usefixtures("quick")
def test_a_shared_lens_has_its_truth_and_a_pinhole_none(mitsuba: Any, tmp_path: Path):
    small = {"views": 2, "width": WIDTH, "height": HEIGHT, "samples": 1, "files": CaptureFiles(depth="none")}
    render_capture(tmp_path / "lens", lens=CaptureLens(0.01, 0.9), **small)
    truth = json.loads((tmp_path / "lens" / "lens.json").read_text())
    assert [(p["aperture_diameter"], p["focus_distance"]) for p in truth["photographs"]] == [(0.02, 0.9)] * 2
    assert truth["photographs"][0]["world_to_camera_start"] == truth["photographs"][0]["world_to_camera_end"]
    render_capture(tmp_path / "pinhole", **small)
    assert not (tmp_path / "pinhole" / "lens.json").exists()
