"""The reference renderer against cases that can be solved on paper, and against finite differences."""

import math
from dataclasses import replace

import pytest
import torch

from hyperfocal.gaussians import Gaussians, concatenate
from hyperfocal.render import render
from hyperfocal.render.reference import project_gaussians
from hyperfocal.rendering import RenderOptions
from hyperfocal.sh import dc_from_color
from scenes import pinhole, random_gaussians, ring_of_cameras

F64 = torch.float64


def ball(
    x: float, y: float, z: float, *, sigma: float = 0.1, opacity: float = 0.8, color: tuple = (1.0, 0.5, 0.25)
) -> Gaussians:
    """One round Gaussian."""
    return Gaussians(
        means=torch.tensor([[x, y, z]], dtype=F64),
        quaternions=torch.tensor([[1.0, 0, 0, 0]], dtype=F64),
        scales=torch.full((1, 3), sigma, dtype=F64),
        opacities=torch.tensor([opacity], dtype=F64),
        sh=dc_from_color(torch.tensor([[color]], dtype=F64)),
    )


def on_pixel(row: int, column: int, z: float) -> tuple[float, float]:
    """World x, y at depth z that the default pinhole sees at a pixel's centre."""
    return (column + 0.5 - 16) * z / 30, (row + 0.5 - 12) * z / 30


def draw(gaussians: Gaussians, **options):
    return render(gaussians, pinhole(dtype=F64), backend="reference", options=RenderOptions(**options))


def test_a_splat_has_its_opacity_at_its_centre_and_falls_off_as_its_projected_gaussian():
    # At z = 3 and f = 30 px a ball of sigma 0.1 has sigma 1 px on the axis; with the low-pass its variance is 1.3 px^2.
    x, y = on_pixel(12, 16, 3.0)
    out = draw(ball(x, y, 3.0))
    assert out.alpha[12, 16].item() == pytest.approx(0.8, abs=1e-12)
    # Just off the axis the Jacobian's third column adds (f x / z^2 * sigma)^2 to the variance: 2.8e-4 px^2.
    variance = 1.3 + (30 * x / 9 * 0.1) ** 2
    expected = 0.8 * math.exp(-0.5 * 4 / variance)
    assert out.alpha[12, 18].item() == pytest.approx(expected, rel=1e-4)
    assert out.color[12, 16].tolist() == pytest.approx([0.8, 0.4, 0.2], abs=1e-9)
    assert out.depth_expected[12, 16].item() == pytest.approx(3.0)
    assert out.depth_median[12, 16].item() == pytest.approx(3.0)


def test_the_nearer_of_two_splats_covers_the_farther():
    x1, y1 = on_pixel(12, 16, 2.0)
    x2, y2 = on_pixel(12, 16, 4.0)
    near = ball(x1, y1, 2.0, opacity=0.6, color=(1, 0, 0))
    far = ball(x2, y2, 4.0, opacity=0.5, color=(0, 1, 0))
    for order in ([near, far], [far, near]):
        out = draw(concatenate(order))
        # 0.6 red + 0.4 * 0.5 green + 0.4 * 0.5 black
        assert out.color[12, 16].tolist() == pytest.approx([0.6, 0.2, 0.0], abs=1e-9)
        assert out.alpha[12, 16].item() == pytest.approx(0.8)
        assert out.depth_expected[12, 16].item() == pytest.approx((0.6 * 2 + 0.2 * 4) / 0.8)
        assert out.depth_median[12, 16].item() == pytest.approx(2.0)


def test_median_depth_is_the_splat_that_takes_transmittance_to_one_half():
    parts = []
    for z, opacity in ((2.0, 0.3), (3.0, 0.2), (4.0, 0.2), (5.0, 0.9)):
        parts.append(ball(*on_pixel(12, 16, z), z, opacity=opacity))
    # Transmittance: 0.7, 0.56, 0.448: the third one passes one half.
    assert draw(concatenate(parts)).depth_median[12, 16].item() == pytest.approx(4.0)
    assert draw(concatenate(parts[:2])).depth_median[12, 16].item() == 0.0


