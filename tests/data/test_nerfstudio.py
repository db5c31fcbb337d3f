import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hyperfocal.camera import project
from hyperfocal.data import read_scene
from hyperfocal.distortion import Distortion
from hyperfocal.errors import BadInputError
from hyperfocal.scene import View
from photo_files import relief_views, transforms_json


@pytest.fixture
def views(tmp_path: Path) -> list[View]:
    return relief_views(tmp_path / "images", 3, width=32, height=24, focal_px=30.0)


def changed(path: Path, **changes: Any) -> Path:
    """Write the file again with changed keys; those of `frame` in its second frame, None removes a key."""
    content = json.loads(path.read_text())
    for key, value in changes.pop("frame", {}).items():
        content["frames"][1][key] = value
    content.update(changes)
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))
    return path.parent


def test_a_camera_computed_by_hand(tmp_path: Path, views: list[View]):
    # An OpenGL camera at (1, 2, 3) without rotation looks along -z with y up. A point 5 before it, 1 to the right and 1
    # up is, in OpenCV axes, at (1, -1, 5): with f = 30 it lands 6 px right of the centre and 6 px above it.
    pose = np.eye(4)
    pose[:3, 3] = 1, 2, 3
    folder = changed(transforms_json(views, tmp_path), frame={"transform_matrix": pose.tolist()})
    camera = read_scene(folder).views[1].camera
    assert camera is not None
    pixels, depth_z = project(camera, torch.tensor([[2.0, 3.0, -2.0]]))
    torch.testing.assert_close(depth_z, torch.tensor([5.0]))
    torch.testing.assert_close(pixels - camera.center_px, torch.tensor([[6.0, -6.0]]))


def test_cameras_survive_the_round_trip_through_opengl(tmp_path: Path, views: list[View]):
    scene = read_scene(transforms_json(views, tmp_path).parent)
    assert scene.notes == ()
    assert scene.up == (0.0, 0.0, 1.0)
    assert [view.name for view in scene.views] == [view.name for view in views]
    for read, written in zip(scene.views, views, strict=True):
        assert read.camera is not None
        assert written.camera is not None
        torch.testing.assert_close(read.camera.world_to_camera, written.camera.world_to_camera)
        torch.testing.assert_close(read.camera.intrinsics(), written.camera.intrinsics())
        assert (read.camera.width, read.camera.height) == (32, 24)


def test_the_file_itself_can_be_named(tmp_path: Path, views: list[View]):
    file = transforms_json(views, tmp_path)
    renamed = file.rename(tmp_path / "my_poses.json")
    assert len(read_scene(renamed).posed_views) == 3


def test_blender_scenes_have_an_angle_and_names_without_extension(tmp_path: Path, views: list[View]):
    file = transforms_json(views, tmp_path)
    frames = json.loads(file.read_text())["frames"]
    for frame in frames:
        frame["file_path"] = "./" + frame["file_path"].removesuffix(".png")
    file.unlink()
    (tmp_path / "transforms_train.json").write_text(json.dumps({"camera_angle_x": 0.7, "frames": frames}))
    camera = read_scene(tmp_path).views[0].camera
    assert camera is not None
    torch.testing.assert_close(camera.focal_px, torch.full((2,), 16 / math.tan(0.35)))
    torch.testing.assert_close(camera.center_px, torch.tensor([16.0, 12.0]))


def test_a_frame_overrides_shared_intrinsics(tmp_path: Path, views: list[View]):
    folder = changed(transforms_json(views, tmp_path), frame={"fl_x": 50.0, "k1": 0.1})
    first, second, _ = read_scene(folder).views
    assert first.camera is not None
    assert second.camera is not None
    assert first.camera.focal_px.tolist() == [30.0, 30.0]
    assert second.camera.focal_px.tolist() == [50.0, 30.0]
    assert first.distortion is None
    assert second.distortion == Distortion("opencv", (0.1, 0.0, 0.0, 0.0))


