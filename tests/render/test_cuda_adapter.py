"""The cuda backend's adapter = reference, in values and gradients, with gsplat's stages replaced by plain torch.

In float64 nothing may differ but rounding: whatever a GPU then shows beyond that comes from the kernels, which
tests/render/test_cuda.py compares.
"""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from gsplat_stand_in import stand_in
from hyperfocal.camera import Camera
from hyperfocal.gaussians import Gaussians
from hyperfocal.render import render
from hyperfocal.render.cuda_adapter import _inputs_of, project, render_with
from hyperfocal.render.cuda_build import LOWERED_CUT
from hyperfocal.render.cuda_stages import Stages
from hyperfocal.render.reference import project_gaussians
from hyperfocal.rendering import Rendering, RenderOptions
from scenes import pinhole, random_gaussians, ring_of_cameras

F64 = torch.float64
BACKGROUND = torch.tensor([[0.2, 0.5, 0.9], [0.7, 0.1, 0.4]], dtype=F64)
IMAGES = ("color", "alpha", "depth_expected", "depth_median", "features")
CUSTOMARY = 1 / 255


def scene(n: int = 60, *, v: int = 2, size: float = 0.15) -> tuple[Gaussians, Camera]:
    """Random Gaussians in front of cameras of awkward size."""
    return random_gaussians(n, sh_degree=2, size=size, dtype=F64), ring_of_cameras(v, 37, 26, dtype=F64)


def noise(*shape: int, seed: int = 3) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def both(
    gaussians: Gaussians, camera: Camera, options: RenderOptions, stages: Stages
) -> list[tuple[Rendering, dict[str, Tensor]]]:
    """Rendering and gradients of a random function of all images, by the adapter and by the reference."""
    results = []
    for by_adapter in (True, False):
        tensors = {**gaussians.tensors(), **{k: t for k, t in vars(camera).items() if isinstance(t, Tensor)}}
        extra = {k: t for k, t in vars(options).items() if isinstance(t, Tensor)}
        leaves = {k: t.clone().requires_grad_(k != "error_map") for k, t in (tensors | extra).items() if t is not None}
        # `means` may be both the shared and the per-view ones: those of the options win, and the others go unused.
        shared = {k: gaussians.tensors()[k] if k in extra else leaves[k] for k in gaussians.tensors()}
        background = BACKGROUND[: len(camera.world_to_camera)].clone().requires_grad_()
        arguments = (
            replace(gaussians, **shared),
            replace(camera, **{k: leaves[k] for k in ("world_to_camera", "focal_px", "center_px")}),
        )
        own = replace(options, **{k: leaves[k] for k in extra})
        if by_adapter:
            out = render_with(stages, *arguments, background, own)
        else:
            out = render(*arguments, background=background, backend="reference", options=own)
        g = torch.Generator().manual_seed(5)
        total = torch.zeros((), dtype=F64)
        for name in IMAGES:
            image = getattr(out, name)
            if image is not None:
                total = total + (image * torch.randn(image.shape, generator=g, dtype=F64)).sum()
        wanted = {k: t for k, t in leaves.items() if t.requires_grad} | {"background": background}
        gradients = torch.autograd.grad(total, list(wanted.values()), allow_unused=True)
        results.append((out, {k: d for k, d in zip(wanted, gradients, strict=True) if d is not None}))
    return results


def assert_equal(
    gaussians: Gaussians, camera: Camera, options: RenderOptions, stages: Stages | None = None, bound: float = 1e-9
) -> None:
    """All values and all gradients agree, and the gradients are not all nothing."""
    (out, gradients), (truth, expected) = both(gaussians, camera, options, stages or stand_in())
    for name, value in vars(truth).items():
        mine = getattr(out, name)
        assert (mine is None) == (value is None), name
        if value is not None:
            torch.testing.assert_close(mine, value, rtol=bound, atol=bound, msg=lambda m, name=name: f"{name}: {m}")
    assert gradients.keys() == expected.keys()
    for name, value in expected.items():
        scale = float(value.abs().max())
        difference = float((gradients[name] - value).abs().max())
        assert difference <= bound * max(scale, 1), f"d {name}: {difference:.1e} of {scale:.1e}"
    assert float(expected["opacities"].abs().max()) > 0.01


