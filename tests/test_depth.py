import torch

from hyperfocal.camera import unproject
from hyperfocal.depth import Depth, normals_from_depth, z_from_ray_distance
from hyperfocal.lens import ThinLens
from scenes import pinhole, ring_of_cameras

F64 = torch.float64


def test_a_sphere_around_the_camera_has_constant_ray_distance():
    camera = pinhole(dtype=F64)
    z = z_from_ray_distance(camera, torch.full((24, 32), 2.0, dtype=F64))
    distance = unproject(camera, z).norm(dim=-1)
    torch.testing.assert_close(distance, torch.full((24, 32), 2.0, dtype=F64))


def test_a_tilted_plane_has_its_own_normal():
    # Points p with p . n = -3 where n faces the camera; ray direction (x, y, 1) * z gives z = -3 / (n . (x, y, 1)).
    camera = pinhole(dtype=F64)
    n = torch.nn.functional.normalize(torch.tensor([0.3, -0.2, -1.0], dtype=F64), dim=0)
    plane = unproject(camera, torch.ones(24, 32, dtype=F64))
    normals = normals_from_depth(camera, -3 / (plane @ n))
    torch.testing.assert_close(normals[1:-1, 1:-1], n.expand(22, 30, 3))
    assert normals[0].abs().max() == 0


def test_normals_are_in_world_axes():
    camera = ring_of_cameras(3, dtype=F64)[2]
    normals = normals_from_depth(camera, torch.full((camera.height, camera.width), 2.0, dtype=F64))
    facing = -camera.world_to_camera[2, :3]  # a fronto-parallel plane looks straight back
    torch.testing.assert_close(normals[5, 5], facing)


def test_unknown_depth_has_no_normal():
    depth = torch.full((24, 32), 2.0, dtype=F64)
    depth[10, 10] = 0
    normals = normals_from_depth(pinhole(dtype=F64), depth)
    for row, column in ((10, 10), (9, 10), (11, 10), (10, 9), (10, 11)):
        assert normals[row, column].abs().max() == 0
    assert normals[8, 8].abs().max() > 0


def test_depth_knows_where_it_is_known():
    depth = Depth(torch.tensor([[1.0, 0.0, float("nan")]]), "scene")
    assert depth.valid.tolist() == [[True, False, False]]


def test_a_point_in_focus_has_no_circle_of_confusion():
    # f-number 2 at f = 50 mm: a pupil of 25 mm; 1000 px, focus 2 m, point at 4 m: 0.025 * 1000 * (1/2 - 1/4) = 6.25 px.
    lens = ThinLens(aperture_diameter=torch.tensor(0.025), focus_distance=torch.tensor(2.0))
    diameters = lens.coc_diameter_px(torch.tensor([2.0, 4.0, 1.0]), torch.tensor(1000.0))
    torch.testing.assert_close(diameters, torch.tensor([0.0, 6.25, -12.5]))
