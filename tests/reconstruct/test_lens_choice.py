"""From the words of photography to a thin lens for each camera."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from hyperfocal.camera import stack
from hyperfocal.errors import BadInputError
from hyperfocal.gaussians import from_points
from hyperfocal.lens import PhysicalLens
from hyperfocal.reconstruct.config import ReconstructConfig
from hyperfocal.reconstruct.lens_choice import LensChoice, Place, lens_choice, lens_for
from hyperfocal.reconstruct.looks import picture_of, rendering_of
from hyperfocal.reconstruct.result import Result
from hyperfocal.reconstruct.scores import Table
from hyperfocal.scene import Scene, View
from hyperfocal.transforms import rigid
from scenes import pinhole


def result_of(metres_per_unit: float | None) -> Result:
    """A wall of Gaussians at z = 4 with a camera in front of it, and one a unit farther away."""
    y, x = torch.meshgrid(torch.linspace(-3, 3, 40), torch.linspace(-3, 3, 40), indexing="ij")
    means = torch.stack((x.flatten(), y.flatten(), torch.full((1600,), 4.0)), 1)
    wall = from_points(means, torch.rand(1600, 3), torch.full((1600,), 0.15), opacity=0.95).with_sh_degree(0)
    near = pinhole(64, 48, 60.0)
    far = replace(near, world_to_camera=rigid(torch.eye(3), torch.tensor([0.0, 0.0, 1.0])))
    image = torch.zeros(48, 64, 3)
    views = (View("a/near.jpg", image, near), View("a/far.jpg", image, far))
    scene = Scene(Path("wall"), views, metres_per_unit=metres_per_unit)
    return Result(wall, scene, ReconstructConfig(), (), Table((), held_out=False, lpips_obstacle=None))


def cameras_of(result: Result) -> list:
    return [view.camera for view in result.scene.posed_views]


def test_no_words_are_the_pinhole() -> None:
    assert lens_choice() is None


@pytest.mark.parametrize("metres", [1.0, 0.25])
def test_an_f_number_is_that_of_a_lens_in_metres(metres: float) -> None:
    """On paper: f/2 of 50 mm is open 25 mm; with units of 25 cm that is 0.1, and a focus at 2 m is 8."""
    result = result_of(metres)
    choice = lens_choice(f_number=2.0, focal_length_mm=50.0, focus="2")
    assert choice is not None
    lens = lens_for(choice, result, cameras_of(result))
    physical = PhysicalLens(0.05, 2.0, 2.0, 0.036).thin_lens(metres)
    assert lens.aperture_diameter.tolist() == pytest.approx([0.025 / metres] * 2)
    assert lens.focus_distance.tolist() == pytest.approx([2.0 / metres] * 2)
    torch.testing.assert_close(lens[0].aperture_diameter, physical.aperture_diameter)
    torch.testing.assert_close(lens[0].focus_distance, physical.focus_distance)


@pytest.mark.parametrize(("sensor", "diameter"), [(None, 0.016875), (12.8, 0.006)])
def test_the_focal_length_is_what_the_camera_shows(sensor: float | None, diameter: float) -> None:
    """On paper: 60 px of 64 are 33.75 mm of 36, and 12 mm of 12.8; half of that at f/2. Upright is the same."""
    result = result_of(1.0)
    choice = LensChoice(f_number=2.0, sensor_width_mm=sensor, focus=(2.0,))
    upright = pinhole(48, 64, 60.0)
    lens = lens_for(choice, result, [cameras_of(result)[0], upright])
    assert lens.aperture_diameter.tolist() == pytest.approx([diameter, diameter])


def test_a_focus_moves_evenly_in_inverse_distance() -> None:
    result = result_of(None)
    cameras = [cameras_of(result)[0]] * 5
    moving = lens_choice(aperture=0.2, focus="1:inf")
    assert moving is not None
    lens = lens_for(moving, result, cameras)
    assert (1 / lens.focus_distance).tolist() == pytest.approx([1, 0.75, 0.5, 0.25, 0])
    assert lens.aperture_diameter.tolist() == pytest.approx([0.2] * 5)
    alone = lens_for(moving, result, cameras[:1])
    assert alone.focus_distance.tolist() == [1.0]


@pytest.mark.parametrize("name", ["a/near.jpg", "a/near"])
def test_what_is_at_a_pixel_stays_in_focus_from_everywhere(name: str) -> None:
    result = result_of(None)
    choice = lens_choice(aperture=0.5, focus_at=f"{name}:40,20")
    assert choice == LensChoice(aperture=0.5, focus_at=Place(name, 40, 20))
    lens = lens_for(choice, result, cameras_of(result))
    assert lens.focus_distance.tolist() == pytest.approx([4.0, 5.0], abs=0.01)


def test_the_lens_blurs_what_is_out_of_focus_only() -> None:
    result = result_of(None)
    camera = cameras_of(result)[0]
    rendering = rendering_of(result.gaussians, camera)

    def away(focus: str) -> float:
        choice = lens_choice(aperture=1.0, focus=focus)
        assert choice is not None
        lens = lens_for(choice, result, [camera])
        picture = picture_of(rendering, result.gaussians, camera, lens[0])
        return float((picture - rendering.color).square().mean().sqrt())

    assert away("4") < 1e-3
    assert away("2") > 0.03


@pytest.mark.parametrize(
    ("words", "phrase"),
    [
        ({"f_number": 2.0}, "either --focus or --focus-at"),
        ({"focus": "2"}, "either --f-number or --aperture"),
        ({"f_number": 2.0, "aperture": 0.1, "focus": "2"}, "either --f-number or --aperture"),
        ({"aperture": 0.1, "focus": "2", "focus_at": "a:1,1"}, "either --focus or --focus-at"),
        ({"aperture": 0.1, "focal_length_mm": 50.0, "focus": "2"}, "together with --f-number"),
        ({"f_number": 2.0, "focal_length_mm": 50.0, "sensor_width_mm": 36.0, "focus": "2"}, "leave one of them"),
        ({"f_number": 0.0, "focus": "2"}, "--f-number is 0"),
        ({"f_number": math.inf, "focus": "2"}, "--f-number is inf"),
        ({"aperture": -0.1, "focus": "2"}, "--aperture is -0.1"),
        ({"aperture": math.nan, "focus": "2"}, "--aperture is nan"),
        ({"aperture": 0.1, "focus": "0"}, "distances above 0"),
        ({"aperture": 0.1, "focus": "1:-2"}, "distances above 0"),
        ({"aperture": 0.1, "focus": "nan"}, "distances above 0"),
        ({"aperture": 0.1, "focus": "two"}, "no distance"),
        ({"aperture": 0.1, "focus": "1:2:3"}, "no distance"),
        ({"aperture": 0.1, "focus_at": "3,4"}, "no place"),
        ({"aperture": 0.1, "focus_at": "a:3"}, "no place"),
        ({"aperture": 0.1, "focus_at": "a:3,-4"}, "no place"),
    ],
)
def test_words_that_make_no_lens_are_refused(words: dict, phrase: str) -> None:
    with pytest.raises(BadInputError, match=phrase):
        lens_choice(**words)


def test_lenses_that_cannot_be_are_refused() -> None:
    with pytest.raises(BadInputError, match="scale of wall is not known"):
        lens_for(LensChoice(f_number=2.0, focus=(1.0,)), result_of(None), [pinhole()])
    known = result_of(0.5)
    with pytest.raises(BadInputError, match=r"50 mm cannot be focused at 0\.04 m"):
        lens_for(LensChoice(f_number=2.0, focal_length_mm=50.0, focus=(0.04,)), known, [pinhole()])
    for place, phrase in (
        (Place("b.jpg", 1, 1), "of which the result has 0"),
        (Place("a/near.jpg", 64, 1), "pixels; expected 0,0 to 63,47"),
    ):
        with pytest.raises(BadInputError, match=phrase):
            lens_for(LensChoice(aperture=0.1, focus_at=place), known, cameras_of(known))
    nothing = replace(known, gaussians=known.gaussians.transformed(1.0, torch.eye(3), torch.tensor([50.0, 0, 0])))
    with pytest.raises(BadInputError, match="has no depth"):
        lens_for(LensChoice(aperture=0.1, focus_at=Place("a/near", 5, 5)), nothing, cameras_of(known))
    turned = replace(pinhole(), world_to_camera=torch.diag(torch.tensor([-1.0, 1.0, -1.0, 1.0])))
    with pytest.raises(BadInputError, match="behind the camera in 1 of 2"):
        lens_for(LensChoice(aperture=0.1, focus_at=Place("a/near", 5, 5)), known, [pinhole(), turned])


def test_the_lens_of_a_batch_is_one_a_camera() -> None:
    result = result_of(None)
    cameras = stack(cameras_of(result))
    lens = lens_for(LensChoice(aperture=0.1, focus=(2.0,)), result, [cameras[0], cameras[1]])
    assert lens.is_batch
    assert lens.aperture_diameter.dtype == lens.focus_distance.dtype == torch.float32
