"""What blur does to opacities: the laws in closed form, and the laws of the core against their definition."""

import math
from dataclasses import replace

import pytest
import torch
from scipy.special import spence

from hyperfocal.bench.lens_scenes import sheet
from hyperfocal.render import render
from hyperfocal.render.opacity_law import spread_opacity, summed_depth
from hyperfocal.rendering import OpacityLaw, RenderOptions
from scenes import pinhole, random_gaussians, ring_of_cameras

LAWS: tuple[OpacityLaw, ...] = ("energy", "optical_depth")


def test_summed_depth_is_the_dilogarithm() -> None:
    opacity = torch.linspace(1e-4, 0.9999, 200, dtype=torch.float64)
    truth = torch.from_numpy(spence(1 - opacity.numpy()))  # SciPy's Li2(x) is spence(1 - x)
    torch.testing.assert_close(summed_depth(-torch.log1p(-opacity)), truth, rtol=1e-9, atol=0)


def test_optical_depth_over_the_plane_is_kept() -> None:
    opacity, ratio = torch.meshgrid(
        torch.linspace(0.001, 0.999, 40, dtype=torch.float64), torch.logspace(-4, 0, 30, dtype=torch.float64)
    , indexing="ij")  # fmt: skip
    after = spread_opacity(opacity.flatten(), ratio.flatten(), "optical_depth")
    kept = torch.from_numpy(spence(1 - after.numpy()))
    truth = ratio.flatten() * torch.from_numpy(spence(1 - opacity.flatten().numpy()))
    torch.testing.assert_close(kept, truth, rtol=1e-9, atol=0)


@pytest.mark.parametrize("law", LAWS)
def test_no_blur_changes_nothing_and_faint_gaussians_follow_the_energy_law(law: OpacityLaw) -> None:
    opacity = torch.tensor([0.01, 0.5, 0.99], dtype=torch.float64)
    torch.testing.assert_close(spread_opacity(opacity, torch.ones_like(opacity), law), opacity, rtol=1e-9, atol=0)
    faint = torch.full((5,), 1e-4, dtype=torch.float64)
    ratio = torch.linspace(0.01, 1, 5, dtype=torch.float64)
    torch.testing.assert_close(spread_opacity(faint, ratio, law), faint * ratio, rtol=1e-4, atol=0)


@pytest.mark.parametrize("law", LAWS)
def test_gradients_of_the_laws(law: OpacityLaw) -> None:
    opacity = torch.tensor([0.003, 0.2, 0.6, 0.95, 0.998], dtype=torch.float64, requires_grad=True)
    ratio = torch.tensor([0.9, 0.5, 0.02, 0.3, 0.7], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda o, r: spread_opacity(o, r, law), (opacity, ratio), atol=1e-6)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("sigma_px", [0.05, 1.0, 6.0])
def test_the_core_follows_the_laws_in_values_and_gradients(law: OpacityLaw, sigma_px: float) -> None:
    gaussians, camera = random_gaussians(60, size=0.2), ring_of_cameras(2)
    torch.manual_seed(3)
    opacities = torch.rand(60) * 0.998 + 0.001
    variance = (sigma_px * torch.rand(2, 60)) ** 2
    weights = torch.rand(2, camera.height, camera.width, 3)
    results = []
    for backend, dtype in (("cpu", torch.float32), ("reference", torch.float64)):
        leaves = {name: t.to(dtype).clone().requires_grad_() for name, t in gaussians.tensors().items()}
        leaves["opacities"] = opacities.to(dtype).clone().requires_grad_()
        widened = variance.to(dtype).clone().requires_grad_()
        options = RenderOptions(variance_px2=widened, opacity_law=law, alpha_cut=0.0, relative_cut=False)
        out = render(replace(gaussians, **leaves), camera.to(dtype=dtype), backend=backend, options=options)  # pyright: ignore[reportArgumentType]
        inputs = [*leaves.values(), widened]
        gradients = torch.autograd.grad((out.color * weights.to(dtype)).sum() + out.alpha.sum(), inputs)
        results.append(dict(zip(["color", *leaves, "variance"], [out.color.detach(), *gradients], strict=True)))
    for name, value in results[0].items():
        truth = results[1][name]
        assert float((value.double() - truth).norm() / truth.norm()) < 5e-5, name


@pytest.mark.parametrize(("sigma_per_spacing", "opacity"), [(0.5, 0.99), (0.7, 0.8), (1.0, 0.5)])
def test_a_tiled_surface_stays_closed_under_the_law_of_optical_depth_only(
    sigma_per_spacing: float, opacity: float
) -> None:
    shot = sheet(sigma_per_spacing, opacity, 10.0)
    variance = torch.full((1, len(shot.gaussians)), 2.5**2)  # of a circle of 10 px
    sharp = render(shot.gaussians, shot.camera).alpha[16:-16, 16:-16].mean()
    leak = {}
    for law in LAWS:
        options = RenderOptions(variance_px2=variance, opacity_law=law)
        blurred = render(shot.gaussians, shot.camera, options=options).alpha[16:-16, 16:-16].mean()
        leak[law] = abs(float(blurred - sharp))
    assert leak["optical_depth"] < 0.01
    assert leak["energy"] > 2 * leak["optical_depth"]


def test_one_gaussian_alone_keeps_its_light_under_the_energy_law_only() -> None:
    camera = pinhole(128, 128, 100.0)
    one = random_gaussians(1)
    one = replace(one, means=torch.tensor([[0.0, 0, 1]]), scales=torch.full((1, 3), 0.02))
    one = replace(one, opacities=torch.tensor([0.95]))
    sharp = float(render(one, camera).alpha.sum())
    kept = {
        law: float(
            render(one, camera, options=RenderOptions(variance_px2=torch.tensor([[49.0]]), opacity_law=law)).alpha.sum()
        )
        / sharp
        for law in LAWS
    }
    assert kept["energy"] == pytest.approx(1, abs=0.02)  # the cut takes one percent
    ratio = 4.3 / (4.3 + 49)  # of the areas, with the low pass of 0.3
    wanted = ratio * float(spence(0.05))
    after = wanted - wanted**2 / 4 + wanted**3 / 72  # the inverse of the dilogarithm
    assert kept["optical_depth"] == pytest.approx(after / (0.95 * ratio), abs=0.01)  # 1.47


def test_what_is_beyond_far_is_not_seen() -> None:
    gaussians, camera = random_gaussians(40), ring_of_cameras(1)[0]
    depth_z = gaussians.means @ camera.world_to_camera[2, :3] + camera.world_to_camera[2, 3]
    middle = float(depth_z.sort().values[19:21].mean())
    for backend in ("cpu", "reference"):
        front = render(gaussians, camera, backend=backend, options=RenderOptions(far=middle))
        behind = render(gaussians, camera, backend=backend, options=RenderOptions(near=middle))
        whole = render(gaussians, camera, backend=backend)
        assert not bool((front.radii_px[depth_z >= middle] > 0).any())
        assert not bool((behind.radii_px[depth_z < middle] > 0).any())
        # Blending is associative: the front over what is behind is the whole.
        together = front.color + (1 - front.alpha).unsqueeze(-1) * behind.color
        torch.testing.assert_close(together, whole.color, atol=2e-4, rtol=0)
    with pytest.raises(ValueError, match="`far` must be beyond `near`"):
        RenderOptions(near=1.0, far=1.0)
    assert math.isinf(RenderOptions().far)
