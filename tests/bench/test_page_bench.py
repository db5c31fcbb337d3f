"""What of the bench `page` needs no browser."""

import numpy as np
import pytest
import torch

from hyperfocal.bench import page_browser
from hyperfocal.bench.config import BenchConfig
from hyperfocal.bench.page import cells, headlines, off_centre, variance_px2
from hyperfocal.bench.random_scene import random_scene
from hyperfocal.camera import project
from hyperfocal.errors import BadInputError


def test_the_variance_of_a_gaussian_is_found_from_what_is_not_cut_off() -> None:
    y, x = np.mgrid[:61, :61]
    alpha = 0.8 * np.exp(-((x - 30.3) ** 2 + (y - 29.1) ** 2) / (2 * 42.0))
    light = np.zeros((61, 61, 4), np.float32)
    light[..., 3] = np.where(alpha > 1 / 255, alpha, 0)
    assert variance_px2(light) == pytest.approx(42.0, rel=1e-4)


def test_an_off_centre_camera_still_sees_the_scene() -> None:
    gaussians, camera, _ = random_scene(100, 200, 150)
    off = off_centre(camera)
    assert off.focal_px[0] != off.focal_px[1]
    pixels, depth_z = project(off, gaussians.means)
    assert bool((depth_z > 0).all())
    inside = ((pixels > 0) & (pixels < torch.tensor([200.0, 150.0]))).all(1)
    assert inside.float().mean() > 0.5


def test_headlines_are_those_of_the_cells() -> None:
    rows = {f"{cell.scene}.{cell.row}.psnr_db": 50.0 for cell in cells(BenchConfig())}
    rows["one_gaussian.blur.page_variance_error"] = 0.01
    found = headlines(rows)
    assert found["defocus_sh3_psnr_db"] == 50.0
    assert found["variance_error"] == 0.01
    assert "depth_error" not in found


def test_without_a_browser_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(page_browser.BROWSER_VARIABLE, "/nowhere/chromium")
    with pytest.raises(BadInputError, match="install"), page_browser.browser():
        pass
