"""Cleaning, on a scene whose floaters are known because they were put there."""

from dataclasses import replace

import pytest
import torch

from hyperfocal.camera import Camera
from hyperfocal.fit.config import InitialConfig
from hyperfocal.fit.sky import dome, sky_of
from hyperfocal.gaussians import Gaussians, concatenate, from_points
from hyperfocal.metrics import psnr
from hyperfocal.reconstruct.clean import Cleaned, clean, isolation, scene_diagonal
from hyperfocal.reconstruct.clean_config import CleanConfig
from hyperfocal.render import render
from hyperfocal.transforms import apply_rigid, invert_rigid
from scenes import ring_of_cameras

OFF = CleanConfig(min_opacity=0.0, min_weight=0.0, near=0.0, isolation=0.0, max_size=0.0)
V = 6


def cameras() -> tuple[Camera, ...]:
    batch = ring_of_cameras(V)
    return tuple(batch[i] for i in range(V))


def ball(n: int = 3000) -> Gaussians:
    """An opaque ball of radius one around the origin, several Gaussians deep."""
    directions = torch.nn.functional.normalize(torch.randn(n, 3, generator=torch.Generator().manual_seed(1)), dim=1)
    colors = (directions + 1) / 2
    return from_points(directions, colors, torch.full((n,), 0.1), opacity=0.9, sh_degree=0)


def floaters() -> dict[str, Gaussians]:
    """One kind of floater for every rule."""
    before_a_camera = apply_rigid(invert_rigid(cameras()[2].world_to_camera), torch.tensor([[0.02, 0.01, 0.25]]))
    in_the_air = torch.tensor([[2.0, -1.3, 0.2], [-2.1, 1.2, 0.1]])
    white = torch.ones(1, 3)
    return {
        "min_opacity": from_points(torch.rand(5, 3), white.expand(5, 3), torch.full((5,), 0.1), opacity=0.003),
        "min_weight": from_points(0.3 * torch.randn(7, 3), white.expand(7, 3), torch.full((7,), 0.02), opacity=0.9),
        "near": from_points(before_a_camera, white, torch.full((1,), 0.02), opacity=0.9),
        "isolation": from_points(in_the_air, white.expand(2, 3), torch.full((2,), 0.03), opacity=0.9),
        "max_size": from_points(torch.zeros(1, 3), white, torch.full((1,), 4.0), opacity=0.3),
    }


def with_floaters(*kinds: str) -> tuple[Gaussians, torch.Tensor]:
    """Return (the ball with floaters of some kinds, which of the Gaussians are floaters)."""
    added = [floaters()[kind] for kind in kinds]
    scene = concatenate([ball(), *added]).with_sh_degree(0)
    return scene, torch.arange(len(scene)) >= len(ball())


def test_a_sky_does_not_make_everything_near() -> None:
    sky = sky_of(cameras(), InitialConfig(sky=4000))
    assert sky is not None
    far = dome(sky, 4000, cameras(), torch.zeros(0, 3), opacity=0.99, sh_degree=0)
    scene = concatenate([ball(), far, floaters()["near"]]).with_sh_degree(0)
    in_pictures = render(scene, cameras()[0]).depth_median > sky.radius / 2
    assert float(in_pictures.float().mean()) > 0.5
    cleaned = clean(scene, cameras(), replace(OFF, near=0.1))
    assert torch.equal(cleaned.removed, torch.arange(len(scene)) == len(scene) - 1)


@pytest.mark.parametrize(
    ("rule", "value"),
    [("min_opacity", 0.005), ("min_weight", 0.05), ("near", 0.1), ("isolation", 8.0), ("max_size", 0.5)],
)
def test_a_rule_takes_its_floaters_and_no_others(rule: str, value: float) -> None:
    scene, is_floater = with_floaters(rule)
    cleaned = clean(scene, cameras(), replace(OFF, **{rule: value}))
    # Of the ball itself only what no camera of the arc sees may go: its back.
    kept_ball = ~cleaned.removed[~is_floater]
    assert bool(cleaned.removed[is_floater].all())
    assert bool(kept_ball.all()) if rule != "min_weight" else int(kept_ball.sum()) > 1500
    assert cleaned.counts == {rule: int(cleaned.removed.sum())}
    assert len(cleaned.gaussians) == len(scene) - int(cleaned.removed.sum())


