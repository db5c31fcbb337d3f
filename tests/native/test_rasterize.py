"""The native rasteriser alone: cases solvable on paper, and what must hold whatever the scene.

Its values and gradients on arbitrary scenes are compared with the reference in tests/render.
"""

import math
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from hyperfocal import _core
from hyperfocal.native.rasterize import RasterOutputs, rasterize

LEVELS = ["base", "v3", "v4"]
LEAVES = ["means", "quaternions", "scales", "opacities", "sh", "world_to_camera", "focal_px", "center_px"]


def camera(width: int, height: int, focal_px: float = 50.0, views: int = 1) -> dict[str, Any]:
    """Views from the origin along +z."""
    return {
        "world_to_camera": torch.eye(4).repeat(views, 1, 1),
        "focal_px": torch.full((views, 2), focal_px),
        "center_px": torch.tensor([width / 2, height / 2]).repeat(views, 1),
        "width": width,
        "height": height,
    }


def splats(z: list[float], opacity: list[float], color: list[list[float]], scale: float = 0.1) -> dict[str, Tensor]:
    """Isotropic Gaussians on the optical axis with direct colours."""
    n = len(z)
    return {
        "means": torch.tensor([[0.0, 0.0, depth] for depth in z]).reshape(n, 3),
        "quaternions": torch.tensor([[1.0, 0.0, 0.0, 0.0]]).repeat(n, 1),
        "scales": torch.full((n, 3), scale),
        "opacities": torch.tensor(opacity),
        "colors": torch.tensor(color).reshape(n, 3),
    }


def cloud(n: int, seed: int = 0, sh: bool = True) -> dict[str, Tensor]:
    """Random Gaussians in front of `camera`."""
    g = torch.Generator().manual_seed(seed)
    z = 1 + 4 * torch.rand(n, 1, generator=g)
    scene = {
        "means": torch.cat(((1.5 * torch.rand(n, 2, generator=g) - 0.75) * z, z), dim=1),
        "quaternions": torch.randn(n, 4, generator=g),
        "scales": 0.02 + 0.2 * torch.rand(n, 3, generator=g),
        "opacities": 0.05 + 0.9 * torch.rand(n, generator=g),
    }
    if sh:
        return scene | {"sh": 0.5 * torch.randn(n, 16, 3, generator=g)}
    return scene | {"colors": torch.rand(n, 3, generator=g)}


def gradients(inputs: dict[str, Any], names: list[str], **options: Any) -> tuple[RasterOutputs, list[Tensor]]:
    """Outputs, and gradients of a fixed weighting of all four images."""
    leaves = {name: inputs[name].clone().requires_grad_() for name in names}
    out = rasterize(**(inputs | leaves), **options)
    return out, list(torch.autograd.grad(weighting(out), list(leaves.values())))


def weighting(out: RasterOutputs) -> Tensor:
    """A number that depends on every pixel of every image."""
    g = torch.Generator().manual_seed(9)
    images = [t for t in (out.color, out.alpha, out.depth_expected, out.depth_median, out.features) if t is not None]
    return sum(((torch.randn(image.shape, generator=g) * image).sum() for image in images), torch.zeros(()))


def relative(value: Tensor, truth: Tensor) -> float:
    """Norm of the difference over the norm of the truth."""
    return float((value - truth).detach().norm() / truth.detach().norm().clamp_min(1e-12))


@pytest.fixture
def restored_level() -> Iterator[None]:
    """Puts the instruction set back."""
    level = _core.simd_level()
    yield
    assert _core.set_simd_level(level)


def test_the_peak_of_a_splat_on_a_pixel_centre_is_its_opacity_and_color():
    out = rasterize(**splats([2.0], [0.7], [[0.2, 0.4, 0.6]]), **camera(33, 33))
    assert out.alpha[0, 16, 16].item() == pytest.approx(0.7, rel=1e-5)
    assert out.color[0, 16, 16].tolist() == pytest.approx([0.14, 0.28, 0.42], rel=1e-5)
    assert out.depth_expected[0, 16, 16].item() == pytest.approx(2.0, rel=1e-5)
    assert out.depth_median[0, 16, 16].item() == 2.0


