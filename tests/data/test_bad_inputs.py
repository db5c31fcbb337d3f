"""Inputs as users make them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from hyperfocal.data import load_photograph, load_pixels, read_scene
from hyperfocal.data.images import decode
from hyperfocal.errors import BadInputError
from photo_files import relief_views, save_picture, transforms_json


def picture(width: int = 12, height: int = 8) -> torch.Tensor:
    return torch.rand(height, width, 3)


def test_mixed_sizes_and_orientations_stay_as_they_are(tmp_path: Path):
    save_picture(picture(12, 8), tmp_path / "a.png")
    save_picture(picture(8, 12), tmp_path / "b.jpg")
    exif = Image.Exif()
    exif[0x0112] = 6
    save_picture(picture(12, 8), tmp_path / "c.jpg", exif=exif)
    shapes = {view.name: tuple(load_pixels(view)[0].shape[:2]) for view in read_scene(tmp_path).views}
    assert shapes == {"a.png": (8, 12), "b.jpg": (12, 8), "c.jpg": (12, 8)}


def test_photographs_in_subfolders_keep_their_folders_in_their_names(tmp_path: Path):
    for folder in ("left", "right/far", "masks", ".trash"):
        save_picture(picture(), tmp_path / folder / "IMG_1.jpg")
    scene = read_scene(tmp_path)
    assert [view.name for view in scene.views] == ["left/IMG_1.jpg", "right/far/IMG_1.jpg"]
    assert "taken from 2 subfolders: left, right/far" in scene.notes[0]


def test_one_subfolder_is_as_good_as_its_name(tmp_path: Path):
    save_picture(picture(), tmp_path / "DCIM" / "100CANON" / "IMG_1.jpg")
    scene = read_scene(tmp_path)
    assert [view.name for view in scene.views] == ["IMG_1.jpg"]
    assert "from the subfolder DCIM/100CANON" in scene.notes[0]


def test_folders_that_are_links_are_not_followed(tmp_path: Path):
    save_picture(picture(), tmp_path / "real" / "a.png")
    (tmp_path / "real" / "again").symlink_to(tmp_path, target_is_directory=True)
    assert len(read_scene(tmp_path).views) == 1


def test_names_that_differ_in_capitals_only_are_said(tmp_path: Path):
    save_picture(picture(), tmp_path / "a.jpg")
    save_picture(picture(), tmp_path / "A.jpg")
    if len(list(tmp_path.iterdir())) == 1:
        pytest.skip("this file system does not tell capital letters apart")
    scene = read_scene(tmp_path)
    assert len(scene.views) == 2
    assert "differ only in capital letters" in scene.notes[0]


def test_names_beyond_ascii_and_long_paths(tmp_path: Path):
    folder = tmp_path / "Ñandú 写真 🦊 'quoted' \"twice\"" / ("long " * 40) / ("x" * 200) / ("y" * 200)
    views = relief_views(folder / "images", 3, width=32, height=24)
    (folder / "images" / "00.png").rename(folder / "images" / f"{'ü' * 100}.png")
    assert len(read_scene(folder / "images").views) == 3
    file = transforms_json(views, folder)
    file.write_text(file.read_text().replace("00.png", f"{'ü' * 100}.png"), encoding="utf-8")
    scene = read_scene(folder)
    assert len(scene.posed_views) == 3
    assert load_photograph(scene.views[-1]).image.shape == (24, 32, 3)
    deep = folder / "images" / "写真.tif"
    pixels = np.full((4, 4, 3), 30_000, np.uint16)
    deep.write_bytes(cv2.imencode(".tif", pixels)[1].tobytes())
    assert decode(deep)[0][0, 0, 0].item() == pytest.approx(30_000 / 65535)


def test_a_path_that_the_system_finds_too_long_is_bad_input():
    with pytest.raises(BadInputError, match="cannot be read: File name too long"):
        read_scene("x" * 5000)


def test_names_that_are_no_text_can_be_read(tmp_path: Path):
    save_picture(picture(), tmp_path / "a.png")
    try:
        (tmp_path / "a.png").rename(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.png"))
    except OSError:
        pytest.skip("this file system wants names that are text")
    assert len(read_scene(tmp_path).views) == 1


@pytest.mark.parametrize(("stored", "named"), [("png", "jpg"), ("jpg", "png"), ("webp", "tif")])
def test_a_wrong_suffix_does_not_matter(tmp_path: Path, stored: str, named: str):
    save_picture(torch.full((8, 12, 3), 0.5), tmp_path / f"a.{stored}")
    (tmp_path / f"a.{stored}").rename(tmp_path / f"a.{named}")
    view = read_scene(tmp_path).views[0]
    assert float(load_pixels(view)[0].mean()) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("content", [b"<html>not found</html>", b"\0" * 5000, b"PK\3\4" + b"\0" * 30])
def test_what_is_no_picture_is_left_out(tmp_path: Path, content: bytes):
    save_picture(picture(), tmp_path / "a.png")
    (tmp_path / "b.jpg").write_bytes(content)
    scene = read_scene(tmp_path)
    assert [view.name for view in scene.views] == ["a.png"]
    assert "b.jpg" in scene.notes[0]


def test_a_picture_that_is_a_bomb_of_pixels_is_left_out(tmp_path: Path):
    save_picture(picture(), tmp_path / "a.png")
    data = bytearray((tmp_path / "a.png").read_bytes())
    data[16:24] = (60_000).to_bytes(4) * 2
    (tmp_path / "b.png").write_bytes(data)
    scene = read_scene(tmp_path)
    assert [view.name for view in scene.views] == ["a.png"]


BIG = """
import resource, sys, time
from pathlib import Path
import torch
from hyperfocal.camera import Camera
from hyperfocal.data import load_photograph, read_scene
from dataclasses import replace
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
scene = read_scene(sys.argv[1])
print(scene.notes, len(scene.views))
camera = Camera(torch.eye(4), torch.full((2,), 9000.0), torch.tensor([6250.0, 4000.0]), 12500, 8000)
photograph = load_photograph(replace(scene.views[0], camera=camera), long_side=1600)
assert photograph.image.shape == (1024, 1600, 3), photograph.image.shape
assert float((photograph.image - torch.tensor([200, 100, 50]) / 255).abs().max()) < 0.02
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_a_photograph_of_100_megapixels_is_read_in_less_than_2_5_gib(tmp_path: Path, suffix: str):
    Image.new("RGB", (12_500, 8_000), (200, 100, 50)).save(tmp_path / f"big.{suffix}")
    command = [sys.executable, "-W", "error", "-c", BIG, tmp_path]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    notes, mebibytes = done.stdout.strip().splitlines()
    assert notes == "() 1"
    assert int(mebibytes) < 2560


