"""The bench of soft photographs, with our renderer in the ray tracer's place and points in those of features."""

import io
import json
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import scipy.signal
import torch
from PIL import Image
from rich.console import Console

from hyperfocal.bench import soft, soft_captures
from hyperfocal.bench.check import check
from hyperfocal.bench.command import bench
from hyperfocal.bench.config import BenchConfig
from hyperfocal.bench.harness import Cell, first_of_each_row
from hyperfocal.bench.soft_captures import Setting, Shots, setting_of, shots_of
from hyperfocal.bench.soft_control import deblurred, deconvolved, kernel_of
from hyperfocal.bench.soft_figures import blur_figures, inverse_range, streak_error
from hyperfocal.bench.soft_headlines import headlines
from hyperfocal.camera import Camera
from hyperfocal.color import linear_from_srgb, srgb_from_linear, to_uint8
from hyperfocal.errors import BadInputError, NothingUsableError
from hyperfocal.fit import CaptureConfig, Checkpoint, FitConfig, McmcConfig, blur_search, fit
from hyperfocal.gaussians import Gaussians
from hyperfocal.lens import ThinLens
from hyperfocal.metrics import psnr
from hyperfocal.progress import silent
from hyperfocal.render import render
from hyperfocal.scene import PointCloud, Scene
from hyperfocal.shutter import MotionPath, Shutter
from hyperfocal.synthetic.cameras import CameraPath, intrinsics
from hyperfocal.synthetic.mitsuba_capture import DEPTH_UNIT, write_cameras
from hyperfocal.synthetic.softness import Exposure, Softness, lens_json, plan_exposures
from hyperfocal.transforms import rigid, rotation_from_quaternion
from scenes import random_gaussians, ring_of_cameras

VIEWS, SIZE = 9, (48, 32)  # two views are held out, 0000 and 0008
K = intrinsics(*SIZE, 35.0)
SOFTNESS = Softness(circle_px=4.0, streak_px=5.0, seed=3)


def things() -> Gaussians:
    return random_gaussians(150, sh_degree=0)


def camera_of(pose: np.ndarray) -> Camera:
    focal_px, center_px = torch.tensor([K[0, 0], K[1, 1]]).float(), torch.from_numpy(K[:2, 2]).float()
    return Camera(torch.from_numpy(pose).float(), focal_px, center_px, *SIZE)


def render_capture(out_dir: Path, *, softness: Softness | None, **_: Any) -> None:
    """A capture as Mitsuba's, of Gaussians."""
    poses = ring_of_cameras(VIEWS, *SIZE).world_to_camera.double().numpy()
    depths = [render(things(), camera_of(pose)).depth_median.numpy() for pose in poses]
    exposures = [Exposure(None, np.zeros(6), pose) for pose in poses]
    if softness is not None:
        exposures = list(plan_exposures(softness, poses, K, depths))
    names = [f"images/{i:04}.png" for i in range(VIEWS)]
    for kind in ("images", "depth"):
        (out_dir / kind).mkdir(parents=True)
    for name, exposure, z in zip(names, exposures, depths, strict=True):
        lens = exposure.lens
        thin = lens and ThinLens(torch.tensor(2 * lens.aperture_radius), torch.tensor(lens.focus_distance))
        path = MotionPath.constant_velocity(torch.from_numpy(exposure.twist).float())
        shutter = Shutter(path=path) if exposure.moves else None
        drawn = render(things(), camera_of(exposure.world_to_camera), lens=thin, shutter=shutter)
        Image.fromarray(to_uint8(drawn.color).numpy()).save(out_dir / name)
        Image.fromarray(np.round(z / DEPTH_UNIT).astype(np.uint16)).save(out_dir / "depth" / Path(name).name)
    write_cameras(out_dir, names, CameraPath(poses, K, *SIZE), depth="png16")
    if softness is not None:
        (out_dir / "lens.json").write_text(json.dumps(lens_json(names, exposures, K, depths, sub_frames=16)))


def with_points(scene: Scene, **_: Any) -> Scene:
    """Points as a search would find them, wherever the scene's frame is: they are put before the first camera."""
    true_pose = ring_of_cameras(VIEWS, *SIZE)[1].world_to_camera
    camera = scene.views[0].camera
    assert camera is not None
    scale = 1.0 if scene.metres_per_unit is None else scene.metres_per_unit
    seen = things().means @ true_pose[:3, :3].T + true_pose[:3, 3]
    pose = camera.world_to_camera
    positions = (seen / scale - pose[:3, 3]) @ pose[:3, :3]
    return replace(scene, points=PointCloud(positions, torch.full_like(positions, 0.5)))


