from itertools import combinations

import numpy as np
import torch

from hyperfocal.scene import Exif, View
from hyperfocal.sfm import SfmConfig
from hyperfocal.sfm.cameras import shared_cameras
from hyperfocal.sfm.failures import failure_notes
from hyperfocal.sfm.features import Features
from hyperfocal.sfm.pairs import pairs_of_cameras, pairs_of_photographs
from photo_files import camera_at
from scenes import pinhole


def features_of(seed: int, width: int = 400, height: int = 300, count: int = 300) -> Features:
    """Random features; those of one seed match each other."""
    generator = np.random.default_rng(seed)
    return Features(
        width,
        height,
        generator.uniform(0, 300, (count, 4)).astype(np.float32),
        generator.integers(0, 255, (count, 128)).astype(np.uint8),
        np.zeros((count, 3), np.uint8),
    )


def test_small_sets_are_compared_exhaustively():
    found = [features_of(i, count=5) for i in range(60)]
    assert pairs_of_photographs(found, SfmConfig()) == list(combinations(range(60), 2))


def test_sequential_pairs_are_neighbours_and_bridges():
    found = [features_of(0, count=5)] * 40
    pairs = pairs_of_photographs(found, SfmConfig(matching="sequential", sequential_overlap=2))
    assert {j - i for i, j in pairs} == {1, 2, 4, 8, 16}
    assert len(pairs) == 39 + 38 + 36 + 32 + 24


def test_large_sets_are_compared_where_they_look_alike():
    # 72 photographs of 24 places, three visits each: the visits of a place must find each other, across the whole set.
    found = [features_of(i % 24) for i in range(72)]
    pairs = pairs_of_photographs(found, SfmConfig())
    visits = {(a, b) for a, b in combinations(range(72), 2) if (b - a) % 24 == 0}
    assert visits <= set(pairs)
    assert len(pairs) < 72 * 10  # of 2556


def test_cameras_are_paired_with_those_that_see_the_same():
    # A full circle of 24 cameras looking inwards, 15 degrees apart.
    angles = torch.linspace(0, 2 * torch.pi, 25)[:-1]
    cameras = [camera_at((3 * float(a.sin()), 0.0, -3 * float(a.cos()))) for a in angles]
    pairs = pairs_of_cameras(cameras, partners=4)
    around = {(b - a) % 24 for a, b in pairs} | {(a - b) % 24 for a, b in pairs}
    assert around <= {1, 2, 3, 21, 22, 23}
    assert all((i, i + 1) in pairs for i in range(23))


def test_cameras_back_to_back_are_not_paired():
    front = camera_at((0, 0, -3))
    back = camera_at((0, 0, 3))
    assert pairs_of_cameras([front, back]) == []


def test_cameras_all_at_one_place_are_still_paired():
    assert pairs_of_cameras([pinhole(), pinhole()]) == [(0, 1)]


def view(name: str, **exif: object) -> View:
    return View(name, torch.zeros(1, 1, 3), exif=Exif(**exif))  # pyright: ignore[reportArgumentType]


def test_photographs_share_a_camera_by_size_and_exif():
    views = [view("a", model="X"), view("b", model="X"), view("c", model="Y"), view("d", model="X")]
    found = [features_of(0), features_of(1), features_of(2), features_of(3, width=200)]
    for config, expected in (
        (SfmConfig(camera_sharing="auto"), [0, 0, 1, 2]),
        (SfmConfig(camera_sharing="single"), [0, 0, 0, 1]),
        (SfmConfig(camera_sharing="per_photograph"), [0, 1, 2, 3]),
    ):
        assert shared_cameras(views, found, config)[1] == expected


def test_the_35_mm_equivalent_is_of_the_diagonal():
    # A 400 x 300 picture has a diagonal of 500 px; the full frame's is 43.267 mm.
    (known, unknown), _ = shared_cameras(
        [view("a", focal_length_35mm=43.266615), view("b")], [features_of(0), features_of(1)], SfmConfig()
    )
    assert abs(known.focal_length - 500) < 1e-3
    assert known.has_prior_focal_length
    assert unknown.focal_length == 1.2 * 400
    assert not unknown.has_prior_focal_length


def test_eight_photographs_of_one_camera_earn_the_full_lens_model():
    few, _ = shared_cameras([view(str(i)) for i in range(7)], [features_of(0)] * 7, SfmConfig())
    many, _ = shared_cameras([view(str(i)) for i in range(8)], [features_of(0)] * 8, SfmConfig())
    asked, _ = shared_cameras([view("a")], [features_of(0)], SfmConfig(camera_model="fisheye"))
    assert [camera.model_name for camera in (*few, *many, *asked)] == ["SIMPLE_RADIAL", "OPENCV", "OPENCV_FISHEYE"]


def test_failures_are_explained_one_reason_a_note():
    # 0, 1, 2 are placed; 3 matches 0 but failed; 4 and 5 match each other; 6 matches nothing; 7 has no features.
    matches = np.zeros((8, 8), dtype=int)
    for i, j in ((0, 1), (1, 2), (0, 3), (4, 5)):
        matches[i, j] = matches[j, i] = 50
    notes = failure_notes(list("abcdefgh"), [1000] * 7 + [10], matches, {0, 1, 2})
    assert notes == (
        "1 of 8 photographs match others, but too little or from too close together to be placed: d.",
        "2 of 8 photographs match only among themselves (a group of 2): photographs of another scene, or a gap between "
        "viewpoints that a few photographs in between would close: e, f.",
        "1 of 8 photographs share no view with any other photograph: g.",
        "1 of 8 photographs show too little detail (blurred, dark or textureless): h.",
    )
