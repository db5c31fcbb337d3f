import io
import json
from pathlib import Path

import pytest
import torch
from rich.console import Console

from hyperfocal.bench import first_light
from hyperfocal.bench.check import check
from hyperfocal.bench.command import bench
from hyperfocal.bench.config import BenchConfig
from hyperfocal.bench.fountain import camera_errors_cm
from hyperfocal.camera import Camera
from hyperfocal.data import read_scene
from hyperfocal.errors import BadInputError
from hyperfocal.fit.config import FitConfig, InitialConfig, McmcConfig
from hyperfocal.reconstruct import ReconstructConfig
from hyperfocal.scene import Scene, View
from hyperfocal.transforms import rigid, rotation_from_quaternion
from scenes import pinhole, random_gaussians, ring_of_cameras
from toy_capture import write_toy_capture

VIEWS = 9


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A capture in the format of hyperfocal.synthetic: two pictures are held out, 0000 and 0008."""
    folder = tmp_path_factory.mktemp("toy")
    write_toy_capture(folder, random_gaussians(200), ring_of_cameras(VIEWS, 48, 36))
    return folder


def _short(seed: int, *, long_side: int | None) -> ReconstructConfig:
    fit = FitConfig(steps=20, seed=seed, densify=McmcConfig(cap=600), initial=InitialConfig(random_points=500))
    return ReconstructConfig(eval_every=8, long_side=long_side, fit=fit)


def test_first_light_measures_the_fit_beside_its_controls(
    capture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_light, "settings", _short)
    text = io.StringIO()
    config = BenchConfig(data=capture, out=tmp_path, json=True, quick=True)
    assert bench("first_light", config=config, console=Console(file=text)) == 0
    rows = json.loads(text.getvalue().splitlines()[-1])["rows"]
    scene = capture.name
    for row in ("fit", "start", "nearest_photograph", "mean_photograph"):
        assert {f"{scene}.{row}.{figure}" for figure in ("psnr_db", "ssim", "flip")} < set(rows)
    assert rows[f"{scene}.fit.held_out_views"] == 2
    assert 0 < rows[f"{scene}.fit.depth_abs_rel"] < 1
    assert 0 < rows[f"{scene}.fit.depth_coverage"] <= 1
    assert rows[f"{scene}.fit.seconds"] > 0
    assert rows[f"{scene}.start.gaussians"] == 500
    assert rows[f"{scene}.start.psnr_db"] < rows[f"{scene}.fit.psnr_db"]
    assert f"{scene}.mean_photograph.depth_abs_rel" not in rows
    assert check(tmp_path) == []


def test_a_fit_gets_no_depth_of_the_truth(capture: Path) -> None:
    assert all(view.depth is not None for view in read_scene(capture).views)
    scene, depth_truth = first_light.read_capture(capture)
    assert [view.depth for view in scene.views] == [None] * VIEWS
    assert set(depth_truth) == {view.name for view in scene.views}


def test_a_capture_must_be_there_and_named_once(capture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInputError, match=r"no cameras\.json"):
        first_light.cells(BenchConfig())
    with pytest.raises(BadInputError, match="give one of them"):
        first_light.cells(BenchConfig(data=capture, scene_seed=3))
    with pytest.raises(BadInputError, match="--out"):
        first_light.cells(BenchConfig(scene_seed=3))
    assert first_light.cells(BenchConfig(scene_seed=3, out=tmp_path))[0].scene == "still_life_3"


@pytest.mark.parametrize("name", ["fountain", "fox"])
def test_a_bench_of_photographs_asks_for_them(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=f"{name} needs --data"):
        bench(name, config=BenchConfig(), console=Console(file=io.StringIO()))
    with pytest.raises(BadInputError, match="is not a folder"):
        bench(name, config=BenchConfig(data=tmp_path / "gone"), console=Console(file=io.StringIO()))


def _scene(centers: torch.Tensor) -> Scene:
    def camera(center: torch.Tensor) -> Camera:
        base = pinhole()
        return Camera(rigid(torch.eye(3), -center), base.focal_px, base.center_px, base.width, base.height)

    views = tuple(View(f"{i}.jpg", Path(f"{i}.jpg"), camera(center)) for i, center in enumerate(centers))
    return Scene(source=Path(), views=views)


def test_camera_errors_do_not_depend_on_frame_and_scale_and_are_in_centimetres() -> None:
    surveyed = torch.randn(8, 3)
    turn = rotation_from_quaternion(torch.tensor([0.9, 0.1, -0.3, 0.2]))
    moved = 0.2 * surveyed @ turn.T + torch.tensor([5.0, 1.0, 2.0])
    errors = camera_errors_cm(_scene(moved), _scene(surveyed))
    assert errors["camera_max_cm"] < 0.01
    # One camera off by 10 cm: the best similarity gives some of it to the others, never more than all of it.
    surveyed[3] += torch.tensor([0.1, 0.0, 0.0])
    errors = camera_errors_cm(_scene(moved), _scene(surveyed))
    assert 2 < errors["camera_max_cm"] < 10
    assert errors["camera_rms_cm"] < errors["camera_max_cm"]
