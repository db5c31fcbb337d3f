from dataclasses import replace

import pytest
import torch

from hyperfocal.camera import Camera, in_picture, pixel_centers, project, reduced_size, stack, unproject
from scenes import pinhole, ring_of_cameras


def test_the_axis_meets_the_image_at_the_principal_point():
    camera = pinhole(32, 24)
    pixels, depth_z = project(camera, torch.tensor([[0.0, 0, 5], [1, 0, 5], [0, 1, 5]]))
    assert pixels.tolist() == [[16, 12], [22, 12], [16, 18]]  # 30 px * 1 / 5 = 6 px: x to the right, y down
    assert depth_z.tolist() == [5, 5, 5]


def test_the_first_pixel_centre_is_at_one_half():
    centers = pixel_centers(3, 2)
    assert centers.shape == (2, 3, 2)
    assert centers[0, 0].tolist() == [0.5, 0.5]
    assert centers[1, 2].tolist() == [2.5, 1.5]


def test_unproject_is_the_inverse_of_project():
    camera = ring_of_cameras(3, dtype=torch.float64)[1]
    depth_z = 1 + torch.rand(camera.height, camera.width, dtype=torch.float64)
    pixels, z = project(camera, unproject(camera, depth_z).reshape(-1, 3))
    torch.testing.assert_close(pixels, pixel_centers(camera.width, camera.height).double().reshape(-1, 2))
    torch.testing.assert_close(z, depth_z.reshape(-1))


def test_a_resized_camera_sees_the_same_point_at_the_same_fraction_of_the_image():
    camera = ring_of_cameras(1, 40, 30)[0]
    point = torch.tensor([[0.2, -0.1, 0.3]])
    small = camera.resized(20, 10)
    a, b = project(camera, point)[0], project(small, point)[0]
    torch.testing.assert_close(a / torch.tensor([40.0, 30.0]), b / torch.tensor([20.0, 10.0]))


@pytest.mark.parametrize(
    ("size", "long_side", "reduced"),
    [
        ((4000, 3000), 1600, (1600, 1200)),
        ((300, 1000), 500, (150, 500)),
        ((1000, 1), 10, (10, 1)),  # no side vanishes
        ((8, 6), 8, (8, 6)),
        ((8, 6), 100, (8, 6)),  # nothing is enlarged
        ((8, 6), None, (8, 6)),
    ],
)
def test_sizes_are_reduced_to_a_longest_side(
    size: tuple[int, int], long_side: int | None, reduced: tuple[int, int]
) -> None:
    assert reduced_size(size, long_side) == reduced


def test_centers_are_where_the_cameras_stand():
    cameras = ring_of_cameras(3, dtype=torch.float64)
    at_origin = (cameras.world_to_camera[:, :3, :3] @ cameras.centers().unsqueeze(-1)).squeeze(-1)
    torch.testing.assert_close(at_origin, -cameras.world_to_camera[:, :3, 3])


def test_stack_and_index_are_inverses():
    cameras = ring_of_cameras(3)
    again = stack([cameras[i] for i in range(3)])
    assert torch.equal(again.world_to_camera, cameras.world_to_camera)
    with pytest.raises(ValueError, match="one size"):
        stack([cameras[0], cameras[1].resized(8, 8)])
    with pytest.raises(TypeError, match="single view"):
        cameras[0][0]


def test_impossible_cameras_are_refused():
    with pytest.raises(ValueError, match="at least one pixel"):
        replace(pinhole(), width=0)
    with pytest.raises(ValueError, match="Focal lengths"):
        Camera(torch.eye(4), torch.tensor([0.0, 1.0]), torch.zeros(2), 4, 4)
    with pytest.raises(ValueError, match="Focal lengths"):
        Camera(torch.eye(4), torch.tensor([float("nan"), 1.0]), torch.zeros(2), 4, 4)


def test_the_picture_ends_where_its_pixels_do() -> None:
    camera = pinhole(32, 24)
    pixels = torch.tensor([[0.0, 0.0], [31.9, 23.9], [32.0, 12.0], [16.0, 24.0], [-0.1, 12.0], [16.0, 12.0]])
    depth_z = torch.tensor([1.0, 1.0, 1.0, 1.0, 1.0, -1.0])
    assert in_picture(camera, pixels, depth_z).tolist() == [True, True, False, False, False, False]
