"""The bench `lens` at tiny size: figures that must be right, and controls that must be worse."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from hyperfocal.apertures import Aperture
from hyperfocal.bench import lens, lens_layers, lens_shutter
from hyperfocal.bench.check import check
from hyperfocal.bench.config import BenchConfig
from hyperfocal.bench.evidence import IDENTICAL_DB, figures_from, keep_view
from hyperfocal.bench.harness import Cell, run
from hyperfocal.bench.lens_layers import capture_lens, perhaps_revealed, signed_circles_px
from hyperfocal.bench.lens_scenes import flat_random_scene, sheet, shot_of
from hyperfocal.bench.random_scene import random_scene
from hyperfocal.progress import silent
from hyperfocal.reconstruct.config import ReconstructConfig
from hyperfocal.reconstruct.result import Result
from hyperfocal.reconstruct.scores import Table
from hyperfocal.render import render
from hyperfocal.render.defocus import circle_variance_px2
from hyperfocal.scene import Scene, View
from scenes import random_gaussians, ring_of_cameras


@pytest.fixture
def result() -> Result:
    """Gaussians with two cameras, as if reconstructed."""
    cameras = ring_of_cameras(2)
    image = torch.zeros(cameras.height, cameras.width, 3)
    scene = Scene(Path("ball"), tuple(View(f"{i}.png", image, cameras[i]) for i in range(2)))
    table = Table((), held_out=False, lpips_obstacle=None)
    return Result(random_gaussians(150, sh_degree=0), scene, ReconstructConfig(), (), table)


def test_a_sheet_has_one_circle_and_no_end_in_sight() -> None:
    shot = sheet(0.5, 0.8, 30.0)
    variance = circle_variance_px2(shot.gaussians.means, shot.camera.as_batch(), shot.lens, 0.01, Aperture("gaussian"))
    torch.testing.assert_close(variance, torch.full_like(variance, 30.0**2 / 16))
    places = (shot.gaussians.means[:, :2] * shot.camera.focal_px + shot.camera.center_px).amax(0)
    assert float(places.min()) > shot.camera.width + 30


def test_the_flat_scene_has_the_footprints_of_the_random_one_and_one_circle() -> None:
    shot, _ = flat_random_scene(300, 64, 48, 10.0)
    gaussians, camera, _ = random_scene(300, 64, 48)
    assert float((render(shot.gaussians, camera).color - render(gaussians, camera).color).abs().max()) < 2e-4
    circle_px = (
        4 * circle_variance_px2(shot.gaussians.means, camera.as_batch(), shot.lens, 0.01, Aperture("gaussian")).sqrt()
    )
    torch.testing.assert_close(circle_px, torch.full_like(circle_px, 10.0), rtol=3e-3, atol=0)


@pytest.mark.parametrize(("focus", "share"), [("near", 0.1), ("middle", 0.5), ("far", 0.9)])
def test_a_shot_has_the_focus_and_the_circles_that_were_asked_for(result: Result, focus: str, share: float) -> None:
    shot = shot_of(result, 0, focus, 6.0)
    depth_z = render(result.gaussians, shot.camera).depth_median
    known = depth_z[depth_z > 0]
    assert float((known <= shot.lens.focus_distance).float().mean()) == pytest.approx(share, abs=0.02)
    focal_px = shot.camera.focal_px.prod().sqrt()
    circles = shot.lens.coc_diameter_px(known, focal_px).abs()
    assert float((circles <= 6.0).float().mean()) == pytest.approx(0.95, abs=0.02)


def test_pictures_and_their_headlines_follow_from_the_files(
    result: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lens, "trained", lambda data, progress: result)
    monkeypatch.setattr(lens, "SHEETS", {"sheet_0.7_0.8_10px": (0.7, 0.8, 10.0)})
    monkeypatch.setattr(lens, "TRAINED", {"trained_far_10px": ("far", 4.0)})
    monkeypatch.setattr(lens, "CIRCLES_PX", {})
    for module in (lens, lens_shutter):
        monkeypatch.setattr(module, "has_package", lambda name: False)
    record = run("lens", BenchConfig(out=tmp_path / "out"))
    notes = record["notes"]
    assert isinstance(notes, list)
    assert notes == list(lens.notes(BenchConfig()))
    assert notes[0] == lens.MITSUBA_ABSENT
    assert check(tmp_path / "out") == []
    rows = record["rows"]
    assert isinstance(rows, dict)
    assert rows["sheet_light_kept_psnr"] > rows["sheet_energy_psnr"] + 3
    assert rows["sheet_light_kept_fast_psnr"] > rows["sheet_energy_psnr"] + 3
    assert rows["trained_light_kept_psnr"] > rows["trained_sharp_psnr"] + 3
    ours = [rows[f"{kind}_{way}_psnr"] for kind in ("sheet", "trained") for way in lens.OURS]
    assert rows["splat_vs_aperture_psnr"] == min(ours)
    assert 0.9 < rows["light_kept"] <= rows["light_most"] < 1.1
    assert rows["light_kept_energy"] < rows["light_kept"]
    assert not any("cost" in name or "layers" in name or "shutter" in name for name in rows)
    assert not any(math.isnan(value) for value in rows.values())


def test_equal_files_have_a_finite_figure(tmp_path: Path) -> None:
    picture = torch.rand(24, 32, 3)
    keep_view(tmp_path, "same", rendered=picture, truth=picture)
    assert figures_from(tmp_path)["psnr_db"] == IDENTICAL_DB
    other = picture.clone()
    other[0, 0, 0] += 1 / 255 if float(picture[0, 0, 0]) < 0.5 else -1 / 255
    keep_view(tmp_path, "same", rendered=other, truth=picture)
    assert figures_from(tmp_path)["psnr_db"] < IDENTICAL_DB - 20


def test_costs_are_beside_the_pinhole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lens, "COST_SIZE", (2000, 96, 64))
    monkeypatch.setattr(lens, "REPEATS", 3)
    rows = {f"{lens.COST_SCENE}.cost_30px.{k}": v for k, v in lens.cost_figures(30.0, silent).items()}
    found = lens.headlines(rows)
    assert found["splat_cost_30px"] > 1
    assert found["fast_splat_forward_cost_30px"] > 1
    assert found["fast_vs_splat_psnr_30px"] > 40
    assert "splat_cost_10px" not in found
    assert lens.headlines({}) == {}


def test_the_cells_name_every_way_for_every_scene() -> None:
    named = lens.cells(BenchConfig())
    assert len({cell.name for cell in named}) == len(named)
    assert Cell("optical_depth", "sheet_0.5_0.99_30px") in named
    assert Cell("light_kept_fast", "trained_near_20px_view0") in named
    assert Cell("sharp", "trained_far_10px_view1") in lens.cells(BenchConfig(table=True))


def test_pixels_near_an_edge_in_depth_are_marked_and_slopes_are_not() -> None:
    """Circles 8 px before and 2 px behind an edge at column 30: 4 px on either side, a column for the edge's own."""
    circle_px = np.full((40, 60), 2.0)
    circle_px[:, 30:] = -8.0
    marked = perhaps_revealed(circle_px)
    row = marked[20]
    assert row[25:35].all()
    assert not row[6:23].any()
    assert not row[38:53].any()
    assert row[:1].all()
    assert row[-4:].all(), "the border, behind which the near surface goes on"
    slope = np.broadcast_to(np.linspace(0, 10, 60), (40, 60))
    assert not perhaps_revealed(slope)[10:30, 10:50].any()


