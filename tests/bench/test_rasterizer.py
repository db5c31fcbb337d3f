import hashlib
import math
import sys
from pathlib import Path

import pytest
import torch

from hyperfocal.bench import rasterizer
from hyperfocal.bench.config import BenchConfig
from hyperfocal.bench.harness import first_of_each_row
from hyperfocal.bench.random_scene import lane_pairs, random_scene
from hyperfocal.bench.rasterizer import MAIN, Run, cells, headlines, measure
from hyperfocal.gaussians import concatenate, from_points
from hyperfocal.progress import silent
from scenes import pinhole


def test_the_scene_is_the_same_everywhere() -> None:
    gaussians, camera, image_gradient = random_scene(1000, 64, 48)
    assert (len(gaussians), gaussians.sh_degree, camera.width, camera.height) == (1000, 3, 64, 48)
    assert image_gradient.shape == (48, 64, 3)
    # The draws, not what is computed from them: those may differ in the last digit between machines.
    assert hashlib.sha256(gaussians.sh.numpy().tobytes()).hexdigest()[:16] == "eb79c250528bbd5c"


def test_the_centres_fill_the_view() -> None:
    gaussians, camera, _ = random_scene(1000, 64, 48)
    pixels = camera.focal_px * gaussians.means[:, :2] / gaussians.means[:, 2:] + camera.center_px
    assert bool((pixels > -1e-3).all())
    assert bool((pixels < torch.tensor([64.001, 48.001])).all())
    assert 2 <= float(gaussians.means[:, 2].min()) < float(gaussians.means[:, 2].max()) <= 10


def test_quick_measures_the_small_scene_only() -> None:
    assert {cell.scene for cell in first_of_each_row(cells(BenchConfig()))} == {MAIN}


def test_pairs_are_those_of_the_blocks_that_a_gaussian_meets() -> None:
    # On the corner of four blocks, of 1.2 px: alpha 0.9 falls to 1/255 at 3.96 px, so it meets just those four blocks.
    camera = pinhole(32, 32, 32.0)
    scale = math.sqrt(1.2**2 - 0.3) / 32
    one = from_points(
        torch.tensor([[0.0, 0.0, 1.0]]), colors=torch.ones(1, 3), scales=torch.tensor([scale]), opacity=0.9
    ).with_sh_degree(0)
    assert lane_pairs(one, camera) == 4 * 16
    # Behind nine walls of 0.999 nobody is met; the walls meet the four blocks until these are finished.
    walls = concatenate([one.transformed(1.0, torch.eye(3), torch.tensor([0.0, 0.0, 0.01 * i])) for i in range(3)])
    assert 4 * 16 < lane_pairs(walls, camera) <= 12 * 16


def test_the_figures_of_a_row_and_its_headlines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rasterizer, "SIZES", {MAIN: (500, 64, 48)})
    monkeypatch.setattr(rasterizer, "REPEATS", 3)
    rows: dict[str, float] = {}
    for cell in cells(BenchConfig())[:5]:
        figures = measure(cell, BenchConfig(), tmp_path, silent)
        rows |= {f"{cell.scene}.{cell.row}.{name}": value for name, value in figures.items()}
    found = headlines(rows)
    assert "million_ms" not in found
    assert found["over_limit"] == pytest.approx((found["forward_ms"] + found["backward_ms"]) / found["limit_ms"])
    assert found["over_limit_full"] > 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads Linux's account of the process")
def test_peak_memory_grows_with_what_is_kept_for_backward() -> None:
    small, large = (Run(*random_scene(n, 640, 480), 1, everything=False).peak_extra_mib() for n in (20_000, 200_000))
    assert small is not None
    assert large is not None
    assert small + 10 < large < 200
