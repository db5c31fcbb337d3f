"""Captures: the renderer's camera, depth and lens against closed forms, and the captures in the repository."""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jaxtyping import TypeCheckError
from PIL import Image

from hyperfocal.errors import BadInputError, MissingExtraError
from hyperfocal.synthetic import mitsuba_capture, things
from hyperfocal.synthetic.__main__ import main
from hyperfocal.synthetic.cameras import intrinsics, look_at, two_ring_path
from hyperfocal.synthetic.mitsuba_capture import CaptureFiles, render_capture
from hyperfocal.synthetic.mitsuba_scene import CaptureLens, load_mitsuba, render_light, trace_depth
from hyperfocal.synthetic.still_life import StillLife, build_still_life

ROOT = Path(__file__).parents[2]
CAPTURE = ROOT / "captures" / "still_life"
SIZE = (96, 72)  # pixels
K = intrinsics(*SIZE, 35.0)
POSE = look_at(np.array([0.3, -1.1, 0.6]), np.array([0.0, 0.05, 0.1]), roll=0.2)


@pytest.fixture(scope="module")
def mitsuba() -> Any:
    """The renderer, in the variant that runs everywhere."""
    pytest.importorskip("mitsuba", reason='rendering needs Mitsuba: pip install "hyperfocal[synthetic]"')
    return load_mitsuba("scalar_rgb")


@pytest.fixture(scope="module")
def still_life() -> StillLife:
    """A coarse one: what takes time is painting."""
    return build_still_life(0, detail=0.04)


