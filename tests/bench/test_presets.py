from dataclasses import replace
from pathlib import Path

import pytest

from hyperfocal.bench import presets
from hyperfocal.bench.config import BenchConfig
from hyperfocal.bench.harness import Cell
from hyperfocal.fit.config import FitConfig, McmcConfig
from hyperfocal.progress import silent
from hyperfocal.reconstruct import ReconstructConfig
from posed_scene import write_posed_scene


def test_presets_are_judged_on_photographs_of_one_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_posed_scene(tmp_path / "scene", views=8, width=48, height=36)
    tiny = ReconstructConfig(fit=FitConfig(steps=20, densify=McmcConfig(cap=250)))
    monkeypatch.setitem(presets.ROWS, "quick", replace(tiny, long_side=24))
    monkeypatch.setitem(presets.ROWS, "best", replace(tiny, long_side=48))
    config = BenchConfig(data=tmp_path / "scene")
    assert [cell.row for cell in presets.cells(config)] == ["quick", "default", "best"]
    figures = {}
    for row in ("quick", "best"):
        (tmp_path / row).mkdir()
        figures[row] = presets.measure(Cell(row, "photographs"), config, tmp_path / row, silent)
        assert figures[row]["seconds"] >= figures[row]["seconds_fit"] > 0
    assert figures["best"]["psnr_db"] == pytest.approx(figures["best"]["fit_psnr_db"], abs=1e-3)
    assert figures["quick"]["psnr_db"] != pytest.approx(figures["quick"]["fit_psnr_db"], abs=1e-3)
