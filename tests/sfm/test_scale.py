import json
import math
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from hyperfocal.camera import Camera, pixel_centers, project
from hyperfocal.data.gps import GpsPosition, gps_position
from hyperfocal.distortion import Distortion, distort
from hyperfocal.errors import BadInputError, NothingUsableError
from hyperfocal.scene import Scene, View
from hyperfocal.sfm.gps import ecef, local_metres
from hyperfocal.sfm.positions import robust_similarity
from hyperfocal.sfm.rays import intersect
from hyperfocal.sfm.scale import with_scale
from hyperfocal.sfm.scale_spec import Click, Distance, Gps, Markers, Positions, parse_scale
from hyperfocal.sfm.up import with_up
from hyperfocal.transforms import invert_rigid, rigid, rotation_from_quaternion
from photo_files import camera_at

LENS = Distortion("opencv", (-0.1, 0.02, 0.001, -0.001))


def scene_of(cameras: list[Camera], distortion: Distortion | None = None) -> Scene:
    grey = torch.full((240, 320, 3), 0.5)
    return Scene(Path("s"), tuple(View(f"{i}.jpg", grey, c, distortion) for i, c in enumerate(cameras)))


def pixel_of(view: View, point: tuple[float, float, float]) -> tuple[float, float]:
    """Where a photograph with lens distortion shows a point."""
    assert view.camera is not None
    pixel, _ = project(view.camera, torch.tensor([point]))
    if view.distortion is not None:
        plane = (pixel - view.camera.center_px) / view.camera.focal_px
        pixel = distort(view.distortion, plane) * view.camera.focal_px + view.camera.center_px
    x, y = pixel[0].tolist()
    return x, y


def clicks_of(scene: Scene, point: tuple[float, float, float], names: str = "0 1") -> str:
    views = [view for view in scene.views if view.name[0] in names]
    return " ".join("{}:{:.4f},{:.4f}".format(view.name, *pixel_of(view, point)) for view in views)


CAMERAS = [camera_at((x, -0.2, -3.0)) for x in (-0.8, 0.0, 0.9)]
FIRST, SECOND = (0.3, 0.1, 0.2), (-0.2, 0.1, -0.1)  # sqrt(0.25 + 0.09) apart


@pytest.mark.parametrize("distortion", [None, LENS])
def test_a_measured_distance_gives_metres(distortion: Distortion | None):
    scene = scene_of(CAMERAS, distortion)
    how = f"{clicks_of(scene, FIRST)} / {clicks_of(scene, SECOND, '0 1 2')} 1.20m"
    found = with_scale(scene, how)
    assert found.metres_per_unit == pytest.approx(1.2 / math.sqrt(0.34), rel=1e-4)
    assert found.views is scene.views  # nothing is rescaled
    assert "by a distance of 1.2 m; its ends fit their clicks to 0.0 and 0.0 px" in found.notes[-1]


def test_a_point_on_two_rays_is_exact():
    # Rays from (-1, 0, 0) and (1, 0, 0) that meet at (0, 0, 1): both at 45 degrees.
    cameras = [Camera(rigid(torch.eye(3), -torch.tensor([x, 0.0, 0.0])), torch.full((2,), 100.0), torch.full((2,), 200.0), 400, 400) for x in (-1.0, 1.0)]  # fmt: skip  # noqa: E501
    views = scene_of(cameras).views
    found = intersect([(views[0], (300.0, 200.0)), (views[1], (100.0, 200.0))])
    torch.testing.assert_close(found.point, torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64), atol=1e-9, rtol=0)
    assert found.angle_deg == pytest.approx(90)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda how: how.replace("1.jpg", "missing.jpg"), "names the photograph 'missing.jpg', which is not there"),
        (lambda how: how.replace("0.jpg:", "0.jpg:9"), r"has only 320 x 240"),
        (lambda how: how.replace("1.20m", "1.20"), "'1.20' is no length; expected a number with m, cm or mm"),
        (lambda how: how.replace(" / ", " "), "not understood; expected gps"),
        (lambda how: how.replace("1.jpg", "0.jpg"), "clicked in two or more photographs"),
    ],
)
def test_bad_distances_say_what_is_wrong(change, error: str):
    scene = scene_of(CAMERAS)
    with pytest.raises(BadInputError, match=error):
        with_scale(scene, change(f"{clicks_of(scene, FIRST)} / {clicks_of(scene, SECOND)} 1.20m"))