def test_fisheye_and_k3_choose_their_models(tmp_path: Path, views: list[View]):
    file = transforms_json(views, tmp_path, k1=0.1, k2=0.2, k3=0.3, p1=0.01, p2=0.02)
    assert read_scene(tmp_path).views[0].distortion == Distortion("opencv", (0.1, 0.2, 0.01, 0.02, 0.3))
    changed(file, camera_model="OPENCV_FISHEYE", k4=0.4)
    assert read_scene(tmp_path).views[0].distortion == Distortion("fisheye", (0.1, 0.2, 0.3, 0.4))


def test_masks_are_found_below_the_folder(tmp_path: Path, views: list[View]):
    folder = changed(transforms_json(views, tmp_path), frame={"mask_path": "images/00.png"})
    assert [view.mask for view in read_scene(folder).views] == [None, tmp_path / "images" / "00.png", None]
    changed(tmp_path / "transforms.json", frame={"mask_path": "masks/gone.png"})
    scene = read_scene(folder)
    assert scene.views[1].mask is None
    assert "used without mask: 01.png" in scene.notes[0]


@pytest.mark.parametrize("form", ["ascii", "binary_little_endian", "binary_big_endian"])
def test_points_come_from_the_ply(tmp_path: Path, views: list[View], form: str):
    head = f"ply\nformat {form} 1.0\nelement vertex 2\n" + "".join(f"property float {axis}\n" for axis in "xyz")
    head += "".join(f"property uchar {name}\n" for name in ("red", "green", "blue")) + "end_header\n"
    order = ">" if "big" in form else "<"
    rows = np.array([(1, 2, 3, 255, 0, 0), (4, 5, 6, 0, 51, 0)], dtype=",".join([f"{order}f4"] * 3 + ["u1"] * 3))
    body = b"1 2 3 255 0 0\n4 5 6 0 51 0\n" if form == "ascii" else rows.tobytes()
    (tmp_path / "sparse.ply").write_bytes(head.encode() + body)
    points = read_scene(transforms_json(views, tmp_path, ply_file_path="sparse.ply").parent).points
    assert points is not None
    assert points.positions.tolist() == [[1, 2, 3], [4, 5, 6]]
    torch.testing.assert_close(points.colors, torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.2, 0.0]]))
    (tmp_path / "sparse.ply").write_bytes(head.replace("vertex 2", "vertex 2000000000").encode() + body)
    with pytest.raises(BadInputError, match=r"sparse.ply cannot be read \(2000000000 vertices do not fit"):
        read_scene(tmp_path)


def test_an_applied_transform_keeps_the_frame_and_forgets_up(tmp_path: Path, views: list[View]):
    scene = read_scene(transforms_json(views, tmp_path, applied_transform=np.eye(4)[:3].tolist()).parent)
    assert scene.up is None
    assert views[0].camera is not None
    assert scene.views[0].camera is not None
    torch.testing.assert_close(scene.views[0].camera.world_to_camera, views[0].camera.world_to_camera)


