"""What must hold on any number of threads, on any instruction set, and of inputs that no fit should make."""

import math
from collections.abc import Iterator

import pytest
import torch
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from drawn_scenes import (
    CAMERA,
    LEAVES,
    SEEDS,
    SIZES,
    Drawn,
    drawn_scenes,
    images,
    make_drawn,
    outputs,
    same_bits,
    weighting,
)
from hyperfocal import _core

EXAMPLES = settings(max_examples=40)
# The fixture `level` is the same for all examples of a test, and meant to be.
AT_EACH_LEVEL = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
FEW_AT_EACH_LEVEL = settings(max_examples=20, suppress_health_check=AT_EACH_LEVEL)
MANY_AT_EACH_LEVEL = settings(max_examples=150, suppress_health_check=AT_EACH_LEVEL)
BY_VIEW = ("variance_px2", "opacity_factor", "mean_offsets_px")
ATTRIBUTES = (*LEAVES, *BY_VIEW)
# What float32 can hold but no scene means, and the ends of what opacities may be.
ODD = st.sampled_from(
    [0.0, -0.0, 1.0, -1.0, 1e-45, 1e-38, 1e-20, -1e-20, 1e4, 1e10, 1e19, -1e19, 1e30, -1e30, 3.4e38, -3.4e38]
)