@pytest.fixture
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    def light(*_: Any, **__: Any) -> np.ndarray:
        pose = ring_of_cameras(VIEWS, *SIZE).world_to_camera[0].double().numpy()
        return linear_from_srgb(0.9 * render(things(), camera_of(pose)).color.clamp(0, 1)).numpy()

    monkeypatch.setattr(soft_captures, "REDUCED", SIZE)
    monkeypatch.setattr(soft_captures, "VIEWS", VIEWS)
    monkeypatch.setattr(Setting, "softness", property(softness_of))
    monkeypatch.setattr(soft_captures, "render_capture", render_capture)
    monkeypatch.setattr(soft_captures, "triangulate_points", with_points)
    monkeypatch.setattr(soft_captures, "vectorised_mitsuba", lambda: SimpleNamespace(variant=lambda: "scalar_rgb"))
    monkeypatch.setattr(soft_captures, "stage", lambda seed: SimpleNamespace(light=light))
    monkeypatch.setattr(soft, "REDUCED", FitConfig(steps=30, densify=McmcConfig(cap=300)))
    monkeypatch.setattr(blur_search, "FOCI", 3)
    monkeypatch.setattr(blur_search, "_DIRECTIONS", 2)
    shots_of.cache_clear()


def softness_of(setting: Setting) -> Softness | None:
    """Enough to be seen in pictures that small."""
    lens, moves = soft_captures.KINDS[setting.kind]
    return Softness(4.0 * lens, 5.0 * moves, seed=3) if lens or moves else None


def test_names_tell_settings_and_blur_is_a_share_of_the_picture() -> None:
    for setting in (Setting("defocus", 11), Setting("both", 12, "half"), Setting("motion", 3, "double", True, True)):
        assert setting_of(setting.name) == setting
    assert Setting("both", 12, "half", sfm=True).name == "both_12_half_sfm"
    assert Setting("both", 12, "half", sfm=True).capture_name == "both_12_half"
    full, reduced = Setting("both", 11, full=True).softness, Setting("both", 11).softness
    assert full and reduced
    assert (full.circle_px, full.streak_px) == (5.0, 6.0)
    assert (reduced.circle_px, reduced.streak_px) == (2.5, 3.0)
    double = Setting("motion", 11, "double").softness
    assert double
    assert (double.circle_px, double.streak_px) == (0, 6.0)
    assert Setting("sharp", 11).softness is None


def test_the_table_holds_the_bars_first_and_auto_decides_on_twelve_captures() -> None:
    usual, table = soft.cells(BenchConfig()), soft.cells(BenchConfig(table=True))
    assert table[: len(usual)] == usual
    assert len(set(table)) == len(table)
    assert first_of_each_row(usual)[:2] == [Cell("base", "defocus_11"), Cell("lens", "defocus_11")]
    decided = [setting_of(cell.scene) for cell in table if cell.row == "auto"]
    plain = [setting for setting in decided if setting.amount == "normal"]
    assert len(plain) == 12
    assert sum(setting.kind == "sharp" for setting in plain) == 6
    assert soft.cells(BenchConfig(scene_seed=0))[0].scene == "defocus_0"


def test_the_bench_measures_what_it_has_rendered(tmp_path: Path, stand_ins: None) -> None:
    text = io.StringIO()
    config = BenchConfig(out=tmp_path, json=True, quick=True)
    assert bench("soft", config=config, console=Console(file=text)) == 0
    rows = json.loads(text.getvalue().splitlines()[-1])["rows"]
    for row in ("base", "lens", "deblurred", "base_linear", "lens_linear"):
        assert {f"defocus_11.{row}.{name}" for name in ("psnr_db", "ssim", "flip", "depth_abs_rel")} < set(rows)
        assert rows[f"defocus_11.{row}.held_out_views"] == 2
    assert rows["defocus_11.lens.circle_true_px"] == pytest.approx(4, rel=0.1)  # of training views only
    assert rows["defocus_11.lens.focus_error"] >= 0
    assert rows["motion_11.motion.streak_error"] > 0
    assert not [key for key in rows if ".base" in key and (".focus" in key or ".streak" in key)]
    first = np.asarray(Image.open(tmp_path / "captures" / "sharp_11" / "images" / "0000.png")) / 255
    noise_db = -10 * math.log10(np.square(0.1 * first).mean() / 2)
    assert rows["defocus_11.base.truth_noise_psnr_db"] == pytest.approx(noise_db, abs=0.1)
    assert rows["defocus_gain_db"] == rows["defocus_11.lens.psnr_db"] - rows["defocus_11.base.psnr_db"]
    right = (rows["defocus_11.auto.lens_found"], rows["defocus_11.auto.motion_found"]) == (1.0, 0.0)
    assert rows["auto_right"] == right
    assert rows["auto_captures"] == 1
    assert check(tmp_path) == []
    (tmp_path / "captures" / "sharp_11" / "cameras.json").unlink()
    shots_of.cache_clear()
    with pytest.raises(BadInputError, match="no finished capture"):
        soft.measure(Cell("base", "defocus_11"), BenchConfig(data=tmp_path / "captures"), tmp_path, silent)


