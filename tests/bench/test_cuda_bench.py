import sys
from pathlib import Path

import pytest
import torch

from gsplat_stand_in import stand_in
from hyperfocal.bench import cuda
from hyperfocal.bench.config import BenchConfig
from hyperfocal.bench.harness import Cell
from hyperfocal.cli import main
from hyperfocal.progress import silent
from hyperfocal.render import _first_view
from hyperfocal.render.cuda_adapter import render_with


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_gpu_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "cuda", "--json"]) == 2
    said = capsys.readouterr()
    assert "needs an NVIDIA GPU" in said.err
    assert "Traceback" not in said.err
    assert not said.out
    assert "gsplat" not in sys.modules


def test_the_comparison_comes_first() -> None:
    assert cuda.cells(BenchConfig())[0] == Cell("sharp", "100k_640x480")


def test_ratios_are_of_times_taken_in_turn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With a clock that is told what every picture costs; `gsplat` is our adapter, on the CPU."""
    clock = {"now": 0.0}

    def ours(gaussians, camera, *, options):
        clock["now"] += 0.021
        return _first_view(render_with(stand_in(), gaussians, camera.as_batch(), torch.zeros(1, 3), options))

    def theirs(gaussians, camera):
        clock["now"] -= 0.001
        return ours(gaussians, camera, options=cuda.options_of("sharp", 20)).color

    monkeypatch.setattr(cuda, "SIZES", {"tiny": (20, 16, 16)})
    monkeypatch.setattr(cuda, "REPEATS", 3)
    monkeypatch.setattr(cuda, "WARM_UP", 1)
    monkeypatch.setattr(cuda, "check_gpu", lambda: None)
    monkeypatch.setattr(cuda, "render", ours)
    monkeypatch.setattr(cuda, "by_gsplat", theirs)
    monkeypatch.setattr(cuda, "mark", lambda: _tick(clock))
    monkeypatch.setattr(cuda, "DEVICE", "cpu")
    figures = cuda.measure(Cell("sharp", "tiny"), BenchConfig(), tmp_path, silent)
    assert figures["ours_forward_ms"] == pytest.approx(22)
    assert figures["gsplat_forward_ms"] == pytest.approx(21)
    assert figures["forward_ratio"] == pytest.approx(22 / 21)
    assert figures["backward_ratio"] == pytest.approx(1)
    assert figures["ratio"] == pytest.approx(23 / 22)
    assert figures["largest_difference"] == 0


def _tick(clock: dict[str, float]) -> float:
    clock["now"] += 0.001
    return clock["now"]
