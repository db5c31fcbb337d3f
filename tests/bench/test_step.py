from pathlib import Path

import pytest

from hyperfocal.bench import step
from hyperfocal.bench.config import BenchConfig
from hyperfocal.progress import silent


def test_a_step_takes_longer_than_its_renderer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step, "SIZES", {step.MAIN: (5000, 160, 120)})
    monkeypatch.setattr(step, "REPEATS", 20)
    (cell,) = step.cells(BenchConfig())
    figures = step.measure(cell, BenchConfig(), tmp_path, silent)
    found = step.headlines({f"{step.MAIN}.step.{name}": value for name, value in figures.items()})
    assert found["step_ms"] == figures["step_ms"]
    assert found["step_over_raster"] > 1
    assert step.headlines({}) == {}