def test_cameras_that_cannot_be_found_are_a_figure(
    tmp_path: Path, stand_ins: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(scene: Scene, **_: Any) -> Scene:
        assert not scene.posed_views
        raise NothingUsableError("too soft")

    monkeypatch.setattr(soft_captures, "estimate_poses", nothing)
    found = soft.measure(Cell("base", "defocus_11_sfm"), BenchConfig(), tmp_path / "cell", silent)
    assert found == {"placed": 0.0}


def shots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, sfm: bool) -> Shots:
    """The photographs of lens and motion, with cameras that are true or in a frame 2.5 times as large."""
    turn = rotation_from_quaternion(torch.tensor([0.9, 0.1, -0.3, 0.2]))

    def estimate_poses(scene: Scene, **_: Any) -> Scene:
        moved = []
        true_views = soft_captures.read_scene(tmp_path / "both_11").views
        for view, true in zip(scene.views, true_views, strict=True):
            assert true.camera is not None
            pose = true.camera.world_to_camera
            camera = replace(true.camera, world_to_camera=rigid(pose[:3, :3] @ turn.T, 2.5 * pose[:3, 3]))
            moved.append(replace(view, camera=camera))
        return replace(scene, views=tuple(moved), metres_per_unit=0.4)

    monkeypatch.setattr(soft_captures, "estimate_poses", estimate_poses)
    found = shots_of(Setting("both", 11, sfm=sfm), tmp_path, True, silent)
    assert found is not None
    return found


def checkpoint_of(shots: Shots, *, larger: float, farther: float, backwards: bool, longer: float) -> Checkpoint:
    """A fit that found the truth but for some factors; `farther` in the range of 1 / z."""
    checkpoint = next(fit(shots.training, shots.start, FitConfig(steps=3))).checkpoint()
    truths = [shots.truth[name] for name in checkpoint.photographs]
    unit = shots.metres_per_unit
    inverse_focus = [1 / t.focus_distance for t in truths if t.focus_distance is not None]
    focus = unit * torch.tensor([[x + farther * inverse_range(truths)] for x in inverse_focus])
    motion = torch.tensor(np.stack([t.twist / np.array([1, 1, 1, unit, unit, unit]) for t in truths]))
    aperture = torch.full_like(focus, math.log(larger * truths[0].aperture / unit))
    values = replace(
        checkpoint.capture.values, aperture=aperture, focus=focus, motion=motion * longer * (-1 if backwards else 1)
    )
    return replace(checkpoint, capture=replace(checkpoint.capture, values=values))


