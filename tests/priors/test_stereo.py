"""Stereo on photographs of two walls whose depth is known."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from hyperfocal.camera import project, unproject
from hyperfocal.depth import Depth
from hyperfocal.errors import BadInputError, NothingUsableError
from hyperfocal.priors.stereo import StereoConfig, stereo_depth
from hyperfocal.priors.stereo_views import choose_sources, induced_maps, range_of_points, widest_ranges
from hyperfocal.scene import Photograph
from stereo_twin import walls

CONFIG = StereoConfig(planes=32)


@pytest.fixture(scope="module")
def scene() -> tuple[list[Photograph], list[Tensor]]:
    return walls()


@pytest.fixture(scope="module")
def points(scene: tuple[list[Photograph], list[Tensor]]) -> Tensor:
    return torch.cat([unproject(p.camera, z)[::9, ::9].reshape(-1, 3) for p, z in zip(*scene, strict=True)])


@pytest.fixture(scope="module")
def found(scene: tuple[list[Photograph], list[Tensor]], points: Tensor) -> tuple[Depth, ...]:
    return stereo_depth(scene[0], points, config=CONFIG)


def errors(depth: Depth, truth: Tensor) -> Tensor:
    return ((depth.values - truth).abs() / truth)[depth.valid]


def test_depth_is_found_almost_everywhere(
    found: tuple[Depth, ...], scene: tuple[list[Photograph], list[Tensor]]
) -> None:
    for depth, truth in zip(found, scene[1], strict=True):
        assert depth.kind == "scene" and depth.axis == "z"
        assert float(depth.valid.double().mean()) > 0.75
        wrong = errors(depth, truth)
        assert float(wrong.median()) < 0.003
        assert float((wrong < 0.03).double().mean()) > 0.95


def test_unknown_is_0_and_has_no_confidence(found: tuple[Depth, ...]) -> None:
    for depth in found:
        assert depth.confidence is not None
        assert float(depth.confidence.min()) >= 0 and float(depth.confidence.max()) <= 1
        assert bool((depth.confidence[depth.values == 0] == 0).all())
        assert bool((depth.values >= 0).all())


def test_confident_pixels_are_better_ones(
    found: tuple[Depth, ...], scene: tuple[list[Photograph], list[Tensor]]
) -> None:
    wrong = torch.cat([errors(depth, truth) for depth, truth in zip(found, scene[1], strict=True)])
    maps = [torch.zeros(0) if depth.confidence is None else depth.confidence for depth in found]
    confidence = torch.cat([values[depth.valid] for values, depth in zip(maps, found, strict=True)])
    order = confidence.argsort()
    half = len(order) // 2
    assert float((wrong[order[half:]] > 0.01).double().mean()) < float((wrong[order[:half]] > 0.01).double().mean())


def test_without_points_the_photographs_say_which_depths_to_try(scene: tuple[list[Photograph], list[Tensor]]) -> None:
    for depth, truth in zip(stereo_depth(scene[0], config=CONFIG), scene[1], strict=True):
        assert float(depth.valid.double().mean()) > 0.6
        assert float(errors(depth, truth).median()) < 0.006


def test_slanted_planes_are_better_than_the_sweep_alone(
    found: tuple[Depth, ...], scene: tuple[list[Photograph], list[Tensor]], points: Tensor
) -> None:
    swept = stereo_depth(scene[0], points, config=replace(CONFIG, rounds=0))
    refined, plain = (float(errors(depth[2], scene[1][2]).median()) for depth in (found, swept))
    assert refined < 0.8 * plain


def test_metres_and_threads(
    found: tuple[Depth, ...], scene: tuple[list[Photograph], list[Tensor]], points: Tensor
) -> None:
    again = stereo_depth(scene[0], points, config=CONFIG, metres_per_unit=2.0, threads=3)
    assert again[1].kind == "metric"
    assert torch.allclose(again[1].values, 2 * found[1].values)
    assert torch.equal(again[1].valid, found[1].valid)


def test_masked_pixels_stay_unknown_and_spoil_no_other(
    scene: tuple[list[Photograph], list[Tensor]], points: Tensor
) -> None:
    valid = torch.ones_like(scene[0][0].valid)
    valid[:, :20] = False
    masked = [replace(scene[0][1], valid=valid, image=scene[0][1].image.clone())]
    masked[0].image[:, :20] = 1.0
    depths = stereo_depth([scene[0][0], *masked, *scene[0][2:]], points, config=CONFIG)
    assert not depths[1].valid[:, :20].any()
    assert float((errors(depths[0], scene[1][0]) < 0.03).double().mean()) > 0.93


def test_photographs_of_something_else_are_not_believed(
    scene: tuple[list[Photograph], list[Tensor]], points: Tensor
) -> None:
    generator = torch.Generator().manual_seed(0)
    noise = [replace(p, image=torch.rand(p.image.shape, generator=generator)) for p in scene[0]]
    depths = stereo_depth(noise, points, config=CONFIG)
    assert sum(float(depth.valid.double().mean()) for depth in depths) / len(depths) < 0.25


def test_a_pixel_at_an_inverse_depth_is_where_the_cameras_say(scene: tuple[list[Photograph], list[Tensor]]) -> None:
    first, second = scene[0][0].camera, scene[0][3].camera
    H, shift = induced_maps(first, second)
    world = unproject(first, scene[1][0])[10, 20]
    pixel, _ = project(second, world[None])
    q = H @ torch.tensor([20.5, 10.5, 1.0], dtype=torch.float64) + shift / float(scene[1][0][10, 20])
    assert torch.allclose(q[:2] / q[2], pixel[0].double(), atol=1e-3)


def test_ranges_hold_what_is_seen(scene: tuple[list[Photograph], list[Tensor]], points: Tensor) -> None:
    cameras = [photograph.camera for photograph in scene[0]]
    known = range_of_points(cameras[2], points)
    truth = 1 / scene[1][2]
    assert known is not None and known.far < float(truth.min()) and known.near > float(truth.max())
    wide = widest_ranges(cameras)[2]
    assert wide.far < known.far and wide.near > known.near
    assert range_of_points(cameras[2], points[:5]) is None


def test_twins_at_one_place_and_cameras_looking_elsewhere_are_no_sources(
    scene: tuple[list[Photograph], list[Tensor]], points: Tensor
) -> None:
    cameras = [photograph.camera for photograph in scene[0]]
    turned = cameras[0].world_to_camera.clone()
    turned[:3] = torch.diag(torch.tensor([-1.0, 1, -1])) @ turned[:3]
    cameras += [cameras[2], replace(cameras[0], world_to_camera=turned)]
    chosen = choose_sources(cameras, [points] * len(cameras), 6)
    assert 5 not in chosen[2] and 2 not in chosen[5]
    assert all(6 not in one for one in chosen)


def test_bad_input_is_said(scene: tuple[list[Photograph], list[Tensor]]) -> None:
    first = scene[0][0]
    with pytest.raises(BadInputError, match="needs at least 2"):
        stereo_depth([first])
    with pytest.raises(BadInputError, match="one place"):
        stereo_depth([first, first])
    pose = first.camera.world_to_camera.clone()
    pose[:3] = torch.diag(torch.tensor([-1.0, 1, -1])) @ pose[:3]
    pose[0, 3] = 1.0
    away = replace(first, name="away", camera=replace(first.camera, world_to_camera=pose))
    with pytest.raises(NothingUsableError, match="No two"):
        stereo_depth([first, away])
    with pytest.raises(ValueError, match="planes"):
        StereoConfig(planes=1)
