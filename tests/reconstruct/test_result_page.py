"""The page of a result: what it is told of cameras, photographs and lenses, and the file in the result folder."""

import base64
import gzip
import io
import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from hyperfocal.data import load_photograph, read_scene
from hyperfocal.distortion import Distortion
from hyperfocal.export import read_ply
from hyperfocal.export.page import Page, served_html
from hyperfocal.fit.config import FitConfig, McmcConfig
from hyperfocal.reconstruct import ReconstructConfig, Result, reconstruct, write_result
from hyperfocal.reconstruct.page import lens_row, page_with_all_inside, page_with_files
from hyperfocal.reconstruct.photographed import PhotographedLens, Spread
from posed_scene import write_posed_scene

NASTY = "</script><b>&.png"


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """A fit of few steps: six photographs, one held out, one with a name that HTML could trip over."""
    folder = tmp_path_factory.mktemp("photos") / "ball"
    write_posed_scene(folder, views=6, width=48, height=36)
    scene = read_scene(folder)
    scene = replace(scene, views=(replace(scene.views[0], name=NASTY), *scene.views[1:]), up=(0.0, -1.0, 0.0))
    config = ReconstructConfig(eval_every=6, long_side=40, fit=FitConfig(steps=5, densify=McmcConfig(cap=250)))
    return replace(reconstruct(scene, config), lenses=(a_lens("view_02.png"),))


def a_lens(name: str, focus: float | None = 2.5) -> PhotographedLens:
    pose = ((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0))
    spread = Spread(2.0, 6.0)
    return PhotographedLens(name, 40.0, 0.1, focus, spread, (0.0,) * 6, pose, pose, None, 2.8, 0.01)


def manifest(page: Page) -> dict[str, Any]:
    return page.manifest(lambda asset: {"url": asset.url})


def test_the_manifest_says_what_the_fit_used(result: Result, tmp_path: Path) -> None:
    told = manifest(page_with_files(result, tmp_path))
    assert told["title"] == "ball"
    assert told["up"] == (0, -1, 0)
    assert told["metres_per_unit"] is None
    assert told["gaussians"] == len(result.gaussians)
    assert [camera["name"] for camera in told["cameras"]] == [view.name for view in result.scene.posed_views]
    for camera, view in zip(told["cameras"], result.scene.posed_views, strict=True):
        fitted = load_photograph(view, long_side=40).camera
        assert (camera["width"], camera["height"]) == (fitted.width, fitted.height) == (40, 30)
        assert camera["focal_px"] == fitted.focal_px.tolist()
        assert camera["center_px"] == fitted.center_px.tolist()
        assert camera["world_to_camera"] == fitted.world_to_camera.tolist()
        assert camera["held_out"] == (view.name in result.held_out)
        assert (camera["lens"] is not None) == (view.name == "view_02.png")
    assert sum(camera["held_out"] for camera in told["cameras"]) == 1


@pytest.mark.parametrize(("focus", "word"), [(2.5, "distance"), (math.inf, "infinity"), (None, "everywhere")])
def test_a_lens_is_told_in_words_that_json_has(focus: float | None, word: str) -> None:
    row = lens_row(a_lens("a", focus))
    assert row == {
        "aperture_diameter": 0.1,
        "focus": word,
        "focus_distance": 2.5 if word == "distance" else None,
        "focus_sigma": 0.01,
        "f_number": 2.8,
        "circle_px": {"median": 2.0, "p95": 6.0},
        "streak_px": None,
    }
    json.dumps(row, allow_nan=False)


def test_served_photographs_are_made_when_asked_for_undistorted_and_as_large_as_fitted(
    result: Result, tmp_path: Path
) -> None:
    bent = Distortion("opencv", (-0.3, 0.0, 0.0, 0.0))
    views = tuple(replace(view, distortion=bent) for view in result.scene.views)
    page = page_with_files(replace(result, scene=replace(result.scene, views=views)), tmp_path)
    photograph = page.cameras[1].photograph
    assert photograph is not None
    picture = Image.open(io.BytesIO(photograph.read()))
    assert (picture.format, picture.size) == ("JPEG", (40, 30))
    expected = load_photograph(views[1], long_side=40).image
    error = (torch.from_numpy(np.array(picture)) / 255 - expected).square().mean()
    assert -10 * math.log10(float(error)) > 24
    assert photograph.read() is photograph.read(), "made once"


def test_photographs_that_are_gone_are_left_out(result: Result, tmp_path: Path) -> None:
    views = tuple(replace(view, image=tmp_path / "gone.png") for view in result.scene.views[:2])
    without = replace(result, scene=replace(result.scene, views=(*views, *result.scene.views[2:])))
    page = page_with_files(without, tmp_path)
    assert [camera.photograph is None for camera in page.cameras] == [True, True, False, False, False, False]
    page, notes = page_with_all_inside(without, photographs=24)
    assert [camera.photograph is None for camera in page.cameras] == [True, True, False, False, False, False]
    assert len(notes) == 1
    assert NASTY in notes[0]


@pytest.mark.parametrize("most", [0, 1, 3, 24])
def test_a_page_holds_so_many_photographs_and_all_cameras(result: Result, most: int) -> None:
    page, notes = page_with_all_inside(result, photographs=most)
    assert sum(camera.photograph is not None for camera in page.cameras) == min(most, 6)
    assert len(page.cameras) == 6
    assert notes == ()


def test_the_result_folder_has_a_page_and_the_report_links_it(result: Result, tmp_path: Path) -> None:
    write_result(tmp_path, result)
    html = (tmp_path / "view.html").read_text()
    found = re.search(r'id="hyperfocal-manifest">(.*?)</script>', html)
    assert found is not None
    told = json.loads(found[1])
    assert told["cameras"][0]["name"] == NASTY
    assert NASTY not in html
    scene = re.search(rf'id="{told["scene"]["embedded"]}">(.*?)</script>', html)
    assert scene is not None
    (tmp_path / "inside.ply").write_bytes(gzip.decompress(base64.b64decode(scene[1])))
    assert len(read_ply(tmp_path / "inside.ply")) == len(result.gaussians)
    assert '<a href="view.html">' in (tmp_path / "report.html").read_text()


def test_the_page_can_be_left_out(result: Result, tmp_path: Path) -> None:
    write_result(tmp_path, replace(result, config=replace(result.config, view_page=False)))
    assert not (tmp_path / "view.html").exists()
    assert "view.html" not in (tmp_path / "report.html").read_text()


def test_a_served_result_names_its_scene_and_numbers_its_photographs(result: Result, tmp_path: Path) -> None:
    page = page_with_files(result, tmp_path)
    assert page.scene.content == tmp_path / "scene.ply"
    urls = [asset.url for asset in page.assets()]
    assert urls == ["scene.ply", *(f"photographs/{i:05}.jpg" for i in range(6))]
    assert NASTY.encode() not in served_html(page)


def test_fewer_than_no_photographs_are_refused() -> None:
    with pytest.raises(ValueError, match="view_photographs"):
        ReconstructConfig(view_photographs=-1)
