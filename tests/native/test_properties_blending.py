"""What must hold of blending and of the tiles, whatever the scene."""

from itertools import pairwise

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from drawn_scenes import NO_CUT, SEEDS, SIZES, Drawn, drawn_scenes, images, make_drawn, same_bits

EXAMPLES = settings(max_examples=40)
FEWER = settings(max_examples=20)


@EXAMPLES
@given(drawn_scenes())
def test_alpha_is_a_share(scene: Drawn):
    alpha = scene.draw().alpha
    # A sum of up to sixty weights, each of them rounded.
    assert alpha.min().item() >= 0 and alpha.max().item() <= 1 + 1e-6


@EXAMPLES
@given(drawn_scenes(sh=False, most=30))
def test_colors_are_a_mixture_of_the_gaussians_and_the_background(scene: Drawn):
    mixed = torch.cat((scene.inputs["colors"], scene.inputs["background"]))
    color = scene.draw().color[0]
    for channel in range(3):
        assert color[..., channel].min().item() >= mixed[:, channel].min().item() - 1e-5
        assert color[..., channel].max().item() <= mixed[:, channel].max().item() + 1e-5


@EXAMPLES
@given(drawn_scenes(sh=False, most=30), st.tuples(*[st.floats(0, 1, width=32)] * 3))
def test_what_the_gaussians_leave_is_the_background(scene: Drawn, behind: tuple[float, float, float]):
    background = torch.tensor([behind])
    black, over = scene.but(background=None).draw(), scene.but(background=background).draw()
    expected = black.color + (1 - black.alpha)[..., None] * background
    assert torch.allclose(over.color, expected, atol=2e-6)
    assert torch.equal(over.alpha, black.alpha)


@EXAMPLES
@given(drawn_scenes())
def test_weight_sums_add_up_to_alpha(scene: Drawn):
    out = scene.draw(weight_sum=True, error_map=torch.full((1, scene.inputs["height"], scene.inputs["width"]), 0.5))
    assert out.weight_sum is not None and out.error_sum is not None
    assert out.weight_sum.min().item() >= 0 if scene.n else True
    assert out.weight_sum.sum().item() == pytest.approx(out.alpha.sum().item(), rel=1e-4, abs=1e-6)
    assert torch.allclose(out.error_sum, 0.5 * out.weight_sum, rtol=1e-5)


@FEWER
@given(drawn_scenes(most=12))
def test_transmittance_is_the_product_of_what_each_gaussian_lets_through(scene: Drawn):
    left = torch.ones(scene.draw().alpha.shape, dtype=torch.float64)
    for i in range(scene.n):
        left *= 1 - scene.gaussians([i]).draw().alpha.double()
    # Where little is left, the pixel may have ended.
    lit = left > 2e-3
    assert torch.allclose(1 - scene.draw().alpha.double()[lit], left[lit], atol=1e-5)


@EXAMPLES
@given(drawn_scenes(least=1), SEEDS)
def test_nothing_behind_a_wall_is_seen(scene: Drawn, seed: int):
    # Of two opaque walls (clamped to 0.999) the first leaves 1e-3 and the second would leave 1e-6: pixels end there.
    wall = make_drawn(2, 1, 1, seed=seed, sh="sh" in scene.inputs).inputs
    wall["means"] = torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, 1.125]])
    wall["scales"], wall["opacities"] = torch.full((2, 3), 1e3), torch.ones(2)
    names = [name for name in ("means", "quaternions", "scales", "opacities", "sh", "colors") if name in scene.inputs]
    alone = scene.but(**{name: wall[name] for name in names})
    both = scene.but(**{name: torch.cat((scene.inputs[name], wall[name])) for name in names})
    # What leans forward by its size is still behind: the order is that of the centres.
    same_bits(images(both.draw()), images(alone.draw()))
    for name, gradient in both.gradients(tuple(names)).items():
        assert not gradient[: scene.n].any(), name


