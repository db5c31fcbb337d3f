"""The bench's shutter: its truth against closed forms, and all of it with our renderer in the ray tracer's place."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hyperfocal.bench import lens, lens_shutter
from hyperfocal.bench.config import BenchConfig
from hyperfocal.bench.harness import Cell
from hyperfocal.bench.lens_shutter import average_exposed, motion_of, turned
from hyperfocal.bench.ray_tracing import Stage
from hyperfocal.camera import Camera
from hyperfocal.color import linear_from_srgb
from hyperfocal.gaussians import Gaussians
from hyperfocal.lens import ThinLens
from hyperfocal.progress import silent
from hyperfocal.render import render
from hyperfocal.shutter import Shutter
from hyperfocal.synthetic.mitsuba_scene import CaptureLens
from scenes import random_gaussians, ring_of_cameras

TWIST = np.array([0.02, -0.03, 0.01, 0.05, 0.02, -0.04])


@pytest.mark.parametrize(("cubic", "readout"), [(False, 0.0), (False, 1.0), (True, 0.0), (True, 0.5)])
def test_the_path_is_the_motion_that_the_truth_computes_by_other_means(cubic: bool, readout: float) -> None:
    motion = motion_of(TWIST, cubic=cubic, readout=readout)
    times = np.linspace(-(1 + readout) / 2, (1 + readout) / 2, 23)
    expected = np.stack([motion.truth(float(time)) for time in times])
    np.testing.assert_allclose(motion.path.at(torch.from_numpy(times)).numpy(), expected, rtol=0, atol=1e-9)
    ways = np.linalg.norm(np.diff(expected[:, :3, 3], axis=0), axis=1)
    assert (ways.max() / ways.min() > 1.2) == cubic, "only the spline changes its speed"


def test_the_turned_motion_is_as_fast_and_at_right_angles() -> None:
    other = turned(TWIST)
    for part in (slice(0, 2), slice(3, 5)):
        assert other[part] @ TWIST[part] == pytest.approx(0, abs=1e-12)
        assert np.linalg.norm(other[part]) == pytest.approx(np.linalg.norm(TWIST[part]))


@pytest.mark.parametrize("readout", [0.0, 1.0, -0.4])
def test_every_row_gathers_light_at_its_own_times(readout: float) -> None:
    """Light that grows with time: a row sees that of its middle. With its square: also that of its duration."""
    shutter, height = Shutter(duration=0.5, readout=readout, time=0.1), 9
    ones = np.ones((height, 4, 3))
    grown = average_exposed(lambda time: time * ones, shutter, height, 24, silent)
    middles = 0.1 + readout * (np.arange(height) / (height - 1) - 0.5)
    np.testing.assert_allclose(grown, middles[:, None, None] * ones, rtol=0, atol=2e-3)
    squares = average_exposed(lambda time: time**2 * ones, shutter, height, 24, silent)
    np.testing.assert_allclose(squares, (middles**2 + 0.5**2 / 12)[:, None, None] * ones, rtol=0, atol=2e-3)


@pytest.mark.parametrize("exposure", lens_shutter.EXPOSURES)
def test_figures_are_high_where_the_truth_is_what_ours_draws(
    exposure: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gaussians, camera = random_gaussians(150, sh_degree=0), ring_of_cameras(2)[0]

    def drawn(pose: Any, lens: CaptureLens | None) -> torch.Tensor:
        there = replace(camera, world_to_camera=torch.from_numpy(pose).float())
        thin = lens and ThinLens(torch.tensor(2 * lens.aperture_radius), torch.tensor(lens.focus_distance))
        return linear_from_srgb(render(gaussians, there, lens=thin).color.clamp(0, 1))

    class Drawn(Stage):
        def __init__(self) -> None:
            """Build nothing."""

        def frame(
            self, pose: Any, K: Any, size: Any, *, lens: CaptureLens | None, seed: int, samples: int
        ) -> np.ndarray:
            noise = np.random.default_rng(seed).normal(0, 0.01, (camera.height, camera.width, 3))
            return drawn(pose, lens).numpy() + noise

        def depth_z(self, pose: Any, K: Any, size: Any) -> np.ndarray:
            return render(gaussians, camera).depth_median.numpy()

    def fitted(capture: Path, view: int, progress: Any) -> tuple[Gaussians, Camera, torch.Tensor]:
        return gaussians, camera, render(gaussians, camera).color.clamp(0, 1) * 0.99

    monkeypatch.setattr(lens_shutter, "STREAK_PX", 5.0)
    monkeypatch.setattr(lens_shutter, "CIRCLE_PX", 3.0)
    monkeypatch.setattr(lens_shutter, "stage", lambda seed: Drawn())
    monkeypatch.setattr(lens_shutter, "capture_folder", lambda config, progress: Path("nowhere"))
    monkeypatch.setattr(lens_shutter, "fitted", fitted)
    folder = tmp_path / "cell"
    found = lens_shutter.figures(folder, exposure, 0, BenchConfig(), silent)
    assert found["linear_psnr_db"] > 40
    controls = [name for name in found if name.endswith("_linear_psnr_db")]
    special = {"linear": set(), "cubic": {"straight"}, "rolling": {"global"}, "lens": {"no_lens"}}[exposure]
    assert {name.removesuffix("_linear_psnr_db") for name in controls} == {"still", "turned", "srgb_mean"} | special
    for control in controls:
        margin_db = 0.5 if control.startswith("srgb_mean") else 3
        assert found[control] < found["linear_psnr_db"] - margin_db, control
    assert found["fit_psnr_db"] > 30
    assert 38 < found["truth_noise_psnr_db"] < 57
    assert (folder / "truth").is_dir()
    kept = sorted((tmp_path / "mitsuba").iterdir())
    assert len(kept) == 3
    monkeypatch.setattr(Drawn, "frame", None)
    assert lens_shutter.figures(folder, exposure, 0, BenchConfig(), silent) == found


def test_what_cannot_be_measured_is_left_out_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lens_shutter, "has_package", lambda name: True)
    monkeypatch.setattr(lens, "has_package", lambda name: True)
    shutters = {Cell(row, f"still_life_{exposure}_view0") for exposure, row in lens.SHUTTER_ROWS.items()}
    seeded = BenchConfig(scene_seed=3, out=tmp_path)
    assert shutters <= set(lens.cells(seeded))
    assert lens.notes(seeded) == ()
    assert not shutters & set(lens.cells(BenchConfig(scene_seed=3)))
    assert "--out" in lens.notes(BenchConfig(scene_seed=3))[0]
    monkeypatch.chdir(tmp_path)
    assert not shutters & set(lens.cells(BenchConfig()))
    assert "checkout" in lens.notes(BenchConfig())[0]
    monkeypatch.setattr(lens_shutter, "has_package", lambda name: False)
    assert "not installed" in lens.notes(seeded)[0]


def test_headlines_are_the_worst_of_ours_and_the_best_of_the_controls() -> None:
    rows = {
        "still_life_linear_view0.shutter.psnr_db": 34.0,
        "still_life_cubic_view0.shutter.psnr_db": 33.0,
        "still_life_linear_view0.shutter.still_psnr_db": 20.0,
        "still_life_cubic_view0.shutter.turned_psnr_db": 22.0,
        "still_life_cubic_view0.shutter.straight_psnr_db": 28.0,
        "still_life_lens_view0.shutter_lens.psnr_db": 30.0,
    }
    found = lens.headlines(rows)
    assert found["shutter_psnr"] == 33.0
    assert found["shutter_control_psnr"] == 22.0
    assert found["shutter_lens_psnr"] == 30.0
    assert "shutter_lens_control_psnr" not in found
