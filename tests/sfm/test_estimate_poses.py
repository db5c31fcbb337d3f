from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hyperfocal.camera import project
from hyperfocal.data import read_scene
from hyperfocal.distortion import Distortion
from hyperfocal.errors import BadInputError, NothingUsableError
from hyperfocal.protocols import Matches
from hyperfocal.scene import DepthFile, Scene, View
from hyperfocal.sfm import SfmConfig, estimate_poses
from hyperfocal.sfm.native import run
from hyperfocal.transforms import align_similarity
from photo_files import depth_of_relief, recorder, relief_views, texture, unposed

SMALL = SfmConfig(max_image_size_px=640, max_features=2000)


def worst_center_error(found: Scene, truth: Scene) -> float:
    """The largest distance of a camera centre from the truth after the best similarity, in true units."""
    true = {view.name: view.camera.centers() for view in truth.views if view.camera is not None}
    source = torch.stack([view.camera.centers() for view in found.views if view.camera is not None])
    target = torch.stack([true[view.name] for view in found.posed_views])
    scale, rotation, translation = align_similarity(source, target)
    return float((scale * source @ rotation.T + translation - target).norm(dim=1).max())


@pytest.fixture(scope="module")
def relief(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    folder = tmp_path_factory.mktemp("relief with blanks")
    return Scene(folder, tuple(relief_views(folder, 5, Distortion("opencv", (-0.05, 0.0, 0.0, 0.0)))))


def test_cameras_of_a_relief_are_found_from_its_photographs(relief: Scene):
    seen, record = recorder()
    found = estimate_poses(
        replace(relief, views=unposed(list(relief.views)), metres_per_unit=1.0),
        config=SMALL,
        progress=record,
    )
    assert len(found.posed_views) == 5
    assert found.notes == ()
    assert found.metres_per_unit is None
    assert worst_center_error(found, relief) < 0.02  # the cameras are 0.6 apart and 3 away
    camera = found.views[0].camera
    assert camera is not None
    torch.testing.assert_close(camera.focal_px, torch.tensor([300.0, 300.0]), atol=6, rtol=0)
    assert found.points is not None
    assert len(found.points) > 100
    finished = dict.fromkeys(stage for stage, done, total in seen if done == total)
    assert list(finished) == ["Finding features", "Matching photographs", "Placing cameras"]


@pytest.mark.parametrize("millimetres_per_unit", [1000.0, 250.0])
def test_depth_maps_give_the_cameras_their_unit(relief: Scene, tmp_path: Path, millimetres_per_unit: float):
    found = estimate_poses(with_depth_maps(relief, tmp_path, millimetres_per_unit), config=SMALL)
    true = torch.stack([v.camera.centers() for v in relief.views if v.camera is not None]) * millimetres_per_unit / 1000
    got = torch.stack([v.camera.centers() for v in found.posed_views if v.camera is not None])
    assert float(torch.pdist(got).sum() / torch.pdist(true).sum()) == pytest.approx(1, abs=0.01)
    assert found.metres_per_unit == 1.0
    assert all(view.depth is not None for view in found.views)
    assert "The scale is that of the 5 depth maps" in found.notes[-1]
    assert found.points is not None
    assert float(found.points.positions.std(0).max()) == pytest.approx(0.7 * millimetres_per_unit / 1000, rel=0.5)


def test_depth_maps_that_do_not_fit_are_left_out_with_a_reason(relief: Scene, tmp_path: Path):
    scene = with_depth_maps(relief, tmp_path, 1000.0)
    for view in scene.views:
        assert view.depth is not None
        numbers = np.load(view.depth.path)
        np.save(view.depth.path, np.random.default_rng(0).uniform(0.1, 9, numbers.shape).astype(np.float32))
    found = estimate_poses(scene, config=SMALL)
    assert found.metres_per_unit is None
    assert all(view.depth is None for view in found.views)
    assert "The depth maps were left out: after scaling they differ" in found.notes[-1]


def test_too_few_measured_points_give_no_scale(relief: Scene, tmp_path: Path):
    scene = with_depth_maps(relief, tmp_path, 1000.0)
    for view in scene.views:
        assert view.depth is not None
        np.save(view.depth.path, np.zeros_like(np.load(view.depth.path)))
    found = estimate_poses(scene, config=SMALL)
    assert found.metres_per_unit is None
    assert "only 0 of the points" in found.notes[-1]


def with_depth_maps(scene: Scene, folder: Path, millimetres_per_unit: float) -> Scene:
    """The scene without cameras, each view with its true depth in other units, claimed to be metres."""
    views = []
    for view, plain in zip(scene.views, unposed(list(scene.views)), strict=True):
        assert view.camera is not None
        path = folder / f"{view.name}.npy"
        np.save(path, depth_of_relief(view.camera, view.distortion).numpy() * millimetres_per_unit)
        views.append(replace(plain, depth=DepthFile(path, 0.001)))
    return replace(scene, views=tuple(views), metres_per_unit=1.0)


def test_points_reproject_into_their_colours(relief: Scene):
    found = estimate_poses(replace(relief, views=unposed(list(relief.views))), config=SMALL)
    assert found.points is not None
    first, distortion = found.views[0].camera, found.views[0].distortion
    assert first is not None
    assert distortion is not None
    pixels, depth_z = project(first, found.points.positions)
    inside = (pixels > 0).all(1) & (pixels < torch.tensor([320.0, 240.0])).all(1) & (depth_z > 0)
    assert int(inside.sum()) > 80
    assert float(found.points.colors.std()) > 0.03


def test_repeating_gives_the_same_cameras(relief: Scene):
    scene = replace(relief, views=unposed(list(relief.views)))
    config = replace(SMALL, threads=1)
    first, second = estimate_poses(scene, config=config), estimate_poses(scene, config=config)
    for a, b in zip(first.views, second.views, strict=True):
        assert a.camera is not None
        assert b.camera is not None
        assert torch.equal(a.camera.world_to_camera, b.camera.world_to_camera)


def test_a_users_matcher_takes_the_place_of_sift(relief: Scene):
    # It knows the truth: points of the two walls and their pixels in every photograph (an ideal pinhole).
    views = [replace(view, image=torch.full((240, 320, 3), 0.1 * i)) for i, view in enumerate(relief.views)]
    points = torch.rand(400, 3) * 2 - 1
    points[:, 2] = torch.where(torch.arange(400) % 2 == 0, 0.0, -0.8)

    def matcher(first: torch.Tensor, second: torch.Tensor) -> Matches:
        sides = []
        for image in (first, second):
            camera = views[round(float(image[0, 0, 0]) * 10)].camera
            assert camera is not None
            sides.append(project(camera, points)[0])
        inside = [((s > 0) & (s < torch.tensor([320.0, 240.0]))).all(1) for s in sides]
        keep = inside[0] & inside[1]
        return Matches(sides[0][keep], sides[1][keep], torch.ones(int(keep.sum())))

    found = estimate_poses(
        replace(relief, views=unposed(views)), config=replace(SMALL, camera_model="pinhole"), matcher=matcher
    )
    assert len(found.posed_views) == 5
    assert worst_center_error(found, relief) < 0.02


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_photographs_are_refused(relief: Scene, count: int):
    with pytest.raises(BadInputError, match=f"holds {count} photograph.*at least 3, of the same place"):
        estimate_poses(replace(relief, views=relief.views[:count]))


def test_photographs_without_detail_are_nothing_usable(relief: Scene):
    flat = tuple(View(f"{i}.png", torch.full((60, 80, 3), 0.2 * i)) for i in range(4))
    with pytest.raises(
        NothingUsableError, match=r"0 of 4 photographs could be placed.*too little detail.*0\.png"
    ) as caught:
        estimate_poses(replace(relief, views=flat))
    assert caught.value.exit_code == 3
    assert "\n" not in str(caught.value)


def test_a_stranger_among_the_photographs_is_named(relief: Scene):
    stranger = View("stranger.png", torch.from_numpy(texture(7, 320)[:240].copy()))
    found = estimate_poses(replace(relief, views=(*unposed(list(relief.views)), stranger)), config=SMALL)
    assert len(found.posed_views) == 5
    assert found.notes == ("1 of 6 photographs share no view with any other photograph: stranger.png.",)


def test_an_interrupt_cancels_the_native_call():
    class Stop(BaseException):
        pass

    waited = []

    def call(token: object) -> None:
        while not token.is_cancelled:  # pyright: ignore[reportAttributeAccessIssue]
            waited.append(token)

    def report() -> None:
        raise Stop

    with pytest.raises(Stop):
        run(call, report)


def test_the_fountain_is_placed_within_two_centimetres(shared_data: Path):
    photographs = read_scene(shared_data / "fountain")
    found = estimate_poses(
        replace(photographs, views=photographs.views[3:8]), config=SfmConfig(max_image_size_px=768, max_features=4000)
    )
    assert len(found.posed_views) == 5
    assert worst_center_error(found, read_scene(shared_data / "fountain" / "cameras.json")) < 0.02


def test_photographs_of_two_scenes_are_told_apart(shared_data: Path):
    fountain, fox = read_scene(shared_data / "fountain").views[3:8], read_scene(shared_data / "fox").views[:6:2]
    strangers = (replace(view, name=f"fox {view.name}") for view in unposed(list(fox)))
    mixed = Scene(shared_data, (*fountain, *strangers))
    found = estimate_poses(mixed, config=SfmConfig(max_image_size_px=640, max_features=2000))
    assert {view.name for view in found.posed_views} == {view.name for view in fountain}
    assert len(found.notes) == 1
    assert "3 of 8 photographs match only among themselves (a group of 3)" in found.notes[0]
    assert "another scene" in found.notes[0]
