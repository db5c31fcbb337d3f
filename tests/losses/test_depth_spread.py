from dataclasses import replace

import pytest
import torch
from torch import Tensor

from hyperfocal.fit.config import FitConfig
from hyperfocal.fit.schedules import SPREAD_EVERY, has_spread
from hyperfocal.gaussians import Gaussians
from hyperfocal.losses.depth_spread import depth_spread_loss
from hyperfocal.rendering import RenderOptions
from scenes import pinhole, random_gaussians, ring_of_cameras

PIXEL = pinhole(1, 1)
RANGE = 0.5  # of 1 / z


def sheets(depths: Tensor, opacities: Tensor) -> Gaussians:
    """Wide, flat Gaussians one behind the other on the axis."""
    n = len(depths)
    means = torch.stack((torch.zeros(n), torch.zeros(n), depths), dim=1)
    return Gaussians(
        means=means,
        quaternions=torch.tensor([[1.0, 0, 0, 0]]).expand(n, 4),
        scales=torch.tensor([[50.0, 50.0, 1e-4]]).expand(n, 3),
        opacities=opacities,
        sh=torch.zeros(n, 1, 3),
    )


def loss(gaussians: Gaussians) -> Tensor:
    return depth_spread_loss(gaussians, PIXEL, RANGE, RenderOptions())


def test_two_sheets_have_the_spread_of_their_weights() -> None:
    # Weights 0.6 and 0.4 * 0.9 of inverse depths 1/2 and 1/4, which are half of the range apart.
    share = torch.tensor([0.6, 0.4 * 0.9])
    share /= share.sum()
    expected = ((share.prod() * 0.5**2 + 0.02**2).sqrt() - 0.02).item()
    found = loss(sheets(torch.tensor([2.0, 4.0]), torch.tensor([0.6, 0.9])))
    assert found.item() == pytest.approx(expected, rel=1e-4)


def test_a_closed_surface_has_none_and_finite_gradients() -> None:
    opacities = torch.tensor([0.999, 0.9], requires_grad=True)
    depths = torch.tensor([2.0, 2.0], requires_grad=True)
    found = loss(sheets(depths, opacities))
    assert found.item() == pytest.approx(0, abs=1e-5)
    gradients = torch.autograd.grad(found, (opacities, depths))
    assert all(bool(gradient.isfinite().all()) for gradient in gradients)


def test_its_slope_closes_what_is_in_front_and_thins_what_shines_through() -> None:
    opacities = torch.tensor([0.7, 0.9], requires_grad=True)
    depths = torch.tensor([2.0, 4.0], requires_grad=True)
    opacity, depth = torch.autograd.grad(loss(sheets(depths, opacities)), (opacities, depths))
    assert opacity[0] < 0 < opacity[1]
    assert depth[0] < 0 < depth[1]  # descent brings them together


def test_a_pixel_without_a_surface_does_not_count() -> None:
    assert loss(sheets(torch.tensor([2.0, 4.0]), torch.tensor([0.2, 0.2]))).item() == 0


def test_the_unit_of_the_scene_does_not_matter() -> None:
    gaussians, camera = random_gaussians(200, sh_degree=0), ring_of_cameras(1)[0]
    small = depth_spread_loss(gaussians, camera, 0.1, RenderOptions())
    pose = camera.world_to_camera.clone()
    pose[:3, 3] *= 7
    larger = replace(gaussians, means=7 * gaussians.means, scales=7 * gaussians.scales)
    large = depth_spread_loss(larger, replace(camera, world_to_camera=pose), 0.1 / 7, RenderOptions())
    assert small.item() > 0.05
    assert large.item() == pytest.approx(small.item(), rel=1e-3)


def test_colours_get_no_gradient() -> None:
    gaussians = random_gaussians(50)
    sh = gaussians.sh.requires_grad_()
    found = depth_spread_loss(replace(gaussians, sh=sh), ring_of_cameras(1)[0], 0.1, RenderOptions())
    assert not found.requires_grad or torch.autograd.grad(found, sh, allow_unused=True)[0] is None


def test_a_fit_has_it_now_and_then_in_its_later_part() -> None:
    config = FitConfig(steps=40, spread_start=0.5)
    assert [index for index in range(40) if has_spread(config, index)] == list(range(20, 40, SPREAD_EVERY))
    assert not any(has_spread(replace(config, spread_weight=0.0), index) for index in range(40))
