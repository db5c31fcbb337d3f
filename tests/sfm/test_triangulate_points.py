from dataclasses import replace
from pathlib import Path

import pytest
import torch

from hyperfocal.distortion import Distortion
from hyperfocal.errors import BadInputError, NothingUsableError
from hyperfocal.scene import Scene, View
from hyperfocal.sfm import SfmConfig, triangulate_points
from photo_files import relief_views

SMALL = SfmConfig(max_features=2000)
DISTORTIONS = (
    None,
    Distortion("opencv", (-0.1, 0.02, 0.001, 0.001, 0.01)),
    Distortion("fisheye", (0.02, 0.0, 0.0, 0.0)),
)


@pytest.mark.parametrize("distortion", DISTORTIONS)
def test_points_lie_on_the_walls(tmp_path: Path, distortion: Distortion | None):
    scene = Scene(tmp_path, tuple(relief_views(tmp_path, 5, distortion)))
    found = triangulate_points(scene, config=SMALL)
    assert found.views == scene.views  # the cameras stay as they are
    assert found.points is not None
    z = found.points.positions[:, 2]
    distance = torch.minimum(z.abs(), (z + 0.8).abs())
    assert len(z) > 150
    assert float(distance.median()) < 0.01
    assert float((distance < 0.05).float().mean()) > 0.95
    assert int((z < -0.4).sum()) > 20


def test_views_without_camera_are_not_opened(tmp_path: Path):
    views = relief_views(tmp_path, 4)
    unopened = View("unposed.png", tmp_path / "does not exist.png")
    found = triangulate_points(Scene(tmp_path, (*views, unopened)), config=SMALL)
    assert found.points is not None
    assert found.notes == ()


def test_one_posed_view_is_refused(tmp_path: Path):
    views = relief_views(tmp_path, 2)
    with pytest.raises(BadInputError, match="has 1 views with a known camera; points need at least 2"):
        triangulate_points(Scene(tmp_path, (views[0], replace(views[1], camera=None))))


def test_poses_of_other_photographs_are_nothing_usable(tmp_path: Path):
    views = relief_views(tmp_path, 3)
    noise = [replace(view, image=torch.rand(240, 320, 3)) for view in views]
    with pytest.raises(NothingUsableError, match="share no points that fit their cameras"):
        triangulate_points(Scene(tmp_path, tuple(noise)), config=SMALL)
