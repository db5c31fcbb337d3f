import math

import pytest
import torch

from hyperfocal import transforms

F64 = torch.float64


def random_rotations(count: int) -> torch.Tensor:
    q = torch.randn(count, 4, dtype=F64, generator=torch.Generator().manual_seed(0))
    return transforms.rotation_from_quaternion(q)


def test_a_quarter_turn_about_z_takes_x_to_y():
    q = torch.tensor([math.sqrt(0.5), 0, 0, math.sqrt(0.5)], dtype=F64)
    turned = transforms.rotation_from_quaternion(q) @ torch.tensor([1.0, 0, 0], dtype=F64)
    torch.testing.assert_close(turned, torch.tensor([0.0, 1, 0], dtype=F64))


def test_rotations_are_orthonormal_for_quaternions_of_any_length():
    rotations = transforms.rotation_from_quaternion(7 * torch.randn(50, 4, dtype=F64))
    torch.testing.assert_close(rotations @ rotations.mT, torch.eye(3, dtype=F64).expand(50, 3, 3))
    torch.testing.assert_close(torch.linalg.det(rotations), torch.ones(50, dtype=F64))


def test_quaternions_of_rotations_come_back_including_half_turns():
    half_turns = torch.diag_embed(torch.tensor([[1.0, -1, -1], [-1, 1, -1], [-1, -1, 1], [1, 1, 1]], dtype=F64))
    rotations = torch.cat((random_rotations(200), half_turns))
    q = transforms.quaternion_from_rotation(rotations)
    torch.testing.assert_close(transforms.rotation_from_quaternion(q), rotations)
    assert (q[:, 0] >= 0).all()


def test_an_inverted_transform_undoes_itself():
    pose = transforms.rigid(random_rotations(10), torch.randn(10, 3, dtype=F64))
    identity = torch.eye(4, dtype=F64).expand(10, 4, 4)
    torch.testing.assert_close(pose @ transforms.invert_rigid(pose), identity)


def test_an_opengl_pose_sees_what_is_before_it_to_its_right_and_above():
    # The camera lies on its side: a quarter turn about z, so that its right is world y, its up world -x.
    quarter = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]], dtype=F64)
    position = torch.tensor([1.0, 2, 3], dtype=F64)
    pose = transforms.world_to_camera_from_opengl(quarter, position)
    point = position + torch.tensor([-1.0, 3, -2], dtype=F64)  # 1 up, 3 to the right, 2 ahead
    torch.testing.assert_close(transforms.apply_rigid(pose, point), torch.tensor([3.0, -1, 2], dtype=F64))
    batch = transforms.world_to_camera_from_opengl(quarter.expand(2, 3, 3), position.expand(2, 3))
    torch.testing.assert_close(batch, pose.expand(2, 4, 4))


def test_look_at_puts_the_target_on_the_axis_and_up_at_smaller_rows():
    eye, target = torch.tensor([1.0, 2, 3], dtype=F64), torch.tensor([4.0, -1, 5], dtype=F64)
    up = torch.tensor([0.0, 0, 1], dtype=F64)
    pose = transforms.look_at(eye, target, up)
    seen = transforms.apply_rigid(pose, torch.stack((target, target + 0.1 * up, eye)))
    torch.testing.assert_close(seen[0], torch.tensor([0, 0, (target - eye).norm()], dtype=F64))
    assert seen[1, 1] < 0  # OpenCV axes: y is down
    torch.testing.assert_close(seen[2], torch.zeros(3, dtype=F64))


def test_the_point_nearest_to_two_skew_lines_is_midway_between_them():
    # The x axis, and a line along y that passes 2 above it at x = 3.
    points = torch.tensor([[7.0, 0, 0], [3, -5, 2]], dtype=F64)
    directions = torch.tensor([[1.0, 0, 0], [0, 1, 0]], dtype=F64)
    found = transforms.nearest_to_lines(points, directions)
    torch.testing.assert_close(found, torch.tensor([3.0, 0, 1], dtype=F64))


def test_a_point_nearest_to_parallel_lines_is_between_them():
    points = torch.tensor([[0.0, 0, 5], [4, 0, -1]], dtype=F64)
    directions = torch.tensor([[0.0, 0, 1], [0, 0, 1]], dtype=F64)
    found = transforms.nearest_to_lines(points, directions)
    torch.testing.assert_close(found[:2], torch.tensor([2.0, 0], dtype=F64))


def test_align_similarity_recovers_a_known_similarity():
    source = torch.randn(20, 3, dtype=F64, generator=torch.Generator().manual_seed(2))
    rotation = random_rotations(1)[0]
    target = 2.5 * source @ rotation.T + torch.tensor([1.0, -2, 3], dtype=F64)
    scale, found, translation = transforms.align_similarity(source, target)
    assert scale == pytest.approx(2.5)
    torch.testing.assert_close(found, rotation)
    torch.testing.assert_close(translation, torch.tensor([1.0, -2, 3], dtype=F64))


def test_align_similarity_never_mirrors():
    source = torch.randn(20, 3, dtype=F64, generator=torch.Generator().manual_seed(3))
    mirrored = source * torch.tensor([1.0, 1, -1], dtype=F64)
    _, rotation, _ = transforms.align_similarity(source, mirrored)
    assert torch.linalg.det(rotation).item() == pytest.approx(1.0)


ANGLES = [0.0, 1e-9, 1e-4, 0.19, 0.21, 0.70, 0.72, 2.0, 3.1]  # at zero, near it, and on both sides of each series


@pytest.mark.parametrize("angle", ANGLES)
def test_a_motion_is_the_matrix_exponential_of_its_twist_and_comes_back(angle: float):
    twist = torch.randn(6, dtype=F64)
    twist[:3] *= angle / twist[:3].norm()
    x, y, z, *shift = twist.tolist()
    generator = torch.tensor(
        [[0, -z, y, shift[0]], [z, 0, -x, shift[1]], [-y, x, 0, shift[2]], [0, 0, 0, 0]], dtype=F64
    )
    motion = transforms.rigid_from_twist(twist)
    torch.testing.assert_close(motion, torch.linalg.matrix_exp(generator), atol=1e-14, rtol=1e-14)
    torch.testing.assert_close(transforms.twist_from_rigid(motion), twist, atol=1e-14, rtol=1e-14)
    single = transforms.twist_from_rigid(transforms.rigid_from_twist(twist.float()))
    torch.testing.assert_close(single, twist.float(), atol=3e-6, rtol=0)


def test_no_motion_is_the_identity_exactly():
    assert torch.equal(transforms.rigid_from_twist(torch.zeros(2, 6)), torch.eye(4).expand(2, 4, 4))
    assert torch.equal(transforms.twist_from_rigid(torch.eye(4)), torch.zeros(6))


@pytest.mark.parametrize("angle", ANGLES)
def test_gradients_of_motions_and_twists_are_those_of_differences(angle: float):
    twist = torch.randn(6, dtype=F64)
    twist[:3] *= angle / twist[:3].norm()
    twist = twist.requires_grad_()
    assert torch.autograd.gradcheck(transforms.rigid_from_twist, twist)
    assert torch.autograd.gradcheck(lambda t: transforms.twist_from_rigid(transforms.rigid_from_twist(t)), twist)
    gradient = torch.autograd.functional.jacobian(
        lambda t: transforms.twist_from_rigid(transforms.rigid_from_twist(t)), twist
    )
    torch.testing.assert_close(gradient, torch.eye(6, dtype=F64), atol=1e-9, rtol=0)
