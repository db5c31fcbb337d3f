"""Gaussians through a lens: against the average over the lens, the pinhole, the reference, and faster ways to draw."""

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from hyperfocal.apertures import Aperture
from hyperfocal.bench.lens_scenes import sheet
from hyperfocal.camera import Camera
from hyperfocal.gaussians import Gaussians
from hyperfocal.lens import ThinLens
from hyperfocal.render import render
from hyperfocal.render.aperture import render_aperture
from hyperfocal.render.defocus import circle_variance_px2, depth_layers
from hyperfocal.render.reference import render_reference
from hyperfocal.rendering import Defocus, OpacityLaw, Rendering, RenderOptions
from hyperfocal.sh import dc_from_color
from scenes import pinhole, random_gaussians, ring_of_cameras

LAWS: tuple[OpacityLaw, ...] = ("energy", "optical_depth", "light_kept")


def psnr(value: Tensor, truth: Tensor) -> float:
    return float(-10 * (value - truth).square().mean().log10())


def lens(aperture: float, focus: float) -> ThinLens:
    return ThinLens(torch.tensor(aperture), torch.tensor(focus))


def some_of(gaussians: Gaussians, index: Tensor) -> Gaussians:
    return replace(gaussians, **{name: t[index] for name, t in gaussians.tensors().items()})


def room(n: int = 4000, seed: int = 1) -> tuple[Gaussians, Camera]:
    """Solid walls of overlapping Gaussians at three depths, the nearer ones in part before the others."""
    torch.manual_seed(seed)
    depth = torch.tensor([1.5, 3.0, 6.0])[torch.randint(3, (n,))]
    across = torch.rand(n, 2) * 2 - 1
    across[:, 0] = torch.where(depth == 1.5, across[:, 0] * 0.4 - 0.5, across[:, 0] * 1.2)
    across[:, 1] = torch.where(depth == 3.0, across[:, 1] * 0.4 + 0.3, across[:, 1] * 1.2)
    means = torch.cat((across * 0.4 * depth.unsqueeze(1), depth.unsqueeze(1) + 0.01 * torch.randn(n, 1)), 1)
    scales = 0.012 * depth.unsqueeze(1) * torch.rand(n, 3).add(0.5)
    scales[:, 2] *= 0.1
    upright = torch.tensor([[1.0, 0, 0, 0]]).expand(n, 4).contiguous()
    colors = 0.5 + 0.4 * torch.sin(9 * across).repeat(1, 2)[:, :3] * torch.rand(n, 3)
    opacities = torch.rand(n) * 0.8 + 0.15
    return Gaussians(means, upright, scales, opacities, dc_from_color(colors).unsqueeze(1)), pinhole(96, 72, 100.0)


def test_the_circle_is_that_of_the_lens() -> None:
    camera = ring_of_cameras(3)
    means = torch.randn(7, 3)
    thin = ThinLens(torch.tensor([0.0, 0.1, 0.3]), torch.tensor([2.0, 3.0, 4.0]))
    variance = circle_variance_px2(means, camera, thin, 0.01, Aperture("gaussian"))
    for i in range(3):
        depth_z = means @ camera.world_to_camera[i, 2, :3] + camera.world_to_camera[i, 2, 3]
        focal_px = camera.focal_px[i].prod().sqrt()
        circle = thin.aperture_diameter[i] * focal_px * (1 / thin.focus_distance[i] - 1 / depth_z)
        torch.testing.assert_close(variance[i], circle.square() / 16)


