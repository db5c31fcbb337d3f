"""`defocus_layers` where the answer can be worked out on paper."""

import math

import pytest
import torch
from torch import Tensor

from hyperfocal.color import linear_from_srgb
from hyperfocal.lens import ThinLens
from hyperfocal.render.disc import diameter_of_level, disc, disc_stencils, level_of_diameter
from hyperfocal.render.layers import defocus_layers
from hyperfocal.render.layers_reference import scatter_layers_reference

FOCAL_PX = 100.0


def lens(aperture: float = 0.5, focus: float = 2.0) -> ThinLens:
    return ThinLens(torch.tensor(aperture), torch.tensor(focus))


def noise(height: int = 40, width: int = 50, seed: int = 0) -> Tensor:
    return torch.rand(height, width, 3, generator=torch.Generator().manual_seed(seed))


def slope(height: int = 40, width: int = 50) -> Tensor:
    """A surface from z = 1.5 to z = 6."""
    return (1 / torch.linspace(1 / 1.5, 1 / 6, width)).expand(height, width).clone()


def linear(image: Tensor, depth_z: Tensor, through: ThinLens, **options: object) -> Tensor:
    return defocus_layers(image, depth_z, through, FOCAL_PX, color_space="linear", **options).color


@pytest.mark.parametrize("level", [0, 1, 2, 3, 5, 8, 13, 40, 121])
def test_a_disc_has_unit_sum_the_true_variance_and_all_symmetries(level: int) -> None:
    values = disc(level)
    x = torch.arange(len(values), dtype=torch.float64) - len(values) // 2
    assert values.sum().item() == pytest.approx(1, abs=1e-12)
    assert (values * x.square()).sum().item() == pytest.approx(diameter_of_level(level) ** 2 / 16, abs=1e-9)
    assert torch.equal(values, values.T)
    assert torch.equal(values, values.flip(0))
    # Flat inside, with a soft edge of at most two pixels.
    r = torch.hypot(x, x.unsqueeze(1))
    radius = diameter_of_level(level) / 2
    assert (values[r > radius + 1] == 0).all()
    if radius > 2:
        assert (values[r < radius - 1] == values.max()).all()


def test_levels_are_the_diameters_of_the_table() -> None:
    for level in (0, 1, 7, 100):
        diameter = torch.tensor(diameter_of_level(level), dtype=torch.float64)
        assert level_of_diameter(diameter).item() == pytest.approx(level, abs=1e-12)
        assert level_of_diameter(-diameter) == level_of_diameter(diameter)


def test_differences_add_up_to_the_discs() -> None:
    stencils = disc_stencils(32)
    for interval in (0, 1, 2, 9, 31):
        reach, first_row = int(stencils.reach[interval]), int(stencils.first_row[interval])
        whole = torch.zeros(2, 2 * reach + 1, 2 * reach + 2, dtype=torch.float64)
        for row in range(2 * reach + 1):
            for e in range(*stencils.row_start[first_row + row : first_row + row + 2].tolist()):
                column = int(stencils.dx[e]) + reach
                whole[:, row, column] += torch.stack((stencils.base[e], stencils.base[e] + stencils.slope[e]))
        discs = whole.cumsum(-1)
        assert discs[..., -1].abs().max() < 1e-15
        for got, level in zip(discs[..., :-1], (interval, interval + 1), strict=True):
            more = reach - len(disc(level)) // 2
            expected = torch.nn.functional.pad(disc(level), (more,) * 4)
            torch.testing.assert_close(got, expected, rtol=0, atol=1e-15)


def test_a_disc_of_30_px_is_a_fifth_of_its_pixels_in_differences() -> None:
    # What makes scattering differences worth it: they grow with the diameter, pixels with its square.
    stencils = disc_stencils(120)
    last = int(stencils.first_row[-1]) + 2 * int(stencils.reach[-1]) + 1
    differences = int(stencils.row_start[last] - stencils.row_start[int(stencils.first_row[-1])])
    assert differences < 0.25 * int((disc(120) > 0).sum())


@pytest.mark.parametrize("aperture", [0.0, 0.3, 1.0])
def test_a_uniform_picture_stays_as_it_is(aperture: float) -> None:
    color = torch.tensor([0.2, 0.5, 0.9]).expand(40, 50, 3)
    depth_z = slope()
    depth_z[10:20, 15:30] = 1.2
    result = defocus_layers(color, depth_z, lens(aperture), FOCAL_PX)
    torch.testing.assert_close(result.color, color, rtol=0, atol=2e-6)