@EXAMPLES
@given(drawn_scenes(least=1, most=30), st.integers(0, 29))
def test_a_gaussian_of_opacity_zero_is_not_there(scene: Drawn, index: int):
    index %= scene.n
    opacities = scene.inputs["opacities"].clone()
    opacities[index] = 0
    same_bits(images(scene.but(opacities=opacities).draw()), images(scene.without(index).draw()))


# ---- Tiles ----------------------------------------------------------------------------------------------------------


def crop(scene: Drawn, x: int, y: int, width: int, height: int) -> Drawn:
    """The same view, of which only a part is drawn."""
    center = scene.inputs["center_px"] - torch.tensor([[float(x), float(y)]])
    return scene.but(center_px=center, width=width, height=height)


def central(n: int, width: int, height: int, seed: int) -> Drawn:
    """Gaussians whose shape the clamp at the frustum's edge leaves alone, for any crop that holds the middle pixel."""
    scene = make_drawn(n, width, height, seed=seed, size=0.2)
    means = scene.inputs["means"].clone()
    means[:, :2] *= 0.002
    return scene.but(means=means)


@EXAMPLES
@given(st.integers(1, 30), SEEDS, st.data())
def test_an_image_is_made_of_its_crops(n: int, seed: int, data: st.DataObject):
    width, height = data.draw(SIZES), data.draw(SIZES)
    assume(width > 2 and height > 2)
    scene = central(n, width, height, seed)
    whole = scene.draw(**NO_CUT)
    x, y = data.draw(st.integers(0, width // 2 - 1)), data.draw(st.integers(0, height // 2 - 1))
    right, bottom = data.draw(st.integers(width // 2 + 1, width)), data.draw(st.integers(height // 2 + 1, height))
    part = crop(scene, x, y, right - x, bottom - y).draw(**NO_CUT)
    for name, image in images(part).items():
        there = images(whole)[name][:, y:bottom, x:right]
        if name == "depth_median":  # jumps where the rounding of a mean's place decides
            assert ((image - there).abs() > 1e-5).float().mean().item() <= 0.05
        else:  # a pixel that ends one Gaussian earlier loses at most 1e-4 / (1 - 0.999) of it, and few do
            assert torch.allclose(image, there, rtol=1e-3, atol=2e-3), name


@FEWER
@given(st.integers(0, 40), SEEDS)
def test_an_image_is_composed_of_shifted_crops_within_flips(n: int, seed: int):
    # Crops that do not hold the Gaussians' centres move the clamp on their shape, so they are small here, and lie
    # everywhere: each is drawn by all the crops it reaches, which are cut across tiles and blocks.
    size, cuts = 70, (0, 13, 37, 70)
    scene = make_drawn(n, size, size, seed=seed, size=0.003)
    whole = scene.draw().color[0]
    rows = []
    for top, bottom in pairwise(cuts):
        parts = [crop(scene, left, top, right - left, bottom - top).draw().color[0] for left, right in pairwise(cuts)]
        rows.append(torch.cat(parts, 1))
    difference = (torch.cat(rows) - whole).abs().amax(-1)
    assert difference.max().item() < 1.5 / 255  # a flip is a contribution at the cut, of 1/255
    assert (difference > 1e-4).float().mean().item() < 0.01


@pytest.mark.parametrize("level", [0.02, 0.5, 0.98])
def test_a_flat_wall_is_flat_across_tiles(level: float):
    # A sheet far wider than the picture: every pixel of every tile sees the same alpha.
    scene = make_drawn(1, 70, 45).but(
        means=torch.tensor([[0.0, 0.0, 2.0]]), scales=torch.full((1, 3), 1e4), opacities=torch.tensor([level])
    )
    alpha: Tensor = scene.draw().alpha
    assert torch.allclose(alpha, torch.full_like(alpha, level), rtol=1e-5)