def test_no_gaussians_show_the_background():
    background = torch.tensor([0.1, 0.2, 0.3], dtype=F64)
    nothing = ball(0, 0, 3).select(torch.zeros(1, dtype=torch.bool))
    out = render(nothing, pinhole(dtype=F64), background=background, backend="reference")
    assert torch.equal(out.color, background.expand(24, 32, 3))
    assert out.alpha.abs().max() == 0
    assert out.depth_expected.abs().max() == 0


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_unusable_gaussians_change_neither_the_image_nor_a_gradient(bad: float):
    good = random_gaussians(20, dtype=F64)
    camera = ring_of_cameras(1, dtype=F64)[0]
    behind = ball(0, 0, -50)
    poisoned = ball(bad, 0, 0)
    everything = concatenate([good, behind.with_sh_degree(3), poisoned.with_sh_degree(3)])
    leaf = everything.means.clone().requires_grad_(True)
    alone = render(good, camera, backend="reference")
    together = render(replace(everything, means=leaf), camera, backend="reference")
    assert torch.equal(alone.color, together.color)
    (gradient,) = torch.autograd.grad(together.color.sum(), leaf)
    assert gradient.isfinite().all()
    assert gradient[20:].abs().max() == 0


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_colours_that_are_no_numbers_are_not_drawn(bad: float):
    ours = concatenate([ball(*on_pixel(12, 16, 2.0), 2.0), ball(*on_pixel(12, 16, 3.0), 3.0)])
    sh = ours.sh.clone()
    sh[0, 0, 1] = bad
    out = draw(replace(ours, sh=sh))
    assert out.radii_px[0] == 0
    assert torch.equal(out.color, draw(ours.select(torch.tensor([False, True]))).color)


def test_footprint_radius_is_where_alpha_falls_to_the_cut():
    x, y = on_pixel(12, 16, 3.0)
    g = ball(x, y, 3.0)
    prints = project_gaussians(g.means, g.covariances(), g.opacities, pinhole(dtype=F64), RenderOptions())
    variance = prints.covariances_px2[0, 0, 0].item()
    at_radius = 0.8 * math.exp(-0.5 * prints.radii_px[0].item() ** 2 / variance)
    assert at_radius == pytest.approx(1 / 255, rel=1e-6)


def test_weight_and_error_sums_are_the_blended_totals():
    gaussians = random_gaussians(15, dtype=F64)
    camera = ring_of_cameras(2, dtype=F64)
    error = torch.rand(2, camera.height, camera.width, dtype=F64, generator=torch.Generator().manual_seed(1))
    out = render(gaussians, camera, backend="reference", options=RenderOptions(weight_sum=True, error_map=error))
    assert out.weight_sum is not None and out.error_sum is not None
    torch.testing.assert_close(out.weight_sum.sum(1), out.alpha.sum((1, 2)))
    torch.testing.assert_close(out.error_sum.sum(1), (out.alpha * error).sum((1, 2)))


def test_a_row_window_is_a_crop():
    gaussians = random_gaussians(15, dtype=F64)
    camera = ring_of_cameras(1, dtype=F64)[0]
    whole = render(gaussians, camera, backend="reference")
    part = render(gaussians, camera, backend="reference", options=RenderOptions(row_window=(7, 19)))
    torch.testing.assert_close(part.color, whole.color[7:19])


def test_feature_channels_blend_like_colours():
    gaussians = random_gaussians(15, dtype=F64)
    camera = ring_of_cameras(2, dtype=F64)
    colors = torch.rand(15, 3, dtype=F64)
    out = render(gaussians, camera, backend="reference", options=RenderOptions(features=colors, colors=colors))
    assert out.features is not None
    torch.testing.assert_close(out.features, out.color)


def test_every_gradient_agrees_with_finite_differences():
    # The cuts are off (alpha_cut = 0 keeps all), because their steps have no derivative.
    n = 5
    g = random_gaussians(n, sh_degree=1, size=0.3, dtype=F64)
    camera = ring_of_cameras(2, 9, 7, dtype=F64)
    background = torch.rand(2, 3, dtype=F64)
    variance = torch.rand(2, n, dtype=F64)
    factor = 0.5 + 0.5 * torch.rand(2, n, dtype=F64)
    offsets = torch.zeros(2, n, 2, dtype=F64)

    def picture(means, quaternions, scales, opacities, sh, pose, focal, center, background, variance, factor, offsets):
        out = render(
            Gaussians(means, quaternions, scales, opacities, sh),
            replace(camera, world_to_camera=pose, focal_px=focal, center_px=center),
            background=background,
            backend="reference",
            options=RenderOptions(
                alpha_cut=0.0, relative_cut=False, variance_px2=variance, opacity_factor=factor, mean_offsets_px=offsets
            ),
        )
        return out.color, out.alpha, out.depth_expected

    inputs = [g.means, g.quaternions, g.scales, g.opacities, g.sh, camera.world_to_camera, camera.focal_px]
    inputs += [camera.center_px, background, variance, factor, offsets]
    inputs = [t.clone().requires_grad_(True) for t in inputs]
    assert torch.autograd.gradcheck(picture, inputs, eps=1e-6, atol=1e-6, rtol=1e-4, fast_mode=True)