@pytest.fixture
def quick(still_life: StillLife, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let captures use the table and the walls of the coarse still life, whatever they ask for."""
    room = dataclasses.replace(still_life, surfaces=still_life.surfaces[:22])
    monkeypatch.setattr(mitsuba_capture, "build_still_life", lambda *_, **__: room)


def _glowing_ball(mitsuba: Any, centre: np.ndarray, radius: float) -> Any:
    light = {"type": "area", "radiance": {"type": "rgb", "value": [1.0, 1.0, 1.0]}}
    ball = {"type": "sphere", "center": centre.tolist(), "radius": radius, "emitter": light}
    return mitsuba.load_dict({"type": "scene", "ball": ball})


def _pixel_centres() -> tuple[np.ndarray, np.ndarray]:
    v, u = np.mgrid[0 : SIZE[1], 0 : SIZE[0]] + 0.5
    return u, v


def _moments(image: np.ndarray) -> tuple[float, float, float]:
    """Return the centroid (u, v) and the mean of the variances along u and v, in pixels."""
    light = image.mean(axis=-1).astype(float)
    u, v = _pixel_centres()
    total = light.sum()
    mean_u, mean_v = (light * u).sum() / total, (light * v).sum() / total
    return mean_u, mean_v, 0.5 * float((light * ((u - mean_u) ** 2 + (v - mean_v) ** 2)).sum() / total)


@pytest.mark.parametrize("point", [(0.0, 0.0, 0.1), (0.22, 0.1, 0.05), (-0.2, -0.1, 0.25)])
def test_a_small_light_appears_where_the_camera_projects_it(mitsuba: Any, point: tuple[float, ...]) -> None:
    centre = np.array(point)
    image = render_light(mitsuba, _glowing_ball(mitsuba, centre, 0.02), POSE, K, SIZE, samples=64)
    in_camera = POSE[:3, :3] @ centre + POSE[:3, 3]
    u, v = (K @ in_camera)[:2] / in_camera[2]
    mean_u, mean_v, _ = _moments(image)
    # The middle of a sphere's picture is not the picture of its middle: off by f tan(a) (r/z)^2, here under 0.02 px.
    assert abs(mean_u - u) < 0.05
    assert abs(mean_v - v) < 0.05


def test_depth_is_camera_z_of_the_front_of_a_ball(mitsuba: Any) -> None:
    centre, radius = np.array([0.12, 0.05, 0.1]), 0.2
    z = trace_depth(mitsuba, _glowing_ball(mitsuba, centre, radius), POSE, K, SIZE)
    u, v = _pixel_centres()
    rays = np.stack([(u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1], np.ones_like(u)], axis=-1)
    # |t ray - c|^2 = r^2 with ray_z = 1, so that the nearer root t is z itself.
    c = POSE[:3, :3] @ centre + POSE[:3, 3]
    a, b = (rays**2).sum(-1), rays @ c
    root = b**2 - a * (c @ c - radius**2)
    expected = np.where(root > 0, (b - np.sqrt(np.maximum(root, 0))) / a, 0)
    clear = np.abs(root) > 1e-3  # not on the very edge
    assert (expected > 0).sum() > 300
    np.testing.assert_allclose(z[clear], expected[clear], atol=2e-5)


def test_an_upright_plane_has_the_same_depth_everywhere(mitsuba: Any) -> None:
    to_world = np.linalg.inv(POSE) @ np.array([[9.0, 0, 0, 0], [0, 9, 0, 0], [0, 0, 1, 1.7], [0, 0, 0, 1]])
    plane = {"type": "rectangle", "to_world": mitsuba.ScalarTransform4f(to_world)}
    scene = mitsuba.load_dict({"type": "scene", "plane": plane})
    np.testing.assert_allclose(trace_depth(mitsuba, scene, POSE, K, SIZE), 1.7, atol=2e-5)


def test_the_thin_lens_blurs_by_the_circle_of_confusion(mitsuba: Any) -> None:
    centre = np.array([0.0, 0.05, 0.1])  # on the axis
    z = float((POSE[:3, :3] @ centre + POSE[:3, 3])[2])
    scene = _glowing_ball(mitsuba, centre, 0.02)
    pinhole = render_light(mitsuba, scene, POSE, K, SIZE, samples=100)
    focused = render_light(mitsuba, scene, POSE, K, SIZE, samples=100, lens=CaptureLens(0.05, z))
    blurred = render_light(mitsuba, scene, POSE, K, SIZE, samples=100, lens=CaptureLens(0.05, 0.5 * z))
    assert abs(_moments(focused)[2] - _moments(pinhole)[2]) < 0.05
    diameter = 0.1 * K[0, 0] * abs(1 / (0.5 * z) - 1 / z)  # pixels
    # A disc of diameter d has variance d^2 / 16 along each axis.
    added = _moments(blurred)[2] - _moments(pinhole)[2]
    assert added == pytest.approx(diameter**2 / 16, rel=0.06)
    assert blurred.sum() == pytest.approx(pinhole.sum(), rel=0.03)


@pytest.mark.usefixtures("quick")
def test_a_capture_has_agreeing_files(mitsuba: Any, tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    files = CaptureFiles("png16", linear=True, depth="npz")
    path = render_capture(
        tmp_path, views=2, width=32, height=24, samples=4, lens=CaptureLens(0.01, 0.9), files=files,
        on_progress=lambda done, total: calls.append((done, total)),
    )  # fmt: skip
    assert calls == [(1, 2), (2, 2)]
    _check_cameras(tmp_path)
    for view in range(2):
        linear = np.load(tmp_path / "linear" / f"{view:04d}.npz")["linear"]
        assert linear.shape == (24, 32, 3)
        assert np.load(tmp_path / "depth" / f"{view:04d}.npz")["z"].min() > 0.3  # something is hit everywhere
    assert not list(tmp_path.rglob("*.part*"))
    assert path.world_to_camera.shape == (2, 4, 4)


@pytest.mark.usefixtures("quick")
def test_the_command_writes_photographs_with_the_focal_length(
    mitsuba: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = "--views 2 --width 32 --height 24 --samples 1 --photographs jpeg --depth none --no-cameras"
    assert main([str(tmp_path), *small.split()]) == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["0000.jpg", "0001.jpg"]
    with Image.open(tmp_path / "0000.jpg") as photograph:
        assert photograph.getexif().get_ifd(0x8769)[0xA405] == 35
    assert main([str(tmp_path), "--variant", "crayon"]) == 2
    assert "crayon" in capsys.readouterr().err


def test_without_mitsuba_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mitsuba", None)
    with pytest.raises(MissingExtraError, match=r"hyperfocal\[synthetic\]"):
        load_mitsuba()


def test_a_lens_needs_an_aperture() -> None:
    with pytest.raises(BadInputError, match="aperture_radius"):
        CaptureLens(0.0, 1.0)


def test_an_uncentred_camera_is_refused(mitsuba: Any) -> None:
    off = K + np.array([[0, 0, 3.0], [0, 0, 0], [0, 0, 0]])
    with pytest.raises(BadInputError, match="principal point"):
        render_light(mitsuba, _glowing_ball(mitsuba, np.zeros(3), 0.1), POSE, off, SIZE, samples=1)


@pytest.mark.parametrize("make", [things.tin, things.knot, things.fruit, things.statue])
def test_a_seed_is_a_thing_whose_shape_does_not_depend_on_the_resolution(make: Any) -> None:
    first, again, finer = (make(np.random.default_rng(4), detail) for detail in (0.1, 0.1, 0.15))
    other = make(np.random.default_rng(5), 0.1)
    for a, b, c in zip(first.surfaces, again.surfaces, finer.surfaces, strict=True):
        np.testing.assert_array_equal(a.texture, b.texture)
        np.testing.assert_array_equal(a.mesh.vertices, b.mesh.vertices)
        np.testing.assert_array_equal(a.mesh.vertices, c.mesh.vertices)
    assert not np.array_equal(first.surfaces[0].texture, other.surfaces[0].texture)
    assert not np.array_equal(first.surfaces[0].mesh.vertices, other.surfaces[0].mesh.vertices)


def test_normals_agree_with_the_order_of_the_corners(still_life: StillLife) -> None:
    assert len(still_life.surfaces) > 30
    for surface in still_life.surfaces:
        mesh = surface.mesh
        corners = mesh.vertices[mesh.faces].astype(float)
        flat = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        smooth = mesh.normals[mesh.faces].mean(axis=1)
        area = np.linalg.norm(flat, axis=1)
        agree = (flat * smooth).sum(axis=1) > 0
        assert area[~agree].sum() < 0.03 * area.sum(), surface.name  # the edges of petals are sharp
        assert surface.texture.min() >= 0
        assert surface.texture.max() <= 1


@pytest.mark.parametrize("views", [18, 24])
def test_held_out_views_lie_between_others(views: int) -> None:
    centres = [-pose[:3, :3].T @ pose[:3, 3] for pose in two_ring_path(views)]
    azimuth = np.degrees([np.arctan2(c[0], -c[1]) for c in centres])
    held = azimuth[::8]
    rest = np.delete(azimuth, np.arange(0, views, 8))
    assert rest.min() < held.min() - 4
    assert rest.max() > held.max() + 4
    for here in held:
        assert np.sort(np.abs(rest - here))[1] < 9


def test_one_view_is_no_path() -> None:
    with pytest.raises((BadInputError, TypeCheckError), match="at least 2"):
        two_ring_path(1)


def _picture(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def _check_cameras(folder: Path) -> None:
    """Assert that both camera files say the same and that every picture has their size."""
    plain = json.loads((folder / "cameras.json").read_text())
    nerfstudio = json.loads((folder / "transforms.json").read_text())
    assert plain["axes"] == "opencv"
    assert len(plain["views"]) == len(nerfstudio["frames"])
    for view, frame in zip(plain["views"], nerfstudio["frames"], strict=True):
        assert view["image"] == frame["file_path"]
        pose = np.array(view["world_to_camera"])
        np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-12)
        np.testing.assert_allclose(pose @ np.array(frame["transform_matrix"]), np.diag([1.0, -1, -1, 1]), atol=1e-12)
        fx, fy, cx, cy = (nerfstudio[key] for key in ("fl_x", "fl_y", "cx", "cy"))
        np.testing.assert_allclose(view["K"], [[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
        size = (nerfstudio["w"], nerfstudio["h"])
        assert (view["width"], view["height"]) == size
        assert _picture(folder / view["image"]).shape[1::-1] == size
        if frame["depth_file_path"].endswith(".png"):
            z = _picture(folder / frame["depth_file_path"]) * nerfstudio["depth_unit_scale_factor"]
            assert z.shape[::-1] == size
            assert 0.3 < z.min() < z.max() < 3  # metres: the room is small
            step = nerfstudio["depth_unit_scale_factor"]
            assert view["depth"] == {"file": frame["depth_file_path"], "units_per_step": step}


def test_the_capture_in_the_repository_agrees_with_itself() -> None:
    if not CAPTURE.is_dir():
        pytest.skip("captures/still_life is not part of an installed package")
    _check_cameras(CAPTURE)


def test_the_depth_in_the_repository_is_that_of_the_cameras() -> None:
    """The table is z = 0: depth of most pixels low in the picture must put them there."""
    if not CAPTURE.is_dir():
        pytest.skip("captures/still_life is not part of an installed package")
    plain = json.loads((CAPTURE / "cameras.json").read_text())
    for view in plain["views"][::8]:
        z = _picture(CAPTURE / "depth" / f"{Path(view['image']).stem}.png") * view["depth"]["units_per_step"]
        v, u = np.mgrid[0 : view["height"], 0 : view["width"]] + 0.5
        rays = np.stack([u, v, np.ones_like(u)], axis=-1) @ np.linalg.inv(view["K"]).T
        to_world = np.linalg.inv(view["world_to_camera"])
        height = ((rays * z[..., None]) @ to_world[:3, :3].T + to_world[:3, 3])[-8:, :, 2]
        on_table = np.abs(height) < 0.003  # metres; a chart of 2 mm lies on it
        assert on_table.mean() > 0.8
