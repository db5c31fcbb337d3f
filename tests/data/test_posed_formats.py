"""Formats with cameras of which no real data is at hand: fixtures written from what their publishers say, by hand.

Each test writes the file with plain numbers and NumPy, as the cited page describes it, and compares with the cameras
that took the photographs, or with the publisher's own formula for where a point is seen.
"""

import json
import math
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from hyperfocal.data import load_depth, read_scene
from hyperfocal.distortion import distort
from hyperfocal.errors import BadInputError
from hyperfocal.scene import Scene, View, split_views
from photo_files import relief_views, save_picture


@pytest.fixture
def views(tmp_path: Path) -> list[View]:
    return relief_views(tmp_path / "images", 4, width=32, height=24, focal_px=30.0)


def camera_to_world(view: View) -> np.ndarray:
    """The pose [4, 4] of a view's OpenCV camera in the world, in double precision."""
    assert view.camera is not None
    return np.linalg.inv(view.camera.world_to_camera.double().numpy())


def assert_same_cameras(scene: Scene, views: list[View], *, centered: bool = False) -> None:
    """Names, sizes, poses and calibration are those that the photographs were taken with."""
    assert [view.name.rsplit("/", 1)[-1] for view in scene.views] == [view.name for view in views]
    for read, written in zip(scene.views, views, strict=True):
        assert read.camera is not None
        assert written.camera is not None
        torch.testing.assert_close(read.camera.world_to_camera, written.camera.world_to_camera)
        torch.testing.assert_close(read.camera.focal_px, written.camera.focal_px)
        center = torch.tensor([16.0, 12.0]) if centered else written.camera.center_px
        torch.testing.assert_close(read.camera.center_px, center)
        assert (read.camera.width, read.camera.height) == (32, 24)


# LLFF: github.com/Fyusion/LLFF, README, "Using your own poses without running COLMAP".


def write_llff(folder: Path, views: list[View]) -> None:
    rows = []
    for view in views:
        right, down, forward, position = camera_to_world(view)[:3].T
        hwf = np.array([24, 32, 30.0])
        rows.append([*np.stack((down, right, -forward, position, hwf), axis=1).ravel(), 1.5, 9.0])
    np.save(folder / "poses_bounds.npy", np.array(rows))


def test_llff(tmp_path: Path, views: list[View]):
    write_llff(tmp_path, views)
    scene = read_scene(tmp_path)
    assert_same_cameras(scene, views, centered=True)
    assert scene.format == "LLFF (poses_bounds.npy)"
    assert (scene.metres_per_unit, scene.up, scene.notes) == (None, None, ())
    assert len(read_scene(tmp_path / "poses_bounds.npy").posed_views) == 4


def test_llff_takes_the_folder_that_has_as_many_photographs_as_poses(tmp_path: Path, views: list[View]):
    write_llff(tmp_path, views)
    (tmp_path / "images").rename(tmp_path / "images_4")
    assert len(read_scene(tmp_path).posed_views) == 4
    (tmp_path / "images_4" / "00.png").unlink()
    with pytest.raises(BadInputError, match=r"has 4 poses.*but there are 3 in images_4"):
        read_scene(tmp_path)


def test_llff_never_unpickles(tmp_path: Path, views: list[View]):
    np.save(tmp_path / "poses_bounds.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(BadInputError, match=r"cannot be read: (Object arrays|Array can't be memory-mapped)"):
        read_scene(tmp_path)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda rows: rows[:, :14], "17 numbers"),
        (lambda rows: rows * np.nan, "not finite"),
        (lambda rows: rows * [*[1] * 14, -1, 1, 1], "must be positive"),
        (lambda rows: rows * [2] * 17, "not a rotation"),
    ],
)
def test_damaged_llff_is_named(tmp_path: Path, views: list[View], change, expected: str):
    write_llff(tmp_path, views)
    rows = np.load(tmp_path / "poses_bounds.npy")
    np.save(tmp_path / "poses_bounds.npy", change(rows))
    with pytest.raises(BadInputError, match=expected):
        read_scene(tmp_path)


# Polycam: github.com/PolyCam/polyform, README, "Polycam's data format".


def write_polycam(folder: Path, views: list[View], *, corrected: bool = False) -> None:
    prefix = "corrected_" if corrected else ""
    cameras = folder / "keyframes" / f"{prefix}cameras"
    cameras.mkdir(parents=True)
    (folder / "images").rename(folder / "keyframes" / f"{prefix}images")
    for view in views:
        pose = camera_to_world(view) * [1, -1, -1, 1]  # ARKit's camera has y up and looks along -z
        rows = {f"t_{i}{j}": pose[i, j] for i in range(3) for j in range(4)}
        rest = {"fx": 30, "fy": 30, "cx": 19, "cy": 10, "width": 32, "height": 24, "blur_score": 83.2,
                "timestamp": 1442008525605, "manual_keyframe": False, "neighbors": [1, 2]}  # fmt: skip
        (cameras / f"{view.name[:2]}.json").write_text(json.dumps({**rows, **rest}))


