"""The bench `lens_refocus` at tiny size: known Gaussians as the fit, averages over the opening as the ray tracer."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from hyperfocal.bench import first_light, lens_refocus, ray_tracing, refocus_scenes
from hyperfocal.bench.check import check
from hyperfocal.bench.config import BenchConfig
from hyperfocal.bench.harness import Cell, run
from hyperfocal.bench.lens_refocus import assumed, headlines, peak
from hyperfocal.camera import Camera
from hyperfocal.color import linear_from_srgb
from hyperfocal.data import load_photograph
from hyperfocal.errors import BadInputError, MissingExtraError
from hyperfocal.gaussians import Gaussians
from hyperfocal.lens import ThinLens
from hyperfocal.progress import silent
from hyperfocal.render import render
from hyperfocal.rendering import RenderOptions
from hyperfocal.scene import PointCloud
from hyperfocal.synthetic.cameras import intrinsics, two_ring_path
from hyperfocal.synthetic.mitsuba_scene import CaptureLens
from scenes import random_gaussians, ring_of_cameras
from toy_capture import write_toy_capture

VIEWS, WIDTH, HEIGHT = 9, 64, 48
KNOWN = random_gaussians(400, sh_degree=0, size=0.05)


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine views of known Gaussians in the format of hyperfocal.synthetic; 0 and 8 are held out."""
    folder = tmp_path_factory.mktemp("toy")
    write_toy_capture(folder, KNOWN, ring_of_cameras(VIEWS, WIDTH, HEIGHT))
    return folder


@pytest.fixture
def measured(
    capture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[dict[str, Any], Path]]:
    """A run whose truth is the average over an opening so many times as wide as it is said to be, and its folder."""

    def measure(widening: float, cells: str | None = None) -> tuple[dict[str, Any], Path]:
        def light(_: int, camera: Camera, lens: CaptureLens, seed: tuple[int, int], *_rest: object) -> torch.Tensor:
            true = ThinLens(torch.tensor(2 * widening * lens.aperture_radius), torch.tensor(lens.focus_distance))
            points = 48 + 16 * seed[0]
            options = RenderOptions(defocus="aperture", aperture_samples=points)
            return linear_from_srgb(render(KNOWN, camera, lens=true, options=options).color)

        monkeypatch.setattr(refocus_scenes, "soft_light", light)
        record = run("lens_refocus", BenchConfig(out=tmp_path / f"{widening:g}", cells=cells))
        return record["rows"], tmp_path / f"{widening:g}"  # pyright: ignore[reportReturnType]

    def fitted(_capture: Path, space: str, *_rest: object, **_named: object) -> Gaussians:
        return KNOWN if space == "srgb" else random_gaussians(400, seed=1, sh_degree=0, size=0.05)

    monkeypatch.setattr(first_light, "SHIPPED", capture)
    monkeypatch.setattr(refocus_scenes, "fitted", fitted)
    monkeypatch.setattr(refocus_scenes, "CIRCLE_PX", 5.0)
    monkeypatch.setattr(lens_refocus, "has_package", lambda name: True)
    monkeypatch.setattr(lens_refocus, "HELD_OUT_VIEWS", 1)
    return measure


