"""Focal stacks: recognised where there is no doubt, on the user's word, and never where a camera moved."""

import inspect
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from hyperfocal.data import read_scene
from hyperfocal.errors import BadInputError
from photo_files import relief_views, save_picture, texture


def stack_picture(focus: float, *, breathing: float = 0.0) -> np.ndarray:
    """A texture [h, w, 3], sharp where the column's share of the width is near `focus`."""
    sharp = texture(3, 300)[:200]
    blurred = [sharp, *(cv2.GaussianBlur(sharp, (0, 0), sigma) for sigma in (1.5, 3.0, 5.0))]
    layer = np.abs(np.linspace(0, 1, 300) - focus) * 6
    picture = np.empty_like(sharp)
    for column, level in enumerate(np.minimum(layer.round().astype(int), 3)):
        picture[:, column] = blurred[level][:, column]
    scale = 1 + breathing * focus
    matrix = np.array([[scale, 0, 150 * (1 - scale)], [0, scale, 100 * (1 - scale)]])
    return cv2.warpAffine(picture, matrix, (300, 200), borderMode=cv2.BORDER_REPLICATE)


def write_stack(folder: Path, count: int = 5, **options: float) -> None:
    for i in range(count):
        save_picture(torch.from_numpy(stack_picture(i / (count - 1), **options)), folder / f"{i}.png")


def test_a_stack_is_recognised_also_when_the_lens_breathes(tmp_path: Path):
    write_stack(tmp_path, breathing=0.06)
    scene = read_scene(tmp_path)
    assert (scene.kind, scene.format) == ("focal_stack", "a focal stack")
    assert "say --kind photographs" in scene.notes[-1]
    assert read_scene(tmp_path, kind="photographs").kind == "photographs"


@pytest.mark.parametrize("what", ["equal", "noise", "dark to bright", "two", "shifted"])
def test_what_is_no_stack_is_not_taken_for_one(tmp_path: Path, what: str):
    count = 2 if what == "two" else 5
    generator = np.random.default_rng(0)
    for i in range(count):
        picture = stack_picture(0.5 if what in ("equal", "noise", "dark to bright") else i / (count - 1))
        if what == "noise":
            picture = (picture + 0.02 * generator.normal(size=picture.shape)).clip(0, 1).astype(np.float32)
        elif what == "dark to bright":
            picture = (picture * 2.0 ** (i - 2)).clip(0, 1)
        elif what == "shifted":
            picture = np.roll(picture, 20 * i, axis=1)
        save_picture(torch.from_numpy(picture), tmp_path / f"{i}.png")
    assert read_scene(tmp_path).kind == "photographs"


def test_a_bracket_of_exposures_is_no_stack(tmp_path: Path):
    for i in range(5):
        exif = Image.Exif()
        exif.get_ifd(0x8769)[0x829A] = 0.01 * 2**i
        save_picture(torch.from_numpy(stack_picture(i / 4)), tmp_path / f"{i}.jpg", exif=exif)
    assert read_scene(tmp_path).kind == "photographs"


def test_views_of_a_moving_camera_are_no_stack(tmp_path: Path):
    relief_views(tmp_path / "images", 6)
    assert read_scene(tmp_path).kind == "photographs"


def test_the_user_s_word_is_enough(tmp_path: Path):
    relief_views(tmp_path / "images", 6, width=64, height=48)
    save_picture(torch.rand(60, 60, 3), tmp_path / "images" / "result.png")
    scene = read_scene(tmp_path, kind="focal_stack")
    assert (scene.kind, len(scene.views)) == ("focal_stack", 6)
    assert "result.png" in scene.notes[0]


def test_a_stack_needs_three_photographs(tmp_path: Path):
    save_picture(torch.rand(8, 8, 3), tmp_path / "a.png")
    with pytest.raises(BadInputError, match="has only 1 photographs of one camera and one size"):
        read_scene(tmp_path, kind="focal_stack")
    with pytest.raises(BadInputError, match='kind must be "photographs" or "focal_stack"'):
        inspect.unwrap(read_scene)(tmp_path, kind="stack")  # without the type checker of the tests


@pytest.mark.parametrize(
    ("name", "count"),
    [("focus_stack/examples/depthmap", 10), ("focus_stack/examples/pcb", 7), ("phone_sweep/keyboard", 32)],
)
def test_real_stacks_are_recognised(shared_data: Path, name: str, count: int):
    scene = read_scene(shared_data / name)
    assert (scene.kind, len(scene.views)) == ("focal_stack", count)


def test_the_result_beside_a_real_stack_is_not_part_of_it(shared_data: Path):
    scene = read_scene(shared_data / "focus_stack/examples/pcb")
    assert "expected.jpg" not in {view.name for view in scene.views}
    assert "expected.jpg" in scene.notes[0]


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
def test_refocused_light_fields_are_recognised(shared_data: Path, tmp_path: Path, number: int):
    for file in (shared_data / "light_field_stacks").glob(f"{number}__*"):
        shutil.copy(file, tmp_path)
    assert read_scene(tmp_path).kind == "focal_stack"


@pytest.mark.parametrize(
    "name",
    ["fox/images", "fountain", "buddha", "sintel_frames", "slambook_rgbd/color", "cupoch_rgbd/rgbd/color", "motorcycle",
     "light_field_stacks"],
)  # fmt: skip
def test_real_photographs_of_a_moving_camera_are_not(shared_data: Path, name: str):
    assert read_scene(shared_data / name).kind == "photographs"