@pytest.mark.parametrize("corrected", [False, True])
def test_polycam(tmp_path: Path, views: list[View], corrected: bool):
    write_polycam(tmp_path, views, corrected=corrected)
    scene = read_scene(tmp_path)
    assert_same_cameras(scene, views)
    assert "Polycam" in scene.format
    assert (scene.metres_per_unit, scene.up, scene.notes) == (1.0, (0.0, 1.0, 0.0), ())
    assert len(read_scene(tmp_path / "keyframes").posed_views) == 4


def test_polycam_s_corrected_cameras_come_first(tmp_path: Path, views: list[View]):
    write_polycam(tmp_path, views)
    relief_views(tmp_path / "images", 4, width=32, height=24, focal_px=30.0)
    write_polycam(tmp_path, views, corrected=True)
    assert "bundle adjustment" in read_scene(tmp_path).format


def test_polycam_s_depth_is_16_bit_millimetres(tmp_path: Path, views: list[View]):
    write_polycam(tmp_path, views)
    (tmp_path / "keyframes" / "depth").mkdir()
    stored = np.full((12, 16), 1250, np.uint16)  # "a value of 1250 would correspond to 1.25 meters"
    cv2.imwrite(str(tmp_path / "keyframes" / "depth" / "01.png"), stored)
    scene = read_scene(tmp_path)
    assert [view.depth is not None for view in scene.views] == [False, True, False, False]
    depth = load_depth(scene.views[1])
    assert depth is not None
    torch.testing.assert_close(depth.values, torch.full((24, 32), 1.25))


def test_a_damaged_polycam_camera_is_named(tmp_path: Path, views: list[View]):
    write_polycam(tmp_path, views)
    file = tmp_path / "keyframes" / "cameras" / "02.json"
    file.write_text(file.read_text().replace('"fx"', '"gx"'))
    with pytest.raises(BadInputError, match=r"02\.json: has no 'fx'"):
        read_scene(tmp_path)


# Record3D: what nerfstudio's process_data/record3d_utils.py reads, and the app's own keys.


def quaternion_xyzw(rotation: np.ndarray) -> list[float]:
    return Rotation.from_matrix(rotation).as_quat().tolist()


def write_record3d(folder: Path, views: list[View], *, name: str = "metadata.json", **extra: object) -> None:
    poses = []
    (folder / "rgb").mkdir()
    for i, view in enumerate(views):
        pose = camera_to_world(view) * [1, -1, -1, 1]
        poses.append([*quaternion_xyzw(pose[:3, :3]), *pose[:3, 3]])
        (folder / "images" / view.name).rename(folder / "rgb" / f"{i}.png")
    content = {"K": [30, 0, 0, 0, 30, 0, 19, 10, 1], "w": 32, "h": 24, "fps": 60, "poses": poses, **extra}
    (folder / name).write_text(json.dumps(content))


@pytest.mark.parametrize("name", ["metadata.json", "metadata"])
def test_record3d(tmp_path: Path, views: list[View], name: str):
    write_record3d(tmp_path, views, name=name)
    scene = read_scene(tmp_path)
    named = [View(f"{i}.png", view.image, view.camera) for i, view in enumerate(views)]
    assert_same_cameras(scene, named)
    assert (scene.format, scene.metres_per_unit, scene.notes) == ("an export of Record3D", 1.0, ())


def test_record3d_s_own_calibration_of_each_frame_comes_first(tmp_path: Path, views: list[View]):
    write_record3d(tmp_path, views, perFrameIntrinsicCoeffs=[[30 + i, 31, 16, 12] for i in range(4)])
    focal = [view.camera.focal_px.tolist() for view in read_scene(tmp_path).views]
    assert focal == [[30 + i, 31] for i in range(4)]


def test_record3d_frames_without_pose_are_left_out(tmp_path: Path, views: list[View]):
    write_record3d(tmp_path, views)
    save_picture(torch.rand(24, 32, 3), tmp_path / "rgb" / "4.png")
    scene = read_scene(tmp_path)
    assert len(scene.views) == 4
    assert "1 photographs have no pose" in scene.notes[0]


def test_other_metadata_is_no_record3d(tmp_path: Path, views: list[View]):
    (tmp_path / "metadata.json").write_text('{"author": "somebody"}')
    assert read_scene(tmp_path).format == "photographs"


# RealityScan: the header and the units are those of its export; the angles are tested by what their names mean.

HEADER = "#name,x,y,alt,heading,pitch,roll,f,px,py,k1,k2,k3,k4,t1,t2\n"


