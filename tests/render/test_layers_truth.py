"""Defocus in layers against rays through all of the lens, where the sharp picture shows all that the lens sees."""

import pytest
import torch

from hyperfocal.lens import ThinLens
from hyperfocal.render.layers import defocus_layers
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