@pytest.mark.parametrize("degree", [0, 1, 2])
def test_a_sharp_picture(degree: int):
    assert_equal(*scene(), RenderOptions(sh_degree=degree))


def test_pixels_that_saturate():
    gaussians, camera = scene(200, v=1, size=0.4)
    assert_equal(replace(gaussians, opacities=0.5 + 0.5 * gaussians.opacities), camera, RenderOptions())


def test_direct_colours_and_features_for_all_views_or_for_each():
    for shape in ((60,), (2, 60)):
        options = RenderOptions(colors=noise(*shape, 3), features=noise(*shape, 7, seed=4))
        assert_equal(*scene(), options)


def test_means_and_quaternions_of_each_view():
    gaussians, camera = scene()
    options = RenderOptions(
        means=gaussians.means + 0.1 * noise(2, 60, 3), quaternions=gaussians.quaternions + 0.2 * noise(2, 60, 4)
    )
    assert_equal(gaussians, camera, options)


def test_blur_and_opacity_factor():
    """With a fixed cut, which is what the kernels have, nothing differs."""
    gaussians, camera = scene()
    options = RenderOptions(
        variance_px2=20 * noise(2, 60),
        opacity_factor=0.1 + 0.9 * noise(2, 60, seed=4),
        mean_offsets_px=2 * noise(2, 60, 2) - 1,
        relative_cut=False,
    )
    assert_equal(gaussians, camera, options)
    assert_equal(gaussians, camera, replace(options, alpha_cut=LOWERED_CUT), stand_in(LOWERED_CUT))


@pytest.mark.parametrize("cut", [1e-4, LOWERED_CUT])
def test_footprints_wider_than_the_projection_knows(cut: float):
    """A sharp Gaussian reaches to 4 or 5 sigma at these cuts, and gsplat culls at 3.33."""
    gaussians, camera = scene(size=0.4)
    beside = replace(gaussians, means=gaussians.means + torch.tensor([3.2, 0.0, 0.0], dtype=F64))
    options = RenderOptions(alpha_cut=cut)
    assert int((render(beside, camera, backend="reference", options=options).radii_px > 0).sum()) > 20
    assert_equal(beside, camera, options, stand_in(cut))


def test_a_cut_that_the_kernels_cannot_keep_to_costs_less_than_the_cut():
    """The relative cut with the lowered build: boxes end where they should, what lies between is below the cut."""
    gaussians, camera = scene(v=1)
    options = RenderOptions(variance_px2=20 * noise(1, 60), opacity_factor=0.02 + 0.1 * noise(1, 60))
    out = render_with(stand_in(LOWERED_CUT), gaussians, camera, BACKGROUND[:1], options)
    truth = render(gaussians, camera, background=BACKGROUND[:1], backend="reference", options=options)
    torch.testing.assert_close(out.radii_px, truth.radii_px)
    assert float((out.alpha - truth.alpha).abs().max()) < CUSTOMARY
    stock = render_with(stand_in(), gaussians, camera, BACKGROUND[:1], options)
    lost = 1 - float(stock.alpha.sum() / truth.alpha.sum())
    assert lost > 0.05  # the light that the warning speaks of


def test_blur_that_reaches_in_from_outside():
    """Sharp, none of these is on the image: gsplat alone would cull them."""
    camera = ring_of_cameras(1, 37, 26, dtype=F64)
    gaussians = replace(random_gaussians(40, size=0.02, dtype=F64))
    aside = replace(gaussians, means=0.2 * gaussians.means + torch.tensor([2.9, 0.0, 0.0], dtype=F64))
    options = RenderOptions(relative_cut=False, variance_px2=30 + 100 * noise(1, 40))
    sharp = replace(options, variance_px2=None)
    assert float(render(aside, camera, backend="reference", options=sharp).alpha.sum()) == 0
    assert float(render(aside, camera, backend="reference", options=options).alpha.sum()) > 1
    assert_equal(aside, camera, options)


