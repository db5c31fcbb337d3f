import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from hyperfocal.data import read_cameras_json, read_scene, write_cameras_json
from hyperfocal.distortion import Distortion
from hyperfocal.errors import BadInputError
from hyperfocal.scene import Scene
from photo_files import relief_views


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    views = relief_views(tmp_path / "photos", 3, width=32, height=24, focal_px=30.0)
    views[1] = replace(views[1], distortion=Distortion("fisheye", (0.1, 0.2, 0.3, 0.4)))
    views[2] = replace(views[2], orientation=3, mask=tmp_path / "photos" / "00.png")
    return Scene(tmp_path / "photos", tuple(views), metres_per_unit=0.5, up=(0.0, -1.0, 0.0))


def test_what_is_written_is_read(tmp_path: Path, scene: Scene):
    write_cameras_json(tmp_path / "cameras.json", scene)
    read = read_scene(tmp_path / "cameras.json")
    assert (read.metres_per_unit, read.up, read.notes) == (0.5, (0.0, -1.0, 0.0), ())
    for a, b in zip(read.views, scene.views, strict=True):
        assert a.camera is not None
        assert b.camera is not None
        assert replace(a, camera=None) == replace(b, camera=None)
        torch.testing.assert_close(a.camera.world_to_camera, b.camera.world_to_camera)
        torch.testing.assert_close(a.camera.intrinsics(), b.camera.intrinsics())


def test_views_without_photograph_keep_their_cameras(tmp_path: Path, scene: Scene):
    write_cameras_json(tmp_path / "cameras.json", scene)
    (tmp_path / "photos" / "01.png").unlink()
    read = read_cameras_json(tmp_path / "cameras.json")
    assert read is not None
    assert len(read.posed_views) == 3
    assert "1 of 3 photographs are not in" in read.notes[0]


def test_views_without_camera_are_not_written(tmp_path: Path, scene: Scene):
    unposed = replace(scene.views[0], camera=None)
    write_cameras_json(tmp_path / "cameras.json", replace(scene, views=(unposed, *scene.views[1:])))
    assert len(read_scene(tmp_path / "cameras.json").views) == 2


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("K", None, "has no 'K'"),
        ("K", [[1, 2], [3, 4]], r"got \(2, 2\)"),
        ("K", [[0, 0, 1], [0, 0, 1], [0, 0, 1]], "Focal lengths must be positive"),
        ("width", 0, "at least one pixel"),
        ("world_to_camera", [[float("nan")] * 4] * 4, "not finite"),
        ("world_to_camera", "pose", "View 1"),
        ("image", "../../x.png", "not below"),
        ("distortion", {"model": "fov", "coefficients": [1]}, "not one of opencv"),
        ("orientation", 9, "must be 1 to 8"),
    ],
)
def test_bad_views_are_named(tmp_path: Path, scene: Scene, key: str, value: Any, expected: str):
    path = tmp_path / "cameras.json"
    write_cameras_json(path, scene)
    content = json.loads(path.read_text())
    content["views"][1][key] = value
    if value is None:
        del content["views"][1][key]
    path.write_text(json.dumps(content))
    with pytest.raises(BadInputError, match=expected):
        read_scene(path)


def test_other_axes_are_refused(tmp_path: Path):
    (tmp_path / "cameras.json").write_text('{"axes": "opengl", "views": []}')
    with pytest.raises(BadInputError, match='only "opencv"'):
        read_scene(tmp_path / "cameras.json")


def test_the_fountain_folder_is_photographs_and_its_file_a_metric_survey(shared_data: Path):
    assert read_scene(shared_data / "fountain").posed_views == ()
    survey = read_scene(shared_data / "fountain" / "cameras.json")
    assert len(survey.posed_views) == 11
    assert survey.metres_per_unit == 1.0
    assert survey.notes == ()