def test_clicks_that_mean_different_points_are_refused():
    scene = scene_of(CAMERAS)
    how = f"0.jpg:150,60 1.jpg:150,180 / {clicks_of(scene, SECOND)} 1.20m"
    with pytest.raises(BadInputError, match=r"do not fit one point: they are off by \d+ px"):
        with_scale(scene, how)


def test_clicks_from_one_direction_are_refused():
    scene = scene_of([camera_at((0.0, 0.0, -3.0)), camera_at((0.01, 0.0, -3.0)), CAMERAS[0]])
    how = f"{clicks_of(scene, FIRST)} / {clicks_of(scene, SECOND)} 1.20m"
    with pytest.raises(BadInputError, match="from nearly one direction"):
        with_scale(scene, how)


def test_what_scale_can_say():
    assert parse_scale("gps") == Gps()
    assert parse_scale("aruco:DICT_4x4_50,5cm") == Markers("4X4_50", 0.05)
    assert parse_scale("here/p.csv") == Positions(Path("here/p.csv"))
    assert parse_scale("my photo.jpg:1,2.5 b.jpg:3,4 / a b.jpg:5,6 b.jpg:7,8 300 mm".replace(" mm", "mm")) == Distance(
        (Click("my photo.jpg", 1.0, 2.5), Click("b.jpg", 3.0, 4.0)),
        (Click("a b.jpg", 5.0, 6.0), Click("b.jpg", 7.0, 8.0)),
        0.3,
    )


def ring(count: int, radius: float = 2.0) -> list[Camera]:
    angles = [2 * math.pi * i / count for i in range(count)]
    return [
        camera_at((radius * math.sin(a), -0.5 - 0.2 * (i % 3), -radius * math.cos(a))) for i, a in enumerate(angles)
    ]


def similar(points: np.ndarray, scale: float = 2.5) -> np.ndarray:
    """Points in another frame."""
    rotation = rotation_from_quaternion(torch.tensor([0.8, 0.1, -0.5, 0.3], dtype=torch.float64)).numpy()
    return scale * points @ rotation.T + np.array([10.0, -20.0, 5.0])


def centers_of(cameras: list[Camera]) -> np.ndarray:
    return np.array([camera.centers().tolist() for camera in cameras])


@pytest.mark.parametrize("form", ["csv", "csv with heading", "json"])
def test_camera_positions_give_metres(tmp_path: Path, form: str):
    cameras = ring(8)
    rows = {f"{i}.jpg": p.tolist() for i, p in enumerate(similar(centers_of(cameras))) if i != 3}
    path = tmp_path / ("p.json" if form == "json" else "p.csv")
    lines = [",".join(map(str, (name, *xyz))) for name, xyz in rows.items()]
    heading = ["name,x,y,z"] if "heading" in form else []
    path.write_text(json.dumps(rows) if form == "json" else "\n".join([*heading, *lines]))
    found = with_scale(scene_of(cameras), str(path))
    assert found.metres_per_unit == pytest.approx(2.5, rel=1e-5)
    assert "of 7 photographs, which fit to" in found.notes[-1]


def test_a_wrong_position_does_not_pull_at_the_scale():
    centers = centers_of(ring(12))
    metres = similar(centers)
    metres[4] += (3.0, 0, 0)
    fitted = robust_similarity(centers, metres)
    assert fitted.metres_per_unit == pytest.approx(2.5, rel=1e-6)
    assert fitted.used.tolist() == [i != 4 for i in range(12)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("p.csv", text) for text in ("a.jpg,1,2\nb.jpg,1,2\n", "a.jpg,1,2,nan\nb.jpg,1,2,3", "a.jpg,1,2,3\n")),
        *(("p.json", text) for text in ('{"a.jpg": [1, 2', "[1, 2]", '{"a.jpg": 1, "b.jpg": 2}')),
    ],
)
def test_bad_position_files_say_what_is_expected(tmp_path: Path, name: str, text: str):
    (tmp_path / name).write_text(text)
    with pytest.raises(BadInputError, match=rf"{name} .*Expected lines of name,x,y,z \(CSV\)"):
        with_scale(scene_of(CAMERAS), str(tmp_path / name))


