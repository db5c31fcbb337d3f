import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hyperfocal.camera import Camera
from hyperfocal.errors import BadInputError, NothingUsableError
from hyperfocal.export.path_json import read_path, write_path
from hyperfocal.gaussians import Gaussians, from_points
from hyperfocal.paths import CameraPath, Keyframe, through
from hyperfocal.reconstruct.films import PATHS, film_depths, plan_film, write_film, write_frames
from hyperfocal.reconstruct.stills import blended_normals
from hyperfocal.scene import Scene, View
from scenes import pinhole, random_gaussians, ring_of_cameras


def scene_of(cameras: Camera) -> Scene:
    count = len(cameras.world_to_camera)
    image = torch.zeros(cameras.height, cameras.width, 3)
    return Scene(Path("ball"), tuple(View(f"{i}.png", image, cameras[i]) for i in range(count)))


@pytest.fixture
def scene() -> Scene:
    return scene_of(ring_of_cameras(6, 41, 30))


@pytest.fixture
def gaussians() -> Gaussians:
    return random_gaussians(60, sh_degree=0)


@pytest.mark.parametrize("path", PATHS)
def test_a_film_has_the_frames_and_size_that_were_asked_for(path: str, scene: Scene, gaussians: Gaussians) -> None:
    film = plan_film(scene, gaussians, path, seconds=1.5, fps=12.0)
    assert len(film.cameras.world_to_camera) == 18
    assert (film.cameras.width, film.cameras.height) == (40, 30), "the photographs' size, made even"
    other = plan_film(scene, gaussians, path, size=(64, 20), seconds=1.0, fps=4.0)
    assert (other.cameras.width, other.cameras.height) == (64, 20)


def test_an_orbit_says_where_it_was_not_seen(scene: Scene, gaussians: Gaussians) -> None:
    """Six cameras, 0.35 radians apart: 100 degrees of photographs, 260 degrees without."""
    (note,) = plan_film(scene, gaussians, "orbit").notes
    assert f"passes {360 - math.degrees(5 * 0.35):.0f} degrees" in note
    assert plan_film(scene, gaussians, "swing").notes == ()


def test_the_spiral_looks_at_the_subject(scene: Scene, gaussians: Gaussians) -> None:
    """The ball is 4 units away, so optical axes meet near its middle."""
    film = plan_film(scene, gaussians, "spiral", seconds=1.0)
    axes = film.cameras.world_to_camera[:, 2, :3]
    toward = torch.nn.functional.normalize(-film.cameras.centers(), dim=1)
    assert float((axes * toward).sum(1).min()) > 0.9


def test_a_file_tells_how_long_and_how_large(scene: Scene, gaussians: Gaussians, tmp_path: Path) -> None:
    camera = replace(pinhole(64, 48), world_to_camera=ring_of_cameras(1).world_to_camera[0])
    keyframes = (Keyframe(0.0, camera), Keyframe(2.0, camera, focus_distance=3.0))
    write_path(tmp_path / "mine.json", CameraPath(keyframes, seconds=2.0, fps=5.0))
    film = plan_film(scene, gaussians, str(tmp_path / "mine.json"))
    assert (len(film.cameras.world_to_camera), film.fps, film.cameras.width) == (10, 5.0, 64)
    assert "does not tell all of a lens" in film.notes[0]
    assert film.lens is None
    assert len(plan_film(scene, gaussians, str(tmp_path / "mine.json"), seconds=1.0).cameras.world_to_camera) == 5


