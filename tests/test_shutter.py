"""Shutters and motion paths as values: times, bands of rows, splines in SE(3)."""

import math

import pytest
import torch
from torch import Tensor

from hyperfocal.errors import BadInputError
from hyperfocal.shutter import MotionPath, Shutter
from hyperfocal.transforms import invert_rigid, rigid_from_twist, twist_from_rigid

F64 = torch.float64


def random_poses(count: int, *, size: float = 1.0, seed: int = 0) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    return rigid_from_twist(size * torch.randn(count, 6, dtype=F64, generator=g))


def test_a_linear_path_goes_through_its_poses_at_a_constant_velocity() -> None:
    poses = random_poses(3)
    path = MotionPath(poses, begin=1.0, end=5.0)
    torch.testing.assert_close(path.at(torch.tensor([1.0, 3.0, 5.0])), poses)
    velocity = twist_from_rigid(poses[1] @ invert_rigid(poses[0]))
    for share in (0.25, 0.5, 0.9):
        expected = rigid_from_twist(share * velocity) @ poses[0]
        torch.testing.assert_close(path.at(torch.tensor([1 + 2 * share], dtype=F64))[0], expected)


def test_half_of_a_turn_about_an_axis_off_the_camera_is_half_of_the_turn_about_that_axis() -> None:
    # On paper: a quarter turn about the vertical line through (0, 0, 2) takes (0, 0, 0) to (-2, 0, 2).
    s = math.sqrt(0.5)
    quarter = torch.tensor([[0.0, 0, 1, -2], [0, 1, 0, 0], [-1, 0, 0, 2], [0, 0, 0, 1]], dtype=F64)
    halfway = torch.tensor([[s, 0, s, -2 * s], [0, 1, 0, 0], [-s, 0, s, 2 - 2 * s], [0, 0, 0, 1]], dtype=F64)
    path = MotionPath(torch.stack((torch.eye(4, dtype=F64), quarter)))
    torch.testing.assert_close(path.at(torch.zeros(1, dtype=F64))[0], halfway)


def test_a_constant_velocity_is_the_camera_itself_at_time_zero_exactly() -> None:
    velocity = torch.tensor([0.3, -1.0, 0.5, 2.0, 0.1, -0.7], dtype=F64)
    path = MotionPath.constant_velocity(velocity, reach=1.5)
    times = torch.tensor([-1.5, -0.2, 0.0, 1.1], dtype=F64)
    found = path.at(times)
    torch.testing.assert_close(found, rigid_from_twist(times.unsqueeze(1) * velocity))
    assert torch.equal(found[2], torch.eye(4, dtype=F64))


def test_a_cubic_path_of_a_steady_motion_is_that_motion() -> None:
    velocity = torch.tensor([0.2, 0.1, -0.3, 1.0, 0.0, 0.5], dtype=F64)
    path = MotionPath(rigid_from_twist(torch.arange(-1.0, 5.0, dtype=F64).unsqueeze(1) * velocity), 3, 0.0, 3.0)
    times = torch.linspace(0, 3, 7, dtype=F64)
    torch.testing.assert_close(path.at(times), rigid_from_twist(times.unsqueeze(1) * velocity))


def test_shifts_on_a_cubic_path_are_the_cubic_b_spline() -> None:
    # On paper: at a knot (1, 4, 1) / 6 of three poses, halfway between two (1, 23, 23, 1) / 48 of four.
    poses = torch.eye(4, dtype=F64).repeat(5, 1, 1)
    poses[:, 0, 3] = torch.tensor([0.0, 6, 0, 12, 48])
    found = MotionPath(poses, 3, 0.0, 2.0).at(torch.tensor([0.0, 0.5, 1.0, 1.5, 2.0]))[:, 0, 3]
    expected = torch.tensor([24 / 6, (23 * 6 + 12) / 48, (6 + 12) / 6, (6 + 23 * 12 + 48) / 48, (4 * 12 + 48) / 6])
    torch.testing.assert_close(found, expected.to(F64))


def test_a_cubic_path_has_no_jumps_in_velocity_or_acceleration() -> None:
    path = MotionPath(random_poses(6, size=0.4), 3, 0.0, 3.0)
    step = 1e-3

    def jets(at: float) -> tuple[Tensor, Tensor]:
        """Velocity and acceleration on one side of a time, from differences of three poses."""
        side = step if at > 0 else -step
        p = path.at(torch.tensor([abs(at), abs(at) + side, abs(at) + 2 * side], dtype=F64))
        return (p[1] - p[0]) / side, (p[2] - 2 * p[1] + p[0]) / side**2

    for knot in (1.0, 2.0):
        for before, after in zip(jets(-knot), jets(knot), strict=True):
            assert float((before - after).abs().max()) < 0.02
    assert float(jets(1.0)[1].abs().max()) > 0.1  # it does bend


@pytest.mark.parametrize("degree", [1, 3])
@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_equal_poses_are_no_motion_at_all(degree: int, dtype: torch.dtype) -> None:
    pose = random_poses(1)[0].to(dtype)
    path = MotionPath(pose.repeat(5, 1, 1), degree)  # pyright: ignore[reportArgumentType]
    for motion in path.at(torch.linspace(-0.5, 0.5, 9)):
        assert torch.equal(motion, pose)