def realityscan(folder: Path, *rows: str, header: str = HEADER) -> Scene:
    (folder / "cameras.csv").write_text(header + "".join(f"{row}\n" for row in rows))
    return read_scene(folder)


@pytest.mark.parametrize(
    ("angles", "forward", "up"),
    [
        ("0,0,0", (0, 0, -1), (0, 1, 0)),  # a map: looking down, north up
        ("90,0,0", (0, 0, -1), (1, 0, 0)),  # headings count clockwise from north: east up
        ("0,90,0", (0, 1, 0), (0, 0, 1)),  # pitched up to the horizon, to the north
        ("90,90,0", (1, 0, 0), (0, 0, 1)),  # to the east
        ("0,45,0", (0, 0.5**0.5, -(0.5**0.5)), (0, 0.5**0.5, 0.5**0.5)),
    ],
)
def test_realityscan_s_angles(tmp_path: Path, views: list[View], angles: str, forward: tuple, up: tuple):
    camera = realityscan(tmp_path, f"00.png,1,2,3,{angles},36,0,0,0,0,0,0,0,0").views[0].camera
    assert camera is not None
    torch.testing.assert_close(camera.centers(), torch.tensor([1.0, 2.0, 3.0]))
    rotation = camera.world_to_camera[:3, :3]
    torch.testing.assert_close(rotation[2], torch.tensor(forward, dtype=torch.float32), atol=1e-6, rtol=0)
    torch.testing.assert_close(-rotation[1], torch.tensor(up, dtype=torch.float32), atol=1e-6, rtol=0)


def test_realityscan_s_lens_is_in_35_mm_units_and_shares_of_the_longer_side(tmp_path: Path, views: list[View]):
    scene = realityscan(tmp_path, "00.png,0,0,5,0,0,0,18,0.25,-0.125,0.01,0.02,0.03,0,0.001,0.002")
    view = scene.views[0]
    assert view.camera is not None
    assert view.camera.focal_px.tolist() == [16.0, 16.0]  # 18 mm of 36 mm for 32 px
    assert view.camera.center_px.tolist() == [24.0, 8.0]
    assert view.distortion is not None
    assert view.distortion.coefficients == (0.01, 0.02, 0.001, 0.002, 0.03)
    assert (scene.format, scene.up, scene.metres_per_unit) == ("a CSV of RealityScan", (0.0, 0.0, 1.0), None)


def test_realityscan_may_leave_columns_out_and_photographs(tmp_path: Path, views: list[View]):
    header = "#name,x,y,alt,heading,pitch,roll,f\n"
    scene = realityscan(tmp_path, "00.png,1,2,3,10,20,30,20.0", "gone.png,1,2,3,10,20,30,20.0", header=header)
    assert scene.views[0].camera.center_px.tolist() == [16.0, 12.0]
    assert scene.views[0].distortion is None
    assert "gone.png" in scene.notes[0]


def test_other_csv_files_are_not_cameras(tmp_path: Path, views: list[View]):
    (tmp_path / "notes.csv").write_text("a,b,c\n1,2,3\n")
    assert read_scene(tmp_path).format == "photographs"


def test_a_damaged_row_is_named(tmp_path: Path, views: list[View]):
    with pytest.raises(BadInputError, match=r"line 2 of .*cameras\.csv"):
        realityscan(tmp_path, "00.png,1,2,nan,10,20,30,20.0,0,0,0,0,0,0,0,0")


def test_a_fourth_radial_term_is_fitted_or_refused(tmp_path: Path, views: list[View]):
    view = realityscan(tmp_path, "00.png,0,0,5,0,0,0,36,0,0,0.05,0.02,0,0.03,0,0").views[0]
    assert view.distortion is not None
    radius = torch.linspace(0, 0.6, 20, dtype=torch.float64)
    brown = radius * (1 + 0.05 * radius**2 + 0.02 * radius**4 + 0.03 * radius**8)
    ours = distort(view.distortion, torch.stack((radius, torch.zeros_like(radius)), -1))[:, 0]
    assert float((ours - brown).abs().max()) * 32 < 0.1  # pixels
    with pytest.raises(BadInputError, match="can be approximated only to"):
        realityscan(tmp_path, "00.png,0,0,5,0,0,0,10,0,0,0,0,0,5,0,0")


def test_two_lists_of_cameras_are_not_chosen_between(tmp_path: Path, views: list[View]):
    (tmp_path / "a.csv").write_text(HEADER + "00.png,0,0,5,0,0,0,36,0,0,0,0,0,0,0,0\n")
    with pytest.raises(BadInputError, match=r"several lists of cameras: a\.csv, cameras\.csv"):
        realityscan(tmp_path, "00.png,0,0,5,0,0,0,36,0,0,0,0,0,0,0,0")
    assert len(read_scene(tmp_path / "a.csv").views) == 1


# Damage