def test_the_falloff_of_a_splat_is_the_gaussian_of_its_projected_width():
    # Projected variance (f s / z)^2 + low pass = (50 * 0.1 / 2)^2 + 0.3 = 6.55 px^2.
    out = rasterize(**splats([2.0], [0.7], [[1.0, 1.0, 1.0]]), **camera(33, 33))
    expected = [0.7 * math.exp(-0.5 * d * d / 6.55) for d in range(7)]
    assert out.alpha[0, 16, 16:23].tolist() == pytest.approx(expected, rel=2e-5)
    assert out.alpha[0, 16:23, 16].tolist() == pytest.approx(expected, rel=2e-5)


def test_the_radius_is_where_alpha_meets_the_cut():
    # 0.7 exp(-r^2 / (2 * 6.55)) = 1/255.
    out = rasterize(**splats([2.0], [0.7], [[1.0, 1.0, 1.0]]), **camera(33, 33))
    assert out.radii.item() == pytest.approx(math.sqrt(2 * 6.55 * math.log(0.7 * 255)), rel=1e-5)


def test_two_layers_composite_front_to_back_whatever_their_order():
    # Front 0.5 red at z = 2, back 0.8 green at z = 4 over blue: 0.5, 0.5 * 0.8, 0.5 * 0.2.
    for order in ([0, 1], [1, 0]):
        scene = splats([2.0, 4.0], [0.5, 0.8], [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
        scene = {name: tensor[order] for name, tensor in scene.items()}
        out = rasterize(**scene, **camera(33, 33), background=torch.tensor([[0.0, 0.0, 1.0]]))
        assert out.color[0, 16, 16].tolist() == pytest.approx([0.5, 0.4, 0.1], rel=1e-5)
        assert out.alpha[0, 16, 16].item() == pytest.approx(0.9, rel=1e-5)
        assert out.depth_expected[0, 16, 16].item() == pytest.approx((0.5 * 2 + 0.4 * 4) / 0.9, rel=1e-5)


def test_median_depth_is_that_of_the_splat_that_takes_transmittance_to_one_half():
    scene = splats([2.0, 3.0, 4.0], [0.3, 0.4, 0.9], [[1.0, 1.0, 1.0]] * 3)  # T: 0.7, 0.42, 0.042
    out, (d_means,) = gradients(scene | camera(33, 33), ["means"])
    assert out.depth_median[0, 16, 16].item() == 3.0
    (d_means,) = torch.autograd.grad(median_at_center(scene), [scene["means"]])
    assert d_means.tolist() == [[0, 0, 0], [0, 0, 1], [0, 0, 0]]
    faint = rasterize(**splats([2.0], [0.3], [[1.0, 1.0, 1.0]]), **camera(33, 33))
    assert faint.depth_median.abs().max().item() == 0.0


def median_at_center(scene: dict[str, Tensor]) -> Tensor:
    """Median depth of the central pixel, differentiable by the means."""
    scene["means"].requires_grad_()
    return rasterize(**scene, **camera(33, 33)).depth_median[0, 16, 16]


def test_a_pixel_ends_before_the_splat_that_would_take_its_transmittance_to_1e_4():
    # 0.1^k for opacity 0.9: after three 1e-3; the fourth would leave 1e-4 (and a bit less), so it is not drawn.
    scene = splats([2.0, 2.1, 2.2, 2.3, 2.4], [0.9, 0.9, 0.9, 0.9001, 0.01], [[0.0, 0.0, 0.0]] * 5, scale=1.0)
    scene["colors"][3:] = 1000.0
    out = rasterize(**scene, **camera(33, 33))
    assert out.color[0, 16, 16, 0].item() == 0.0
    assert out.alpha[0, 16, 16].item() == pytest.approx(0.999, rel=1e-5)


def test_alpha_is_clamped_at_0_999_and_has_no_gradient_there():
    scene = splats([2.0], [0.9999], [[1.0, 1.0, 1.0]])
    opacities = scene["opacities"].requires_grad_()
    out = rasterize(**scene, **camera(33, 33))
    assert out.alpha[0, 16, 16].item() == pytest.approx(0.999, rel=1e-6)
    assert torch.autograd.grad(out.alpha[0, 16, 16], opacities)[0].item() == 0.0


def test_gradients_of_one_splat_are_those_worked_out_by_hand():
    # At offset d along x from the mean: alpha = o exp(-d^2 / 2 V), V = (f s / z)^2 + 0.3, x = f X / z + c, so with
    # L = alpha: dL/do = alpha / o; dL/dx = alpha d / V, dL/dX = that * f / z; dL/dV = alpha d^2 / 2 V^2, V along x;
    # dV/ds_x = 2 f^2 s / z^2; dL/dz = dL/dV * (-2 f^2 s^2 / z^3), the mean being on the axis.
    f, s, z, o, d = 50.0, 0.1, 2.0, 0.7, 3.0
    variance = (f * s / z) ** 2 + 0.3
    alpha = o * math.exp(-0.5 * d * d / variance)
    d_variance = alpha * d * d / (2 * variance**2)
    scene = splats([z], [o], [[1.0, 1.0, 1.0]])
    leaves = [scene[name].requires_grad_() for name in ("opacities", "means", "scales", "colors")]
    hooks = {"variance_px2": torch.zeros(1, 1), "mean_offsets_px": torch.zeros(1, 1, 2)}
    hooks["opacity_factor"] = torch.ones(1, 1)
    leaves += [hook.requires_grad_() for hook in hooks.values()]
    out = rasterize(**scene, **camera(33, 33), **hooks)
    got = torch.autograd.grad(out.color[0, 16, 16 + int(d), 0], leaves)
    d_opacity, d_mean, d_scale, d_color, d_extra, d_offset, d_factor = (t.flatten().tolist() for t in got)
    near = pytest.approx
    assert d_opacity == near([alpha / o], rel=1e-4)
    assert d_factor == near([alpha], rel=1e-4)
    assert d_offset == near([alpha * d / variance, 0.0], rel=1e-4, abs=2e-6)
    d_z = -d_variance * 2 * (f * s) ** 2 / z**3
    assert d_mean == near([alpha * d / variance * f / z, 0.0, d_z], rel=1e-4, abs=2e-6)
    assert d_scale == near([d_variance * 2 * f * f * s / z**2, 0.0, 0.0], rel=1e-4, abs=2e-6)
    assert d_extra == near([d_variance], rel=1e-4)
    assert d_color == near([alpha, 0.0, 0.0], rel=1e-4, abs=2e-6)


def test_zero_gaussians_give_the_background_and_empty_gradients():
    scene = splats([], [], [])
    background = torch.tensor([[0.1, 0.2, 0.3]]).requires_grad_()
    leaf = scene["means"].requires_grad_()
    out = rasterize(**scene, **camera(7, 5), background=background, weight_sum=True)
    assert torch.equal(out.color.detach(), background.detach().expand(1, 5, 7, 3))
    assert out.alpha.abs().max().item() == 0.0
    d_leaf, d_background = torch.autograd.grad(out.color.sum(), [leaf, background])
    assert d_leaf.shape == (0, 3)
    assert d_background.tolist() == [[35.0, 35.0, 35.0]]


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (4, 4), (31, 33), (65, 30)])
def test_images_of_any_size_are_crops_of_a_larger_one(size: tuple[int, int]):
    width, height = size
    scene = cloud(40, sh=False)
    # Widening the view moves the frustum's clamp, so these stay small and central.
    scene["means"][:, :2] *= 0.01
    scene["scales"] *= 0.3
    small, large = camera(width, height), camera(96, 96)
    large["center_px"] = small["center_px"]
    crop, whole = rasterize(**scene, **small), rasterize(**scene, **large)
    assert torch.equal(crop.color, whole.color[:, :height, :width])
    assert torch.equal(crop.depth_median, whole.depth_median[:, :height, :width])


