import hashlib

import torch

from hyperfocal.bench.config import BenchConfig
from hyperfocal.bench.harness import first_of_each_row
from hyperfocal.bench.rasterizer import SIZES, cells, random_scene


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
    assert {cell.scene for cell in first_of_each_row(cells(BenchConfig()))} == {next(iter(SIZES))}