def test_masks_can_mark_what_does_not_count(tmp_path: Path):
    views = relief_views(tmp_path / "images", 3, width=32, height=24)
    transforms_json(views, tmp_path)
    content = json.loads((tmp_path / "transforms.json").read_text())
    mask = np.zeros((24, 32), np.uint8)
    mask[:, :8] = 255
    (tmp_path / "masks").mkdir()
    Image.fromarray(mask).save(tmp_path / "masks" / "00.png")
    content["frames"][0]["mask_path"] = "masks/00.png"
    (tmp_path / "transforms.json").write_text(json.dumps(content))
    as_stored = load_photograph(read_scene(tmp_path).views[0]).valid
    inverted = read_scene(tmp_path, invert_masks=True)
    assert as_stored[0].tolist() == [True] * 8 + [False] * 24
    assert torch.equal(load_photograph(inverted.views[0]).valid, ~as_stored)
    assert bool(load_photograph(inverted.views[1]).valid.all())


def test_alpha_is_not_inverted_with_the_masks(tmp_path: Path):
    pixels = np.full((4, 6, 4), 255, np.uint8)
    pixels[:, :2, 3] = 0
    Image.fromarray(pixels).save(tmp_path / "a.png")
    save_picture(torch.zeros(4, 6, 3), tmp_path / "masks" / "a.png")
    _, opaque = load_pixels(read_scene(tmp_path, invert_masks=True).views[0])
    assert opaque is not None
    assert opaque[0].tolist() == [False, False, True, True, True, True]


def test_inverting_masks_that_are_not_there_is_refused(tmp_path: Path):
    save_picture(picture(), tmp_path / "a.png")
    with pytest.raises(BadInputError, match="has no masks to invert"):
        read_scene(tmp_path, invert_masks=True)
