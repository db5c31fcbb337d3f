import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from hyperfocal.camera import Camera, stack
from hyperfocal.paths import (
    CameraPath,
    Keyframe,
    circle_of,
    framed,
    orbit,
    sample,
    smoothed,
    spiral,
    swing,
    through,
    up_direction,
    viewed_point,
)
from hyperfocal.transforms import look_at, rigid, rotation_from_quaternion
from scenes import pinhole

UP = torch.tensor([0.0, -0.6, 0.8])  # any unit vector: nothing may depend on the axes of the world
POINT = torch.tensor([1.0, -2.0, 0.5])


def ring(count: int, *, arc_deg: float = 360.0, radius: float = 3.0, height: float = 1.0) -> Camera:
    """Level cameras on a circle around POINT that look at it."""
    side = torch.tensor([1.0, 0.0, 0.0])
    ahead = torch.linalg.cross(UP, side)
    cameras = []
    for i in range(count):
        angle = math.radians(arc_deg) * i / count
        eye = POINT + height * UP + radius * (math.sin(angle) * side + math.cos(angle) * ahead)
        cameras.append(replace(pinhole(32, 24, 30.0 + i), world_to_camera=look_at(eye, POINT, UP)))
    return stack(cameras)


def side_by_side() -> Camera:
    """Three by three parallel cameras in the plane z = 0, 0.1 apart, that look along z."""
    poses = [rigid(torch.eye(3), -torch.tensor([0.1 * x, 0.1 * y, 0.0])) for y in (-1, 0, 1) for x in (-1, 0, 1)]
    return stack([replace(pinhole(), world_to_camera=pose) for pose in poses])


def rotations(cameras: Camera) -> Tensor:
    return cameras.world_to_camera[:, :3, :3]


def turned_between(cameras: Camera) -> Tensor:
    """Angles in radians between one camera and the next."""
    r = rotations(cameras).double()
    traces = (r[1:].transpose(1, 2) @ r[:-1]).diagonal(dim1=1, dim2=2).sum(1)
    return torch.acos(((traces - 1) / 2).clamp(-1, 1))


def test_cameras_on_a_ring_look_at_its_middle() -> None:
    assert torch.allclose(viewed_point(ring(7, arc_deg=90)), POINT, atol=1e-4)


def test_parallel_cameras_look_at_no_point() -> None:
    with pytest.raises(ValueError, match="nearly parallel"):
        viewed_point(side_by_side())


def test_cameras_that_look_outwards_look_at_no_point() -> None:
    cameras = ring(6)
    flip = torch.diag(torch.tensor([-1.0, 1.0, -1.0, 1.0]))
    with pytest.raises(ValueError, match="away from each other"):
        viewed_point(replace(cameras, world_to_camera=flip @ cameras.world_to_camera))


@pytest.mark.parametrize("arc_deg", [360.0, 120.0, 60.0])
def test_level_cameras_tell_the_way_up_although_they_look_down(arc_deg: float) -> None:
    up = up_direction(ring(12, arc_deg=arc_deg, height=2.0))  # 34 degrees down, so their own up is 34 degrees off
    off_deg = math.degrees(math.acos(min(1.0, float(up @ UP))))
    assert off_deg < (0.1 if arc_deg == 360 else 4)


def test_side_by_side_the_cameras_own_up_decides() -> None:
    assert torch.allclose(up_direction(side_by_side()), torch.tensor([0.0, -1.0, 0.0]), atol=1e-6)


def test_an_orbit_is_a_circle_that_looks_at_the_middle() -> None:
    cameras = orbit(ring(9, radius=3.0, height=1.0), 20, up=UP)
    offsets = cameras.centers() - POINT
    assert torch.allclose(offsets.norm(dim=1), torch.full((20,), math.sqrt(10.0)), atol=1e-4)
    assert torch.allclose(offsets @ UP, torch.full((20,), 1.0), atol=1e-4)
    in_camera = (rotations(cameras) @ (POINT - cameras.centers()).unsqueeze(2)).squeeze(2)
    assert torch.allclose(in_camera[:, :2], torch.zeros(20, 2), atol=1e-4)
    assert bool((in_camera[:, 2] > 0).all())
    steps = (cameras.centers().roll(-1, 0) - cameras.centers()).norm(dim=1)
    assert torch.allclose(steps, steps[:1].expand(20), atol=1e-4), "the last frame leads back to the first"
    assert torch.allclose(cameras.centers()[0], ring(9).centers()[0], atol=1e-4)
    assert float(cameras.focal_px[0, 0]) == 34.0, "the median of 30 to 38"


