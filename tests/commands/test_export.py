"""`hyperfocal export`: the formats, what their names say, and what is refused."""

import json
from pathlib import Path

import pytest

from hyperfocal.cli import main
from hyperfocal.export import read_ply, write_ply
from hyperfocal.export.page import bundle
from scenes import random_gaussians


@pytest.fixture(autouse=True)
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A scene.ply in the current folder."""
    monkeypatch.chdir(tmp_path)
    write_ply(tmp_path / "scene.ply", random_gaussians(30))
    return tmp_path / "scene.ply"


def error(capsys: pytest.CaptureFixture[str]) -> str:
    said = capsys.readouterr().err
    assert said.count("Error: ") == 1
    return said


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("--format", "compressed-ply"), "scene.compressed.ply"),
        (("--out", "small.compressed.ply"), "small.compressed.ply"),
        (("--out", "Small.Compressed.PLY"), "Small.Compressed.PLY"),
        (("--format", "compressed-ply", "--out", "any.name"), "any.name"),
        (("--out", "again.ply"), "again.ply"),
    ],
)
def test_the_format_and_the_name_follow_from_each_other(tmp_path: Path, words: tuple[str, ...], name: str) -> None:
    assert main(["export", "scene.ply", *words]) == 0
    assert len(read_ply(tmp_path / name)) == 30
    data = (tmp_path / name).read_bytes()
    assert (b"packed_position" in data) == (name != "again.ply")


def test_a_compressed_file_is_exported_to_a_plain_one(tmp_path: Path) -> None:
    assert main(["export", "scene.ply", "--format", "compressed-ply"]) == 0
    assert main(["export", "scene.compressed.ply", "--out", "plain.ply"]) == 0
    assert read_ply(tmp_path / "plain.ply").sh_degree == 3


def test_a_page_is_written_unless_told_otherwise(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle()
    assert main(["export", "scene.ply", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["out"] == "scene.html"
    assert record["format"] == "html"
    assert record["gaussians"] == 30
    assert record["bytes"] == (tmp_path / "scene.html").stat().st_size
    assert b"hyperfocal-manifest" in (tmp_path / "scene.html").read_bytes()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("scene.ply", "--out", "scene.spz"), "says no format"),
        (("scene.ply", "--format", "ply"), "already exists"),
        (("none.ply",), "Could not read"),
        ((".",), "Could not read"),
        (("scene.ply", "--format", "ply", "--photographs", "3", "--out", "b.ply"), "--photographs"),
        (("scene.ply", "--out", "nowhere/b.ply"), "Could not write"),
    ],
)
def test_what_cannot_be_exported_is_a_sentence(
    words: tuple[str, ...], reason: str, capsys: pytest.CaptureFixture[str], scene: Path
) -> None:
    before = scene.read_bytes()
    assert main(["export", *words]) == 2
    assert reason in " ".join(error(capsys).split())
    assert scene.read_bytes() == before


def test_a_file_is_replaced_when_asked_and_a_folder_never(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.ply").write_text("old")
    assert main(["export", "scene.ply", "--out", "a.ply", "--overwrite"]) == 0
    assert len(read_ply(tmp_path / "a.ply")) == 30
    (tmp_path / "b.ply").mkdir()
    assert main(["export", "scene.ply", "--out", "b.ply", "--overwrite"]) == 2
    assert "is a folder" in error(capsys)
