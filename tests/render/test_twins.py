"""cpu = reference, in values and in gradients.

The reference runs in float64, so the difference is the rounding of the core. A pixel where the alpha of a splat lies on
the cut may fall on either side: such flips are counted and bounded, and everything else must agree closely.
"""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from hyperfocal.camera import Camera
from hyperfocal.gaussians import Gaussians
from hyperfocal.render import render
from hyperfocal.rendering import Rendering, RenderOptions
from hyperfocal.sh import dc_from_color
from scenes import random_gaussians, ring_of_cameras

RELATIVE_L2 = 3e-4  # float32 against float64, with the customary cut
NO_CUT = RenderOptions(alpha_cut=0.0, relative_cut=False)
EXACT = 2e-5  # the same with the cut off, where nothing can flip


def relative_l2(value: Tensor, truth: Tensor) -> float:
    """Norm of the difference over the norm of the truth; 0 when both vanish."""
    return float((value.double() - truth).norm() / truth.norm().clamp_min(1e-12))


def both(gaussians: Gaussians, camera: Camera, options: RenderOptions, background: Tensor) -> list[dict[str, Tensor]]:
    """Values and gradients of a fixed random function of the picture, from the core and from the reference."""
    results = []
    for backend, dtype in (("cpu", torch.float32), ("reference", torch.float64)):
        leaves = {name: t.detach().to(dtype).clone().requires_grad_(True) for name, t in gaussians.tensors().items()}
        view = {"world_to_camera": camera.world_to_camera, "focal_px": camera.focal_px, "center_px": camera.center_px}
        leaves |= {name: t.detach().to(dtype).clone().requires_grad_(True) for name, t in view.items()}
        leaves["background"] = background.to(dtype).clone().requires_grad_(True)
        extra = {}
        for name in (
            "variance_px2",
            "opacity_factor",
            "mean_offsets_px",
            "means",
            "quaternions",
            "colors",
            "features",
            "error_map",
        ):
            tensor = getattr(options, name)
            if tensor is not None:
                extra[name] = tensor.detach().to(dtype).clone().requires_grad_(name != "error_map")
        leaves |= {f"options.{name}": t for name, t in extra.items() if t.requires_grad}
        out = render(
            replace(gaussians, **{name: leaves[name] for name in gaussians.tensors()}),
            replace(camera, **{name: leaves[name] for name in view}),
            background=leaves["background"],
            backend=backend,
            options=replace(options, **extra),
        )
        results.append(values_of(out) | gradients_of(out, leaves))
    return results


def values_of(out: Rendering) -> dict[str, Tensor]:
    """The pictures of a rendering, detached."""
    names = ("color", "alpha", "depth_expected", "depth_median", "features", "radii_px", "weight_sum", "error_sum")
    return {name: t.detach() for name in names if (t := getattr(out, name)) is not None}


def gradients_of(out: Rendering, leaves: dict[str, Tensor]) -> dict[str, Tensor]:
    """Gradients of a fixed random weighting of colour, alpha, both depths and the features."""
    g = torch.Generator().manual_seed(5)
    total = torch.zeros((), dtype=torch.float64)
    images = [out.color, out.alpha, out.depth_expected * out.alpha.detach(), 0.1 * out.depth_median]
    for image in images + [t for t in (out.features,) if t is not None]:
        weights = torch.randn(image.shape, generator=g, dtype=torch.float64)
        total = total + (image * weights.to(image.dtype)).sum()
    gradients = torch.autograd.grad(total, list(leaves.values()), allow_unused=True)
    return {f"d {name}": t for name, t in zip(leaves, gradients, strict=True) if t is not None}


def assert_twins(core: dict[str, Tensor], truth: dict[str, Tensor], bound: float) -> None:
    """Every value and gradient agrees in relative L2; median depth may pick a neighbour on a few pixels."""
    assert core.keys() == truth.keys()
    for name, expected in truth.items():
        if name == "depth_median":
            differs = (core[name].double() - expected).abs() > 1e-4 * expected.abs().clamp_min(1)
            assert differs.double().mean() < 2e-3, f"{name}: {int(differs.sum())} pixels differ"
        else:
            assert relative_l2(core[name], expected) < bound, f"{name}: {relative_l2(core[name], expected):.2e}"