def test_positions_on_the_ellipsoid():
    # The axes of WGS 84, and a second of arc along the equator: a * pi / 648000.
    np.testing.assert_allclose(ecef(GpsPosition(0.0, 0.0, 0.0)), [6378137.0, 0, 0], atol=1e-6)
    np.testing.assert_allclose(ecef(GpsPosition(90.0, 0.0, 10.0)), [0, 0, 6356752.314245 + 10], atol=1e-6)
    east = local_metres([GpsPosition(0.0, 0.0, 5.0), None, GpsPosition(0.0, 1 / 3600, 5.0), GpsPosition(0.0, 0.0, 8.0)])
    assert np.isnan(east[1]).all()
    np.testing.assert_allclose(east[2], [(6378137 + 5) * math.pi / 648000, 0, 0], atol=1e-3)
    np.testing.assert_allclose(east[3], [0, 0, 3], atol=1e-9)


def test_exif_positions_are_read():
    tags = {1: "S", 2: (33.0, 30.0, 36.0), 3: "W", 4: (70.0, 0.0, 18.0), 5: b"\x01", 6: 12.5}
    assert gps_position(tags) == GpsPosition(-33.51, -70.005, -12.5)
    assert gps_position({}) is None
    assert gps_position({2: (0.0, 0.0, 0.0), 4: (0.0, 0.0, 0.0)}) is None  # no fix
    assert gps_position({2: (95.0, 0.0, 0.0), 4: (0.0, 0.0, 1.0)}) is None


def gps_scene(folder: Path, cameras: list[Camera], metres: np.ndarray) -> Scene:
    """Views whose files say positions: metres east, north and up of a place on the equator."""
    views = []
    for i, (camera, (east, north, up)) in enumerate(zip(cameras, metres, strict=True)):
        exif = Image.Exif()
        # There, a degree of longitude is a * pi / 180 and one of latitude a (1 - e^2) pi / 180 metres.
        longitude, latitude = math.degrees(east / 6378137.0), math.degrees(north / (6378137.0 * (1 - 0.00669437999)))
        signs = {1: "N" if latitude >= 0 else "S", 3: "E" if longitude >= 0 else "W", 5: b"\x00"}
        seconds = {2: (0.0, 0.0, abs(latitude) * 3600), 4: (0.0, 0.0, abs(longitude) * 3600)}
        exif[0x8825] = {**signs, **seconds, 6: 100.0 + up}
        Image.new("RGB", (8, 8)).save(folder / f"{i}.jpg", exif=exif)
        views.append(View(f"{i}.jpg", folder / f"{i}.jpg", camera))
    return Scene(folder, tuple(views))


def test_gps_gives_metres_and_up(tmp_path: Path):
    # The world's up is -y; 1 unit is 10 m; x is east, so z is north.
    cameras = ring(10)
    centers = centers_of(cameras)
    metres = 10 * np.stack((centers[:, 0], centers[:, 2], -centers[:, 1]), axis=1) + np.array([30, 40, 0])
    scene = gps_scene(tmp_path, cameras, metres)
    found = with_scale(scene, "gps")
    assert found.metres_per_unit == pytest.approx(10, rel=1e-3)
    assert found.up is not None
    np.testing.assert_allclose(found.up, (0, -1, 0), atol=0.01)
    assert "by GPS of 10 photographs, which fit to" in found.notes[-1]


def test_gps_that_does_not_fit_is_refused(tmp_path: Path):
    noise = np.random.default_rng(0).normal((30, 30, 0), 4, (10, 3))
    scene = gps_scene(tmp_path, ring(10), noise)
    with pytest.raises(NothingUsableError, match=r"does not fit the cameras.*measure a distance instead"):
        with_scale(scene, "gps")


def test_no_gps_is_said():
    with pytest.raises(NothingUsableError, match=r"0 of 3 photographs .* have GPS positions.*needs 3"):
        with_scale(scene_of(CAMERAS), "gps")


