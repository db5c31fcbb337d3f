"""`hyperfocal demo`: what comes with the package is what it says, and a reconstruction of it is judged rightly."""

import json
from dataclasses import replace
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hyperfocal.camera import Camera
from hyperfocal.cli import main
from hyperfocal.data import read_scene
from hyperfocal.fit import FitConfig, McmcConfig
from hyperfocal.gaussians import Gaussians, from_points
from hyperfocal.reconstruct import demo as demo_module
from hyperfocal.reconstruct.config import DEMO_QUICK
from hyperfocal.reconstruct.demo import COMPARISON, WITHOUT_LENS, Truth, judge, read_truth
from hyperfocal.reconstruct.photographed import PhotographedLens
from hyperfocal.reconstruct.result import Result, read_result
from hyperfocal.reconstruct.scores import Table
from hyperfocal.scene import Scene
from hyperfocal.transforms import rotation_from_quaternion

SHIPPED = Path(str(resources.files("hyperfocal").joinpath("demo")))
SCALE = 3.0  # scene units a metre, in a result below


@pytest.fixture(scope="module")
def truth() -> Truth:
    return read_truth(SHIPPED)


def _edges(path: Path) -> float:
    grey = np.asarray(Image.open(path).convert("L")).astype(float)
    return float(np.abs(np.diff(grey, axis=1)).mean())


def test_what_is_shipped_is_small_and_soft_and_says_what_cameras_say(truth: Truth) -> None:
    photographs = sorted((SHIPPED / "photographs").glob("*.jpg"))
    assert [path.name for path in photographs] == list(truth.photographs) and len(photographs) == 24
    assert sum(path.stat().st_size for path in SHIPPED.rglob("*")) < 6 * 2**20
    for path in photographs:
        with Image.open(path) as image:
            assert image.size == (480, 320)
            exif = image.getexif().get_ifd(0x8769)
            assert exif[0xA405] == 35
            assert 0x9206 not in exif, "the subject's distance is for the fit to find"
    sharp = sorted(truth.sharp.glob("*.png"))
    assert [path.stem for path in sharp] == ["0000", "0008", "0016"]
    for path in sharp:
        assert _edges(path) > 1.5 * _edges(SHIPPED / "photographs" / f"{path.stem}.jpg")


def _result(truth: Truth, gaussians: Gaussians, *, aperture: float, shift: float) -> Result:
    """Return a result whose cameras are the true ones, turned, moved and `SCALE` times as far apart."""
    scene = read_scene(SHIPPED / "photographs")
    turn = rotation_from_quaternion(torch.tensor([0.9, 0.1, -0.3, 0.2]))
    views, lenses = [], []
    for view in scene.views:
        taken = truth.photographs[view.name]
        pose = torch.tensor(taken["world_to_camera"])
        moved = torch.eye(4)
        moved[:3, :3] = pose[:3, :3] @ turn.T
        moved[:3, 3] = SCALE * pose[:3, 3] - moved[:3, :3] @ torch.tensor([1.0, 2.0, 3.0])
        camera = Camera(moved, torch.full((2,), 35 / 36 * 480), torch.tensor([240.0, 160.0]), 480, 320)
        views.append(replace(view, camera=camera))
        inverse = 1 / taken["focus_distance"] + shift * truth.inverse_range
        still = ((0.0,) * 4,) * 4
        lenses.append(
            PhotographedLens(
                name=view.name,
                focal_px=35 / 36 * 480,
                aperture_diameter=aperture * SCALE * taken["aperture_diameter"],
                focus_distance=SCALE / inverse,
                circle_px=None,
                twist=(0.0,) * 6,
                world_to_camera_start=still,
                world_to_camera_end=still,
                streak_px=None,
            )
        )
    held_out = tuple(view.name for view in views[::8])
    posed = Scene(source=scene.source, format=scene.format, views=tuple(views))
    table = Table((), held_out=True, lpips_obstacle=None)
    return Result(gaussians, posed, DEMO_QUICK, held_out, table, lenses=tuple(lenses))


@pytest.mark.parametrize(("aperture", "shift"), [(1.0, 0.0), (0.9, 0.05), (1.2, -0.1)])
def test_errors_are_those_in_metres_whatever_the_scale_of_the_result(
    truth: Truth, aperture: float, shift: float
) -> None:
    nothing = from_points(torch.zeros(1, 3), colors=torch.zeros(1, 3), scales=torch.full((1,), 1e-6), opacity=0.01)
    judged = judge(_result(truth, nothing, aperture=aperture, shift=shift), truth)
    assert judged.aperture_error == pytest.approx(aperture - 1, abs=1e-4)
    assert judged.focus_error == pytest.approx(abs(shift), abs=1e-4)
    assert judged.focus_error_worst == pytest.approx(abs(shift), abs=1e-4)
    sharp = [np.asarray(Image.open(path)).astype(float) / 255 for path in sorted(truth.sharp.glob("*.png"))]
    black = np.mean([-10 * np.log10((picture**2).mean()) for picture in sharp])
    assert judged.psnr_db == pytest.approx(black, abs=0.01), "a black render against the sharp views"


def test_the_demo_runs_and_the_lens_is_worth_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = replace(DEMO_QUICK, long_side=240, fit=FitConfig(steps=800, densify=McmcConfig(cap=8_000)))
    monkeypatch.setattr(demo_module, "DEMO_QUICK", small)
    out = tmp_path / "demo"
    assert main(["demo", "--quick", "--json", "--out", str(out)]) == 0
    record = json.loads(capsys.readouterr().out.splitlines()[-1])
    with_lens, without = record["with_lens"], record["without_lens"]
    assert with_lens["psnr_db"] > without["psnr_db"] + 0.5
    assert 0 < with_lens["focus_error"] < with_lens["focus_error_worst"] < 1
    assert without["focus_error"] is None
    assert (out / "report.html").is_file()
    assert read_result(out / WITHOUT_LENS).lenses is None
    with Image.open(out / COMPARISON) as picture:
        assert picture.width > 4 * 160