def test_cleaning_with_the_defaults_takes_the_floaters_and_betters_the_pictures() -> None:
    scene, is_floater = with_floaters("min_opacity", "min_weight", "near", "isolation")
    cleaned = clean(scene, cameras())
    assert bool(cleaned.removed[is_floater].all())
    assert set(cleaned.counts) == {"min_opacity", "min_weight", "near", "isolation"}
    truths = [render(ball(), camera).color for camera in cameras()]
    before, after = (
        [psnr(render(g, camera).color, truth) for camera, truth in zip(cameras(), truths, strict=True)]
        for g in (scene, cleaned.gaussians)
    )
    assert before[2] < 25, "the camera with a floater before it"
    assert min(after) > 38, "what is left differs from the ball by what hardly any pixel sees"
    assert sum(after) > sum(before)


def test_a_clean_scene_stays_as_it_is() -> None:
    cleaned = clean(ball(), cameras(), replace(CleanConfig(), min_weight=0.0))
    assert len(cleaned.gaussians) == len(ball())
    assert not bool(cleaned.removed.any())


def test_the_box_keeps_what_is_inside() -> None:
    cleaned = clean(ball(), config=replace(OFF, crop=(-2.0, -2.0, 0.0, 2.0, 2.0, 2.0)))
    assert torch.equal(cleaned.removed, ball().means[:, 2] < 0)


def test_without_cameras_their_rules_are_skipped_and_named() -> None:
    cleaned = clean(with_floaters("near")[0])
    assert cleaned.skipped == ("min_weight", "near")
    assert set(cleaned.counts) == {"min_opacity", "isolation"}


def test_isolation_of_known_points() -> None:
    """Points on a line, 1 apart, with deviations of 0.25: the third neighbour of the end is 3 away, over 0.5."""
    x = torch.arange(5.0)
    points = torch.stack((x, 0 * x, 0 * x), dim=1)
    row = from_points(points, torch.ones(5, 3), torch.full((5,), 0.25))
    assert isolation(row).tolist() == pytest.approx([6.0, 4.0, 4.0, 4.0, 6.0])
    assert isolation(row.select(torch.tensor([0, 1]))).tolist() == [0, 0], "too few to be alone among"


def test_isolation_does_not_depend_on_the_scale_of_the_scene() -> None:
    grown = ball().transformed(100.0, torch.eye(3), torch.zeros(3))
    assert torch.allclose(isolation(grown), isolation(ball()), rtol=1e-4)


def test_the_diagonal_is_that_of_most_of_the_centres() -> None:
    far = from_points(torch.tensor([[900.0, 0.0, 0.0]]), torch.ones(1, 3), torch.ones(1), sh_degree=0)
    assert scene_diagonal(concatenate([ball(), far])) == pytest.approx(2 * 3**0.5, rel=0.05)


def test_no_gaussians_are_no_error() -> None:
    empty = ball().select(torch.zeros(3000, dtype=torch.bool))
    cleaned: Cleaned = clean(empty, cameras(), replace(CleanConfig(), max_size=0.5))
    assert len(cleaned.gaussians) == 0


@pytest.mark.parametrize(
    "setting",
    [{"min_opacity": 2.0}, {"near": 1.0}, {"isolation": -1.0}, {"crop": (0.0, 0.0, 0.0, 1.0, 1.0, 0.0)}],
)
def test_settings_out_of_range_are_refused(setting: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(setting))):
        CleanConfig(**setting)