def test_culled_gaussians_do_not_change_the_image_and_get_no_gradient():
    scene = cloud(200)
    bad = cloud(6, seed=1)
    bad["means"][0, 2] = -1.0  # behind
    bad["means"][1, 2] = 0.005  # nearer than near
    bad["means"][2, 0] = 1e4  # beside
    bad["opacities"][3] = 0.003  # fainter than the cut
    bad["means"][4, 0] = math.nan
    bad["scales"][5] = math.inf
    both = {name: torch.cat((bad[name][:3], scene[name], bad[name][3:])) for name in scene}
    names = LEAVES[:5]
    alone, expected = gradients(scene | camera(70, 50), names)
    out, got = gradients(both | camera(70, 50), names)
    assert torch.equal(out.color, alone.color)
    assert (out.radii[0, [0, 1, 2, -3, -2, -1]] == 0).all()
    for with_culled, without in zip(got, expected, strict=True):
        assert torch.equal(with_culled[3:-3], without)
        assert with_culled[:3].abs().max().item() == 0.0
        assert with_culled[-3:].abs().max().item() == 0.0


@pytest.mark.parametrize(
    "name", ["means", "quaternions", "scales", "opacities", "sh", "variance_px2", "opacity_factor"]
)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_gaussian_that_is_not_finite_never_poisons_the_picture_or_the_gradients(name: str, value: float):
    scene = cloud(100) | {"variance_px2": torch.rand(1, 100), "opacity_factor": 0.5 + 0.5 * torch.rand(1, 100)}
    target = scene[name][0] if name in ("variance_px2", "opacity_factor") else scene[name]
    target[7] = value
    names = [*LEAVES, "variance_px2", "opacity_factor"]
    out, got = gradients(scene | camera(70, 50), names)
    assert out.color.isfinite().all()
    for leaf, gradient in zip(names, got, strict=True):
        assert gradient.isfinite().all(), leaf


