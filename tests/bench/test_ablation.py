from dataclasses import replace
from pathlib import Path

import pytest
import torch

from hyperfocal.bench import ablation
from hyperfocal.bench.config import BenchConfig
from hyperfocal.bench.harness import Cell
from hyperfocal.camera import Camera
from hyperfocal.fit.config import FitConfig, McmcConfig
from hyperfocal.metrics import psnr
from hyperfocal.progress import silent
from hyperfocal.reconstruct import ReconstructConfig
from hyperfocal.render import render
from hyperfocal.scene import Photograph
from posed_scene import write_posed_scene
from scenes import random_gaussians, ring_of_cameras


def test_adjusting_finds_the_pose_and_exposure_of_a_photograph() -> None:
    gaussians = random_gaussians(300, sh_degree=0, size=0.1)
    camera: Camera = ring_of_cameras(1, 64, 48)[0]
    with torch.no_grad():
        image = (0.8 * render(gaussians, camera).color).clamp(0, 1)
    shift = torch.eye(4)
    shift[0, 3] = 0.02
    moved = replace(camera, world_to_camera=shift @ camera.world_to_camera)
    photograph = Photograph("a", image, torch.ones(48, 64, dtype=torch.bool), moved)
    before = psnr(render(gaussians, moved).color.clamp(0, 1), image)
    assert ablation.adjusted_psnr_db(gaussians, (photograph,)) > before + 6


def test_a_row_is_the_base_with_one_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_posed_scene(tmp_path / "scene", views=8, width=48, height=36)
    tiny = ReconstructConfig(fit=FitConfig(steps=20, densify=McmcConfig(cap=250)))
    monkeypatch.setitem(ablation.PRESETS, "quick", tiny)
    config = BenchConfig(data=tmp_path / "scene")
    assert len(ablation.cells(config)) == len(ablation.CHANGES)
    for row in ("base", "exposure_and_pose"):
        (tmp_path / row).mkdir()
        figures = ablation.measure(Cell(row, "photographs"), config, tmp_path / row, silent)
        assert figures["psnr_adjusted_db"] > figures["psnr_db"] - 1
