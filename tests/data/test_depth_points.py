"""Points from the depth maps that came with photographs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hyperfocal.camera import project
from hyperfocal.data.depth_points import with_points_of_depth
from hyperfocal.scene import DepthFile, PointCloud, Scene, View
from photo_files import depth_of_relief, picture_of_relief, relief_views


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """Four views of the relief, the first without a depth map."""
    folder = tmp_path_factory.mktemp("relief with depth")
    views = relief_views(folder, 4)
    return Scene(folder, (views[0], *(with_depth(view, folder) for view in views[1:])))


def with_depth(view: View, folder: Path) -> View:
    assert view.camera is not None
    path = folder / f"{view.name}.npy"
    np.save(path, depth_of_relief(view.camera, view.distortion).numpy())
    return replace(view, depth=DepthFile(path, 1.0))


def test_points_of_depth_lie_on_the_walls_in_the_colours_of_the_photographs(measured: Scene) -> None:
    points = with_points_of_depth(measured, 3000).points
    assert points is not None
    assert len(points) == 3000
    z = points.positions[:, 2]
    assert float(torch.minimum(z.abs(), (z + 0.8).abs()).max()) < 1e-4
    assert 0.1 < float((z < -0.4).float().mean()) < 0.9  # both walls
    camera = measured.views[1].camera
    assert camera is not None
    pixels, _ = project(camera, points.positions[:1000])  # of the first view with depth
    rows, columns = pixels[:, 1].long(), pixels[:, 0].long()
    torch.testing.assert_close(points.colors[:1000], picture_of_relief(camera)[rows, columns], atol=1 / 255, rtol=0)


def test_no_point_is_taken_at_an_edge_of_depth(measured: Scene) -> None:
    camera = measured.views[1].camera
    assert camera is not None
    points = with_points_of_depth(replace(measured, views=measured.views[1:2]), 10**6).points
    assert points is not None
    depth_z = depth_of_relief(camera)
    edge = torch.zeros_like(depth_z, dtype=torch.bool)
    edge[:, 1:] |= (depth_z[:, 1:] - depth_z[:, :-1]).abs() > 0.3
    pixels, _ = project(camera, points.positions)
    assert bool(edge.any())
    assert not bool(edge[pixels[:, 1].long(), pixels[:, 0].long()].any())


def test_points_of_depth_are_added_to_those_of_the_scene(measured: Scene) -> None:
    known = PointCloud(torch.full((5, 3), 7.0), torch.zeros(5, 3))
    scene = with_points_of_depth(replace(measured, points=known), 300)
    assert scene.points is not None
    assert len(scene.points) == 305
    assert torch.equal(scene.points.positions[:5], known.positions)
    assert scene.notes == ("The fit starts from 300 points of 3 depth maps and 5 others.",)


def test_scenes_without_depth_stay_as_they_are(measured: Scene) -> None:
    without = replace(measured, views=measured.views[:1])
    assert with_points_of_depth(without, 100) is without
    assert with_points_of_depth(measured, 0) is measured


def test_the_choice_is_that_of_the_seed(measured: Scene) -> None:
    first, again, other = (with_points_of_depth(measured, 90, seed=seed).points for seed in (3, 3, 4))
    assert first is not None
    assert again is not None
    assert other is not None
    assert torch.equal(first.positions, again.positions)
    assert not torch.equal(first.positions, other.positions)


def test_a_map_that_knows_nothing_gives_no_points_and_a_note(measured: Scene, tmp_path: Path) -> None:
    view = measured.views[1]
    assert view.camera is not None
    np.save(tmp_path / "empty.npy", np.zeros((view.camera.height, view.camera.width), np.float32))
    scene = Scene(tmp_path, (replace(view, depth=DepthFile(tmp_path / "empty.npy", 1.0)),))
    found = with_points_of_depth(scene, 100)
    assert found.points is None
    assert "no pixel that can be believed" in found.notes[0]