BACKGROUND = torch.tensor([0.2, 0.5, 0.9])


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_core_equals_reference_on_random_scenes(degree: int):
    gaussians, camera = random_gaussians(200, sh_degree=degree), ring_of_cameras(2)
    assert_twins(*both(gaussians, camera, RenderOptions(), BACKGROUND.expand(2, 3)), RELATIVE_L2)


def test_core_equals_reference_closely_where_no_pixel_can_flip():
    gaussians, camera = random_gaussians(60), ring_of_cameras(2)
    assert_twins(*both(gaussians, camera, NO_CUT, BACKGROUND.expand(2, 3)), EXACT)


def test_core_equals_reference_where_pixels_saturate():
    gaussians = random_gaussians(400, size=0.4)
    opaque = replace(gaussians, opacities=0.5 + 0.5 * gaussians.opacities)
    assert_twins(*both(opaque, ring_of_cameras(1), RenderOptions(), BACKGROUND.expand(1, 3)), 5 * RELATIVE_L2)


@pytest.mark.parametrize("size", [(1, 1), (3, 70), (33, 65)])
def test_core_equals_reference_at_awkward_image_sizes(size: tuple[int, int]):
    gaussians, camera = random_gaussians(100), ring_of_cameras(1, *size)
    assert_twins(*both(gaussians, camera, RenderOptions(), BACKGROUND.expand(1, 3)), RELATIVE_L2)


def test_core_equals_reference_with_the_hooks_of_lens_and_motion():
    n = 150
    gaussians, camera = random_gaussians(n), ring_of_cameras(2)
    g = torch.Generator().manual_seed(3)
    options = RenderOptions(
        means=gaussians.means + 0.05 * torch.randn(2, n, 3, generator=g),
        quaternions=gaussians.quaternions + 0.1 * torch.randn(2, n, 4, generator=g),
        variance_px2=4 * torch.rand(2, n, generator=g),
        opacity_factor=0.2 + 0.8 * torch.rand(2, n, generator=g),
        mean_offsets_px=torch.randn(2, n, 2, generator=g),
    )
    assert_twins(*both(gaussians, camera, options, BACKGROUND.expand(2, 3)), RELATIVE_L2)


def test_core_equals_reference_with_direct_colours():
    gaussians, camera = random_gaussians(100), ring_of_cameras(2)
    for shape in ((100, 3), (2, 100, 3)):
        options = RenderOptions(colors=torch.rand(shape, generator=torch.Generator().manual_seed(4)))
        assert_twins(*both(gaussians, camera, options, BACKGROUND.expand(2, 3)), RELATIVE_L2)


@pytest.mark.parametrize("channels", [1, 7, 32])
def test_core_equals_reference_in_feature_channels(channels: int):
    gaussians, camera = random_gaussians(100), ring_of_cameras(2)
    for shape in ((100, channels), (2, 100, channels)):
        options = RenderOptions(features=torch.randn(shape, generator=torch.Generator().manual_seed(4)))
        assert_twins(*both(gaussians, camera, options, BACKGROUND.expand(2, 3)), RELATIVE_L2)


def test_core_equals_reference_in_a_window_of_rows():
    gaussians, camera = random_gaussians(100), ring_of_cameras(2, 50, 70)
    error = torch.rand(2, 70, 50, generator=torch.Generator().manual_seed(4))
    for window in ((0, 70), (13, 14), (5, 47), (33, 70)):
        options = RenderOptions(row_window=window, features=gaussians.means, weight_sum=True, error_map=error)
        core, truth = both(gaussians, camera, options, BACKGROUND.expand(2, 3))
        assert core["color"].shape == (2, window[1] - window[0], 50, 3)
        assert_twins(core, truth, RELATIVE_L2)


def test_windows_of_rows_make_up_the_image():
    gaussians, camera = random_gaussians(200), ring_of_cameras(1, 64, 96)
    whole = render(gaussians, camera).color
    windows = (0, 40), (40, 41), (41, 96)
    parts = [render(gaussians, camera, options=RenderOptions(row_window=window)).color for window in windows]
    assert relative_l2(torch.cat(parts, 1), whole.double()) < 1e-6