def test_the_lens_of_the_ray_tracer_has_the_circles_that_were_asked_for() -> None:
    depth_z = np.linspace(1, 3, 2400).reshape(40, 60).astype(np.float32)
    depth_z[0, 0] = 0
    chosen = capture_lens(depth_z, 0.5, 10.0, 200.0)
    assert chosen.focus_distance == pytest.approx(2.0, abs=0.01)
    circles = signed_circles_px(depth_z, chosen, 200.0)
    assert np.mean(np.abs(circles) <= 10.0) == pytest.approx(0.95, abs=0.01)
    assert circles[0, 1] < 0 < circles[-1, -1] < circles[0, 0], "an unknown depth is infinitely far"


def test_layers_are_near_a_ray_traced_lens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mitsuba", reason="Mitsuba is not installed: pip install 'hyperfocal[synthetic]'")
    monkeypatch.setattr(lens_layers, "SIZE", (48, 32))
    monkeypatch.setattr(lens_layers, "SAMPLES", 64)
    monkeypatch.setattr(lens_layers, "CIRCLE_PX", 3.0)
    (tmp_path / "cell").mkdir()
    found = lens_layers.figures(tmp_path / "cell", "far", 0, 0, silent)
    assert found["linear_psnr_db"] > found["sharp_psnr_db"] + 3
    assert found["truth_noise_psnr_db"] > found["linear_psnr_db"]
    kept = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "mitsuba").iterdir()}
    assert len(kept) == 4
    assert lens_layers.figures(tmp_path / "cell", "far", 0, 0, silent) == found
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "mitsuba").iterdir()} == kept
