"""Depth beside photographs, RGB-D folders and projection matrices."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from hyperfocal.camera import Camera, pixel_centers, project, unproject
from hyperfocal.data import load_depth, load_photograph, read_scene, write_cameras_json
from hyperfocal.data.depth_files import read_depth_numbers
from hyperfocal.distortion import Distortion, undistort
from hyperfocal.errors import BadInputError
from hyperfocal.scene import DepthFile, Scene, View
from photo_files import camera_at, picture_of_relief, relief_views, save_picture, transforms_json


def wall_depth(camera: Camera, distortion: Distortion | None = None) -> np.ndarray:
    """Camera z [h, w] of the plane z = 0 in every pixel of the photograph as taken."""
    plane = (pixel_centers(camera.width, camera.height) - camera.center_px) / camera.focal_px
    if distortion is not None:
        plane, _ = undistort(distortion, plane)
    pose = camera.world_to_camera
    normal, offset = pose[:3, 2], float(pose[:3, 2] @ pose[:3, 3])  # of the plane z = 0 in camera axes
    rays = torch.cat((plane, torch.ones_like(plane[..., :1])), -1)
    return (offset / (rays @ normal)).numpy()


def view_with_depth(folder: Path, numbers: np.ndarray, view: View, **depth) -> View:
    path = folder / "depth.npy"
    np.save(path, numbers)
    return replace(view, depth=DepthFile(path, **{"units_per_step": 1.0, **depth}))


@pytest.mark.parametrize("long_side", [None, 160])
@pytest.mark.parametrize(
    "distortion",
    [None, Distortion("opencv", (0.08, -0.05, 0.002, -0.001)), Distortion("fisheye", (0.02, 0.0, 0.0, 0.0))],
)
def test_depth_lies_on_the_undistorted_photograph(tmp_path: Path, distortion: Distortion | None, long_side: int | None):
    camera = camera_at((0.6, -0.3, -3.0))
    view = View("a", picture_of_relief(camera, distortion), camera, distortion)
    view = view_with_depth(tmp_path, wall_depth(camera, distortion), view)
    depth = load_depth(view, long_side=long_side)
    photograph = load_photograph(view, long_side=long_side)
    assert depth is not None
    assert (depth.kind, depth.axis) == ("scene", "z")
    assert depth.values.shape == photograph.image.shape[:2]
    truth = torch.from_numpy(wall_depth(photograph.camera))
    assert float(((depth.values - truth).abs() / truth)[photograph.valid].max()) < 1e-3  # half a pixel of a slope
    points = unproject(photograph.camera, depth.values)
    assert float(points[photograph.valid][:, 2].abs().max()) < 5e-3  # they lie on the wall


def test_distances_along_rays_become_z(tmp_path: Path):
    camera = camera_at((0, 0, -3.0))
    rays = (pixel_centers(320, 240) - camera.center_px) / camera.focal_px
    distances = 3.0 * (1 + rays.square().sum(-1)).sqrt()  # of a wall at z = 3
    view = view_with_depth(tmp_path, distances.numpy(), View("a", torch.rand(240, 320, 3), camera), kind="ray_distance")
    depth = load_depth(view)
    assert depth is not None
    torch.testing.assert_close(depth.values, torch.full((240, 320), 3.0))
    with pytest.raises(BadInputError, match="along the rays of its camera, which is unknown"):
        load_depth(replace(view, camera=None))


def test_depth_is_never_blended_and_unknown_stays_unknown(tmp_path: Path):
    numbers = np.ones((6, 8), np.float32)
    numbers[:, 4:] = 9
    numbers[0, :4] = 0, np.nan, np.inf, -3
    view = View("a", torch.rand(12, 16, 3), camera_at((0, 0, -3.0), 16, 12))
    depth = load_depth(view_with_depth(tmp_path, numbers, view, units_per_step=0.5))
    assert depth is not None
    assert sorted(depth.values.unique().tolist()) == [0.0, 0.5, 4.5]
    assert depth.values[:2, :8].unique().tolist() == [0.0]
    assert load_depth(view) is None


def test_depth_turns_with_its_photograph(tmp_path: Path):
    save_picture(torch.rand(8, 12, 3), tmp_path / "a.png")
    numbers = np.arange(1, 97, dtype=np.uint16).reshape(8, 12)
    cv2.imwrite(str(tmp_path / "d.png"), numbers)
    view = View("a.png", tmp_path / "a.png", orientation=6, depth=DepthFile(tmp_path / "d.png", 1.0))
    depth = load_depth(view)
    assert depth is not None
    assert torch.equal(depth.values, torch.from_numpy(np.rot90(numbers, -1).astype(np.float32)))


def test_depth_that_nobody_asked_for_is_not_decoded(tmp_path: Path):
    view = View("a", torch.rand(240, 320, 3), camera_at((0, 0, -3.0)))
    view = view_with_depth(tmp_path, np.full((240, 320), 2.0), view)
    photograph = load_photograph(view)
    assert photograph.depth_z is not None
    assert bool((photograph.depth_z == 2).all())
    assert view.depth is not None
    view.depth.path.unlink()
    assert load_photograph(view, depth=False).depth_z is None
    with pytest.raises(BadInputError, match="does not exist"):
        load_photograph(view)


def test_depth_of_another_shape_is_refused(tmp_path: Path):
    view = View("a", torch.rand(240, 320, 3), camera_at((0, 0, -3.0)))
    assert load_depth(view_with_depth(tmp_path, np.ones((60, 80)), view)) is not None
    with pytest.raises(BadInputError, match=r"has 80 x 80 pixels, but its photograph a has 320 x 240"):
        load_depth(view_with_depth(tmp_path, np.ones((80, 80)), view))


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("d.png", b"", "nothing readable|could not be decoded"),
        ("d.png", b"\x89PNG\r\n", "nothing readable|could not be decoded"),
        ("d.npy", b"\x93NUMPY", "cannot be read"),
        ("d.npy", None, "cannot be read: Array can't be memory-mapped|cannot be read: Object"),
        ("gone.npy", b"", "does not exist"),
    ],
)
def test_damaged_depth_is_named(tmp_path: Path, name: str, content: bytes | None, expected: str):
    if content is None:
        np.save(tmp_path / name, np.array([[None]], dtype=object), allow_pickle=True)
    elif name != "gone.npy":
        (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInputError, match=expected):
        read_depth_numbers(tmp_path / name)


@pytest.mark.parametrize("name", ["a.png", "a.jpg.png", "a.npy", "a.exr", "a.pgm", "a.tif"])
def test_depth_is_found_beside_photographs(tmp_path: Path, name: str):
    save_picture(torch.rand(6, 8, 3), tmp_path / "a.jpg")
    (tmp_path / "depth").mkdir()
    if name.endswith(".npy"):
        np.save(tmp_path / "depth" / name, np.full((6, 8), 2.0))
    elif name.endswith(".exr"):
        openexr = pytest.importorskip("OpenEXR")
        openexr.File({}, {"Z": np.full((6, 8), 2, np.float32)}).write(str(tmp_path / "depth" / name))
    else:
        cv2.imwrite(str(tmp_path / "depth" / name), np.full((6, 8), 2000, np.uint16))
    scene = read_scene(tmp_path)
    depth = load_depth(scene.views[0])
    assert depth is not None
    torch.testing.assert_close(depth.values, torch.full((6, 8), 2.0))
    assert scene.metres_per_unit == (1.0 if name.endswith(("png", "pgm", "tif")) else None)


def test_pictures_of_depth_for_the_eye_are_left_out(tmp_path: Path):
    save_picture(torch.rand(6, 8, 3), tmp_path / "a.jpg")
    save_picture(torch.rand(6, 8, 3), tmp_path / "depth" / "a.png")
    scene = read_scene(tmp_path)
    assert scene.views[0].depth is None
    assert scene.metres_per_unit is None
    assert "no 16 bits a pixel" in scene.notes[0]


def test_millimetres_beside_cameras_of_unknown_scale_are_left_out(tmp_path: Path):
    views = relief_views(tmp_path / "images", 3, width=32, height=24)
    write_cameras_json(tmp_path / "cameras.json", Scene(tmp_path, tuple(views)))
    (tmp_path / "depth").mkdir()
    cv2.imwrite(str(tmp_path / "depth" / "00.png"), np.full((24, 32), 2000, np.uint16))
    scene = read_scene(tmp_path / "cameras.json")
    assert scene.views[0].depth is None
    assert "1 depth maps in millimetres were left out" in scene.notes[0]
    write_cameras_json(tmp_path / "cameras.json", Scene(tmp_path, tuple(views), metres_per_unit=0.5))
    depth = load_depth(read_scene(tmp_path / "cameras.json").views[0])
    assert depth is not None
    torch.testing.assert_close(depth.values, torch.full((24, 32), 4.0))  # 2 m in units of half a metre


def test_depth_kind_time_and_inverted_masks_survive_cameras_json(tmp_path: Path):
    views = relief_views(tmp_path / "images", 3, width=32, height=24)
    depth = DepthFile(tmp_path / "elsewhere" / "d.npy", 0.25, "ray_distance")
    views[0] = replace(views[0], depth=depth, time_s=1.5)
    views[1] = replace(views[1], mask=tmp_path / "images" / "00.png", mask_is_inverted=True)
    write_cameras_json(tmp_path / "cameras.json", Scene(tmp_path, tuple(views), kind="video"))
    scene = read_scene(tmp_path / "cameras.json")
    assert (scene.kind, scene.format) == ("video", "cameras.json")
    assert (scene.views[0].depth, scene.views[0].time_s) == (depth, 1.5)
    assert (scene.views[1].mask_is_inverted, scene.views[2].mask_is_inverted) == (True, False)


@pytest.mark.parametrize(
    ("change", "expected"), [({"kind": "hologram"}, 'has "kind": \'hologram\''), ({"depth": {"file": "a",
    "units_per_step": 0}}, "positive units_per_step")],
)  # fmt: skip
def test_nonsense_in_cameras_json_is_refused(tmp_path: Path, change: dict, expected: str):
    views = relief_views(tmp_path / "images", 3, width=32, height=24)
    write_cameras_json(tmp_path / "cameras.json", Scene(tmp_path, tuple(views)))
    content = json.loads((tmp_path / "cameras.json").read_text())
    (content["views"][0] if "depth" in change else content).update(change)
    (tmp_path / "cameras.json").write_text(json.dumps(content))
    with pytest.raises(BadInputError, match=expected):
        read_scene(tmp_path / "cameras.json")


def test_depth_of_transforms_json(tmp_path: Path):
    views = relief_views(tmp_path / "images", 3, width=32, height=24, focal_px=30.0)
    file = transforms_json(views, tmp_path)
    cv2.imwrite(str(tmp_path / "d.png"), np.full((24, 32), 2000, np.uint16))
    content = json.loads(file.read_text())
    content["integer_depth_scale"] = 0.0005
    content["frames"][0]["depth_file_path"] = "d.png"
    content["frames"][1]["depth_path"] = "d.png"
    file.write_text(json.dumps(content))
    depths = [load_depth(view) for view in read_scene(tmp_path).views]
    assert [None if depth is None else float(depth.values.max()) for depth in depths] == [2.0, 1.0, None]


def test_transforms_json_may_say_its_unit_of_depth(tmp_path: Path):
    views = relief_views(tmp_path / "images", 3, width=32, height=24, focal_px=30.0)
    file = transforms_json(views, tmp_path)
    cv2.imwrite(str(tmp_path / "d.png"), np.full((24, 32), 2000, np.uint16))
    content = json.loads(file.read_text()) | {"depth_unit_scale_factor": 0.0001}
    content["frames"][0]["depth_file_path"] = "d.png"
    file.write_text(json.dumps(content))
    depth = load_depth(read_scene(tmp_path).views[0])
    assert depth is not None
    assert float(depth.values.max()) == pytest.approx(0.2)
    file.write_text(json.dumps(content | {"depth_unit_scale_factor": 0}))
    with pytest.raises(BadInputError, match=r"depth_unit_scale_factor .* is 0; it must be positive"):
        read_scene(tmp_path)


# RGB-D folders


def median_disagreement(first: View, second: View) -> float:
    """Median relative difference between the second view's depth and where the first one's points come to lie in it."""
    depths = [load_depth(first), load_depth(second)]
    assert depths[0] is not None
    assert depths[1] is not None
    known = depths[0].valid
    points = unproject(first.camera, depths[0].values)[known]
    pixels, z = project(second.camera, points)
    inside = (z > 0) & (pixels >= 0).all(1) & (pixels < torch.tensor([640, 480])).all(1)
    x, y = pixels[inside].long().unbind(1)
    other = depths[1].values[y, x]
    both = other > 0
    assert int(both.sum()) > 20_000
    return float(((other - z[inside]).abs() / other)[both].median())


def test_slambook_s_depth_and_poses_agree(tmp_path: Path, shared_data: Path):
    source = shared_data / "slambook_rgbd"
    unknown = read_scene(source)
    assert (unknown.format, unknown.posed_views, unknown.metres_per_unit) == ("an RGB-D folder", (), 1.0)
    assert "no file says the focal length" in unknown.notes[0]
    assert all(view.depth is not None for view in unknown.views)
    shutil.copytree(source, tmp_path / "scene")
    (tmp_path / "scene" / "intrinsics.txt").write_text("518.0 519.0 325.5 253.5\n")  # of slambook2's joinMap.cpp
    scene = read_scene(tmp_path / "scene")
    assert (scene.format, scene.metres_per_unit, scene.notes) == ("an RGB-D folder with poses", 1.0, ())
    assert len(scene.posed_views) == 5
    for i in (1, 2, 3):
        assert median_disagreement(scene.views[i], scene.views[i + 1]) < 0.02
        swapped = replace(scene.views[i + 1], camera=scene.views[0].camera)
        assert median_disagreement(scene.views[i], swapped) > 0.05  # the measure can fail


def test_open3d_s_trajectory_and_intrinsics(tmp_path: Path, shared_data: Path):
    shutil.copytree(shared_data / "cupoch_rgbd" / "rgbd", tmp_path / "scene")
    assert read_scene(tmp_path / "scene").posed_views == ()
    K = [525.0, 0, 0, 0, 525.0, 0, 319.5, 239.5, 1]  # Open3D's PrimeSenseDefault, by columns
    content = {"width": 640, "height": 480, "intrinsic_matrix": K}
    (tmp_path / "scene" / "camera_intrinsic.json").write_text(json.dumps(content))
    scene = read_scene(tmp_path / "scene")
    assert len(scene.posed_views) == 5
    assert median_disagreement(scene.views[0], scene.views[4]) < 0.01


def test_as_many_poses_as_photographs(tmp_path: Path):
    for name in ("1", "2", "10"):
        save_picture(torch.rand(6, 8, 3), tmp_path / "rgb" / f"{name}.png")
        (tmp_path / "depth").mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / "depth" / f"{name}.png"), np.full((6, 8), 1000, np.uint16))
    (tmp_path / "intrinsics.txt").write_text("8 0 4\n0 8 3\n0 0 1\n")
    (tmp_path / "pose.txt").write_text("0 0 0 0 0 0 1\n1 0 0 0 0 0 1\n2 0 0 0 0 0 1\n")
    placed = {view.name: view.camera.centers()[0].item() for view in read_scene(tmp_path).views}
    assert placed == {"1.png": 0, "2.png": 1, "10.png": 2}  # natural order, not 1, 10, 2
    (tmp_path / "pose.txt").write_text("0 0 0 0 0 0 1\n")
    with pytest.raises(BadInputError, match=r"pose\.txt has 1 poses, but .*rgb has 3 photographs"):
        read_scene(tmp_path)
    (tmp_path / "pose.txt").write_text("0 0 0\n")
    with pytest.raises(BadInputError, match="line 1 has 3 numbers"):
        read_scene(tmp_path)
    (tmp_path / "intrinsics.txt").write_text("8")
    with pytest.raises(BadInputError, match=r"pose\.txt|intrinsics\.txt cannot be read"):
        read_scene(tmp_path)


# Projection matrices


def test_a_projection_matrix_is_taken_apart_and_put_together_again(tmp_path: Path):
    views = relief_views(tmp_path, 3, width=32, height=24, focal_px=30.0)
    for i, view in enumerate(views):
        K = view.camera.intrinsics().double().numpy()
        P = (-2.5, 1.0, 0.1)[i] * K @ view.camera.world_to_camera.double().numpy()[:3]  # up to any factor
        name = (f"{i:02d}_P.txt", f"{i:02d}.P", f"{i:02d}.png.P")[i]
        (tmp_path / name).write_text("\n".join(" ".join(map(str, row)) for row in P))
    scene = read_scene(tmp_path)
    assert scene.format == "projection matrices beside photographs"
    for read, written in zip(scene.views, views, strict=True):
        torch.testing.assert_close(read.camera.world_to_camera, written.camera.world_to_camera, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(read.camera.intrinsics(), written.camera.intrinsics(), atol=1e-4, rtol=1e-5)
    (tmp_path / "00_P.txt").write_text("1 2 3")
    with pytest.raises(BadInputError, match="should hold the 3 x 4 numbers"):
        read_scene(tmp_path)
    (tmp_path / "00_P.txt").write_text("1 0 0 0  0 1 0 0  0 0 0 1")
    with pytest.raises(BadInputError, match="is not the projection matrix of a camera"):
        read_scene(tmp_path)
    (tmp_path / "00_P.txt").write_text("30 5 16 0  0 30 12 0  0 0 1 0")
    with pytest.raises(BadInputError, match="are skewed"):
        read_scene(tmp_path)


def test_buddha_s_matrices_see_one_head(shared_data: Path):
    scene = read_scene(shared_data / "buddha")
    assert (scene.format, scene.kind) == ("projection matrices beside photographs", "photographs")
    assert (len(scene.posed_views), scene.metres_per_unit, scene.notes) == (13, None, ())
    for view in scene.views:
        P = np.loadtxt(shared_data / "buddha" / f"{view.name.removesuffix('.jpg')}_P.txt")
        ours = (view.camera.intrinsics() @ view.camera.world_to_camera[:3]).double().numpy()
        np.testing.assert_allclose(
            ours / np.linalg.norm(ours[2, :3]), P / np.linalg.norm(P[2, :3]), rtol=1e-3, atol=0.05
        )
        assert 0.9 < float(view.camera.focal_px[0] / view.camera.focal_px[1]) < 1.1
    # They stand around the statue: the rays through the middles of the pictures come near one point in front of all.
    axes = torch.stack([view.camera.world_to_camera[2, :3] for view in scene.views])
    centers = torch.stack([view.camera.centers() for view in scene.views])
    across = torch.eye(3) - axes.unsqueeze(2) * axes.unsqueeze(1)
    point = torch.linalg.solve(across.sum(0), (across @ centers.unsqueeze(2)).sum(0)).squeeze()
    assert bool((((point - centers) * axes).sum(1) > 0).all())
