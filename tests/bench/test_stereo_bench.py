"""The stereo bench on photographs of two walls: all its rows, and figures that follow from its files."""

from pathlib import Path

import pytest
import torch

from hyperfocal.bench import harness, stereo
from hyperfocal.bench.check import check
from hyperfocal.bench.config import BenchConfig
from hyperfocal.camera import unproject
from hyperfocal.errors import BadInputError
from stereo_twin import walls


def test_every_row_is_measured_and_can_be_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photographs, truth = walls(count=4)
    generator = torch.Generator().manual_seed(0)
    points = []
    for photograph, depth_z in zip(photographs, truth, strict=True):
        places = torch.randperm(depth_z.numel(), generator=generator)[:150]
        points.append(unproject(photograph.camera, depth_z).reshape(-1, 3)[places])
    names = [photograph.name for photograph in photographs]
    given = (photographs, torch.cat(points), dict(zip(names, truth, strict=True)))
    monkeypatch.setattr(stereo, "_read", lambda capture: given)
    capture = tmp_path / "walls"
    capture.mkdir()
    (capture / "cameras.json").write_text("{}")
    rows = harness.run("stereo", BenchConfig(data=capture, out=tmp_path / "out"))["rows"]
    assert isinstance(rows, dict)
    assert rows["walls.stereo.median_rel"] < 0.003 and rows["walls.stereo.coverage"] > 0.7
    assert rows["walls.points_interpolated.coverage"] == 1
    # OpenCV finds the walls too: the control is not crippled by a wrong use of it.
    assert rows["walls.rectified_pairs.median_rel"] < 0.02 and rows["walls.rectified_pairs.coverage"] > 0.3
    assert rows["walls.stereo.abs_rel"] < rows["walls.rectified_pairs.abs_rel"]
    assert check(tmp_path / "out") == []


def test_a_folder_without_depth_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="no depth maps"):
        stereo.recompute(harness.Cell("stereo", "walls"), tmp_path)