@pytest.mark.parametrize("defocus", ["splat", "fast_splat", "aperture"])
@pytest.mark.parametrize("law", LAWS)
def test_a_closed_aperture_is_the_pinhole_and_is_reached_continuously(defocus: Defocus, law: OpacityLaw) -> None:
    gaussians, camera = room()
    sharp = render(gaussians, camera).color
    options = RenderOptions(defocus=defocus, opacity_law=law, aperture_samples=4)
    closed = render(gaussians, camera, lens=lens(0.0, 3.0), options=options).color
    torch.testing.assert_close(closed, sharp, atol=2e-5 if law != "light_kept" else 2e-4, rtol=0)
    steps = [render(gaussians, camera, lens=lens(a, 3.0), options=options).color for a in (0.002, 0.004, 0.008)]
    away = [float((step - closed).square().mean().sqrt()) for step in steps]
    assert away[0] < away[1] < away[2] < 0.05
    assert away[0] < 0.01


@pytest.mark.parametrize("focus", [1.5, 3.0, 6.0])
@pytest.mark.parametrize("circle_px", [5.0, 10.0])
def test_splats_are_near_the_average_over_the_lens(focus: float, circle_px: float) -> None:
    gaussians, camera = room()
    thin = lens(circle_px / 100.0 / (1 / 1.5 - 1 / 6.0), focus)  # between the first depth and the last
    background = torch.tensor([1.0, 0.0, 1.0])

    def blurred(**options: object) -> Tensor:
        settings = RenderOptions(**{"aperture": Aperture("gaussian")} | options)  # pyright: ignore[reportArgumentType]
        return render(gaussians, camera, lens=thin, background=background, options=settings).color

    truth = blurred(defocus="aperture", aperture_samples=96)
    kept = psnr(blurred(opacity_law="light_kept"), truth)
    assert kept > 35
    assert psnr(blurred(), truth) == kept  # the default
    assert kept > psnr(blurred(opacity_law="optical_depth"), truth)  # which lets Gaussians at random take too much
    assert psnr(render(gaussians, camera, background=background).color, truth) < kept - 3
    # Through a disc, by the Gaussian that is nearest to it.
    disc = blurred(defocus="aperture", aperture_samples=96, aperture=Aperture("disc"))
    assert psnr(blurred(aperture=Aperture("disc")), disc) > 34


@pytest.mark.parametrize(("sigma_per_spacing", "opacity"), [(0.5, 0.99), (0.5, 0.8), (0.7, 0.8), (1.0, 0.5)])
@pytest.mark.parametrize("circle_px", [5.0, 10.0])
def test_a_blurred_surface_is_near_the_average_over_the_lens(
    sigma_per_spacing: float, opacity: float, circle_px: float
) -> None:
    shot = sheet(sigma_per_spacing, opacity, circle_px)

    def inside(**options: object) -> Tensor:
        settings = RenderOptions(**{"aperture": Aperture("gaussian")} | options)  # pyright: ignore[reportArgumentType]
        return render(shot.gaussians, shot.camera, lens=shot.lens, options=settings).color[12:-12, 12:-12]

    truth = inside(defocus="aperture")
    kept = psnr(inside(), truth)
    assert kept > 38
    assert kept > psnr(inside(opacity_law="energy"), truth) + 3  # which lets the background shine through
    assert float(inside().sum() / truth.sum()) == pytest.approx(1, abs=0.01)


def test_the_average_over_the_lens_takes_a_picture_a_point_and_the_largest_radii() -> None:
    gaussians, camera = random_gaussians(60), ring_of_cameras(2, 32, 24)
    taken = []

    def draw(*given: Any) -> Rendering:
        taken.append(render_reference(*given))
        return taken[-1]

    options = RenderOptions(aperture_samples=3, weight_sum=True)
    average = render_aperture(draw, gaussians, camera, lens(0.8, 2.5), torch.zeros(2, 3), options)
    assert len(taken) == 3
    torch.testing.assert_close(average.color, sum(one.color for one in taken) / 3)
    torch.testing.assert_close(average.weight_sum, sum(one.weight_sum for one in taken) / 3)
    assert torch.equal(average.radii_px, torch.stack([one.radii_px for one in taken]).amax(0))
    assert not torch.equal(average.radii_px, taken[0].radii_px)
    assert average.features is None