def test_the_true_lens_is_found_and_controls_are_worse(
    measured: Callable[..., tuple[dict[str, Any], Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lens_refocus, "STEPS", 3)
    rows, folder = measured(1.0)
    assert rows["peak_fnumber_error"] < 0.05
    assert rows["peak_focus_error"] < 0.05
    assert rows["peak_focus_error_of_range"] < 0.05
    for wrong in ("no_lens", "twin", "linear"):
        assert rows["refocus_psnr"] > rows[f"refocus_{wrong}_psnr"] + 3
    assert rows["refocus_disc_psnr"] > rows["refocus_psnr"], "the truth was made that way"
    assert rows["refocus_psnr_worst"] < rows["refocus_psnr"] < rows["truth_noise_psnr"]
    assert rows["sharp_psnr"] > 50, "the photographs themselves"
    assert check(folder) == []
    assert rows["peak_fnumber_layers_error"] > 0
    curves = json.loads((folder / f"focus_splat-{capture_name(rows)}-0" / "curves.json").read_text())
    assert len(curves) == 3
    picture = folder / f"f_number_splat-{capture_name(rows)}-0" / "rendered" / "near_view0_+0.png"
    Image.new("RGB", (WIDTH, HEIGHT)).save(picture)
    assert any("f_number_splat" in difference for difference in check(folder)), "the figures are of the files"


def capture_name(rows: dict[str, Any]) -> str:
    """Return the capture's name from the keys of a record."""
    return next(key for key in rows if ".f_number_splat.error" in key).split(".")[0]


def test_a_lens_that_was_wider_than_said_moves_the_peak(
    measured: Callable[..., tuple[dict[str, Any], Path]],
) -> None:
    rows, _ = measured(1.2, "f_number_splat")
    best = rows[f"{capture_name(rows)}.f_number_splat.best_factor"]
    assert best == pytest.approx(1 / 1.2, rel=0.05)
    assert rows["peak_fnumber_error"] == abs(best - 1)
    assert rows["peak_fnumber_error"] > 0.1


def test_the_peak_is_the_top_of_the_parabola_or_an_end() -> None:
    steps = list(range(-4, 5))
    assert peak(steps, [-((step - 1.3) ** 2) for step in steps]) == pytest.approx(1.3)
    assert peak(steps, [float(step) for step in steps]) == 4
    assert peak(steps, [-float(step) for step in steps]) == -4
    assert peak(steps, [float(0 <= step <= 2) for step in steps]) == pytest.approx(0.5), "of a plateau, its beginning"


def test_steps_of_a_sweep_are_what_they_are_said_to_be() -> None:
    lens = ThinLens(torch.tensor(0.1), torch.tensor(2.0))
    image = torch.zeros(4, 4, 3)
    shot = refocus_scenes.Shot(ring_of_cameras(1)[0], lens, lens, image, 50.0, 0.8)
    assert float(assumed("f_number", 8, shot).aperture_diameter) == pytest.approx(0.1 / 2**0.5)
    assert float(assumed("f_number", 8, shot).focus_distance) == 2.0
    assert float(1 / assumed("focus", 8, shot).focus_distance) == pytest.approx(0.5 + 0.3 * 0.8)
    assert float(assumed("focus", 8, shot).aperture_diameter) == pytest.approx(0.1)
    for sweep in lens_refocus.SWEEPS:
        assert float(assumed(sweep, 0, shot).aperture_diameter) == pytest.approx(0.1)
        assert float(assumed(sweep, 0, shot).focus_distance) == pytest.approx(2.0)


def test_the_focus_of_a_shot_is_at_its_share_of_depth_and_the_twin_at_the_other(
    capture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flat = torch.full((HEIGHT, WIDTH, 3), 0.25)
    monkeypatch.setattr(refocus_scenes, "soft_light", lambda *_: flat)
    near, far = (refocus_scenes.shot_of(capture, 0, focus, 1, tmp_path, silent) for focus in ("near", "far"))
    depth = first_light.read_capture(capture)[1]["0008.png"]
    known = depth[depth > 0]
    assert float((known <= near.lens.focus_distance).float().mean()) == pytest.approx(0.1, abs=0.01)
    assert float(near.twin.focus_distance) == pytest.approx(float(far.lens.focus_distance))
    assert float(near.twin.aperture_diameter) == float(near.lens.aperture_diameter)
    circles = near.lens.coc_diameter_px(known, near.camera.focal_px[0]).abs()
    assert float(circles.quantile(0.95)) == pytest.approx(refocus_scenes.CIRCLE_PX, rel=0.01)
    assert near.inverse_depth_range == pytest.approx(
        float((1 / known).quantile(0.95) - (1 / known).quantile(0.05)), rel=1e-3
    )


def test_photographs_and_points_are_turned_into_linear_light(capture: Path) -> None:
    scene = first_light.read_capture(capture)[0]
    points = PointCloud(torch.zeros(1, 3), torch.full((1, 3), 0.5))
    linear = refocus_scenes.in_linear_light(replace(scene, points=points))
    before, after = (load_photograph(one.views[3]).image for one in (scene, linear))
    torch.testing.assert_close(after, linear_from_srgb(before))
    assert linear.points is not None
    torch.testing.assert_close(linear.points.colors, torch.full((1, 3), 0.21404114))
    assert linear.points.positions is points.positions


def test_headlines_are_means_with_the_worst_beside_them() -> None:
    rows = {f"a_{focus}_view0.splat.psnr_db": value for focus, value in (("near", 30.0), ("far", 34.0))}
    rows |= {"a_sharp_view0.linear.psnr_db": 36.0, "a_near_view0.splat.psnr_db.noise": 1.0}
    found = headlines(rows | {"a.focus_linear.error": 0.03, "a.f_number_splat.worst_error": 0.04})
    assert found == {
        "refocus_psnr": 32.0,
        "refocus_psnr_worst": 30.0,
        "sharp_linear_psnr": 36.0,
        "sharp_linear_psnr_worst": 36.0,
        "peak_focus_linear_error": 0.03,
        "peak_fnumber_worst_error": 0.04,
    }
    assert headlines({}) == {}


def test_what_the_bench_cannot_do_is_said_at_once(
    capture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BadInputError, match="cannot take --data"):
        lens_refocus.cells(BenchConfig(data=capture))
    monkeypatch.setattr(lens_refocus, "has_package", lambda name: False)
    with pytest.raises(MissingExtraError, match="mitsuba"):
        lens_refocus.cells(BenchConfig())
    monkeypatch.setattr(lens_refocus, "has_package", lambda name: True)
    named = lens_refocus.cells(BenchConfig(scene_seed=3, out=tmp_path))
    assert len({cell.name for cell in named}) == len(named)
    assert Cell("linear_disc", "still_life_3_far_view2") in named
    assert not any(cell.row == "twin" and "_middle_" in cell.scene for cell in named)


def test_the_soft_truth_is_rendered_once_and_is_soft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mitsuba", reason="Mitsuba is not installed: pip install 'hyperfocal[synthetic]'")
    monkeypatch.setattr(refocus_scenes, "SAMPLES", 64)
    K = torch.from_numpy(intrinsics(48, 32, 35.0)).float()
    pose = torch.from_numpy(two_ring_path(12)[0]).float()
    camera = Camera(pose, torch.stack((K[0, 0], K[1, 1])), K[:2, 2], 48, 32)

    def light(radius: float, seed: int) -> torch.Tensor:
        path = tmp_path / f"{radius:g}_{seed}.npy"
        return refocus_scenes.soft_light(0, camera, CaptureLens(radius, 0.8), (seed, 0), path, silent)

    sharp, soft, again = light(1e-6, 0), light(0.2, 0), light(0.2, 1)
    assert (soft - sharp).square().mean() > 4 * (soft - again).square().mean(), "blur, not noise"
    monkeypatch.setattr(ray_tracing, "Stage", None)
    ray_tracing.stage.cache_clear()
    torch.testing.assert_close(light(0.2, 0), soft)
