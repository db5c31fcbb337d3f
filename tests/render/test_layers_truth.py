"""Defocus in layers against rays through all of the lens, where the sharp picture shows all that the lens sees."""

import pytest
import torch

from hyperfocal.lens import ThinLens
from hyperfocal.render.disc import level_of_diameter
from hyperfocal.render.layers import defocus_layers
from hyperfocal.render.layers_reference import scattered_light
from lens_truth import Plane, Seen, look, psnr

# Pictures of 96 x 72 with a focal length of 80 px: a small near plane, sharp or with circles of up to 10 px.
NEAR, FAR = Plane(2.0, middle=-0.3, half=0.45, seed=1), Plane(4.0, seed=2)
MIDDLE = Plane(2.5, middle=0.3, half=0.4, seed=1)
SCENES = {
    "near sharp": ([NEAR, FAR], 0.5, 2.0),
    "far sharp": ([NEAR, FAR], 0.5, 4.0),
    "focus between": ([NEAR, FAR], 0.5, 2.7),
    "three planes": ([Plane(1.6, middle=-0.35, half=0.25, seed=4), MIDDLE, Plane(5.0, seed=2)], 0.4, 2.5),
    "slanted": ([Plane(3.0, slope=0.9, seed=3)], 0.8, 3.0),
    "near before slanted": ([Plane(1.5, middle=0.2, half=0.25, seed=1), Plane(3.0, slope=0.9, seed=3)], 0.5, 3.0),
}


def seen_in(name: str) -> tuple[Seen, ThinLens]:
    planes, aperture, focus = SCENES[name]
    return look(planes, aperture, focus, 96, 72), ThinLens(torch.tensor(aperture), torch.tensor(focus))


@pytest.mark.parametrize("name", SCENES)
def test_agrees_with_rays_through_the_lens(name: str) -> None:
    seen, lens = seen_in(name)
    result = defocus_layers(seen.sharp, seen.depth_z, lens, 80.0, color_space="linear")
    shown = ~seen.revealed
    assert shown.float().mean() > 0.3
    sharp, blurred = psnr(seen.sharp, seen.through_lens, shown), psnr(result.color, seen.through_lens, shown)
    assert blurred > 40
    assert blurred > sharp + 10
    # Where hidden things come to sight nobody knows what they look like; still, better than no lens.
    hidden = seen.revealed
    if name != "slanted":
        assert psnr(result.color, seen.through_lens, hidden) > psnr(seen.sharp, seen.through_lens, hidden)


def test_the_number_of_layers_hardly_matters_for_a_surface() -> None:
    seen, lens = seen_in("slanted")
    few, many = (
        defocus_layers(seen.sharp, seen.depth_z, lens, 80.0, color_space="linear", layers=layers).color
        for layers in (2, 32)
    )
    assert psnr(few, many, ~seen.revealed) > 50


def product_rule(seen: Seen, lens: ThinLens, layers: int) -> torch.Tensor:
    """The same layers by the customary rule: each covers what is behind it as if the two were independent."""
    inverse_z = 1 / seen.depth_z
    place = (inverse_z - inverse_z.min()) / (inverse_z.max() - inverse_z.min()) * (layers - 1)
    level = level_of_diameter(lens.coc_diameter_px(seen.depth_z, torch.tensor(80.0)))
    behind = torch.zeros(*seen.depth_z.shape, 4)
    for light in scattered_light(seen.sharp[None], level[None], place.clamp(0, layers - 1)[None], layers=layers).flip(
        0
    ):
        behind = light + (1 - light[..., 3:]) * behind
    return behind[..., :3] / behind[..., 3:].clamp_min(1e-9)


@pytest.mark.parametrize(
    ("name", "layers", "gain_db"), [("focus between", 4, 0.0), ("three planes", 4, 5.0), ("slanted", 32, 7.0)]
)
def test_shares_that_add_up_beat_the_product_where_a_surface_is_in_several_layers(
    name: str, layers: int, gain_db: float
) -> None:
    """Two planes are in one layer each, and the rules agree; a third lies between layers, a slope in all of them."""
    seen, lens = seen_in(name)
    ours = defocus_layers(seen.sharp, seen.depth_z, lens, 80.0, color_space="linear", layers=layers).color
    shown = ~seen.revealed
    gain = psnr(ours, seen.through_lens, shown) - psnr(product_rule(seen, lens, layers), seen.through_lens, shown)
    assert gain > gain_db if gain_db else abs(gain) < 0.1