def test_light_is_neither_made_nor_lost() -> None:
    gaussians, camera = room()
    for focus in (1.5, 6.0):
        thin = lens(0.2, focus)
        truth = render(gaussians, camera, lens=thin, options=RenderOptions(defocus="aperture")).color.sum()
        kept = render(gaussians, camera, lens=thin).color.sum()
        assert float(kept / truth) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("focus", [1.0, 3.0, 20.0, math.inf])
def test_small_pictures_of_strongly_blurred_depths_are_near_one_whole(focus: float) -> None:
    gaussians, camera = room()
    for aperture in (0.1, 0.5, 2.0):
        whole, fast = (
            render(
                gaussians,
                camera,
                lens=lens(aperture, focus),
                background=torch.tensor([0.0, 1.0, 0.5]),
                options=RenderOptions(defocus=defocus, opacity_law="energy"),
            )
            for defocus in ("splat", "fast_splat")
        )
        assert psnr(fast.color, whole.color) > 50
        assert psnr(fast.alpha, whole.alpha) > 50
        seen = whole.alpha > 0.5
        assert float(((fast.depth_expected - whole.depth_expected) / whole.depth_expected)[seen].abs().mean()) < 0.01
        assert bool(fast.depth_median.isnan().all())


def test_layers_of_depth_cover_all_of_it_once_with_large_enough_circles() -> None:
    thin = lens(0.3, 2.0)
    layers = list(depth_layers(thin, 500.0, 0.01, math.inf))
    assert layers[0].near == 0.01
    assert layers[-1].far == math.inf
    assert all(before.far == after.near for before, after in pairwise(layers))
    for layer in layers:
        inside = torch.linspace(layer.near, min(layer.far, 1e4), 50)[1:-1]
        circle = thin.coc_diameter_px(inside, torch.tensor(500.0)).abs()
        if layer.factor > 1:
            assert float(circle.min()) / layer.factor >= 3.0 - 1e-3
    assert [layer.factor for layer in depth_layers(lens(0.0, 2.0), 500.0, 0.01, math.inf)] == [1]


@pytest.mark.parametrize("law", ["energy", "optical_depth"])
def test_gradients_of_the_lens_are_those_of_the_reference(law: OpacityLaw) -> None:
    gaussians, camera = random_gaussians(50), ring_of_cameras(2)
    weights = torch.rand(2, camera.height, camera.width, 3)
    results = []
    for backend, dtype in (("cpu", torch.float32), ("reference", torch.float64)):
        leaves = {name: t.to(dtype).clone().requires_grad_() for name, t in gaussians.tensors().items()}
        thin = ThinLens(
            torch.tensor([0.2, 0.5], dtype=dtype, requires_grad=True),
            torch.tensor([3.5, 4.5], dtype=dtype, requires_grad=True),
        )
        options = RenderOptions(opacity_law=law, alpha_cut=0.0, relative_cut=False)
        out = render(replace(gaussians, **leaves), camera.to(dtype=dtype), lens=thin, backend=backend, options=options)  # pyright: ignore[reportArgumentType]
        inputs = [*leaves.values(), thin.aperture_diameter, thin.focus_distance]
        results.append(torch.autograd.grad((out.color * weights.to(dtype)).sum() + out.alpha.sum(), inputs))
    for name, value, truth in zip([*gaussians.tensors(), "aperture", "focus"], *results, strict=True):
        assert float((value.double() - truth).norm() / truth.norm()) < 3e-4, name


def test_the_gradient_of_aperture_and_focus_is_that_of_differences() -> None:
    gaussians, camera = random_gaussians(12, dtype=torch.float64), ring_of_cameras(1, dtype=torch.float64)
    options = RenderOptions(opacity_law="energy", alpha_cut=0.0, relative_cut=False)

    def picture(aperture: Tensor, focus: Tensor) -> Tensor:
        return render(gaussians, camera, lens=ThinLens(aperture, focus), backend="reference", options=options).color

    values = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (0.4, 3.7)]
    assert torch.autograd.gradcheck(picture, values, atol=1e-6)