def test_a_swing_stays_where_the_photographs_are_and_reaches_both_ends() -> None:
    cameras = ring(10, arc_deg=90)[torch.tensor([4, 0, 7, 9, 2, 1, 3, 5, 6, 8])]
    assert math.degrees(circle_of(cameras, UP).covered) == pytest.approx(81, abs=0.1)
    film = swing(cameras, 60, up=UP)
    nearest = (film.centers().unsqueeze(1) - cameras.centers()).norm(dim=2).amin(1)
    assert float(nearest.max()) < 0.25, "half of the way from one photograph to the next"
    for end in (1, 3):  # the first and last on the arc
        assert float((film.centers() - cameras.centers()[end]).norm(dim=1).min()) < 1e-3
    steps = (film.centers().roll(-1, 0) - film.centers()).norm(dim=1)
    assert float(steps[0]) < 0.1 * float(steps.max())


def test_an_orbit_of_cameras_that_look_straight_down_is_refused() -> None:
    with pytest.raises(ValueError, match="nearly parallel"):
        circle_of(ring(5, radius=1e-4, height=3.0), UP)


def test_a_spiral_stays_within_the_cameras_and_keeps_its_point_in_the_middle() -> None:
    cameras = spiral(side_by_side(), 40, focus_depth=5.0)
    centers = cameras.centers()
    assert torch.allclose(centers.abs().amax(0), torch.tensor([0.1, 0.1, 0.0]), atol=2e-3)
    target = torch.tensor([0.0, 0.0, 5.0])
    in_camera = (rotations(cameras) @ (target - centers).unsqueeze(2)).squeeze(2)
    assert torch.allclose(in_camera[:, :2], torch.zeros(40, 2), atol=1e-5)


def test_a_spiral_needs_a_common_direction() -> None:
    with pytest.raises(ValueError, match="all directions"):
        spiral(ring(8), 10, focus_depth=1.0)


def test_the_way_through_cameras_meets_every_one_of_them() -> None:
    cameras = ring(6, arc_deg=150)
    film = through(cameras, 6 * 200 + 1)
    for i in range(6):
        away = (film.centers() - cameras.centers()[i]).norm(dim=1)
        nearest = int(away.argmin())
        # A step of the film is 0.006 long, so the nearest frame is half of that away at most.
        assert float(away[nearest]) < 4e-3
        assert float((rotations(film)[nearest] - rotations(cameras)[i]).norm()) < 4e-3
        assert abs(float(film.focal_px[nearest, 0]) - (30 + i)) < 0.02
    assert torch.allclose(film.world_to_camera[0], cameras.world_to_camera[0], atol=1e-5)
    assert torch.allclose(film.world_to_camera[-1], cameras.world_to_camera[-1], atol=1e-5)


def test_the_way_through_cameras_has_an_even_speed() -> None:
    cameras = ring(6, arc_deg=150)[torch.tensor([0, 1, 2, 5])]  # the last gap is three times as long
    steps = through(cameras, 101).centers().diff(dim=0).norm(dim=1)
    assert float(steps.max() / steps.min()) < 1.1


def test_the_way_through_a_ring_stays_near_the_ring() -> None:
    film = through(ring(12), 100)
    away = (film.centers() - POINT).norm(dim=1)
    assert float((away - math.sqrt(10.0)).abs().max()) < 0.1


def test_a_full_turn_in_place_takes_no_step_back() -> None:
    """Quaternions change their sign on the way: without one hemisphere the camera would spin back."""
    angles = torch.arange(0, 360, 40) * math.pi / 180
    quaternions = torch.stack((torch.cos(angles / 2), 0 * angles, torch.sin(angles / 2), 0 * angles), dim=1)
    poses = rigid(rotation_from_quaternion(quaternions), torch.zeros(len(angles), 3))
    cameras = stack([replace(pinhole(), world_to_camera=pose) for pose in poses])
    turned = turned_between(through(cameras, 65))
    assert torch.allclose(turned, torch.full((64,), math.radians(320) / 64).double(), rtol=0.05)


def test_one_tripod_and_one_camera_are_served() -> None:
    camera = pinhole()
    assert through(stack([camera, camera, camera]), 5).world_to_camera.shape == (5, 4, 4)


def keyframes(*times: float) -> tuple[Keyframe, ...]:
    cameras = ring(len(times), arc_deg=100)
    return tuple(Keyframe(time, cameras[i]) for i, time in enumerate(times))


def test_a_path_is_at_its_keyframes_at_their_times() -> None:
    frames = keyframes(0.0, 0.5, 2.0)
    film = sample(CameraPath(frames, seconds=2.0), 21)
    for frame, index in zip(frames, (0, 5, 20), strict=True):
        assert torch.allclose(film.world_to_camera[index], frame.camera.world_to_camera, atol=1e-5)
        assert torch.allclose(film.focal_px[index], frame.camera.focal_px, atol=1e-4)


def test_a_closed_path_returns_smoothly() -> None:
    cameras = ring(8)
    frames = tuple(Keyframe(float(i), cameras[i]) for i in range(8))
    film = sample(CameraPath(frames, seconds=8.0, closed=True), 80)
    assert torch.allclose(film.world_to_camera[::10], cameras.world_to_camera, atol=1e-5)
    steps = (film.centers().roll(-1, 0) - film.centers()).norm(dim=1)
    assert float(steps.max() / steps.min()) < 1.15, (
        "12 % is what the spline makes of an octagon; a jump at its end is 100 %"
    )


