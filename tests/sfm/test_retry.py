from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from hyperfocal.data.photographs import read_photographs
from hyperfocal.errors import NothingUsableError
from hyperfocal.progress import Progress, silent
from hyperfocal.protocols import Matcher, Matches
from hyperfocal.scene import Exif, Scene, View
from hyperfocal.sfm import SfmConfig, estimate_poses
from hyperfocal.sfm.attempt import Attempt, Workshop
from hyperfocal.sfm.blur import blur_of
from hyperfocal.sfm.capture import recognised_capture, with_capture
from hyperfocal.sfm.consistency import torn_share
from hyperfocal.sfm.estimate import _best, _other_models
from hyperfocal.sfm.features import Features
from hyperfocal.sfm.parallax import measure_parallax
from hyperfocal.sfm.reasons import reason
from hyperfocal.sfm.tries import is_good, tries
from photo_files import camera_at, picture_of_relief, recorder, texture


def test_a_retry_keeps_what_the_one_before_it_changed():
    names = [way.name for way in tries(SfmConfig(matching="sequential"), 40, sift=True, learned=True)]
    assert names[1:] == [
        *(
            "another beginning",
            "all pairs",
            "relaxed thresholds",
            "more features at higher resolution",
            "learned features",
        ),
    ]
    last = tries(SfmConfig(matching="sequential"), 40, sift=True, learned=False)[-1].config
    assert (last.matching, last.thresholds, last.max_features) == ("exhaustive", "relaxed", 8192)
    assert last.max_image_size_px == 2400


def test_all_pairs_of_many_photographs_are_never_tried():
    assert all(way.config.matching != "exhaustive" for way in tries(SfmConfig(), 80, sift=True, learned=False))
    assert len(tries(SfmConfig(retry=False), 40, sift=True, learned=True)) == 1


def test_photographs_that_match_nothing_are_no_reason_to_try_again():
    matches = np.zeros((6, 6), dtype=int)
    for i, j in ((0, 1), (1, 2), (2, 3), (3, 4)):
        matches[i, j] = matches[j, i] = 50
    assert is_good({0, 1, 2, 3, 4}, matches)  # 5 is a stranger
    assert not is_good({0, 1, 2}, matches)  # 3 and 4 share views with the others
    assert not is_good(set(), matches)


def found(placed: int, of: int = 6, **model: Any) -> Attempt:
    """An attempt that placed some of `of` photographs, all of which match their neighbours."""
    images = {n + 1: SimpleNamespace(has_pose=True) for n in range(placed)}
    views = [View(f"{n}.png", torch.zeros(8, 8, 3)) for n in range(of)]
    features = [Features(8, 8, np.zeros((200, 4), np.float32), np.zeros((200, 128), np.uint8), np.zeros((200, 3)))] * of
    pairs = {(i, i + 1): np.zeros((20, 2), int) for i in range(of - 1)}
    return Attempt(views, features, pairs, [SimpleNamespace(images=images, **model)], ())


def workshop(progress: Progress = silent) -> Workshop:
    return Workshop(Scene(Path("x"), tuple(found(6).views)), {}, Path("x"), progress)


def no_matches(first: Tensor, second: Tensor) -> Matches:
    return Matches(torch.zeros(0, 2), torch.zeros(0, 2), torch.zeros(0))


def test_the_first_good_try_is_the_last(monkeypatch: pytest.MonkeyPatch):
    outcomes = {"usual": 3, "relaxed": 6}
    seen, record = recorder()
    monkeypatch.setattr(Workshop, "attempt", lambda self, config, matcher: found(outcomes[config.thresholds]))
    best, notes = _best(workshop(record), SfmConfig(), None, None)
    assert len(best.placed) == 6
    assert notes == ("Photographs placed, of 6, by the settings given: 3; relaxed thresholds: 6. The best is used.",)
    assert ("Few were placed. Trying relaxed thresholds", 2, 4) in seen


def test_where_no_try_is_good_the_best_is_kept(monkeypatch: pytest.MonkeyPatch):
    counts = iter((2, 4, 3))
    monkeypatch.setattr(Workshop, "attempt", lambda self, config, matcher: found(next(counts)))
    best, notes = _best(workshop(), SfmConfig(), None, None)
    assert len(best.placed) == 4
    assert "Learned features were not tried" in notes[0]