def test_the_focus_goes_from_keyframe_to_keyframe(scene: Scene, gaussians: Gaussians, tmp_path: Path) -> None:
    camera = replace(pinhole(64, 48), world_to_camera=ring_of_cameras(1).world_to_camera[0])
    ends = Keyframe(0.0, camera, focus_distance=2.0, aperture_diameter=0.5), Keyframe(2.0, camera, focus_distance=8.0)
    write_path(tmp_path / "mine.json", CameraPath(ends, seconds=2.0, fps=2.0))
    film = plan_film(scene, gaussians, str(tmp_path / "mine.json"))
    assert film.lens is not None and film.notes == ()
    assert film.lens.aperture_diameter.tolist() == pytest.approx([0.5] * 4)
    assert film.lens.focus_distance[[0, -1]].tolist() == pytest.approx([2.0, 8.0])
    (tmp_path / "frames").mkdir()
    write_frames(tmp_path / "frames", gaussians, film)
    again = plan_film(scene, gaussians, str(tmp_path / "frames" / "path.json"))
    assert again.lens is not None
    torch.testing.assert_close(again.lens.focus_distance, film.lens.focus_distance)
    first, last = (np.asarray(Image.open(tmp_path / "frames" / f"{i:05}.png")).astype(float) for i in (0, 3))
    assert np.abs(first - last).mean() > 1, "the camera stands, the focus moves"


def test_an_f_number_is_an_aperture_where_the_scale_is_known(
    scene: Scene, gaussians: Gaussians, tmp_path: Path
) -> None:
    camera = replace(pinhole(64, 48), world_to_camera=ring_of_cameras(1).world_to_camera[0])
    keyframe = Keyframe(0.0, camera, focus_distance=2.0, f_number=2.0)
    write_path(tmp_path / "mine.json", CameraPath((keyframe,), seconds=1.0, fps=2.0))
    assert plan_film(scene, gaussians, str(tmp_path / "mine.json")).lens is None
    film = plan_film(replace(scene, metres_per_unit=0.1), gaussians, str(tmp_path / "mine.json"))
    assert film.lens is not None
    focal_m = 0.036 * float(camera.focal_px[0]) / 64
    assert film.lens.aperture_diameter.tolist() == pytest.approx([focal_m / 2 / 0.1] * 2)


def test_a_way_through_the_photographs_is_smooth_unless_it_should_meet_them(gaussians: Gaussians) -> None:
    steady = through(ring_of_cameras(3), 60)
    jitter = 0.02 * torch.randn(60, 3, generator=torch.Generator().manual_seed(0))
    shaken = replace(steady, world_to_camera=steady.world_to_camera.clone())
    shaken.world_to_camera[:, :3, 3] += jitter

    def roughness(smooth: float | None) -> float:
        """How much the camera's speed changes from frame to frame."""
        film = plan_film(scene_of(shaken), gaussians, "interpolate", seconds=8.0, smooth=smooth)
        return float(film.cameras.centers().diff(n=2, dim=0).norm(dim=1).mean())

    met = plan_film(scene_of(shaken), gaussians, "interpolate", seconds=8.0, smooth=0.0).cameras
    away = (met.centers().unsqueeze(1) - shaken.centers()).norm(dim=2).amin(0)
    assert float(away.max()) < 0.02, "half of the way between two frames"
    assert roughness(None) < 0.2 * roughness(0.0)


def test_what_cannot_be_filmed_is_said(scene: Scene, gaussians: Gaussians) -> None:
    with pytest.raises(BadInputError, match="none of orbit, swing, spiral, interpolate"):
        plan_film(scene, gaussians, "obit")
    with pytest.raises(BadInputError, match="--seconds is 0"):
        plan_film(scene, gaussians, "orbit", seconds=0.0)
    for path, smooth in (("orbit", 0.3), ("interpolate", -1.0)):
        with pytest.raises(BadInputError, match=r"--smooth is .*; it belongs to --path interpolate"):
            plan_film(scene, gaussians, path, smooth=smooth)
    with pytest.raises(NothingUsableError, match="no cameras"):
        plan_film(Scene(Path("x"), ()), gaussians, "orbit")
    with pytest.raises(BadInputError, match=r"nearly parallel directions.*Choose another --path"):
        plan_film(scene_of(ring_of_cameras(6)[torch.tensor([2, 2])]), gaussians, "orbit")