def test_aperture_0_gives_the_image_back() -> None:
    image, depth_z = noise(), slope()
    depth_z[3:9, 5:30] = 0.4
    depth_z[20:22] = 0  # unknown
    torch.testing.assert_close(linear(image, depth_z, lens(0.0)), image, rtol=0, atol=1e-6)
    result = defocus_layers(image, depth_z, lens(0.0), FOCAL_PX)
    torch.testing.assert_close(result.color, image, rtol=0, atol=2e-6)
    assert result.alpha.min() > 1 - 1e-6


def test_the_way_to_aperture_0_is_continuous_and_quadratic() -> None:
    # The variance of a disc is that of the circle squared: half the aperture is a quarter of the change.
    image, depth_z = noise(), slope()
    changes = [(linear(image, depth_z, lens(aperture)) - image).norm().item() for aperture in (0.004, 0.002, 0.001)]
    assert changes[0] / changes[1] == pytest.approx(4, rel=0.02)
    assert changes[1] / changes[2] == pytest.approx(4, rel=0.02)


@pytest.mark.parametrize("z", [1.0, 1.7, 4.0, 0.0])
def test_a_bright_pixel_becomes_a_disc_of_its_circle_and_keeps_its_light(z: float) -> None:
    image = torch.zeros(61, 61, 3)
    image[30, 30] = torch.tensor([300.0, 200.0, 100.0])
    through = lens(0.5, 2.0)
    diameter = abs(0.5 * FOCAL_PX * (1 / 2.0 - (1 / z if z else 0)))
    result = linear(image, torch.full((61, 61), z), through)
    assert result.sum((0, 1)).tolist() == pytest.approx([300, 200, 100], rel=1e-5)
    x = torch.arange(61) - 30.0
    assert (result[..., 0].sum(0) * x.square()).sum().item() / 300 == pytest.approx(diameter**2 / 16, rel=0.02)
    r = torch.hypot(x, x.unsqueeze(1))
    assert result[r > diameter / 2 + 1.2].abs().max() < 1e-9
    inside = result[r < diameter / 2 - 1.2][:, 0]
    assert len(inside) == 0 or inside.min().item() == pytest.approx(inside.max().item(), rel=1e-5)
    assert result[30, 30, 0].item() == pytest.approx(300 / (math.pi * diameter**2 / 4), rel=0.1) or diameter < 5


def test_light_is_conserved_in_front_of_a_dark_wall() -> None:
    image = torch.zeros(60, 60, 3)
    image[25:35, 25:35] = noise(10, 10)
    result = linear(image, torch.full((60, 60), 1.5), lens(0.6, 2.0))
    torch.testing.assert_close(result.sum((0, 1)), image.sum((0, 1)), rtol=1e-5, atol=0)


def test_srgb_is_blurred_in_linear_light() -> None:
    image, depth_z = noise(), slope()
    srgb = defocus_layers(image, depth_z, lens(), FOCAL_PX).color
    torch.testing.assert_close(
        linear_from_srgb(srgb), linear(linear_from_srgb(image), depth_z, lens()), rtol=0, atol=2e-6
    )


@pytest.mark.parametrize("near_z", [2.0, 2.3, 1.9])
@pytest.mark.parametrize("layers", [3, 8, None])
def test_a_far_blur_does_not_bleed_into_what_is_sharp_before_it(near_z: float, layers: int | None) -> None:
    # The far wall is a thousand times as bright; layers need not be where the near plane is.
    image, depth_z = torch.full((48, 64, 3), 100.0), torch.full((48, 64), 8.0)
    depth_z[:, :4] = 1.8
    image[10:38, 20:44], depth_z[10:38, 20:44] = 0.1, near_z
    result = linear(image, depth_z, lens(0.5, near_z), layers=layers)
    bled = (result[10:38, 20:44] - 0.1).abs().max() / 100
    assert bled < 3e-4  # 1 / 4096 is let through, see kFull


def test_a_near_blur_covers_what_is_sharp_behind_it() -> None:
    # A straight near edge with a circle of 15 px before a sharp wall: half of it is seen at the edge.
    image, depth_z = torch.zeros(40, 80, 3), torch.full((40, 80), 4.0)
    image[:, :40], depth_z[:, :40] = 1.0, 1.0
    result = linear(image, depth_z, lens(0.2, 4.0))[20, :, 0]
    assert result[20] == pytest.approx(1, abs=1e-5)
    assert result[40].item() == pytest.approx(0.5, abs=0.06)
    assert 0 < result[45] < 0.25
    assert result[50:].abs().max() < 1e-9
    assert (result.diff() <= 1e-6).all()


def test_behind_and_before_the_focus_blur_alike() -> None:
    image = noise()
    # 1 / 2 -+ 1 / 8: circles of one size on either side.
    near, far = (linear(image, torch.full((40, 50), z), lens()) for z in (1 / 0.625, 1 / 0.375))
    torch.testing.assert_close(near, far, rtol=0, atol=1e-6)


