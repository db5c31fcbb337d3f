from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from hyperfocal.data import read_scene
from hyperfocal.data.images import decode, turned
from hyperfocal.errors import BadInputError
from hyperfocal.scene import Exif
from photo_files import recorder, save_picture


def ramp(width: int = 12, height: int = 8) -> torch.Tensor:
    """Red grows to the right, green downwards."""
    red = torch.linspace(0, 1, width).expand(height, width)
    green = torch.linspace(0, 1, height).unsqueeze(1).expand(height, width)
    return torch.stack((red, green, torch.full_like(red, 0.25)), dim=-1)


def test_photographs_are_sorted_and_have_no_camera(tmp_path: Path):
    for name in ("b.PNG", "a.jpg", "c.webp", "d.tif", ".hidden.jpg"):
        save_picture(ramp(), tmp_path / name)
    (tmp_path / "notes.txt").write_text("not a photograph")
    scene = read_scene(tmp_path)
    assert [view.name for view in scene.views] == ["a.jpg", "b.PNG", "c.webp", "d.tif"]
    assert scene.posed_views == ()
    assert scene.notes == ()


def test_the_images_folder_is_used_when_the_folder_has_none(tmp_path: Path):
    save_picture(ramp(), tmp_path / "images" / "a.png")
    (tmp_path / "cameras.json").write_text("{}")
    assert [view.name for view in read_scene(tmp_path).views] == ["a.png"]


def test_one_photograph_is_a_scene_of_one_view(tmp_path: Path):
    save_picture(ramp(), tmp_path / "a.png")
    assert len(read_scene(tmp_path).views) == len(read_scene(tmp_path / "a.png").views) == 1


def test_exif_is_read_and_nonsense_is_unknown(tmp_path: Path):
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Maker\0", "Model X  "
    details = exif.get_ifd(0x8769)
    details[0x920A], details[0xA405], details[0x829D], details[0x829A] = 4.25, 26, 1.8, 0.004
    details[0x9206] = float("inf")  # subject distance
    save_picture(ramp(), tmp_path / "a.jpg", exif=exif)
    found = read_scene(tmp_path).views[0].exif
    assert found == Exif(4.25, 26.0, 1.8, 0.004, None, "Maker", "Model X")


def test_a_photograph_without_exif_is_all_unknown(tmp_path: Path):
    save_picture(ramp(), tmp_path / "a.jpg")
    assert read_scene(tmp_path).views[0].exif == Exif()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_what_pillow_does(tmp_path: Path, orientation: int):
    exif = Image.Exif()
    exif[0x0112] = orientation
    save_picture(ramp(), tmp_path / "a.png", exif=exif)
    view = read_scene(tmp_path).views[0]
    assert view.orientation == orientation
    image, _ = decode(tmp_path / "a.png", orientation)
    with Image.open(tmp_path / "a.png") as stored:
        expected = np.asarray(ImageOps.exif_transpose(stored), np.float32) / 255
    np.testing.assert_array_equal(image.numpy(), expected)
    np.testing.assert_array_equal(turned(np.arange(6).reshape(2, 3), 1), np.arange(6).reshape(2, 3))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_every_pixel_type_becomes_rgb(tmp_path: Path, mode: str):
    white, black = Image.new("RGB", (4, 4), "white"), Image.new("RGB", (4, 4), "black")
    stored = Image.new("RGB", (8, 4))
    stored.paste(white, (0, 0))
    stored.paste(black, (4, 0))
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    if mode == "I;16":
        Image.fromarray(np.asarray(stored.convert("L")).astype(np.uint16) * 257).save(path)
    else:
        stored.convert(mode).save(path)
    image, opaque = decode(path)
    assert image.shape == (4, 8, 3)
    assert image.dtype == torch.float32
    torch.testing.assert_close(image[:, :4], torch.ones(4, 4, 3))
    torch.testing.assert_close(image[:, 4:], torch.zeros(4, 4, 3))
    assert (opaque is not None) == (mode in {"LA", "RGBA"})