def test_learned_features_are_loaded_only_for_the_last_try(monkeypatch: pytest.MonkeyPatch):
    loaded, matchers = [], []

    def learned() -> Matcher:
        loaded.append(len(matchers))
        return no_matches

    def attempt(self: Workshop, config: SfmConfig, matcher: Matcher | None) -> Attempt:
        matchers.append(matcher)
        return found(good if len(matchers) == 1 else 3)

    monkeypatch.setattr(Workshop, "attempt", attempt)
    good = 6
    _best(workshop(), SfmConfig(), None, learned)
    assert (loaded, matchers) == ([], [None])
    good = 3
    matchers.clear()
    _best(workshop(), SfmConfig(), None, learned)
    assert matchers == [None] * (len(matchers) - 1) + [no_matches]
    assert loaded == [len(matchers) - 1]


def test_a_model_of_two_displaced_halves_is_torn():
    # Six photographs see the same 60 points; the last three have them as points of their own.
    def image(first_point: int) -> SimpleNamespace:
        points = [SimpleNamespace(point3D_id=first_point + k, has_point3D=lambda: True) for k in range(60)]
        return SimpleNamespace(has_pose=True, points2D=points)

    numbers = np.stack((np.arange(60), np.arange(60)), axis=1)
    pairs = {(i, j): numbers for j in range(6) for i in range(j)}
    whole = SimpleNamespace(images={n + 1: image(0) for n in range(6)})
    halves = SimpleNamespace(images={n + 1: image(0 if n < 3 else 100) for n in range(6)})
    assert torn_share(whole, pairs) == 0
    assert torn_share(halves, pairs) == 9 / 15  # three times three pairs are across
    assert torn_share(whole, {(0, 1): numbers[:20]}) == 0  # too few matches to tell


def test_a_torn_model_is_tried_anew_and_kept_only_as_the_last_choice(monkeypatch: pytest.MonkeyPatch):
    outcomes = iter((replace(found(6), torn=0.3), replace(found(6), torn=0.3), found(6)))
    monkeypatch.setattr(Workshop, "attempt", lambda self, config, matcher: next(outcomes))
    best, notes = _best(workshop(), SfmConfig(sequential_overlap=2), None, None)
    assert (len(best.placed), best.torn) == (6, 0.0)
    assert "another beginning: 6 that do not fit together; neighbours and similar photographs: 6. The best" in notes[0]


def test_other_groups_are_named_with_their_size():
    second = SimpleNamespace(images={n: SimpleNamespace(has_pose=True) for n in (4, 5, 6)})
    attempt = found(3)
    attempt.models.append(second)
    (note,) = _other_models(attempt)
    assert "the largest, of 3, is used. Others that fit together: 3 (3.png, 4.png, 5.png)" in note


def features_of_points(*transforms: np.ndarray, flat: bool = False) -> tuple[list[Features], dict]:
    """Features of 200 points through cameras [3, 4] of 800 x 600 px, all of which match."""
    generator = np.random.default_rng(0)
    points = generator.uniform((-2, -1.5, 4), (2, 1.5, 4.001 if flat else 8), (200, 3))
    homogeneous = np.concatenate((points, np.ones((200, 1))), axis=1)
    features = []
    for transform in transforms:
        pixels = homogeneous @ transform.T
        keypoints = np.zeros((200, 4), np.float32)
        keypoints[:, :2] = pixels[:, :2] / pixels[:, 2:] + generator.normal(0, 0.2, (200, 2))
        features.append(Features(800, 600, keypoints, np.zeros((200, 128), np.uint8), np.zeros((200, 3), np.uint8)))
    numbers = np.stack((np.arange(200), np.arange(200)), axis=1)
    return features, {(i, j): numbers for j in range(len(transforms)) for i in range(j)}


def camera(angle: float = 0.0, x: float = 0.0, focal: float = 700.0) -> np.ndarray:
    K = np.array([[focal, 0, 400], [0, focal, 300], [0, 0, 1]])
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    return K @ np.concatenate((turn, turn @ [[-x], [0], [0]]), axis=1)


def test_a_focal_stack_is_still():
    # Focus breathing is a zoom by some percent.
    seen = measure_parallax(*features_of_points(*(camera(focal=700 + 7 * i) for i in range(4))))
    assert seen is not None
    assert seen.still == 1
    assert seen.explained > 0.98


def test_turning_on_the_spot_is_a_rotation():
    seen = measure_parallax(*features_of_points(*(camera(angle=0.08 * i) for i in range(4))))
    assert seen is not None
    assert (seen.turned, seen.still) == (1, 0)