def realityscan_file(folder: Path, views: list[View]) -> None:
    rows = [f"{view.name},1,2,{i},10,80,3,28,0.01,-0.02,0.01,0,0,0.001,0,0\n" for i, view in enumerate(views)]
    (folder / "cameras.csv").write_text(HEADER + "".join(rows))


@pytest.mark.parametrize(
    ("write", "name"),
    [
        (write_llff, "poses_bounds.npy"),
        (write_polycam, "keyframes/cameras/01.json"),
        (write_record3d, "metadata.json"),
        (realityscan_file, "cameras.csv"),
    ],
)
def test_whatever_the_damage_the_answer_is_a_scene_or_one_paragraph(
    tmp_path: Path, views: list[View], write, name: str
):
    write(tmp_path, views)
    whole = (tmp_path / name).read_bytes()
    assert len(read_scene(tmp_path).posed_views) == 4
    generator = np.random.default_rng(0)
    refused = 0
    for _ in range(60):
        data = bytearray(whole)
        for at in generator.integers(0, len(data), generator.integers(1, 5)):
            data[at] = generator.choice([*b'0129-.,"[]{}x', 0, 255, *generator.integers(0, 256, 3)])
        if generator.random() < 0.4:
            del data[generator.integers(0, len(data)) :]
        (tmp_path / name).write_bytes(data)
        try:
            read_scene(tmp_path)
        except BadInputError as error:
            refused += 1
            assert "\n\n" not in str(error)
    assert refused > 5


# The synthetic scenes of NeRF: github.com/bmild/nerf, load_blender.py: file_path without suffix, camera_angle_x.


def synthetic(folder: Path, views: list[View], splits: tuple[str, ...] = ("train", "val", "test")) -> Path:
    for split in splits:
        frames = []
        for i, view in enumerate(views):
            save_picture(torch.rand(24, 32, 3), folder / split / f"r_{i}.png")
            pose = camera_to_world(view) * [1, -1, -1, 1]
            frames.append({"file_path": f"./{split}/r_{i}", "rotation": 0.01, "transform_matrix": pose.tolist()})
        angle = 2 * math.atan(16 / 30)
        (folder / f"transforms_{split}.json").write_text(json.dumps({"camera_angle_x": angle, "frames": frames}))
    return folder


def test_of_the_synthetic_scenes_the_test_split_is_marked(tmp_path: Path, views: list[View]):
    scene = read_scene(synthetic(tmp_path, views))
    count = len(views)
    assert [view.name for view in scene.views] == [f"{s}/r_{i}.png" for s in ("test", "train") for i in range(count)]
    for view in scene.views:
        assert view.is_test == view.name.startswith("test/")
        assert view.image == tmp_path / view.name
    fitted = [view for view in scene.views if not view.is_test]
    named = [View(f"r_{i}.png", view.image, view.camera) for i, view in enumerate(views)]
    assert_same_cameras(replace(scene, views=tuple(fitted)), named, centered=True)
    assert scene.notes[0].startswith("transforms_val.json beside transforms_train.json was not read")
    assert scene.notes[1].startswith(f"{count} photographs are published for testing")
    assert "Blender" in scene.format


def test_eval_holds_out_exactly_the_test_split(tmp_path: Path, views: list[View]):
    scene = read_scene(synthetic(tmp_path, views))
    training, held_out = split_views(scene.views, 8)
    assert {view.name.split("/")[0] for view in training} == {"train"}
    assert {view.name.split("/")[0] for view in held_out} == {"test"}
    assert len(training) == len(held_out) == len(views)
    assert split_views(scene.views, 0) == (training, ()), "without --eval it is not fitted either"


def test_without_a_test_split_that_for_validation_is_held_out(tmp_path: Path, views: list[View]):
    scene = read_scene(synthetic(tmp_path, views, ("train", "val")))
    assert {view.name.split("/")[0] for view in scene.views if view.is_test} == {"val"}
    assert not any(view.is_test for view in read_scene(tmp_path / "transforms_train.json").views)


def test_a_photograph_of_both_splits_is_for_training(tmp_path: Path, views: list[View]):
    file = synthetic(tmp_path, views, ("train", "test")) / "transforms_test.json"
    content = json.loads(file.read_text())
    content["frames"][0]["file_path"] = "./train/r_0"
    file.write_text(json.dumps(content))
    scene = read_scene(tmp_path)
    assert sum(view.is_test for view in scene.views) == len(views) - 1
    assert "in the training and in the test split" in scene.notes[-1]


def test_a_split_that_is_named_is_read_alone(tmp_path: Path, views: list[View]):
    synthetic(tmp_path, views)
    test = read_scene(tmp_path / "transforms_test.json")
    assert not any(view.is_test for view in test.views)
    assert {Path(str(view.image)).parent.name for view in test.views} == {"test"}