@pytest.mark.parametrize("defocus", ["splat", "fast_splat", "aperture"])
def test_a_batch_is_its_views_each_with_its_lens(defocus: Defocus) -> None:
    gaussians, camera = random_gaussians(200), ring_of_cameras(3)
    thin = ThinLens(torch.tensor([0.1, 0.4, 0.8]), torch.tensor([3.0, 4.0, 5.0]))
    options = RenderOptions(defocus=defocus, opacity_law="energy", aperture_samples=8)
    together = render(gaussians, camera, lens=thin, options=options)
    for i in range(3):
        alone = ThinLens(thin.aperture_diameter[i], thin.focus_distance[i])
        torch.testing.assert_close(
            together.color[i], render(gaussians, camera[i], lens=alone, options=options).color, atol=1e-6, rtol=0
        )


def test_nothing_is_culled_whose_blur_reaches_in() -> None:
    camera = pinhole(32, 24, 100.0)
    one = replace(random_gaussians(1), means=torch.tensor([[0.25, 0.0, 1.0]]), scales=torch.full((1, 3), 0.002))
    assert float(render(one, camera).alpha.max()) == 0  # 9 pixels beyond the edge
    for defocus in ("splat", "fast_splat"):
        options = RenderOptions(defocus=defocus, opacity_law="energy")
        assert float(render(one, camera, lens=lens(0.4, 4.0), options=options).alpha.max()) > 1e-5


@pytest.mark.parametrize("defocus", ["splat", "fast_splat", "aperture"])
def test_nothing_is_seen_of_nothing_and_of_what_is_behind(defocus: Defocus) -> None:
    camera, thin = pinhole(), lens(0.2, 3.0)
    options = RenderOptions(defocus=defocus, aperture_samples=2)
    none = random_gaussians(8)
    for gaussians in (some_of(none, torch.zeros(0, dtype=torch.int64)), replace(none, means=none.means - 5)):
        seen = render(gaussians, camera, lens=thin, background=torch.ones(3), options=options)
        assert bool((seen.color == 1).all())
        assert not bool(seen.alpha.any())


def test_a_factor_of_zero_stays_zero() -> None:
    gaussians, camera = random_gaussians(20), ring_of_cameras(1)[0]
    factor = torch.ones(1, 20)
    factor[0, ::2] = 0
    seen = render(gaussians, camera, lens=lens(0.3, 3.0), options=RenderOptions(opacity_factor=factor))
    rest = render(some_of(gaussians, torch.arange(1, 20, 2)), camera, lens=lens(0.3, 3.0))
    torch.testing.assert_close(seen.color, rest.color, atol=1e-5, rtol=0)


def test_lenses_for_another_number_of_views_are_refused() -> None:
    with pytest.raises(ValueError, match="one lens or one a view"):
        render(random_gaussians(5), ring_of_cameras(3), lens=ThinLens(torch.ones(2), torch.ones(2)))


def test_what_a_way_of_drawing_does_not_serve_is_refused() -> None:
    gaussians, camera = random_gaussians(5), ring_of_cameras(1)[0]
    with pytest.raises(ValueError, match="are for a lens"):
        render(gaussians, camera, options=RenderOptions(opacity_law="light_kept"))
    with pytest.raises(ValueError, match="are for a lens"):
        render(gaussians, camera, options=RenderOptions(defocus="fast_splat"))
    fast = RenderOptions(defocus="fast_splat", features=torch.rand(5, 2))
    with pytest.raises(NotImplementedError, match="features"):
        render(gaussians, camera, lens=lens(0.1, 3.0), options=fast)
    with pytest.raises(NotImplementedError, match="weight_sum"):
        render(gaussians, camera, lens=lens(0.1, 3.0), options=replace(fast, features=None, weight_sum=True))
    with pytest.raises(ValueError, match="Normals"):
        render(gaussians, camera, lens=lens(0.1, 3.0), normals=True, options=RenderOptions(defocus="fast_splat"))
