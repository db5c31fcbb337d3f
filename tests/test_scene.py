from pathlib import Path

import pytest
import torch

from hyperfocal.camera import Camera
from hyperfocal.scene import PointCloud, Scene, View, camera_extent, split_views
from scenes import pinhole


def views(count: int) -> tuple[View, ...]:
    return tuple(View(f"{i:02d}.jpg", Path(f"{i:02d}.jpg")) for i in range(count))


def at(x: float) -> Camera:
    pose = torch.eye(4)
    pose[0, 3] = -x
    return Camera(pose, torch.ones(2), torch.ones(2), 2, 2)


def test_two_views_of_one_name_are_refused():
    with pytest.raises(ValueError, match=r"\['00.jpg'\] more than once"):
        Scene(Path("x"), (*views(2), *views(1)))


def test_every_eighth_view_by_name_is_held_out_from_the_first():
    training, held_out = split_views(tuple(reversed(views(17))), 8)
    assert [view.name for view in held_out] == ["00.jpg", "08.jpg", "16.jpg"]
    assert len(training) == 14
    assert {*training}.isdisjoint(held_out)


def test_zero_holds_nothing_out():
    assert split_views(views(3), 0) == (views(3), ())


@pytest.mark.parametrize("every", [1, -2])
def test_holding_out_everything_is_refused(every: int):
    with pytest.raises(ValueError, match="at least 2"):
        split_views(views(3), every)


def test_camera_extent_is_the_largest_distance_from_the_mean_and_a_tenth():
    posed = tuple(View(f"{x}", Path(f"{x}"), at(x)) for x in (0.0, 1.0, 5.0))
    assert camera_extent((*posed, *views(1))) == pytest.approx(1.1 * 3.0)


def test_posed_views_are_those_with_a_camera():
    posed = View("a", Path("a"), pinhole())
    assert Scene(Path("x"), (posed, *views(2))).posed_views == (posed,)


def test_notes_are_added_at_the_end():
    assert Scene(Path("x"), (), notes=("first",)).with_notes("second", "third").notes == ("first", "second", "third")


def test_a_scene_prints_its_counts():
    points = PointCloud(torch.zeros(1234, 3), torch.zeros(1234, 3))
    assert repr(Scene(Path("a/b"), views(2), points)) == "Scene(b: 0 of 2 views posed, 1,234 points)"
