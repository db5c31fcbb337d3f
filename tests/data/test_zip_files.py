import stat
import struct
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from hyperfocal.data import load_pixels, read_scene
from hyperfocal.data.zip_files import unpacked
from hyperfocal.errors import BadInputError
from photo_files import relief_views, transforms_json


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    """A zip file of a nerfstudio scene, in a folder as most tools pack it, with macOS's housekeeping."""
    views = relief_views(tmp_path / "scene" / "images", 3, width=32, height=24)
    transforms_json(views, tmp_path / "scene")
    file = tmp_path / "scene.zip"
    with zipfile.ZipFile(file, "w") as archive:
        for path in sorted((tmp_path / "scene").rglob("*")):
            archive.write(path, path.relative_to(tmp_path))
        archive.writestr("__MACOSX/scene/._transforms.json", b"\0\5\x16\7")
        archive.writestr("scene/.DS_Store", b"")
    return file


def zip_of(file: Path, *entries: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return file


def test_a_zip_file_reads_as_what_is_in_it(packed: Path):
    scene = read_scene(packed)
    assert len(scene.posed_views) == 3
    assert scene.source == packed
    assert scene.format == "transforms.json of nerfstudio or instant-ngp, in a zip file"
    assert "unpack it yourself to evaluate" in scene.notes[-1]
    assert load_pixels(scene.views[0])[0].shape == (24, 32, 3)
    assert unpacked(packed) == unpacked(packed)


def test_the_scene_lives_as_long_as_the_process_and_no_longer(packed: Path):
    code = (
        "import sys, os\nfrom hyperfocal.data import read_scene, load_pixels\n"
        "scene = read_scene(sys.argv[1])\nload_pixels(scene.views[0])\n"
        "child = os.fork()\n"
        "if child == 0: sys.exit()\n"  # a forked worker that ends must not take the files along
        "os.waitpid(child, 0)\nload_pixels(scene.views[1])\nprint(scene.views[0].image)"
    )
    done = subprocess.run([sys.executable, "-c", code, packed], capture_output=True, text=True, check=True)
    path = Path(done.stdout.strip().splitlines()[-1])
    assert path.name == "00.png"
    assert not path.exists()
    assert not path.parents[2].exists()


@pytest.mark.parametrize("name", ["../evil.png", "/etc/evil.png", "a/../../evil.png", "..\\evil.png", "C:\\evil.png"])
def test_paths_out_of_the_file_are_refused(tmp_path: Path, name: str):
    file = zip_of(tmp_path / "a.zip", (name, b"..."))
    with pytest.raises(BadInputError, match="is not below"):
        read_scene(file)
    assert not (tmp_path / "evil.png").exists()


def test_links_are_refused(tmp_path: Path):
    link = zipfile.ZipInfo("a.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(BadInputError, match=r"holds the link or device 'a\.png'"):
        read_scene(zip_of(tmp_path / "a.zip", (link, b"/etc/passwd")))


@pytest.mark.parametrize("name", ["inner.zip", "photos/more.tar.gz", "x.7z"])
def test_archives_in_archives_are_refused(tmp_path: Path, name: str):
    with pytest.raises(BadInputError, match="holds another archive"):
        read_scene(zip_of(tmp_path / "a.zip", (name, b"...")))


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path):
    file = zip_of(tmp_path / "a.zip", ("a.png", bytes(64 << 20)))
    assert file.stat().st_size < 1 << 17
    with pytest.raises(BadInputError, match=r"looks like a zip bomb: a\.png"):
        read_scene(file)


def test_a_bomb_that_lies_about_its_size_is_stopped_while_it_grows(tmp_path: Path):
    file = zip_of(tmp_path / "a.zip", ("a.png", bytes(64 << 20)))
    data = bytearray(file.read_bytes())
    honest = struct.pack("<L", 64 << 20)
    while (at := data.find(honest)) >= 0:
        data[at : at + 4] = struct.pack("<L", 1000)
    file.write_bytes(data)
    with pytest.raises(BadInputError, match=r"zip bomb|could not be unpacked"):
        read_scene(file)


def test_many_small_bombs_count_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("hyperfocal.data.zip_files._MOST_BYTES", 1000)
    with pytest.raises(BadInputError, match="more than is unpacked unasked"):
        read_scene(zip_of(tmp_path / "a.zip", *((f"{i}.png", bytes(300)) for i in range(4))))
    monkeypatch.setattr("hyperfocal.data.zip_files._MOST_FILES", 3)
    with pytest.raises(BadInputError, match="holds 4 files"):
        read_scene(zip_of(tmp_path / "b.zip", *((f"{i}.png", b"") for i in range(4))))


def test_an_empty_depth_map_is_no_bomb(tmp_path: Path, packed: Path):
    with zipfile.ZipFile(packed, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("scene/empty.npy", np.zeros((1440, 1920), np.float32).tobytes())
    assert len(read_scene(packed).posed_views) == 3


def test_names_that_differ_in_capitals_only_are_refused(tmp_path: Path):
    with pytest.raises(BadInputError, match="two files of one name"):
        read_scene(zip_of(tmp_path / "a.zip", ("a.png", b"1"), ("A.PNG", b"2")))


def test_a_locked_file_is_named(tmp_path: Path):
    file = zip_of(tmp_path / "a.zip", ("a.png", b"..."))
    data = bytearray(file.read_bytes())
    data[6] |= 1  # of the local header
    data[data.find(b"PK\1\2") + 8] |= 1
    file.write_bytes(data)
    with pytest.raises(BadInputError, match="locked with a password"):
        read_scene(file)


def test_damaged_files_leave_nothing_behind(tmp_path: Path, packed: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    data = bytearray(packed.read_bytes())
    at = data.find(b"IDAT")
    data[at + 20 : at + 40] = bytes(20)
    packed.write_bytes(data)
    with pytest.raises(BadInputError, match=r"scene\.zip could not be unpacked.*Bad CRC"):
        read_scene(packed)
    assert not list(tmp_path.glob("hyperfocal-*"))


def test_a_file_that_only_has_the_suffix_is_no_zip(tmp_path: Path):
    (tmp_path / "a.zip").write_bytes(b"no")
    with pytest.raises(BadInputError, match="holds no photographs"):
        read_scene(tmp_path / "a.zip")


def test_a_full_disk_is_said_before_it_is_full(packed: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("usage", (), {"free": 100})())
    with pytest.raises(BadInputError, match="0 MiB left"):
        read_scene(packed)


def test_an_interrupted_unpacking_leaves_nothing(packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))

    def interrupt(_stage: str, done: int, _total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        unpacked(packed, progress=interrupt)
    assert list(temporary.iterdir()) == []