@pytest.mark.parametrize("name", ["a.tif", "a.png"])
def test_sixteen_bits_a_colour_keep_their_precision(tmp_path: Path, name: str):
    values = np.array([[[1000, 20_000, 65_535], [1001, 20_001, 0]]], np.uint16)
    cv2.imwrite(str(tmp_path / name), values[..., ::-1])
    image, _ = decode(tmp_path / name)
    np.testing.assert_allclose(image.numpy() * 65535, values, atol=0.01)
    assert len(read_scene(tmp_path).views) == 1


def test_transparent_pixels_do_not_count(tmp_path: Path):
    pixels = np.full((2, 3, 4), 255, np.uint8)
    pixels[0, 1, 3] = 0
    Image.fromarray(pixels).save(tmp_path / "a.png")
    _, opaque = decode(tmp_path / "a.png")
    assert opaque is not None
    assert opaque.tolist() == [[True, False, True], [True, True, True]]


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_files_cut_short_are_left_out_and_refused_by_name(tmp_path: Path, suffix: str):
    save_picture(ramp(200, 150), tmp_path / f"good.{suffix}")
    whole = (tmp_path / f"good.{suffix}").read_bytes()
    cut = tmp_path / f"cut.{suffix}"
    cut.write_bytes(whole[: len(whole) // 2])
    scene = read_scene(tmp_path)
    assert [view.name for view in scene.views] == [f"good.{suffix}"]
    assert "1 of 2 photographs are damaged" in scene.notes[0]
    assert cut.name in scene.notes[0]
    with pytest.raises(BadInputError, match=f"{cut.name} could not be decoded.*copy it again"):
        decode(cut)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")  # Pillow warns before it gives up
@pytest.mark.parametrize("content", [b"", b"GIF89a", b"\xff\xd8\xff", b"II*\0" + b"\xff" * 40, b"\x89PNG\r\n\x1a\n"])
def test_a_folder_with_nothing_but_damage_names_the_first(tmp_path: Path, content: bytes):
    for suffix in ("jpg", "tif"):
        (tmp_path / f"a.{suffix}").write_bytes(content)
    with pytest.raises(BadInputError, match=r"None of the photographs in .* can be read. The first: .*a\.jpg"):
        read_scene(tmp_path)


def test_an_image_that_claims_an_absurd_size_is_refused(tmp_path: Path):
    save_picture(ramp(), tmp_path / "a.png")
    data = bytearray((tmp_path / "a.png").read_bytes())
    data[16:24] = (200_000).to_bytes(4) * 2  # width and height of the header
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(BadInputError, match=r"a\.png could not be decoded"):
        decode(tmp_path / "a.png")


def test_an_empty_folder_names_what_is_supported(tmp_path: Path):
    with pytest.raises(
        BadInputError, match=r"no photographs that can be read. Supported are .*COLMAP.*transforms\.json"
    ):
        read_scene(tmp_path)


def test_a_file_that_is_not_a_photograph_is_refused(tmp_path: Path):
    (tmp_path / "a.txt").write_text("hello")
    with pytest.raises(BadInputError, match=r"a\.txt holds no photographs"):
        read_scene(tmp_path / "a.txt")


def test_a_path_that_does_not_exist_is_refused(tmp_path: Path):
    with pytest.raises(BadInputError, match="gone does not exist"):
        read_scene(tmp_path / "gone")


def test_permission_denied_is_bad_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def denied(self: Path, *_: object) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    save_picture(ramp(), tmp_path / "a.png")
    monkeypatch.setattr(Path, "iterdir", denied)  # the tests may run as root, who may read anything
    with pytest.raises(BadInputError, match=r"may not be read: Permission denied. Change its permissions"):
        read_scene(tmp_path)


def test_reading_reports_progress(tmp_path: Path):
    for i in range(3):
        save_picture(ramp(), tmp_path / f"{i}.png")
    seen, record = recorder()
    read_scene(tmp_path, progress=record)
    assert seen == [("Reading photographs", i, 3) for i in (1, 2, 3)]