def test_gaussians_whose_tangent_is_frozen_beyond_the_border():
    """Large ones far outside: the border where the reference freezes the tangent is not that of the padded canvas."""
    gaussians, camera = scene(40, v=1, size=0.8)
    aside = replace(gaussians, means=gaussians.means + torch.tensor([3.0, 0.5, 0.0], dtype=F64))
    for variance in (None, 30 * noise(1, 40)):
        assert_equal(aside, camera, RenderOptions(variance_px2=variance))


def test_offsets_alone_bring_gaussians_in_and_out():
    gaussians, camera = scene(v=1)
    assert_equal(gaussians, camera, RenderOptions(mean_offsets_px=60 * noise(1, 60, 2) - 30))


@pytest.mark.parametrize("window", [(0, 9), (5, 22), (17, 26)])
def test_a_window_of_rows(window: tuple[int, int]):
    gaussians, camera = scene()
    options = RenderOptions(row_window=window, weight_sum=True, error_map=noise(2, 26, 37), features=noise(60, 2))
    assert_equal(gaussians, camera, options)


def test_weight_and_error_sums():
    gaussians, camera = scene()
    for options in (RenderOptions(weight_sum=True), RenderOptions(error_map=noise(2, 26, 37))):
        assert_equal(gaussians, camera, options)
    with torch.no_grad():
        out = render_with(stand_in(), gaussians, camera, BACKGROUND, RenderOptions(weight_sum=True))
    torch.testing.assert_close(out.weight_sum.sum(1), out.alpha.sum((1, 2)))


def test_low_pass_and_near_plane():
    gaussians, camera = scene()
    assert_equal(gaussians, camera, RenderOptions(low_pass_px2=1.5, near=4.0))


def test_float32_is_as_good_as_its_digits():
    gaussians, camera = scene()
    variance = 20 * noise(2, 60)
    options = RenderOptions(variance_px2=variance, relative_cut=False)
    truth = render(gaussians, camera, background=BACKGROUND, backend="reference", options=options)
    single = replace(options, variance_px2=variance.float())
    out = render_with(
        stand_in(), gaussians.to(dtype=torch.float32), camera.to(dtype=torch.float32), BACKGROUND.float(), single
    )
    assert float((out.color.double() - truth.color).norm() / truth.color.norm()) < 3e-4


def test_nothing_in_view_is_the_background_with_gradients_of_zero():
    gaussians, camera = scene(8, v=1)
    behind = replace(gaussians, means=gaussians.means * 0 - 100 * camera.world_to_camera[0, 2, :3])
    for nothing in (behind, gaussians.select(torch.arange(0))):
        leaf = nothing.means.clone().requires_grad_()
        options = RenderOptions(weight_sum=True, features=noise(len(leaf), 4))
        out = render_with(stand_in(), replace(nothing, means=leaf), camera, BACKGROUND[:1], options)
        assert bool((out.color == BACKGROUND[0]).all())
        assert out.features.shape == (1, 26, 37, 4)
        for image in (out.alpha, out.depth_expected, out.depth_median, out.weight_sum, out.radii_px):
            assert not bool(image.any())
        (gradient,) = torch.autograd.grad(out.color.sum() + out.depth_expected.sum(), leaf)
        assert not bool(gradient.any())


