"""Camera paths from files. The nerfstudio fixtures are built from the schemas that the module cites, by hand."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from hyperfocal.errors import BadInputError
from hyperfocal.export.path_json import read_path, write_path
from hyperfocal.paths import CameraPath, Keyframe, sample
from scenes import ring_of_cameras

# A camera at (1, 2, 3) that looks along +x with z up, in OpenGL axes: its columns are right (-y), up (z), back (-x).
LOOKS_ALONG_X = [[0.0, 0.0, -1.0, 1.0], [-1.0, 0.0, 0.0, 2.0], [0.0, 1.0, 0.0, 3.0], [0.0, 0.0, 0.0, 1.0]]


def ours() -> dict[str, Any]:
    pose = torch.eye(4).tolist()
    moved = torch.eye(4)
    moved[0, 3] = -2.0
    return {
        "hyperfocal_path": 1,
        "axes": "opencv",
        "width": 320,
        "height": 200,
        "keyframes": [
            {"time_s": 0.0, "world_to_camera": pose, "focal_px": 300.0, "focus_distance": 2.5},
            {"time_s": 2.0, "world_to_camera": moved.tolist(), "focal_px": [300, 310], "f_number": 2.8},
        ],
    }


def blender(frames: int = 4, scale: float = 1.0) -> dict[str, Any]:
    """What `construct_json_obj` of the add-on writes, with the matrices of a representation scaled by 1 / `scale`."""
    camera_path, keyframes = [], []
    for i in range(frames):
        matrix = torch.tensor(LOOKS_ALONG_X)
        matrix[:3, :3] *= scale
        matrix[1, 3] += i
        camera_path.append({"camera_to_world": matrix.flatten().tolist(), "fov": 60.0, "aspect": 1})
        properties = f'[["FOV",60.0],["NAME","Camera {i}"],["TIME",{i / 24}]]'
        keyframes.append(
            {"matrix": str(matrix.T.flatten().tolist()), "fov": 60.0, "aspect": 1, "properties": properties}
        )
    return {
        "keyframes": keyframes,
        "camera_type": "perspective",
        "render_height": 1080,
        "render_width": 1920,
        "camera_path": camera_path,
        "fps": 24,
        "seconds": frames / 24,
        "smoothness_value": 0,
        "is_cycle": False,
    }


def viewer() -> dict[str, Any]:
    """What `_write_json` of the viewer writes."""
    path = blender()
    matrix = [value for row in LOOKS_ALONG_X for value in row]
    extra = {"override_transition_enabled": False, "override_transition_sec": None}
    return {
        "default_fov": 60.0,
        "default_transition_sec": 2.0,
        **path,
        "keyframes": [{"matrix": matrix, "fov": 60.0, "aspect": 1.78, **extra}],
        "fps": 30.0,
        "is_cycle": True,
        "smoothness_value": 0.5,
    }


def written(tmp_path: Path, content: object) -> Path:
    path = tmp_path / "path.json"
    path.write_text(json.dumps(content))
    return path


def test_our_format_is_read(tmp_path: Path) -> None:
    path = read_path(written(tmp_path, ours()))
    first, last = path.keyframes
    assert (path.seconds, path.closed, path.fps) == (2.0, False, None)
    assert (first.focus_distance, first.f_number, last.f_number) == (2.5, None, 2.8)
    assert last.camera.focal_px.tolist() == [300.0, 310.0]
    assert first.camera.center_px.tolist() == [160.0, 100.0]
    assert last.camera.centers().tolist() == [2.0, 0.0, 0.0]


def test_what_is_written_is_read_back_equal(tmp_path: Path) -> None:
    cameras = ring_of_cameras(3)
    frames = tuple(Keyframe(0.5 * i, cameras[i], focus_distance=4.0, aperture_diameter=0.1 * i + 0.1) for i in range(3))
    before = CameraPath(frames, seconds=2.0, closed=True, fps=25.0)
    write_path(tmp_path / "path.json", before)
    after = read_path(tmp_path / "path.json")
    assert (after.seconds, after.closed, after.fps) == (2.0, True, 25.0)
    for a, b in zip(before.keyframes, after.keyframes, strict=True):
        assert replace(a, camera=b.camera) == b
        assert torch.allclose(a.camera.world_to_camera, b.camera.world_to_camera, atol=1e-6)
        assert torch.equal(a.camera.center_px, b.camera.center_px)


@pytest.mark.parametrize(("content", "fps"), [(blender(), 24.0), (blender(scale=2.5), 24.0), (viewer(), 30.0)])
def test_nerfstudios_files_are_read(content: dict[str, Any], fps: float, tmp_path: Path) -> None:
    path = read_path(written(tmp_path, content))
    assert path.fps == fps
    assert path.seconds == pytest.approx(4 / fps)
    camera = path.keyframes[0].camera
    assert (camera.width, camera.height) == (1920, 1080)
    assert torch.allclose(camera.centers(), torch.tensor([1.0, 2.0, 3.0]), atol=1e-5)
    # Rows of world_to_camera are the camera's axes in the world: right -y, down -z, forward +x.
    expected = torch.tensor([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])
    assert torch.allclose(camera.world_to_camera[:3, :3], expected, atol=1e-6)
    assert float(camera.focal_px[1]) == pytest.approx(540 / math.tan(math.radians(30)))
    film = sample(path, 4)
    assert torch.allclose(film.centers()[:, 1], torch.tensor([2.0, 3.0, 4.0, 5.0]), atol=1e-4), "every frame as it was"


def changed(content: dict[str, Any], **values: Any) -> dict[str, Any]:
    return {**content, **values}


MIRRORED = torch.diag(torch.tensor([1.0, 1.0, -1.0, 1.0])).tolist()


@pytest.mark.parametrize(
    ("content", "phrase"),
    [
        ([1, 2], "is no camera path"),
        ({"frames": []}, "is no camera path"),
        (changed(ours(), hyperfocal_path=2), "reads format 1"),
        (changed(ours(), axes="opengl"), 'only "opencv"'),
        (changed(ours(), keyframes=[]), "at least one object"),
        (changed(ours(), width=0), "size is 0 x 200"),
        (changed(ours(), closed="yes"), "expected true or false"),
        (changed(ours(), closed=True), 'needs "seconds"'),
        (changed(ours(), seconds=2, keyframes=ours()["keyframes"][::-1]), "times grow"),
        (changed(ours(), keyframes=[{"time_s": 0}]), "has no 'world_to_camera'"),
        (
            changed(ours(), seconds=1, keyframes=[{**ours()["keyframes"][0], "world_to_camera": MIRRORED}]),
            "no rotation",
        ),
        (changed(ours(), seconds=1, keyframes=[{**ours()["keyframes"][0], "focal_px": -3.0}]), "must be positive"),
        (changed(ours(), seconds=1, keyframes=[{**ours()["keyframes"][0], "f_number": 0}]), "more than 0"),
        (changed(blender(), camera_type="equirectangular"), 'only "perspective"'),
        (changed(blender(), camera_path=[{"camera_to_world": [1.0] * 9, "fov": 50}]), "9 numbers"),
        (changed(blender(), camera_path=[{**blender()["camera_path"][0], "fov": 190}]), "less than 180"),
    ],
)
def test_what_cannot_be_used_is_named(content: object, phrase: str, tmp_path: Path) -> None:
    path = written(tmp_path, content)
    with pytest.raises(BadInputError) as error:
        read_path(path)
    assert phrase in str(error.value)
    assert str(path) in str(error.value)


def test_a_missing_file_and_no_json_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="No such file"):
        read_path(tmp_path / "nothing.json")
    (tmp_path / "text.json").write_text("{")
    with pytest.raises(BadInputError, match="not valid JSON"):
        read_path(tmp_path / "text.json")