def test_a_flat_wall_from_several_places_is_neither():
    seen = measure_parallax(*features_of_points(*(camera(x=0.8 * i, angle=0.1 * i) for i in range(4)), flat=True))
    assert seen is not None
    assert seen.explained > 0.98
    assert (seen.turned, seen.still) == (0, 0)


def test_depth_from_several_places_fits_no_homography():
    seen = measure_parallax(*features_of_points(*(camera(x=0.5 * i) for i in range(4))))
    assert seen is not None
    assert seen.explained < 0.6


def test_blur_is_measured():
    sharp = texture(3, 400)
    values = [blur_of(View("a", torch.from_numpy(sharp)))]
    for sigma in (1.0, 2.0, 4.0):
        values.append(blur_of(View("a", torch.from_numpy(cv2.GaussianBlur(sharp, (0, 0), sigma)))))
    assert values == sorted(values)
    assert blur_of(View("a", torch.full((50, 50, 3), 0.5))) == 1


def test_blurred_photographs_are_said_to_be_blurred():
    flat = found(0)
    assert "The photographs are blurred (median 1.00" in reason(flat)


def test_photographs_from_one_place_end_with_the_reason():
    # A camera that turns by 4 degrees from picture to picture.
    base, views = camera_at((0.3, 0.1, -3.2)), []
    for i in range(4):
        angle = torch.tensor(0.07 * (i - 1.5))
        turn = torch.eye(4)
        turn[0, 0] = turn[2, 2] = angle.cos()
        turn[0, 2], turn[2, 0] = angle.sin(), -angle.sin()
        views.append(View(f"{i}.png", picture_of_relief(replace(base, world_to_camera=turn @ base.world_to_camera))))
    with pytest.raises(NothingUsableError, match=r"turned on the spot.*Walk sideways"):
        estimate_poses(Scene(Path("pan"), tuple(views)), config=SfmConfig(max_features=2000))


def test_a_focal_stack_ends_at_once():
    views = tuple(View(f"{i}.png", torch.zeros(8, 8, 3)) for i in range(5))
    with pytest.raises(NothingUsableError, match="focal stack"):
        estimate_poses(Scene(Path("stack"), views, kind="focal_stack"))


def test_a_video_is_taken_as_one():
    frames = tuple(View(f"{i}.jpg", torch.zeros(8, 8, 3), time_s=float(i)) for i in range(3))
    config, notes = with_capture(Scene(Path("v"), frames, kind="video"), SfmConfig())
    assert (config.matching, config.camera_sharing) == ("revisiting", "single")
    assert notes == ("Taken as --capture video: the source is a video.",)
    assert with_capture(Scene(Path("v"), frames, kind="video"), SfmConfig(matching="exhaustive"))[0].matching == (
        "exhaustive"
    )


def test_a_drone_is_known_by_maker_and_gps(tmp_path: Path):
    views = []
    for i in range(3):
        exif = Image.Exif()
        exif[0x8825] = {1: "N", 2: (47.0, 22.0, 1.0 + i), 3: "E", 4: (8.0, 32.0, 0.0)}
        Image.new("RGB", (8, 8)).save(tmp_path / f"{i}.jpg", exif=exif)
        views.append(View(f"{i}.jpg", tmp_path / f"{i}.jpg", exif=Exif(make="DJI")))
    assert recognised_capture(Scene(tmp_path, tuple(views)))[0] == "drone"
    phone = tuple(replace(view, exif=Exif(make="Apple")) for view in views)
    assert recognised_capture(Scene(tmp_path, phone))[0] == "photographs"
    config, _ = with_capture(Scene(tmp_path, tuple(views)), SfmConfig())
    assert (config.matching, config.max_image_size_px) == ("nearby", 2400)


def test_a_focus_sweep_of_a_phone_is_no_scene(shared_data: Path):
    scene = read_photographs(shared_data / "phone_sweep" / "keyboard" / "32")
    assert scene is not None
    with pytest.raises(NothingUsableError, match="focal stack"):
        estimate_poses(replace(scene, views=scene.views[::5], kind="photographs"), config=SfmConfig(max_features=2000))


def test_retrying_places_more_of_buddha(shared_data: Path):
    scene = read_photographs(shared_data / "buddha")
    assert scene is not None
    few = replace(
        scene, views=tuple(v for v in scene.views if v.name[:5] in ("00007", "00046", "00047", "00049", "00055"))
    )
    found = estimate_poses(few, config=SfmConfig(max_features=3000))
    assert len(found.posed_views) == 5
    assert "the settings given: 3; relaxed thresholds: 5." in found.notes[0]