@pytest.mark.parametrize("sfm", [False, True])
def test_errors_are_those_of_the_blur_whatever_the_unit(
    sfm: bool, tmp_path: Path, stand_ins: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = shots(tmp_path, monkeypatch, sfm=sfm)
    assert seen.metres_per_unit == pytest.approx(0.4 if sfm else 1.0)
    assert ("camera_max_cm" in seen.figures) == sfm
    assert seen.figures["placed"] == VIEWS
    assert len(seen.training) == 7
    config = CaptureConfig(lens="on", motion="on", sub_frames=2)
    end = checkpoint_of(seen, larger=1, farther=0, backwards=sfm, longer=1)
    true = blur_figures(end, seen.training, seen, config)
    assert true["two_sigma_cover"] == 1
    for error in ("focus_error", "aperture_error", "streak_error"):
        assert true[error] == pytest.approx(0, abs=2e-4)
    assert true["circle_px"] == pytest.approx(true["circle_true_px"], rel=1e-3)
    assert true["streak_px"] == pytest.approx(true["streak_true_px"], rel=1e-3)
    end = checkpoint_of(seen, larger=0.9, farther=-0.2, backwards=False, longer=1.5)
    wrong = blur_figures(end, seen.training, seen, config)
    assert 0 <= wrong["two_sigma_cover"] <= 1
    assert wrong["aperture_error"] == pytest.approx(-0.1, abs=1e-4)
    assert wrong["focus_error"] == pytest.approx(0.2, abs=1e-4)
    assert wrong["focus_error_median"] == pytest.approx(0.2, abs=1e-4)
    assert wrong["streak_error"] == pytest.approx(0.5, abs=0.05)
    for photograph in seen.held_out:
        true_z = np.asarray(Image.open(tmp_path / "sharp_11" / "depth" / Path(photograph.name).name)) * DEPTH_UNIT
        assert photograph.depth_z is not None
        np.testing.assert_allclose(photograph.depth_z.numpy() * seen.metres_per_unit, true_z, rtol=1e-4)


def test_streaks_have_no_direction() -> None:
    true = np.array([[1.0, 2.0, -1.0], [0.0, 1.0, 3.0]])
    assert streak_error(-true, true) == 0
    assert streak_error(0 * true, true) == pytest.approx(1)


def test_the_control_undoes_a_blur_that_it_knows(
    tmp_path: Path, stand_ins: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    disc, streak = kernel_of(6.0, np.zeros(2)), kernel_of(0.0, np.array([6.0, 0.0]))
    in_pixels = 1 / 12
    for kernel, variance in ((disc, (9 / 4 + in_pixels, 9 / 4 + in_pixels)), (streak, (0, 3 + in_pixels))):
        places = np.arange(len(kernel)) - len(kernel) // 2
        assert kernel.sum() == pytest.approx(1)
        assert places**2 @ kernel.sum(1) == pytest.approx(variance[0], abs=0.15)
        assert places**2 @ kernel.sum(0) == pytest.approx(variance[1], abs=0.15)
    np.testing.assert_array_equal(kernel_of(0.0, np.zeros(2)), [[1.0]])
    sharp = np.random.default_rng(0).uniform(0.05, 1, (12, 16)).repeat(4, 0).repeat(4, 1)
    blurred = scipy.signal.fftconvolve(np.pad(sharp, 8, mode="symmetric"), disc, mode="same")[8:-8, 8:-8]
    found = deconvolved(blurred, disc)
    assert np.square(found - sharp).mean() < 0.75 * np.square(blurred - sharp).mean()
    seen = shots(tmp_path, monkeypatch, sfm=False)
    photograph = seen.training[0]
    sharper = deblurred(photograph, seen.truth[photograph.name]).image
    twin = Image.open(tmp_path / "sharp_11" / "images" / photograph.name)
    truth = torch.from_numpy(np.asarray(twin).astype(np.float32) / 255)
    assert psnr(sharper, truth) > psnr(photograph.image, truth) + 0.5


def test_light_begins_as_the_same_picture() -> None:
    gaussians = random_gaussians(60, sh_degree=0)
    linear = soft_captures.in_linear_light(gaussians)
    camera = camera_of(ring_of_cameras(VIEWS, *SIZE).world_to_camera[4].double().numpy())
    one = gaussians.select(torch.tensor([5]))
    drawn = render(one, camera).alpha.max()
    assert drawn > 0
    shown = srgb_from_linear(render(linear.select(torch.tensor([5])), camera).color / drawn).amax((0, 1))
    torch.testing.assert_close(shown, (render(one, camera).color / drawn).amax((0, 1)).clamp(0, 1), atol=2e-3, rtol=0)


def test_headlines_are_means_over_still_lifes_with_what_belongs_beside_them() -> None:
    rows = {
        "defocus_11.base.psnr_db": 25.0,
        "defocus_11.base.psnr_db.noise": 0.3,
        "defocus_11.lens.psnr_db": 29.0,
        "defocus_11.lens.psnr_db.noise": 0.4,
        "defocus_12.base.psnr_db": 25.0,
        "defocus_12.lens.psnr_db": 28.0,
        "defocus_11.lens.aperture_error": -0.08,
        "defocus_12.lens.aperture_error": 0.02,
        "both_11.both.aperture_error": 0.3,
        "sharp_11.base.psnr_db": 31.0,
        "sharp_11.lens.psnr_db": 30.95,
        "defocus_11_half_sfm.base.psnr_db": 27.0,
        "defocus_11_half_sfm.lens.psnr_db": 28.0,
        "motion_11_sfm.base.placed": 0,
        "defocus_11.auto.right": 1.0,
        "sharp_11.auto.right": 0.0,
    }
    expected = {
        "defocus_gain_db": 3.5,
        "defocus_gain_db_spread": math.sqrt(0.5),
        "defocus_gain_db_worst": 3.0,
        "defocus_gain_db_noise": 0.5,
        "defocus_below_sharp_db": 2.0,
        "aperture_error": 0.05,
        "aperture_error_spread": math.sqrt(0.0018),
        "aperture_error_worst": 0.08,
        "both_aperture_error": 0.3,
        "sharp_loss_db": 0.05,
        "auto_right": 1,
        "auto_captures": 2,
        "half_sfm_defocus_gain_db": 1.0,
        "half_sfm_defocus_below_sharp_db": 3.0,
    }
    assert headlines(rows) == pytest.approx(expected)