@pytest.mark.parametrize("size", [0.0, 1e-9, 0.5])
@pytest.mark.parametrize("degree", [1, 3])
def test_gradients_of_control_poses_are_those_of_differences(degree: int, size: float) -> None:
    twists = size * torch.randn(5, 6, dtype=F64)
    times = torch.tensor([-0.5, -0.21, 0.0, 0.33], dtype=F64)

    def motions(twists: Tensor) -> Tensor:
        return MotionPath(rigid_from_twist(twists), degree).at(times)  # pyright: ignore[reportArgumentType]

    assert torch.autograd.gradcheck(motions, twists.requires_grad_())


def test_a_batch_of_paths_is_each_of_them() -> None:
    poses = random_poses(8).unflatten(0, (2, 4))
    times = torch.tensor([-0.4, 0.1, 0.5])
    together = MotionPath(poses, 3).at(times)
    assert MotionPath(poses, 3).is_batch
    for i in range(2):
        assert torch.equal(together[i], MotionPath(poses[i], 3).at(times))


def test_moments_are_the_middles_of_equal_parts_of_the_exposure() -> None:
    shutter = Shutter(duration=2.0, sub_frames=4, time=10.0)
    assert shutter.row_bands(7) == [(0, 7)]
    assert shutter.moments((0, 7), 7).tolist() == [9.25, 9.75, 10.25, 10.75]
    assert Shutter(duration=0.0, time=10.0).moments((0, 7), 7).tolist() == [10.0]


def test_rows_of_a_rolling_shutter_have_their_own_times() -> None:
    shutter = Shutter(duration=0.0, readout=4.0, bands=5, time=1.0)
    bands = shutter.row_bands(5)
    assert bands == [(i, i + 1) for i in range(5)]
    assert [float(shutter.moments(rows, 5)) for rows in bands] == [-1.0, 0.0, 1.0, 2.0, 3.0]
    upside_down = Shutter(duration=0.0, readout=-4.0, time=1.0)
    assert [float(upside_down.moments(rows, 5)) for rows in bands] == [3.0, 2.0, 1.0, 0.0, -1.0]
    assert float(shutter.moments((0, 1), 1)) == 1.0


@pytest.mark.parametrize(
    ("shutter", "count"),
    [
        (Shutter(readout=0.5, sub_frames=8), 4),
        (Shutter(readout=0.55, sub_frames=8), 5),
        (Shutter(readout=-3.0, sub_frames=8), 24),
        (Shutter(readout=100.0, sub_frames=8), 40),  # no more than rows
        (Shutter(duration=0.0, readout=2.0, sub_frames=8), 8),
        (Shutter(readout=0.5, bands=17), 17),
    ],
)
def test_bands_cover_all_rows_at_the_pace_of_the_sub_frames(shutter: Shutter, count: int) -> None:
    bands = shutter.row_bands(40)
    assert len(bands) == count
    assert [row for first, last in bands for row in range(first, last)] == list(range(40))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"sub_frames": 0}, "sub_frames"),
        ({"bands": 0}, "bands"),
        ({"duration": -0.1}, "at least 0"),
        ({"duration": math.nan}, "at least 0"),
        ({"readout": math.inf}, "readout"),
        ({"time": math.nan}, "time"),
    ],
)
def test_an_impossible_shutter_is_refused_in_one_paragraph(settings: dict[str, float], words: str) -> None:
    with pytest.raises(BadInputError, match=words) as refused:
        Shutter(**settings)  # pyright: ignore[reportArgumentType]
    assert "expected" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("count", "settings", "words"),
    [
        (1, {}, "1 control poses; expected at least 2"),
        (3, {"degree": 3}, "3 control poses; expected at least 4"),
        (2, {"begin": 1.0, "end": 1.0}, "expected finite times"),
        (2, {"end": math.inf}, "expected finite times"),
    ],
)
def test_an_impossible_path_is_refused_in_one_paragraph(count: int, settings: dict[str, float], words: str) -> None:
    with pytest.raises(BadInputError, match=words) as refused:
        MotionPath(random_poses(count), **settings)  # pyright: ignore[reportArgumentType]
    assert "\n" not in str(refused.value)


def test_poses_of_another_shape_or_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(BadInputError, match=r"shape \[1, 1, 2, 4, 4\]"):
        MotionPath(torch.eye(4).expand(1, 1, 2, 4, 4))
    with pytest.raises(BadInputError, match="not finite"):
        MotionPath(torch.full((2, 4, 4), math.nan))


def test_a_time_off_the_path_is_refused() -> None:
    path = MotionPath(random_poses(2), begin=0.0, end=1.0)
    with pytest.raises(BadInputError, match=r"from time 0\.5 to 1\.01, but its path goes from 0 to 1"):
        path.at(torch.tensor([0.5, 1.01]))
    path.at(torch.tensor([1 + 1e-12], dtype=F64))  # rounding is no mistake
