"""Formats of extras. The raw file is a DNG written from Adobe's specification; others differ inside LibRaw only."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hyperfocal.color import srgb_from_linear
from hyperfocal.data import read_scene
from hyperfocal.data.images import decode, read_header
from hyperfocal.errors import BadInputError, MissingExtraError
from hyperfocal.scene import Exif
from photo_files import save_picture
from raw_file import write_dng


def quadrants(height: int = 48, width: int = 64) -> np.ndarray:
    """Four flat colours in linear light."""
    picture = np.empty((height, width, 3))
    picture[: height // 2, : width // 2] = 0.5, 0.1, 0.1
    picture[: height // 2, width // 2 :] = 0.1, 0.5, 0.1
    picture[height // 2 :, : width // 2] = 0.1, 0.1, 0.5
    picture[height // 2 :, width // 2 :] = 0.4, 0.4, 0.4
    return picture


def middles(picture: torch.Tensor) -> torch.Tensor:
    """The colours in the middle of the four quadrants, by rows."""
    h, w = picture.shape[:2]
    return torch.stack([picture[y, x] for y in (h // 4, 3 * h // 4) for x in (w // 4, 3 * w // 4)])


def srgb_of(*linear: tuple[float, float, float]) -> torch.Tensor:
    return srgb_from_linear(torch.tensor(linear))


RED, GREEN, BLUE, GREY = (0.5, 0.1, 0.1), (0.1, 0.5, 0.1), (0.1, 0.1, 0.5), (0.4, 0.4, 0.4)


@pytest.mark.parametrize("neutral", [(1, 1, 1), (0.5, 1, 0.8)])
def test_a_raw_photograph_is_demosaiced_to_srgb_with_the_white_of_its_camera(
    tmp_path: Path, neutral: tuple[float, float, float]
):
    pytest.importorskip("rawpy")
    write_dng(tmp_path / "a.dng", quadrants(), neutral=neutral)
    picture, opaque = decode(tmp_path / "a.dng")
    assert opaque is None
    assert picture.shape == (48, 64, 3)
    torch.testing.assert_close(middles(picture), srgb_of(RED, GREEN, BLUE, GREY), atol=0.012, rtol=0)


def test_brightness_is_not_adapted_to_the_single_photograph(tmp_path: Path):
    pytest.importorskip("rawpy")
    write_dng(tmp_path / "a.dng", quadrants() / 8)
    expected = srgb_of(*(tuple(value / 8 for value in color) for color in (RED, GREEN, BLUE, GREY)))
    torch.testing.assert_close(middles(decode(tmp_path / "a.dng")[0]), expected, atol=0.012, rtol=0)


@pytest.mark.parametrize(
    ("orientation", "expected"),
    [(1, (RED, GREEN, BLUE, GREY)), (3, (GREY, BLUE, GREEN, RED)), (6, (BLUE, RED, GREY, GREEN)),
     (8, (GREEN, GREY, RED, BLUE))],
)  # fmt: skip
def test_a_raw_photograph_is_turned_upright(tmp_path: Path, orientation: int, expected: tuple):
    pytest.importorskip("rawpy")
    write_dng(tmp_path / "a.dng", quadrants(), orientation=orientation)
    view = read_scene(tmp_path).views[0]
    assert view.orientation == orientation
    picture, _ = decode(tmp_path / "a.dng", view.orientation)
    assert picture.shape[:2] == ((64, 48) if orientation > 4 else (48, 64))
    assert read_header(tmp_path / "a.dng").size(orientation) == (picture.shape[1], picture.shape[0])
    torch.testing.assert_close(middles(picture), srgb_of(*expected), atol=0.012, rtol=0)


def test_the_exif_of_a_raw_photograph_is_read(tmp_path: Path):
    pytest.importorskip("rawpy")
    write_dng(tmp_path / "a.dng", quadrants())
    found = read_scene(tmp_path).views[0].exif
    assert found.focal_length_mm == pytest.approx(35)
    assert found.f_number == pytest.approx(2.8)
    assert found.exposure_s == pytest.approx(1 / 125)
    assert (found.make, found.model) == ("Tester", "Test Camera")


def test_a_raw_file_that_is_none_is_left_out_by_name(tmp_path: Path):
    pytest.importorskip("rawpy")
    write_dng(tmp_path / "good.dng", quadrants())
    (tmp_path / "bad.cr2").write_bytes(b"II*\0nothing")
    scene = read_scene(tmp_path)
    assert [view.name for view in scene.views] == ["good.dng"]
    assert "bad.cr2" in scene.notes[0]
    with pytest.raises(BadInputError, match=r"bad\.cr2 could not be decoded.*develop it"):
        decode(tmp_path / "bad.cr2")


def test_a_raw_file_that_is_cut_short_is_left_out(tmp_path: Path):
    pytest.importorskip("rawpy")
    write_dng(tmp_path / "good.dng", quadrants())
    whole = (tmp_path / "good.dng").read_bytes()
    (tmp_path / "cut.dng").write_bytes(whole[: len(whole) - 100])
    scene = read_scene(tmp_path)
    assert [view.name for view in scene.views] == ["good.dng"]
    assert "cut.dng" in scene.notes[0]


def test_a_raw_file_beside_its_jpeg_is_one_photograph(tmp_path: Path):
    save_picture(torch.rand(8, 12, 3), tmp_path / "IMG_1.JPG")
    (tmp_path / "img_1.cr2").write_bytes(b"never opened")
    scene = read_scene(tmp_path)
    assert [view.name for view in scene.views] == ["IMG_1.JPG"]
    assert "1 photographs are there twice" in scene.notes[0]


def test_exr_is_linear_light(tmp_path: Path):
    openexr = pytest.importorskip("OpenEXR")
    linear = quadrants(8, 12).astype(np.float32)
    linear[0, 0], linear[0, 1] = 7.5, np.nan
    alpha = np.ones((8, 12), np.float32)
    alpha[:, 0] = 0.2
    openexr.File({}, {"RGBA": np.dstack((linear, alpha))}).write(str(tmp_path / "a.exr"))
    picture, opaque = decode(tmp_path / "a.exr")
    torch.testing.assert_close(middles(picture), srgb_of(RED, GREEN, BLUE, GREY))
    assert picture[0, 0].tolist() == pytest.approx([1, 1, 1])
    assert picture[0, 1].tolist() == [0, 0, 0]
    assert opaque is not None
    assert opaque[3].tolist() == [False] + [True] * 11
    assert read_scene(tmp_path).views[0].exif == Exif()
    assert read_header(tmp_path / "a.exr").size(1) == (12, 8)


@pytest.mark.parametrize("content", [b"", b"\x76\x2f\x31\x01 and no more"])
def test_a_damaged_exr_is_refused_by_name(tmp_path: Path, content: bytes):
    pytest.importorskip("OpenEXR")
    (tmp_path / "a.exr").write_bytes(content)
    with pytest.raises(BadInputError, match=r"a\.exr could not be decoded"):
        decode(tmp_path / "a.exr")
    with pytest.raises(BadInputError, match=r"None of the photographs"):
        read_scene(tmp_path)


def test_an_exr_without_colours_names_its_channels(tmp_path: Path):
    openexr = pytest.importorskip("OpenEXR")
    openexr.File({}, {"Z": np.ones((4, 4), np.float32)}).write(str(tmp_path / "a.exr"))
    with pytest.raises(BadInputError, match=r"has the channels Z; as a photograph it needs R, G and B"):
        decode(tmp_path / "a.exr")


@pytest.mark.parametrize("name", ["a.heic", "phone.jpg"])  # mail programs rename them
def test_heic_is_read_upright_also_under_a_wrong_name(tmp_path: Path, name: str):
    pillow_heif = pytest.importorskip("pillow_heif")
    picture = Image.fromarray((quadrants() * 255).astype(np.uint8))
    file = pillow_heif.from_pillow(picture)
    file.save(tmp_path / "b.heic", quality=95)
    (tmp_path / "b.heic").rename(tmp_path / name)
    view = read_scene(tmp_path).views[0]
    decoded, _ = decode(tmp_path / name, view.orientation)
    expected = torch.tensor([RED, GREEN, BLUE, GREY])
    torch.testing.assert_close(middles(decoded), expected, atol=0.03, rtol=0)


@pytest.mark.parametrize(("suffix", "extra"), [("heic", "heif"), ("nef", "raw"), ("exr", "raw")])
def test_what_needs_an_extra_is_left_out_with_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, extra: str
):
    for package in ("pillow_heif", "rawpy", "OpenEXR"):
        monkeypatch.setitem(sys.modules, package, None)  # importing it now raises
    save_picture(torch.rand(8, 12, 3), tmp_path / "a.png")
    (tmp_path / f"b.{suffix}").write_bytes(b"...")
    scene = read_scene(tmp_path)
    assert [view.name for view in scene.views] == ["a.png"]
    assert f"pip install 'hyperfocal[{extra}]'" in scene.notes[0]
    with pytest.raises(MissingExtraError, match=rf"hyperfocal\[{extra}\]"):
        decode(tmp_path / f"b.{suffix}")
    (tmp_path / "a.png").unlink()
    with pytest.raises(BadInputError, match=rf"None of the photographs.*hyperfocal\[{extra}\]"):
        read_scene(tmp_path)