@pytest.fixture(params=["base", "v3", "v4"])
def level(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every instruction set that this build and processor have."""
    before = _core.simd_level()
    if not _core.set_simd_level(request.param):
        pytest.skip(f"this build or processor has no {request.param}")
    yield request.param
    assert _core.set_simd_level(before)


def hooked(scene: Drawn, seed: int) -> Drawn:
    """The scene with all the optional inputs."""
    g = torch.Generator().manual_seed(seed)
    return scene.but(
        variance_px2=2 * torch.rand(1, scene.n, generator=g),
        opacity_factor=0.1 + 0.9 * torch.rand(1, scene.n, generator=g),
        mean_offsets_px=torch.randn(1, scene.n, 2, generator=g),
        features=torch.randn(scene.n, 3, generator=g),
    )


def with_value(scene: Drawn, name: str, index: int, entry: int, value: float) -> Drawn:
    """The scene with one entry of one attribute of one Gaussian replaced."""
    changed = scene.inputs[name].clone()
    flat = by_gaussian(name, changed)[index : index + 1].view(-1)
    flat[entry % len(flat)] = value
    return scene.but(**{name: changed})


def without(scene: Drawn, index: int) -> Drawn:
    """The scene without one Gaussian, the optional inputs included."""
    rest = [i for i in range(scene.n) if i != index]
    return scene.without(index).but(**{name: scene.inputs[name][:, rest] for name in BY_VIEW})


def by_gaussian(name: str, values: Tensor) -> Tensor:
    """The values with one row for each Gaussian, of the only view if they have views."""
    return values[0] if name in BY_VIEW else values


@FEW_AT_EACH_LEVEL
@given(scene=drawn_scenes(most=300), seed=SEEDS, threads=st.integers(2, 9))
@example(scene=make_drawn(3000, 130, 70, sh=True, size=0.02), seed=0, threads=3)
def test_the_number_of_threads_changes_no_bit(level: str, scene: Drawn, seed: int, threads: int):
    scene = hooked(scene, seed)
    error_map = torch.rand(1, scene.inputs["height"], scene.inputs["width"])
    options = {"error_map": error_map, "weight_sum": True}
    one, many = scene.draw(**options, threads=1), scene.draw(**options, threads=threads)
    same_bits(outputs(many), outputs(one))
    same_bits(scene.gradients(threads=threads), scene.gradients(threads=1))


@FEW_AT_EACH_LEVEL
@given(scene=drawn_scenes(most=100), seed=SEEDS)
def test_several_backwards_on_one_forward_give_the_same_bits(level: str, scene: Drawn, seed: int):
    scene = hooked(scene, seed)
    leaves = {name: scene.inputs[name].clone().requires_grad_() for name in ATTRIBUTES if name in scene.inputs}
    total = weighting(scene.but(**leaves).draw(threads=2))
    first = torch.autograd.grad(total, list(leaves.values()), retain_graph=True)
    make_drawn(200, 65, 33, seed=seed).gradients()  # somebody else uses the scratch memory in between
    second = torch.autograd.grad(total, list(leaves.values()))
    same_bits(dict(zip(leaves, second, strict=True)), dict(zip(leaves, first, strict=True)))


@pytest.mark.parametrize("name", ATTRIBUTES)
@FEW_AT_EACH_LEVEL
@given(
    scene=drawn_scenes(least=1, most=40),
    seed=SEEDS,
    index=st.integers(0, 39),
    entry=st.integers(0, 47),
    value=st.sampled_from([math.nan, math.inf, -math.inf]),
)
# The first and a later coefficient of a colour: one of minus infinity must not be clamped to black and stay.
@example(scene=make_drawn(9, 17, 17, sh=True), seed=0, index=0, entry=0, value=-math.inf)
@example(scene=make_drawn(9, 17, 17, sh=True), seed=0, index=0, entry=9, value=-math.inf)
@example(scene=make_drawn(9, 17, 17, sh=True), seed=0, index=0, entry=9, value=math.inf)
def test_what_is_not_finite_is_culled_and_the_others_do_not_notice(
    level: str, name: str, scene: Drawn, seed: int, index: int, entry: int, value: float
):
    scene, index = hooked(scene, seed), index % scene.n
    assume(name in scene.inputs)
    bad, rest = with_value(scene, name, index, entry, value), without(scene, index)
    out = bad.draw(weight_sum=True)
    assert out.radii[0, index].item() == 0
    same_bits(images(out), images(rest.draw()))
    got, expected = bad.gradients(), rest.gradients()
    others = [i for i in range(scene.n) if i != index]
    for leaf, gradient in got.items():
        if leaf not in ATTRIBUTES:  # sums over Gaussians, in another order
            assert torch.allclose(gradient, expected[leaf], rtol=1e-3, atol=1e-3), leaf
            continue
        assert torch.equal(by_gaussian(leaf, gradient)[others], by_gaussian(leaf, expected[leaf])), leaf
        assert not by_gaussian(leaf, gradient)[index].any(), leaf


@MANY_AT_EACH_LEVEL
@given(
    scene=drawn_scenes(least=1, most=12),
    seed=SEEDS,
    changes=st.lists(st.tuples(st.sampled_from(ATTRIBUTES), st.integers(0, 11), st.integers(0, 47), ODD), max_size=6),
)
def test_odd_but_finite_inputs_give_finite_images(
    level: str, scene: Drawn, seed: int, changes: list[tuple[str, int, int, float]]
):
    scene = hooked(scene, seed)
    for name, index, entry, value in changes:
        # Sums of colours and features near the end of what float32 holds may pass it.
        if name in scene.inputs and not (name in ("sh", "colors", "features") and abs(value) > 1e19):
            scene = with_value(scene, name, index % scene.n, entry, value)
    out = scene.draw(weight_sum=True)
    for name, output in outputs(out).items():
        assert output.isfinite().all(), name
    assert bool((out.alpha >= 0).all()) and bool((out.alpha <= 1 + 1e-6).all())


@EXAMPLES
@given(drawn_scenes(sh=False), SIZES, SIZES)
def test_nothing_in_front_of_the_camera_is_the_background(scene: Drawn, width: int, height: int):
    behind = scene.inputs["means"] * torch.tensor([1.0, 1.0, -1.0])
    for empty in (scene.but(means=behind), scene.gaussians([])):
        out = empty.but(width=width, height=height).draw()
        assert torch.equal(out.color, scene.inputs["background"].expand(1, height, width, 3))
        assert not out.alpha.any() and not out.radii.any()
        for name, gradient in empty.gradients((*LEAVES, *CAMERA)).items():
            assert not gradient.any(), name


@EXAMPLES
@given(drawn_scenes(least=1, most=20), st.sampled_from([0.0, 1e-30, 1e-8]))
def test_gaussians_of_no_size_are_drawn_as_the_low_pass(scene: Drawn, size: float):
    # Their covariance is the low pass alone, so they look alike whatever their orientation.
    points = scene.but(scales=torch.full((scene.n, 3), size))
    turned = points.but(quaternions=torch.tensor([[1.0, 0.0, 0.0, 0.0]]).repeat(scene.n, 1))
    assert torch.allclose(points.draw().color, turned.draw().color, atol=1e-5)
    for name, gradient in points.gradients().items():
        assert gradient.isfinite().all(), name


@EXAMPLES
@given(drawn_scenes(least=1, most=20), st.sampled_from([1.0, 1.0 - 2**-24, 0.9991, 5.0]))
def test_opaque_gaussians_are_clamped_and_finite(scene: Drawn, opacity: float):
    opaque = scene.but(opacities=torch.full((scene.n,), opacity))
    # 0.999 of one and at most all but 1e-4 of many.
    assert opaque.draw().alpha.max().item() <= 1 - 0.99e-4
    for name, gradient in opaque.gradients().items():
        assert gradient.isfinite().all(), name


@EXAMPLES
@given(drawn_scenes(least=1, most=20), st.sampled_from([50.0, 1e4, 1e6]), st.integers(0, 19))
def test_a_gaussian_of_ten_thousand_pixels_is_a_veil(scene: Drawn, size: float, index: int):
    scales = scene.inputs["scales"].clone()
    scales[index % scene.n] = size
    veiled = scene.but(scales=scales)
    assert veiled.draw().color.isfinite().all()
    for name, gradient in veiled.gradients().items():
        assert gradient.isfinite().all(), name
