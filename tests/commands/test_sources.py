"""What the command line says about sources, and the flags that say how to read them."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from hyperfocal.cli import main
from photo_files import relief_views, save_picture, texture, transforms_json


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """What was printed, without the folding of lines."""
    captured = capsys.readouterr()
    return " ".join((captured.out + captured.err).split())


def write_stack(folder: Path) -> None:
    """One wall, each third of it sharp in another picture."""
    sharp = texture(3, 240)[:160]
    for i in range(3):
        picture = cv2.GaussianBlur(sharp, (0, 0), 4)
        picture[:, 80 * i : 80 * (i + 1)] = sharp[:, 80 * i : 80 * (i + 1)]
        save_picture(torch.from_numpy(picture), folder / f"{i}.png")


def test_info_says_what_was_recognised(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    transforms_json(relief_views(tmp_path / "images", 3, width=32, height=24), tmp_path)
    assert main(["info", str(tmp_path)]) == 0
    assert "transforms.json of nerfstudio or instant-ngp photographs 3" in said(capsys)
    assert main(["info", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out.strip().splitlines()[-1])["kind"] == "photographs"


def test_info_says_what_exif_tells_about_the_lens(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for i, (f_number, metres) in enumerate([(1.8, 2.0), (8.0, None)]):
        exif = Image.Exif()
        details = exif.get_ifd(0x8769)
        details[0x920A], details[0xA405], details[0x829D] = 50.0, 50, f_number
        if metres is not None:
            details[0x9206] = metres
        save_picture(torch.rand(24, 36, 3), tmp_path / f"{i}.jpg", exif=exif)
    assert main(["info", str(tmp_path)]) == 0
    printed = said(capsys)
    assert "aperture f/1.8 to f/8 focal length 50 mm focused at 2 m (1 of 2 photographs)" in printed
    # f^2 / (N c) + f with c = 43.27 mm / 1500.
    assert "hyperfocal distance 10.9 m to 48.2 m; circle of 1/1500 of the diagonal" in printed
    save_picture(torch.rand(24, 36, 3), tmp_path / "plain" / "0.png")
    assert main(["info", str(tmp_path / "plain")]) == 0
    assert "focal length" not in said(capsys)


def test_the_plan_says_what_was_recognised(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    transforms_json(relief_views(tmp_path / "images", 3, width=32, height=24), tmp_path)
    assert main(["reconstruct", str(tmp_path), "--dry-run"]) == 0
    assert "source transforms.json of nerfstudio or instant-ngp" in said(capsys)


def test_a_focal_stack_is_no_scene_to_walk_around(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    write_stack(tmp_path)
    assert main(["info", str(tmp_path)]) == 0
    assert "a focal stack" in said(capsys)
    assert main(["info", str(tmp_path), "--kind", "photographs"]) == 0
    printed = said(capsys)
    assert "a focal stack" not in printed
    assert "--kind photographs --dry-run" in printed
    assert main(["reconstruct", str(tmp_path), "--dry-run"]) == 3
    assert "no cameras to find" in said(capsys)
    assert main(["reconstruct", str(tmp_path), "--dry-run", "--kind", "photographs"]) == 0
    relief_views(tmp_path / "moving", 4, width=32, height=24)
    assert main(["reconstruct", str(tmp_path / "moving"), "--dry-run", "--kind", "focal_stack"]) == 3


def test_invert_masks_needs_masks(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    relief_views(tmp_path / "images", 3, width=32, height=24)
    assert main(["reconstruct", str(tmp_path), "--dry-run", "--invert-masks"]) == 2
    assert "has no masks to invert" in said(capsys)
    (tmp_path / "masks").mkdir()
    Image.fromarray(np.zeros((24, 32), np.uint8)).save(tmp_path / "masks" / "00.png")
    assert main(["reconstruct", str(tmp_path), "--dry-run", "--invert-masks"]) == 0


def test_a_folder_of_videos_names_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "walk.mp4").write_bytes(b"")
    assert main(["info", str(tmp_path)]) == 2
    assert "It holds videos; name one of them: walk.mp4." in said(capsys)