def test_slightly_skewed_poses_are_made_rigid_with_a_note(tmp_path: Path, views: list[View]):
    pose = np.eye(4)
    pose[0, 0] = 1.0003
    scene = read_scene(changed(transforms_json(views, tmp_path), frame={"transform_matrix": pose.tolist()}))
    assert "1 poses were not exactly rigid and were made so: 01.png" in scene.notes[0]
    assert scene.views[1].camera is not None
    rotation = scene.views[1].camera.world_to_camera[:3, :3]
    torch.testing.assert_close(rotation @ rotation.T, torch.eye(3))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"frame": {"file_path": "../../etc/passwd.png"}}, "not below"),
        ({"frame": {"file_path": "/etc/passwd.png"}}, "not below"),
        ({"frame": {"file_path": "C:\\photos\\1.png"}}, "not below"),
        ({"frame": {"mask_path": "../mask.png"}}, "not below"),
        ({"frame": {"file_path": 3}}, 'Frame 1 of .* has no "file_path"'),
        ({"frame": {"file_path": "images/00.png"}}, "more than once: 00.png"),
        ({"frame": {"transform_matrix": None}}, "not a matrix of numbers"),
        ({"frame": {"transform_matrix": [[1, 2], [3]]}}, "not a matrix of numbers"),
        ({"frame": {"transform_matrix": [["a"] * 4] * 4}}, "not a matrix of numbers"),
        ({"frame": {"transform_matrix": np.eye(3).tolist()}}, r"4 x 4, got the shape \(3, 3\)"),
        ({"frame": {"transform_matrix": np.full((4, 4), math.nan).tolist()}}, "01.png .* not finite"),
        ({"frame": {"transform_matrix": (2 * np.eye(4)).tolist()}}, "01.png .* is not a rotation"),
        ({"frame": {"transform_matrix": np.diag([1, 1, -1, 1]).tolist()}}, "01.png .* mirrors"),
        ({"fl_x": None, "fl_y": None}, 'no focal length: expected "fl_x"'),
        ({"fl_x": 0.0}, "focal length fl_x .* is 0 pixels"),
        ({"fl_x": -30.0}, "must be positive"),
        ({"fl_x": "30"}, "fl_x .* finite number, got '30'"),
        ({"cx": math.inf}, "cx .* finite number, got inf"),
        ({"w": -32.0}, "expected positive pixels"),
        ({"w": 64.0}, "another shape"),
        ({"frames": []}, 'no list "frames"'),
        ({"frames": None}, 'no list "frames"'),
        ({"frames": {"0": {}}}, 'no list "frames"'),
        ({"camera_model": "EQUIRECTANGULAR"}, "model of .* is EQUIRECTANGULAR"),
        ({"k1": math.nan}, "k1 .* finite"),
    ],
)
def test_bad_files_are_named_with_the_reason(tmp_path: Path, views: list[View], changes: dict[str, Any], expected: str):
    folder = changed(transforms_json(views, tmp_path), **changes)
    with pytest.raises(BadInputError, match=expected) as caught:
        read_scene(folder)
    assert "transforms.json" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"{not json", b"\xff\xfe\x00", b"[1, 2]", b"null", b"[" * 100_000])
def test_files_that_are_not_json_objects_are_refused(tmp_path: Path, content: bytes):
    (tmp_path / "transforms.json").write_bytes(content)
    with pytest.raises(BadInputError, match=r"transforms\.json"):
        read_scene(tmp_path)


def test_a_file_that_points_to_nothing_says_where_it_looked(tmp_path: Path, views: list[View]):
    file = transforms_json([replace(view, name=f"gone/{view.name}") for view in views], tmp_path)
    with pytest.raises(BadInputError, match=r"none of them exists, such as .*images/gone/00\.png") as caught:
        read_scene(file)
    assert "lists 3 photographs" in str(caught.value)


def test_fox_has_50_views_and_one_note_about_the_other_17(shared_data: Path):
    scene = read_scene(shared_data / "fox")
    assert len(scene.posed_views) == len(scene.views) == 50
    assert len(scene.notes) == 1
    assert scene.notes[0].startswith("17 of 67 photographs listed in transforms.json do not exist")
    first = scene.views[0]
    assert first.name == "0001.jpg"
    assert first.distortion == Distortion("opencv", (0.0578421, -0.0805099, -0.000980296, 0.00015575))
    assert first.camera is not None
    # The third column of the file's matrix is the OpenGL camera's backward axis, its fourth the centre.
    backward, center = torch.tensor([0.442090, -0.894069, -0.072092]), torch.tensor([3.168359, -5.479490, -0.979166])
    torch.testing.assert_close(first.camera.world_to_camera[2, :3], -backward, atol=1e-5, rtol=0)
    torch.testing.assert_close(first.camera.centers(), center, atol=1e-5, rtol=0)