@pytest.mark.parametrize("value", [math.nan, -math.inf])
@pytest.mark.parametrize("field", ["means", "scales", "opacities", "sh"])
def test_gaussians_that_are_no_numbers_leave_no_trace(field: str, value: float):
    gaussians, camera = scene(30, v=1)
    broken = getattr(gaussians, field).clone()
    broken[7] = value
    leaves = {k: t.clone().requires_grad_() for k, t in (gaussians.tensors() | {field: broken}).items()}
    pose = camera.world_to_camera.clone().requires_grad_()
    options = RenderOptions(weight_sum=True)
    viewed = replace(camera, world_to_camera=pose)
    out = render_with(stand_in(), replace(gaussians, **leaves), viewed, BACKGROUND[:1], options)
    others = torch.arange(30) != 7
    alone = render_with(stand_in(), gaussians.select(others), camera, BACKGROUND[:1], options)
    torch.testing.assert_close(out.color, alone.color)
    assert out.weight_sum is not None
    torch.testing.assert_close(out.weight_sum[:, others], alone.weight_sum)
    assert float(out.radii_px[0, 7]) == 0
    for gradient in torch.autograd.grad(out.color.sum() + out.depth_expected.sum(), [*leaves.values(), pose]):
        assert bool(gradient.isfinite().all())


def test_one_coefficient_or_feature_that_is_no_number_leaves_no_trace():
    gaussians, camera = scene(30, v=1)
    gaussians.sh[5, 0, 1] = -math.inf  # black, if it were only kept from being negative
    features = noise(30, 4)
    features[7, 2] = math.inf
    assert_equal(gaussians, camera, RenderOptions(features=features))
    out = render_with(stand_in(), gaussians, camera, BACKGROUND[:1], RenderOptions(features=features))
    assert out.features is not None
    assert bool(out.features.isfinite().all())
    assert not bool(out.radii_px[0, [5, 7]].any())
    assert bool(out.color.isfinite().all())


@pytest.mark.parametrize("given", [{"sh_degree": 1}, {"colors": noise(30, 3)}])
def test_coefficients_that_are_not_drawn_may_be_no_numbers(given: dict):
    gaussians, camera = scene(30, v=1)
    gaussians.means[5, 0] = math.nan  # so that the picture is made anew, of Gaussians that are whole
    gaussians.sh[9, 4:] = math.nan  # of the degrees 2 and 3
    assert_equal(gaussians, camera, RenderOptions(**given))
    out = render_with(stand_in(), gaussians, camera, BACKGROUND[:1], RenderOptions(**given))
    assert float(out.radii_px[0, 5]) == 0
    assert float(out.radii_px[0, 9]) > 0


def test_widening_in_2d_equals_widening_in_3d():
    """A round blur in the image is a flat disc in camera axes, (c z / f)^2 diag(1, 1, 0): the other way to the same."""
    gaussians, _ = scene()
    camera = replace(pinhole(37, 26, 33.0, F64), focal_px=torch.tensor([33.0, 29.0], dtype=F64))
    camera = replace(camera, world_to_camera=ring_of_cameras(1, dtype=F64).world_to_camera[0])
    variance = 20 * noise(1, 60)
    options = RenderOptions(variance_px2=variance)
    splats, bad = project(stand_in(), _inputs_of(gaussians, options, 0), camera, options)
    R = camera.world_to_camera[:3, :3]
    z = (gaussians.means @ R.T + camera.world_to_camera[:3, 3])[:, 2]
    disc = R.T @ torch.diag(torch.nn.functional.pad(camera.focal_px**-2, (0, 1))) @ R
    thick = gaussians.covariances() + (variance[0] * z**2)[:, None, None] * disc
    expected = project_gaussians(gaussians.means, thick, gaussians.opacities, camera, RenderOptions())
    inverse = torch.linalg.inv(expected.covariances_px2)[splats.index]
    torch.testing.assert_close(splats.conics, torch.stack((inverse[:, 0, 0], inverse[:, 0, 1], inverse[:, 1, 1]), 1))
    torch.testing.assert_close(splats.radii_px, expected.radii_px[splats.index])
    assert not bool(bad.any())
    assert len(splats.index) > 40


def test_the_median_depth_may_be_left_out():
    gaussians, camera = scene(20)
    out = render_with(stand_in(), gaussians, camera, BACKGROUND, RenderOptions(depth_median=False))
    assert bool(out.depth_median.isnan().all())
    with pytest.raises(ValueError, match="depth_median"):
        render(gaussians, camera, backend="reference", normals=True, options=RenderOptions(depth_median=False))