def board_picture(camera: Camera, board: np.ndarray, side: float) -> torch.Tensor:
    """The picture of a board of `side` units at z = 0, by ray casting with 4 x 4 rays a pixel."""
    fine = camera.resized(4 * camera.width, 4 * camera.height)
    plane = (pixel_centers(fine.width, fine.height) - fine.center_px) / fine.focal_px
    to_world = invert_rigid(fine.world_to_camera)
    rays = torch.cat((plane, torch.ones_like(plane[..., :1])), -1) @ to_world[:3, :3].T
    hit = to_world[:3, 3] + rays * (-to_world[2, 3] / rays[..., 2:])
    at = ((hit[..., :2] / side + 0.5) * len(board) - 0.5).numpy().astype(np.float32)
    picture = cv2.remap(board, at[..., 0].copy(), at[..., 1].copy(), cv2.INTER_LINEAR, borderValue=255)
    small = cv2.resize(picture, (camera.width, camera.height), interpolation=cv2.INTER_AREA)
    return torch.from_numpy(small).float().div(255).unsqueeze(2).repeat(1, 1, 3)


def test_printed_markers_give_metres():
    # A board of 2 x 2 markers of 4 parts with gaps of 1, drawn 10 parts wide.
    board = cv2.aruco.GridBoard((2, 2), 4.0, 1.0, cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_50))
    drawn = np.pad(board.generateImage((900, 900), marginSize=0), 50, constant_values=255)
    eyes = ((-1.0, -0.6, -2.5), (0.0, -0.9, -2.6), (1.1, -0.5, -2.4))
    cameras = [camera_at(eye, 640, 480, 600.0) for eye in eyes]
    views = tuple(View(f"{i}.png", board_picture(c, drawn, 1.5), c) for i, c in enumerate(cameras))
    found = with_scale(Scene(Path("b"), views), "aruco:4x4_50,5cm")
    # 900 pixels are 9 parts, 1000 are the whole: a part is 0.15 units, a marker 0.6.
    assert found.metres_per_unit == pytest.approx(0.05 / 0.6, rel=0.003)
    assert "by 4 markers of 0.05 m in 3 photographs" in found.notes[-1]
    with pytest.raises(NothingUsableError, match="No ArUco marker of the dictionary 5X5_50"):
        with_scale(Scene(Path("b"), views), "aruco:5x5_50,5cm")
    with pytest.raises(BadInputError, match="no ArUco dictionary 9X9; known are 4X4_100"):
        with_scale(Scene(Path("b"), views), "aruco:9x9,5cm")


def rolled(camera: Camera, degrees: float) -> Camera:
    turn = torch.eye(4)
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    turn[:2, :2] = torch.tensor([[c, -s], [s, c]])
    return replace(camera, world_to_camera=turn @ camera.world_to_camera)


def test_up_is_where_level_cameras_say():
    generator = np.random.default_rng(1)
    cameras = [rolled(camera, generator.normal(0, 3)) for camera in ring(24)]
    # In another frame: what was up, -y, is the rotation's.
    rotation = rotation_from_quaternion(torch.tensor([0.3, 0.9, -0.2, 0.4]))
    moved = [replace(c, world_to_camera=c.world_to_camera @ rigid(rotation.T, torch.zeros(3))) for c in cameras]
    scene = with_up(scene_of(moved))
    assert scene.up is not None
    true = rotation @ torch.tensor([0.0, -1.0, 0.0])
    assert math.degrees(math.acos(min(1.0, float(torch.tensor(scene.up) @ true)))) < 2
    assert "Probably right to about" in scene.notes[-1]
    assert scene.views[0].camera is moved[0]


def test_cameras_that_look_in_one_direction_say_so():
    scene = with_up(scene_of([camera_at((0.02 * i, -1.0, -3.0)) for i in range(5)]))
    assert scene.up is not None
    assert "All cameras look in about one direction" in scene.notes[-1]


def test_cameras_held_anyhow_leave_up_unknown():
    scene = with_up(scene_of([rolled(camera, 180.0 * (i % 2)) for i, camera in enumerate(ring(8))]))
    assert scene.up is None
    assert "could not be told" in scene.notes[-1]


def test_a_known_up_stays():
    scene = replace(scene_of(ring(8)), up=(0.0, 0.0, 1.0))
    assert with_up(scene) is scene