def test_two_keyframes_are_joined_by_a_straight_line() -> None:
    cameras = side_by_side()
    film = sample(CameraPath((Keyframe(0.0, cameras[0]), Keyframe(1.0, cameras[8])), seconds=1.0), 3)
    assert torch.allclose(film.centers()[1], torch.zeros(3), atol=1e-6)


@pytest.mark.parametrize("times", [(), (0.0, 0.0), (1.0, 0.5)])
def test_times_must_grow(times: tuple[float, ...]) -> None:
    camera = pinhole()
    with pytest.raises(ValueError, match="times grow"):
        CameraPath(tuple(Keyframe(time, camera) for time in times), seconds=1.0)


def test_a_frame_shows_the_middle_of_the_photograph_and_nothing_beyond() -> None:
    wide = framed(replace(pinhole(400, 300, 350.0), center_px=torch.tensor([210.0, 150.0])), 800, 200)
    assert wide.focal_px.tolist() == [700.0, 700.0]
    assert wide.center_px.tolist() == [420.0, 100.0], "10 pixels off the middle, twice as large"


def track(count: int, *, jitter: Tensor | None = None) -> Camera:
    """Cameras 0.1 apart on a straight line, each turned by 0.02 radians more about one axis."""
    cameras = []
    for i in range(count):
        half = 0.01 * i
        turn = rotation_from_quaternion(torch.tensor([math.cos(half), 0.0, math.sin(half), 0.0]).double())
        center = torch.tensor([0.1 * i, 1.0, -2.0]).double() + (0 if jitter is None else jitter[i])
        cameras.append(replace(pinhole(), world_to_camera=rigid(turn, -turn @ center).float()))
    return stack(cameras)


@pytest.mark.parametrize("sigma", [0.5, 3.0, 100.0])
def test_smoothing_keeps_a_straight_track_straight_and_steady_to_its_ends(sigma: float) -> None:
    steady = track(30)
    film = smoothed(steady, sigma)
    assert torch.allclose(film.centers(), steady.centers(), atol=1e-5)
    assert torch.allclose(rotations(film), rotations(steady), atol=1e-5)
    assert torch.allclose(film.focal_px, steady.focal_px)
    assert torch.allclose(film.center_px, steady.center_px)


def test_smoothing_spreads_the_jolt_of_one_camera_by_its_weights() -> None:
    jolt = torch.zeros(41, 3)
    jolt[20, 1] = 1.0
    away = (smoothed(track(41, jitter=jolt), 2.0).centers() - track(41).centers())[:, 1]
    # Gaussians of standard deviations 2 and 2 sqrt(2) sum to 2 sqrt(2 pi) and 4 sqrt(pi) over the whole numbers.
    for distance in (0, 2, 4, 7):
        once = math.exp(-(distance**2) / 8) / (2 * math.sqrt(2 * math.pi))
        twice = math.exp(-(distance**2) / 16) / (4 * math.sqrt(math.pi))
        assert float(away[20 + distance]) == pytest.approx(2 * once - twice, abs=1e-4)
        assert float(away[20 - distance]) == pytest.approx(2 * once - twice, abs=1e-4)


def test_smoothing_shrinks_jitter_by_the_promised_factor_and_keeps_the_ends() -> None:
    jitter = 0.01 * torch.randn(2000, 3, generator=torch.Generator().manual_seed(0))
    shaken = track(2000, jitter=jitter)
    film = smoothed(shaken, 3.0)
    left = (film.centers() - track(2000).centers())[20:-20].double()
    # The integral of (2 g - g * g)^2 is 2 / sqrt(pi) - 4 / sqrt(6 pi) + 1 / (2 sqrt(2 pi)) over sigma: 0.4065 / sigma.
    promised = 0.638 / math.sqrt(3.0)
    assert float(left.std() / jitter.std()) == pytest.approx(promised, rel=0.1)
    for end in (0, -1):
        assert torch.allclose(film.centers()[end], shaken.centers()[end], atol=1e-4)
        assert torch.allclose(rotations(film)[end], rotations(shaken)[end], atol=1e-5)


def test_smoothing_shrinks_a_circle_as_promised() -> None:
    cameras = ring(200, arc_deg=180)
    film = smoothed(cameras, 15.0)
    radius = ((film.centers() - POINT - UP)[99:101].double().norm(dim=1)).mean()
    left_over = 1 - math.exp(-0.5 * math.radians(13.5) ** 2)
    assert 1 - float(radius) / 3 == pytest.approx(left_over**2, rel=0.1), "the kernel is cut off"


def test_nothing_to_smooth_changes_nothing() -> None:
    assert torch.equal(smoothed(ring(5), 0.0).world_to_camera, ring(5).world_to_camera)
    assert torch.equal(smoothed(ring(1), 3.0).world_to_camera, ring(1).world_to_camera)
    with pytest.raises(ValueError, match="must not be negative"):
        smoothed(ring(5), -1.0)
