import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from hyperfocal.errors import BadInputError, MissingExtraError
from hyperfocal.export.exr import read_depth_exr, write_depth_exr


@pytest.fixture
def openexr() -> Any:
    return pytest.importorskip("OpenEXR", reason="OpenEXR is not installed: pip install 'hyperfocal[raw]'")


@pytest.mark.parametrize("unit", ["metres", "scene"])
def test_depth_is_read_back_to_the_last_bit(unit: Any, openexr: Any, tmp_path: Path) -> None:
    depth = 10 * torch.rand(37, 51)
    depth[3:6] = 0
    write_depth_exr(tmp_path / "depth.exr", depth, unit=unit)
    again, said = read_depth_exr(tmp_path / "depth.exr")
    assert torch.equal(again, depth)
    assert said == unit
    assert [entry.name for entry in tmp_path.iterdir()] == ["depth.exr"]


def test_normals_lie_beside_the_depth(openexr: Any, tmp_path: Path) -> None:
    normals = torch.randn(5, 7, 3)
    write_depth_exr(tmp_path / "depth.exr", torch.rand(5, 7), unit="scene", normals=normals)
    channels = openexr.File(str(tmp_path / "depth.exr"), separate_channels=True).channels()
    assert sorted(channels) == ["N.X", "N.Y", "N.Z", "Z"]
    assert torch.equal(torch.from_numpy(channels["N.Y"].pixels.copy()), normals[..., 1])


def test_errors_name_the_file(openexr: Any, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="nowhere"):
        write_depth_exr(tmp_path / "nowhere" / "depth.exr", torch.rand(5, 7), unit="scene")
    (tmp_path / "text.exr").write_text("no picture")
    with pytest.raises(BadInputError, match=r"text\.exr"):
        read_depth_exr(tmp_path / "text.exr")
    openexr.File({"type": openexr.scanlineimage}, {"Y": torch.rand(4, 4).numpy()}).write(str(tmp_path / "grey.exr"))
    with pytest.raises(BadInputError, match='expected a channel "Z"'):
        read_depth_exr(tmp_path / "grey.exr")


def test_without_openexr_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "OpenEXR", None)  # importing it now raises
    with pytest.raises(MissingExtraError, match=r"hyperfocal\[raw\]"):
        write_depth_exr(tmp_path / "depth.exr", torch.rand(5, 7), unit="scene")
    assert list(tmp_path.iterdir()) == []