def test_a_gaussian_larger_than_the_image_colours_all_of_it():
    scene = splats([2.0], [0.5], [[1.0, 1.0, 1.0]], scale=1e4)
    out, _ = gradients(scene | camera(70, 50), ["means", "scales"])
    assert out.alpha.min().item() == pytest.approx(0.5, rel=1e-3)


def test_the_relative_cut_keeps_faint_splats_that_the_fixed_cut_drops():
    scene = splats([2.0], [0.5], [[1.0, 1.0, 1.0]])
    faint = {"opacity_factor": torch.full((1, 1), 1e-3), "variance_px2": torch.full((1, 1), 20.0)}
    assert rasterize(**scene, **camera(33, 33), **faint).alpha.max().item() == pytest.approx(5e-4, rel=1e-4)
    assert rasterize(**scene, **camera(33, 33), **faint, relative_cut=False).alpha.max().item() == 0.0


@pytest.mark.parametrize("level", LEVELS)
def test_the_number_of_threads_does_not_change_a_bit(level: str, restored_level: None):
    if not _core.set_simd_level(level):
        pytest.skip(f"this processor has no {level}")
    inputs = cloud(5000) | camera(150, 100, views=2) | {"background": torch.rand(2, 3)}
    error_map = torch.rand(2, 100, 150)
    inputs["features"] = torch.randn(5000, 5)
    leaves = [*LEAVES, "features"]
    one, expected = gradients(inputs, leaves, threads=1, error_map=error_map, weight_sum=True)
    for threads in (2, 3, 7):
        out, got = gradients(inputs, leaves, threads=threads, error_map=error_map, weight_sum=True)
        for name, value in vars(one).items():
            assert torch.equal(getattr(out, name), value), name
        for name, gradient, truth in zip(leaves, got, expected, strict=True):
            assert torch.equal(gradient, truth), name


@pytest.mark.parametrize("level", LEVELS[:2])
def test_instruction_sets_agree(level: str, restored_level: None):
    inputs = cloud(300) | camera(80, 60)
    # Without a cut no pixel can fall on its other side by rounding.
    options = {"alpha_cut": 0.0, "relative_cut": False}
    best, expected = gradients(inputs, LEAVES, **options)
    assert _core.set_simd_level(level)
    out, got = gradients(inputs, LEAVES, **options)
    for name in ("color", "alpha", "depth_expected", "radii"):
        assert relative(getattr(out, name), getattr(best, name)) < 1e-5, name
    for name, gradient, truth in zip(LEAVES, got, expected, strict=True):
        assert relative(gradient, truth) < 1e-4, name


def test_several_backwards_on_one_forward_agree():
    scene = cloud(300)
    leaves = [scene[name].requires_grad_() for name in LEAVES[:5]]
    total = weighting(rasterize(**scene, **camera(80, 60)))
    first = torch.autograd.grad(total, leaves, retain_graph=True)
    second = torch.autograd.grad(total, leaves)
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a, b)