def test_channels_beyond_32_and_rows_beyond_the_image_are_refused():
    gaussians, camera = random_gaussians(5), ring_of_cameras(1)
    with pytest.raises(ValueError, match=r"features.*c from 1 to 32"):
        render(gaussians, camera, options=RenderOptions(features=torch.zeros(5, 33)))
    with pytest.raises(ValueError, match="row_window"):
        render(gaussians, camera, options=RenderOptions(row_window=(3, 31)))


def test_core_equals_reference_in_weight_and_error_sums():
    gaussians, camera = random_gaussians(100), ring_of_cameras(2)
    error = torch.rand(2, camera.height, camera.width, generator=torch.Generator().manual_seed(4))
    options = RenderOptions(weight_sum=True, error_map=error)
    assert_twins(*both(gaussians, camera, options, BACKGROUND.expand(2, 3)), RELATIVE_L2)


def test_core_equals_reference_on_degenerate_gaussians():
    gaussians = random_gaussians(60)
    scales = gaussians.scales.clone()
    scales[:20, 0] = 1e-8  # discs
    scales[20:30] = 1e-9  # points
    scales[30:33] = 20.0  # larger than the scene
    means = gaussians.means.clone()
    means[40:45] *= 40  # far outside, behind, at grazing angles
    opacities = gaussians.opacities.clone()
    opacities[50:52] = 1 - 1e-6
    opacities[52:54] = 1e-5
    odd = replace(gaussians, scales=scales, means=means, opacities=opacities)
    assert_twins(*both(odd, ring_of_cameras(2), RenderOptions(), BACKGROUND.expand(2, 3)), 10 * RELATIVE_L2)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_core_equals_reference_where_colours_and_features_are_no_numbers(value: float):
    gaussians, camera = random_gaussians(60), ring_of_cameras(2)
    sh, features = gaussians.sh.clone(), torch.rand(60, 2, generator=torch.Generator().manual_seed(4))
    sh[3, 0, 1] = value
    sh[20, -1, 2] = value
    features[40, 1] = value
    odd, options = replace(gaussians, sh=sh), RenderOptions(features=features)
    core, truth = both(odd, camera, options, BACKGROUND.expand(2, 3))
    assert_twins(core, truth, RELATIVE_L2)
    for result in (core, truth):
        assert not result["radii_px"][:, [3, 20, 40]].any()
        assert all(bool(tensor.isfinite().all()) for tensor in result.values())


def test_core_equals_reference_on_a_lower_degree_than_stored():
    gaussians, camera = random_gaussians(100, sh_degree=3), ring_of_cameras(1)
    assert_twins(*both(gaussians, camera, RenderOptions(sh_degree=1), BACKGROUND.expand(1, 3)), RELATIVE_L2)


def test_core_equals_reference_on_a_real_scene(shared_data: Path):
    """138,766 points of the garden photographs, thinned so that the dense reference can hold them."""
    garden = np.load(shared_data / "garden" / "test_garden.npz")
    means = torch.from_numpy(garden["means3d"]).float()[::100]
    colors = torch.from_numpy(garden["colors"])[::100].float() / 255
    shapes = random_gaussians(len(means), sh_degree=1, size=0.02)
    sh = torch.cat((dc_from_color(colors).unsqueeze(1), shapes.sh[:, 1:]), 1)
    gaussians = replace(shapes, means=means, sh=sh)
    K = torch.from_numpy(garden["Ks"]).float()
    camera = Camera(
        world_to_camera=torch.from_numpy(garden["viewmats"]).float(),
        focal_px=torch.stack((K[:, 0, 0], K[:, 1, 1]), 1),
        center_px=K[:, :2, 2],
        width=int(garden["width"]),
        height=int(garden["height"]),
    ).resized(48, 32)
    assert_twins(*both(gaussians, camera, RenderOptions(), BACKGROUND.expand(len(K), 3)), 2 * RELATIVE_L2)


def test_wrong_tensors_are_refused_by_name():
    with pytest.raises(TypeError, match="float32"):
        render(random_gaussians(5, dtype=torch.float64), ring_of_cameras(1, dtype=torch.float64))
    with pytest.raises(ValueError, match="variance_px2"):
        render(random_gaussians(5), ring_of_cameras(2), options=RenderOptions(variance_px2=torch.zeros(3, 5)))