def test_frames_are_pictures_with_their_cameras(scene: Scene, gaussians: Gaussians, tmp_path: Path) -> None:
    film = plan_film(scene, gaussians, "swing", seconds=1.0, fps=4.0)
    write_frames(tmp_path, gaussians, film, depth=True)
    names = sorted(entry.name for entry in tmp_path.iterdir())
    assert names == [*(f"0000{i}{end}" for i in range(4) for end in (".depth.png", ".png")), "path.json"]
    path = read_path(tmp_path / "path.json")
    assert (path.fps, path.seconds) == (4.0, 1.0)
    assert torch.allclose(path.keyframes[3].camera.world_to_camera, film.cameras.world_to_camera[3], atol=1e-5)
    with Image.open(tmp_path / "00000.png") as frame:
        assert frame.size == (40, 30)
        assert np.asarray(frame).max() > 50


def test_a_film_and_its_depth_are_written_together(scene: Scene, gaussians: Gaussians, tmp_path: Path) -> None:
    av = pytest.importorskip("av", reason="PyAV is not installed: pip install 'hyperfocal[view]'")
    film = plan_film(scene, gaussians, "swing", seconds=1.0, fps=6.0)
    done: list[tuple[str, int, int]] = []
    write_film(
        tmp_path / "a.mp4",
        gaussians,
        film,
        depth_path=tmp_path / "a.depth.mp4",
        progress=lambda stage, i, n: done.append((stage, i, n)),
    )
    assert done == [(stage, i + 1, 6) for stage in ("measuring depth", "rendering") for i in range(6)]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.depth.mp4", "a.mp4"]
    for name in ("a.mp4", "a.depth.mp4"):
        with av.open(str(tmp_path / name)) as container:
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        assert [frame.shape for frame in frames] == [(30, 40, 3)] * 6


def test_one_scale_of_depth_serves_the_whole_film(scene: Scene, gaussians: Gaussians) -> None:
    """The ball of radius one or two is 4 units away."""
    span = film_depths(gaussians, plan_film(scene, gaussians, "swing", seconds=1.0).cameras)
    assert 1.5 < span.near < 4 < span.far < 6.5


def test_linear_gaussians_are_shown_in_srgb(scene: Scene, gaussians: Gaussians, tmp_path: Path) -> None:
    film = plan_film(scene, gaussians, "swing", seconds=0.25, fps=4.0)
    (tmp_path / "srgb").mkdir()
    (tmp_path / "linear").mkdir()
    write_frames(tmp_path / "srgb", gaussians, film)
    write_frames(tmp_path / "linear", replace(gaussians, color_space="linear"), film)
    means = [np.asarray(Image.open(tmp_path / space / "00000.png")).mean() for space in ("srgb", "linear")]
    assert means[1] > 1.2 * means[0], "the same numbers as light are brighter"


def test_normals_of_a_wall_are_those_of_its_gaussians() -> None:
    """Flat Gaussians in the plane z = 3 + x / 2, whose normal towards the camera is (1, 0, -2) / sqrt(5)."""
    x, y = torch.meshgrid(torch.arange(-3, 3, 0.05), torch.arange(-2, 2, 0.05), indexing="ij")
    points = torch.stack((x, y, 3 + x / 2), dim=-1).reshape(-1, 3)
    wall = from_points(points, torch.full_like(points, 0.5), torch.full((len(points),), 0.06), opacity=0.9)
    half = math.atan(0.5) / 2  # a turn about y takes z to (-0.5, 0, 1), the plane's normal
    turn = torch.tensor([math.cos(half), 0.0, -math.sin(half), 0.0]).expand(len(points), 4)
    wall = replace(wall, quaternions=turn, scales=wall.scales * torch.tensor([1.0, 1.0, 0.02]))
    rendering, normals = blended_normals(wall, pinhole(64, 48, 60.0))
    assert float(rendering.alpha.min()) > 0.5
    expected = torch.tensor([1.0, 0.0, -2.0]) / math.sqrt(5)
    assert torch.allclose(normals, expected.expand(48, 64, 3), atol=1e-3)


def test_normals_are_unknown_where_nothing_is() -> None:
    dot = from_points(torch.tensor([[0.0, 0.0, 3.0]]), torch.ones(1, 3), torch.full((1,), 0.1), opacity=0.9)
    _, normals = blended_normals(dot, pinhole(64, 48, 60.0))
    assert normals[0, 0].tolist() == [0, 0, 0]
    assert float(normals[24, 32].norm()) == pytest.approx(1)