def test_an_input_changed_between_forward_and_backward_is_noticed():
    scene = cloud(10)
    leaf = scene["sh"].requires_grad_()
    out = rasterize(**scene, **camera(20, 20))
    scene["means"].add_(1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        torch.autograd.grad(out.color.sum(), leaf)


def test_gradients_of_several_views_are_the_sum_of_each():
    scene = cloud(200)
    views = camera(70, 50, views=3)
    views["world_to_camera"][:, 0, 3] = torch.tensor([-0.2, 0.0, 0.3])
    _, together = gradients(scene | views, LEAVES[:5])
    total = [torch.zeros_like(t) for t in together]
    weights = torch.Generator().manual_seed(9)
    shapes = [(3, 50, 70, 3), *[(3, 50, 70)] * 3]
    drawn = [torch.randn(shape, generator=weights) for shape in shapes]
    for i in range(3):
        one: dict[str, Any] = {name: t[i : i + 1] if isinstance(t, Tensor) else t for name, t in views.items()}
        leaves = {name: scene[name].clone().requires_grad_() for name in LEAVES[:5]}
        out = rasterize(**(scene | leaves), **one)
        images = (out.color, out.alpha, out.depth_expected, out.depth_median)
        loss = sum(((w[i] * image[0]).sum() for w, image in zip(drawn, images, strict=True)), torch.zeros(()))
        total = [a + b for a, b in zip(total, torch.autograd.grad(loss, list(leaves.values())), strict=True)]
    for name, a, b in zip(LEAVES, together, total, strict=False):
        assert relative(a, b) < 1e-6, name


def test_weight_sums_are_the_gradient_of_color_by_direct_colors():
    # dL/dc of a Gaussian is the sum of its weights times dL/dcolor.
    scene = cloud(200, sh=False)
    leaf = scene["colors"].requires_grad_()
    error = torch.rand(1, 50, 70)
    out = rasterize(**scene, **camera(70, 50), weight_sum=True, error_map=error)
    (d_ones,) = torch.autograd.grad(out.color[..., 0].sum(), leaf, retain_graph=True)
    (d_error,) = torch.autograd.grad((out.color[..., 0] * error).sum(), leaf)
    assert out.weight_sum is not None and out.error_sum is not None
    assert relative(out.weight_sum[0], d_ones[:, 0]) < 1e-5
    assert relative(out.error_sum[0], d_error[:, 0]) < 1e-5
    assert not out.weight_sum.requires_grad and not out.radii.requires_grad


def test_a_forked_child_can_draw():
    code = """
import os, torch
from hyperfocal.native.rasterize import rasterize
scene = dict(means=torch.rand(5000, 3) + torch.tensor([-.5, -.5, 1.]), quaternions=torch.rand(5000, 4) + .1,
             scales=torch.full((5000, 3), .02), opacities=torch.full((5000,), .5), colors=torch.rand(5000, 3),
             world_to_camera=torch.eye(4)[None], focal_px=torch.full((1, 2), 99.), center_px=torch.full((1, 2), 50.))
before = rasterize(**scene, width=100, height=100, threads=3).color
child = os.fork()
if not child:
    os._exit(0 if torch.equal(before, rasterize(**scene, width=100, height=100, threads=3).color) else 1)
assert os.waitpid(child, 0)[1] == 0
"""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, env=environment)


def test_what_is_not_float32_on_the_cpu_is_refused_by_name():
    scene = cloud(5)
    scene["scales"] = scene["scales"].double()
    with pytest.raises(
        TypeError, match=r"scales must be a float32 tensor on the CPU, got torch.float64 on cpu; convert"
    ):
        unchecked(**scene, **camera(8, 8))


def test_shapes_that_do_not_fit_are_refused_by_name():
    scene = cloud(5)
    scene["opacities"] = scene["opacities"][:4]
    with pytest.raises(ValueError, match=r"means must have shape \[4, 3\] or \[1, 4, 3\] .* got \[5, 3\]"):
        unchecked(**scene, **camera(8, 8))


def unchecked(**inputs: Any) -> RasterOutputs:
    """`rasterize` as users have it, without the test suite's own check of annotations."""
    return getattr(rasterize, "__wrapped__", rasterize)(**inputs)
