"""The lens of a film: through its keyframes, monotone in between, constant beyond, round a closed path."""

import math
from dataclasses import replace

import pytest
import torch

from hyperfocal.path_lens import lens_along
from hyperfocal.paths import CameraPath, Keyframe
from scenes import pinhole

CAMERA = replace(pinhole(64, 48), world_to_camera=torch.eye(4))


def path_of(foci: list[float | None], apertures: list[float | None], *, closed: bool = False) -> CameraPath:
    told = zip(foci, apertures, strict=True)
    keyframes = tuple(
        Keyframe(float(i), CAMERA, focus_distance=focus, aperture_diameter=aperture)
        for i, (focus, aperture) in enumerate(told)
    )
    return CameraPath(keyframes, seconds=float(len(foci) - (not closed)), closed=closed)


def test_it_passes_through_what_keyframes_tell_and_does_not_overshoot() -> None:
    lens = lens_along(path_of([2.0, 2.0, 8.0, 8.0], [0.1, 0.2, 0.2, 0.1]), 31)
    assert lens is not None
    assert lens.focus_distance[::10].tolist() == pytest.approx([2.0, 2.0, 8.0, 8.0])
    assert lens.aperture_diameter[::10].tolist() == pytest.approx([0.1, 0.2, 0.2, 0.1])
    assert bool((lens.focus_distance.diff() >= -1e-6).all())
    assert lens.focus_distance[15].item() == pytest.approx(4.0), "half of the way by ratio"


def test_what_one_keyframe_tells_holds_for_all() -> None:
    lens = lens_along(path_of([None, 3.0, None], [None, None, 0.3]), 5)
    assert lens is not None
    assert lens.focus_distance.tolist() == pytest.approx([3.0] * 5)
    assert lens.aperture_diameter.tolist() == pytest.approx([0.3] * 5)


def test_it_stays_before_the_first_that_tells_and_after_the_last() -> None:
    lens = lens_along(path_of([None, 1.0, 2.0, None], [0.1] * 4), 7)
    assert lens is not None
    assert lens.focus_distance[[0, 1, 2]].tolist() == pytest.approx([1.0] * 3)
    assert lens.focus_distance[[4, 5, 6]].tolist() == pytest.approx([2.0] * 3)


@pytest.mark.parametrize(("foci", "apertures"), [([None, None], [0.1, 0.1]), ([1.0, 2.0], [None, None])])
def test_half_a_lens_is_none(foci: list[float | None], apertures: list[float | None]) -> None:
    assert lens_along(path_of(foci, apertures), 4) is None


def test_round_a_closed_path_it_comes_back_without_a_jump() -> None:
    lens = lens_along(path_of([1.0, 4.0], [0.1, 0.1], closed=True), 40)
    assert lens is not None
    logs = lens.focus_distance.log()
    assert float((logs - logs.roll(1)).abs().max()) < 4 * math.log(4) * 2 / 40
    assert lens.focus_distance[[0, 20]].tolist() == pytest.approx([1.0, 4.0])
