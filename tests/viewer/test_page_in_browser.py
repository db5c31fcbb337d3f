"""Pages of all sorts in a browser: without a scale or cameras, on a phone, from disk, and malformed ones."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from page_scene import APERTURE, HEIGHT, WIDTH, cameras, toy_page
from page_viewer import Viewer

import hyperfocal as hf
from hyperfocal.export.page import Asset, Page, write_page
from hyperfocal.paths import up_direction

Serve = Callable[[Page], AbstractContextManager[str]]
MALFORMED = [
    ({"hyperfocal_page": 2}, "hyperfocal_page is 2, expected 1"),
    ({"scene": {"url": "https://example.org/scene.ply"}}, "scene.url"),
    ({"scene": {"url": "../secret.ply"}}, "scene.url"),
    ({"metres_per_unit": 0}, "metres_per_unit is 0"),
    ({"cameras": [{"name": "a"}]}, "cameras[0]"),
    ({"scene": None}, "scene is null"),
]


def test_without_a_scale_the_f_number_says_what_it_assumes(
    chromium: Any, serve: Serve, toy_gaussians: hf.Gaussians
) -> None:
    with serve(toy_page(toy_gaussians, metres_per_unit=None)) as url:
        viewer = Viewer(chromium, url).ready()
        note = viewer.page.locator(".assumed").inner_text()
        assert "Size unknown" in note
        # Such that the photographs' lenses were f/2.8: the subject is about 3 units away.
        metres = float(viewer.page.locator("#assumed").input_value())
        assert metres == pytest.approx(36e-3 / 2.8 / APERTURE * viewer.get("state.reach"), rel=0.05)
        viewer.set(fNumber=2)
        opening = viewer.get("state.lens.apertureDiameter")
        assert viewer.page.locator(".opening").inner_text() == f"Opening ⌀ {opening:.3f} units"
        assert viewer.page.locator("#focus").get_attribute("aria-valuetext").endswith(" units")
        viewer.page.locator("#assumed").fill(str(2 * metres))
        viewer.page.keyboard.press("Enter")
        assert viewer.get("state.lens.apertureDiameter") == pytest.approx(opening / 2)
        viewer.close()


def test_fingers_turn_move_and_pinch_on_a_phone(chromium: Any, serve: Serve, toy_gaussians: hf.Gaussians) -> None:
    with serve(toy_page(toy_gaussians, metres_per_unit=0.1)) as url:
        viewer = Viewer(chromium, url, has_touch=True, is_mobile=True)
        viewer.page.set_viewport_size({"width": 390, "height": 844})
        viewer.ready()
        wide = viewer.page.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
        assert wide == [390, 844]
        protocol = viewer.context.new_cdp_session(viewer.page)

        def touch(kind: str, *points: tuple[float, float]) -> None:
            fingers = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(points)]
            protocol.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})

        touch("touchStart", (150, 250), (240, 250))
        for reach in (10, 20, 30, 40):
            touch("touchMove", (150 - reach, 250), (240 + reach, 250))
        touch("touchEnd")
        viewer.settle()
        pose = torch.tensor(viewer.get("state.values.camera.worldToCamera"))
        assert torch.allclose(pose[:3, :3], torch.eye(3), atol=1e-5)  # a pinch does not turn
        assert pose[2, 3] < -0.5  # and goes nearer
        touch("touchStart", (200, 250))
        for x in (210, 225, 240):
            touch("touchMove", (x, 250))
        touch("touchEnd")
        viewer.settle()
        assert abs(float(torch.tensor(viewer.get("state.values.camera.worldToCamera"))[0, 2])) > 0.05
        assert viewer.said == []
        viewer.close()


def test_a_page_from_disk_works_alone(
    chromium: Any, page_file: bytes, toy_gaussians: hf.Gaussians, tmp_path: Path
) -> None:
    write_page(tmp_path / "toy.html", toy_page(toy_gaussians, metres_per_unit=0.1))
    viewer = Viewer(chromium, (tmp_path / "toy.html").as_uri()).ready()
    assert viewer.picture().std() > 0.1
    viewer.wait("document.querySelector('.cameras img').naturalWidth > 0")
    assert viewer.foreign == []
    assert viewer.said == []
    viewer.close()


def test_gaussians_without_cameras_are_framed(chromium: Any, serve: Serve, toy_gaussians: hf.Gaussians) -> None:
    with serve(replace(toy_page(toy_gaussians, None), cameras=(), up=None)) as url:
        viewer = Viewer(chromium, url).ready()
        picture = viewer.picture()
        seen = picture.max(axis=2) > 0.1
        assert 0.03 < seen.mean() < 0.9
        rows, columns = np.nonzero(seen)
        h, w = seen.shape
        assert abs(rows.mean() / h - 0.5) < 0.25 and abs(columns.mean() / w - 0.5) < 0.25
        assert "Size unknown" in viewer.page.locator(".assumed").inner_text()
        viewer.close()


def test_the_page_finds_up_as_the_library_does(chromium: Any, serve: Serve, toy_gaussians: hf.Gaussians) -> None:
    with serve(replace(toy_page(toy_gaussians, None), up=None)) as url:
        viewer = Viewer(chromium, url).ready()
        poses = torch.stack([camera.world_to_camera for camera in cameras()])
        batch = hf.Camera(poses, torch.full((3, 2), 240.0), torch.full((3, 2), 100.0), WIDTH, HEIGHT)
        assert torch.allclose(torch.tensor(viewer.get("state.up")), up_direction(batch), atol=1e-3)
        viewer.close()


@pytest.mark.parametrize(("patch", "words"), MALFORMED)
def test_a_malformed_manifest_ends_in_a_sentence(
    chromium: Any, page_file: bytes, tmp_path: Path, patch: dict[str, Any], words: str
) -> None:
    manifest = {"hyperfocal_page": 1, "title": "bad", "scene": {"url": "scene.ply"}, "scene_name": "scene.ply"} | patch
    element = f'<script type="application/json" id="hyperfocal-manifest">{json.dumps(manifest)}</script>'
    page_html = page_file.replace(b"<!--hyperfocal-data-->", element.encode())
    (tmp_path / "bad.html").write_bytes(page_html)
    viewer = Viewer(chromium, (tmp_path / "bad.html").as_uri())
    alert = viewer.page.get_by_role("alert")
    alert.wait_for()
    assert words in alert.inner_text()
    assert "Write the page again" in alert.inner_text()
    assert viewer.said == []
    viewer.close()


@pytest.mark.parametrize("content", [b"", b"no ply", b"ply\nformat ascii 1.0\nelement vertex 3\nend_header\n1 2 3\n"])
def test_a_malformed_scene_ends_in_a_sentence(chromium: Any, serve: Serve, content: bytes) -> None:
    scene = Asset("scene.ply", "application/octet-stream", content)
    with serve(Page("bad", scene, 3)) as url:
        viewer = Viewer(chromium, url)
        alert = viewer.page.get_by_role("alert")
        alert.wait_for()
        assert len(alert.inner_text()) > 40 and "scene.ply" in alert.inner_text()
        assert viewer.said == []
        viewer.close()
