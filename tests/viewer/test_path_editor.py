"""The path of a film that the page makes is the path that the library reads."""

from pathlib import Path
from typing import Any

import pytest
import torch
from page_scene import HEIGHT, WIDTH, aperture_at, cameras
from page_viewer import Viewer

from hyperfocal.export.path_json import read_path
from hyperfocal.path_lens import lens_along
from hyperfocal.paths import sample


def previewed(viewer: Viewer, times: list[float]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return the camera and the lens of the page at times of the film."""
    return viewer.page.evaluate(
        """(times) => times.map((time) => {
            const {path, state} = window.hyperfocal;
            path.seek(time);
            return [state.values.camera, state.lens];
        })""",
        times,
    )


def test_the_path_is_read_by_the_library_and_means_the_same(viewer: Viewer, tmp_path: Path) -> None:
    page = viewer.page
    viewer.set(fNumber=2, focusDistance=2.0)
    page.keyboard.press("k")
    viewer.get("state.goTo(1)")
    viewer.set(fNumber=5.6, focusDistance=5.0)
    page.keyboard.press("k")
    viewer.get("state.goTo(2)")
    viewer.set(fNumber=1.4, focusDistance=None)  # infinity
    page.get_by_role("button", name="Add a keyframe").click()
    viewer.get("state.goTo(0)")
    page.keyboard.press("k")
    assert page.locator(".diamond").count() == 4
    page.locator(".diamond").nth(3).focus()
    page.keyboard.press("Delete")
    assert page.locator(".diamond").count() == 3
    page.locator(".diamond").nth(1).click()
    viewer.settle()
    assert viewer.get("state.lens") == pytest.approx({"apertureDiameter": aperture_at(5.6, 0.1), "focusDistance": 5.0})
    page.locator("#keyframe-time").fill("3")
    page.keyboard.press("Enter")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the path").click()
    assert download.value.suggested_filename == "toy.path.json"
    download.value.save_as(tmp_path / "path.json")

    path = read_path(tmp_path / "path.json")
    assert [keyframe.time_s for keyframe in path.keyframes] == [0, 3, 4]
    assert path.seconds == 4 and not path.closed
    for keyframe, camera in zip(path.keyframes, cameras(), strict=True):
        assert torch.allclose(keyframe.camera.world_to_camera, camera.world_to_camera, atol=1e-6)
        assert torch.allclose(keyframe.camera.focal_px, camera.focal_px)
        assert torch.allclose(keyframe.camera.center_px, camera.center_px)
        assert (keyframe.camera.width, keyframe.camera.height) == (WIDTH, HEIGHT)
    assert [k.aperture_diameter for k in path.keyframes] == pytest.approx([aperture_at(n, 0.1) for n in (2, 5.6, 1.4)])
    assert [k.focus_distance for k in path.keyframes[:2]] == pytest.approx([2, 5])
    far = path.keyframes[2].focus_distance
    assert far is not None
    assert aperture_at(1.4, 0.1) * 240 / far < 0.3  # px: what is infinitely far is sharp, as asked
    # The preview goes the same way.
    wanted, lenses = sample(path, 9), lens_along(path, 9)
    for i, (camera, lens) in enumerate(previewed(viewer, [0.5 * i for i in range(9)])):
        assert torch.allclose(torch.tensor(camera["worldToCamera"]), wanted.world_to_camera[i], atol=1e-5)
        assert torch.allclose(torch.tensor(camera["focalPx"]), wanted.focal_px[i])
        assert lens["apertureDiameter"] == pytest.approx(float(lenses.aperture_diameter[i]), rel=1e-4)
        assert lens["focusDistance"] == pytest.approx(float(lenses.focus_distance[i]), rel=1e-4)


def test_a_closed_path_and_one_of_pinholes(viewer: Viewer, tmp_path: Path) -> None:
    for i in range(3):
        viewer.get(f"state.goTo({i})")
        viewer.set(fNumber=None)
        viewer.get("path.add()")
    viewer.page.locator("#path-loop").check()
    (tmp_path / "path.json").write_text(viewer.get("path.json()"))
    path = read_path(tmp_path / "path.json")
    assert path.closed and path.seconds == 6
    assert lens_along(path, 5) is None
    wanted = sample(path, 8)
    for i, (camera, lens) in enumerate(previewed(viewer, [6 * i / 8 for i in range(8)])):
        assert torch.allclose(torch.tensor(camera["worldToCamera"]), wanted.world_to_camera[i], atol=1e-5)
        assert lens["apertureDiameter"] == 0


def test_a_preview_plays_once_and_ends_at_the_last_keyframe(viewer: Viewer) -> None:
    viewer.get("path.add()")
    viewer.get("state.goTo(2)")
    viewer.get("path.add()")
    viewer.get("path.stretch(0.6)")
    viewer.page.evaluate("window.hyperfocal.path.play()")
    viewer.settle()
    pose = torch.tensor(viewer.get("state.values.camera.worldToCamera"))
    assert torch.allclose(pose, cameras()[2].world_to_camera, atol=1e-5)