def test_alpha_says_where_light_is_missing() -> None:
    image, depth_z = noise(40, 60), torch.full((40, 60), 4.0)
    depth_z[:, 30:] = 1.0
    alpha = defocus_layers(image, depth_z, lens(0.2, 1.0), FOCAL_PX).alpha
    assert alpha[20, 15] == pytest.approx(1, abs=1e-5)
    assert alpha[20, 28] < 0.8  # half of the far wall's circle is behind the near one
    assert alpha[20, 0] < 0.8  # or outside the picture
    assert alpha[20, 35] == pytest.approx(1, abs=1e-5)


def test_circles_larger_than_allowed_are_drawn_smaller() -> None:
    image, depth_z = noise(), slope()
    depth_z[20, 25] = 1e-6
    result = linear(image, depth_z, lens(), largest_circle_px=20.0, z_range=(1.5, 6.0))
    assert torch.isfinite(result).all()
    spoiled = (result - linear(image, slope(), lens(), z_range=(1.5, 6.0))).abs().amax(-1) > 1e-6
    rows, columns = torch.nonzero(spoiled, as_tuple=True)
    assert (torch.hypot(rows - 20.0, columns - 25.0) < 60).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"image": torch.full((40, 50, 3), torch.nan)}, "no finite numbers"),
        ({"focal_px": torch.inf}, "must be finite"),
        ({"layers": 0}, "at least 1"),
        ({"z_range": (3.0, 2.0)}, "nearest <= farthest"),
        ({"image": noise().double(), "native": True}, "float32"),
    ],
)
def test_mistakes_are_said(change: dict[str, object], words: str) -> None:
    arguments = {"image": noise(), "depth_z": slope(), "lens": lens(), "focal_px": FOCAL_PX, **change}
    with pytest.raises(ValueError, match=words):
        defocus_layers(**arguments)


def test_a_lens_that_is_infinitely_wide_is_refused_before() -> None:
    with pytest.raises(ValueError, match="expected finite numbers"):
        lens(torch.inf)


@pytest.mark.parametrize("odd", [-1.0, 3.5, torch.nan, torch.inf])
def test_a_source_outside_all_layers_is_none(odd: float) -> None:
    color, level, layer = noise(7, 8)[None], torch.full((1, 7, 8), 5.0), torch.full((1, 7, 8), 1.3)
    without, outside = level.clone(), layer.clone()
    without[0, 3, 4], outside[0, 3, 4] = -1.0, odd
    expected = scatter_layers_reference(color, without, layer, layers=4)
    for got, value in zip(scatter_layers_reference(color, level, outside, layers=4), expected, strict=True):
        assert torch.equal(got, value)


def test_gradients_of_the_reference_agree_with_finite_differences() -> None:
    generator = torch.Generator().manual_seed(3)
    image = torch.rand(1, 5, 6, 3, generator=generator, dtype=torch.float64).requires_grad_()
    level = (9 * torch.rand(1, 5, 6, generator=generator, dtype=torch.float64)).requires_grad_()
    layer = (2.96 * torch.rand(1, 5, 6, generator=generator, dtype=torch.float64) + 0.02).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda *sources: scatter_layers_reference(*sources, layers=4), (image, level, layer), fast_mode=True
    )


def test_gradients_reach_depth_aperture_and_focus() -> None:
    image, depth_z = noise(6, 7).double(), slope(6, 7).double()
    depth_z[2:4, 2:5] = 1.7
    given = [tensor.requires_grad_() for tensor in (image, depth_z, torch.tensor(0.11), torch.tensor(2.3))]

    def blurred(image: Tensor, depth_z: Tensor, aperture: Tensor, focus: Tensor) -> Tensor:
        through = ThinLens(aperture, focus)
        return defocus_layers(image, depth_z, through, FOCAL_PX, layers=4, z_range=(1.0, 9.0)).color

    given[2:] = [tensor.detach().double().requires_grad_() for tensor in given[2:]]
    assert torch.autograd.gradcheck(blurred, given, fast_mode=True)
    for gradient in torch.autograd.grad(blurred(*given).square().sum(), given):
        assert gradient.abs().max() > 1e-3


def test_a_wrong_depth_is_found_by_its_blur() -> None:
    # A photograph of a wall at z = 3 focused at 2; a start at 2.6 descends towards it.
    image, through = noise(), lens()
    photograph = linear(image, torch.full((40, 50), 3.0), through)
    z = torch.tensor(2.6, requires_grad=True)
    optimizer = torch.optim.Adam([z], lr=0.05)
    for _ in range(60):
        optimizer.zero_grad()
        (linear(image, z.expand(40, 50), through, z_range=(1.0, 9.0)) - photograph).square().mean().backward()
        optimizer.step()
    assert z.item() == pytest.approx(3, abs=0.03)
