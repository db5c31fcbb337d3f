"""Photographs at the sizes that a fit uses."""

import torch

from hyperfocal.camera import project
from hyperfocal.fit.pyramid import Pyramid, shrunk
from hyperfocal.scene import Photograph
from scenes import pinhole


def photograph(width: int = 64, height: int = 48) -> Photograph:
    image = torch.rand(height, width, 3, generator=torch.Generator().manual_seed(0))
    return Photograph("a", image, torch.ones(height, width, dtype=torch.bool), pinhole(width, height))


def test_each_pixel_is_the_mean_of_what_it_covers() -> None:
    small = shrunk(photograph(), 2)
    assert small.image.shape == (24, 32, 3)
    torch.testing.assert_close(small.image[3, 5], photograph().image[6:8, 10:12].mean((0, 1)))


def test_the_camera_shrinks_with_the_picture() -> None:
    point = torch.tensor([[0.2, -0.1, 1.0]])
    large, small = photograph(), shrunk(photograph(), 3)
    at_large, at_small = (project(p.camera, point)[0] for p in (large, small))
    ratio = torch.tensor([small.camera.width / large.camera.width, small.camera.height / large.camera.height])
    torch.testing.assert_close(at_small, at_large * ratio)
    assert small.image.shape[:2] == (small.camera.height, small.camera.width)


def test_a_pixel_counts_only_if_all_that_it_covers_does() -> None:
    whole = photograph()
    whole.valid[7, 11] = False
    valid = shrunk(whole, 2).valid
    assert not valid[3, 5]
    assert int((~valid).sum()) == 1


def test_small_photographs_stay_large_enough_for_the_structural_term() -> None:
    assert shrunk(photograph(64, 48), 100).image.shape == (16, 21, 3)
    assert shrunk(photograph(20, 20), 4).image.shape == (20, 20, 3)


def test_every_size_is_made_once() -> None:
    pyramid = Pyramid((photograph(),))
    assert pyramid.level(2) is pyramid.level(2)
    assert pyramid.level(1)[0].image.shape == (48, 64, 3)
