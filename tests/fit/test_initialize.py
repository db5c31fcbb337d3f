"""The first Gaussians of a fit."""

from pathlib import Path

import pytest
import torch

from hyperfocal.camera import project
from hyperfocal.errors import NothingUsableError
from hyperfocal.fit import (
    FitConfig,
    InitialConfig,
    McmcConfig,
    initialize_gaussians,
    with_fewer_points,
    with_random_points,
)
from hyperfocal.fit.extent import distance_to_subject
from hyperfocal.fit.initialize import neighbour_distances
from hyperfocal.scene import PointCloud, Scene, View
from scenes import ring_of_cameras


def grid(side: int, spacing: float) -> torch.Tensor:
    steps = spacing * torch.arange(side)
    return torch.stack(torch.meshgrid(steps, steps, steps, indexing="ij"), dim=-1).reshape(-1, 3)


def seen_by(count: int) -> Scene:
    cameras = ring_of_cameras(count)
    views = tuple(View(f"{i}.png", Path(f"{i}.png"), cameras[i]) for i in range(count))
    return Scene(Path("somewhere"), views)


def test_points_of_a_grid_get_its_spacing_as_scale() -> None:
    torch.testing.assert_close(neighbour_distances(grid(4, 0.5)), torch.full((64,), 0.5))


def test_outliers_and_duplicates_get_bounded_scales() -> None:
    positions = torch.cat((grid(5, 1.0), torch.tensor([[1000.0, 0, 0], [2, 2, 2], [2, 2, 2], [2, 2, 2]])))
    distances = neighbour_distances(positions)
    assert float(distances[125]) == pytest.approx(10)
    assert float(distances[126]) == pytest.approx(0.01)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_very_few_points_are_enough(count: int) -> None:
    distances = neighbour_distances(torch.eye(4, 3)[:count])
    assert distances.shape == (count,)
    assert bool((distances > 0).all())


def test_points_that_all_coincide_still_get_a_size() -> None:
    assert neighbour_distances(torch.ones(5, 3)).tolist() == [1.0] * 5


def test_points_become_gaussians_as_the_configuration_says() -> None:
    points = PointCloud(grid(3, 2.0), torch.full((27, 3), 0.25))
    config = FitConfig(sh_degree=1, initial=InitialConfig(opacity=0.3, scale_factor=0.5))
    g = initialize_gaussians(Scene(Path("x"), (), points), config)
    assert g.sh.shape == (27, 4, 3)
    torch.testing.assert_close(g.scales, torch.ones(27, 3))
    torch.testing.assert_close(g.opacities, torch.full((27,), 0.3))
    assert torch.equal(g.means, points.positions)


def test_a_fit_starts_with_no_more_gaussians_than_it_may_have() -> None:
    points = PointCloud(grid(5, 1.0), torch.rand(125, 3, generator=torch.Generator().manual_seed(0)))
    scene = Scene(Path("x"), (), points)
    config = FitConfig(densify=McmcConfig(cap=40), initial=InitialConfig())
    fewer = with_fewer_points(scene, config)
    assert "Of 125 points 40" in fewer.notes[-1]
    assert fewer.points is not None
    kept = {tuple(row) for row in torch.cat((fewer.points.positions, fewer.points.colors), 1).tolist()}
    assert len(kept) == 40
    assert kept <= {tuple(row) for row in torch.cat((points.positions, points.colors), 1).tolist()}
    assert with_fewer_points(fewer, config) is fewer
    assert with_fewer_points(scene, FitConfig()) is scene
    assert len(initialize_gaussians(scene, config)) == 40


def test_without_points_random_ones_are_scattered_where_the_cameras_look() -> None:
    scene = with_random_points(seen_by(5), 1000, seed=1)
    assert scene.points is not None
    assert "1,000 random" in scene.notes[-1]
    visible = torch.zeros(1000)
    for view in scene.views:
        assert view.camera is not None
        pixels, depth_z = project(view.camera, scene.points.positions)
        size = torch.tensor([view.camera.width, view.camera.height])
        visible += ((depth_z > 0) & (pixels > -1e-3).all(1) & (pixels < size + 1e-3).all(1)).float()
    assert float(visible.min()) >= 1


def test_random_points_depend_on_the_seed_alone() -> None:
    config = FitConfig(initial=InitialConfig(random_points=100))
    a, b = (initialize_gaussians(seen_by(3), config) for _ in range(2))
    assert torch.equal(a.means, b.means)
    assert len(a) == 100


def test_cameras_that_look_at_one_point_are_as_far_as_they_are() -> None:
    cameras = ring_of_cameras(5)
    away = [float(camera.centers().norm()) for camera in (cameras[i] for i in range(5))]
    assert distance_to_subject([cameras[i] for i in range(5)]) == pytest.approx(sorted(away)[2], rel=0.01)


def test_one_camera_is_enough_for_random_points() -> None:
    assert len(initialize_gaussians(seen_by(1), FitConfig(initial=InitialConfig(random_points=50)))) == 50


def test_a_scene_without_points_and_cameras_is_refused() -> None:
    with pytest.raises(NothingUsableError, match="neither points nor"):
        initialize_gaussians(Scene(Path("empty"), ()))
