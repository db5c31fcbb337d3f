import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch

from hyperfocal.data import read_scene
from hyperfocal.errors import BadInputError
from hyperfocal.fit.config import FitConfig, McmcConfig
from hyperfocal.reconstruct import ReconstructConfig, Result, evaluate, read_result, reconstruct, write_result
from hyperfocal.reconstruct import report as report_module
from hyperfocal.reconstruct.report import report
from hyperfocal.render import render
from hyperfocal.scene import Scene
from posed_scene import write_posed_scene

NASTY = "<b>&\"' view.png"


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """Six photographs, one under a name that HTML could trip over."""
    folder = tmp_path_factory.mktemp("photos") / "ball & <script>"
    write_posed_scene(folder, views=6, width=48, height=36)
    read = read_scene(folder)
    return replace(read, views=(replace(read.views[0], name=NASTY), *read.views[1:]))


@pytest.fixture(scope="module")
def result(scene: Scene) -> Result:
    """A fit of few steps, with one view held out."""
    config = ReconstructConfig(eval_every=6, fit=FitConfig(steps=20, densify=McmcConfig(cap=250)))
    return reconstruct(scene, config)


@pytest.fixture(scope="module")
def folder(result: Result, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The result on disk."""
    path = tmp_path_factory.mktemp("result")
    write_result(path, result)
    return path


def test_a_result_comes_back_equal(folder: Path, result: Result) -> None:
    back = read_result(folder)
    for name, tensor in result.gaussians.tensors().items():
        assert torch.equal(back.gaussians.tensors()[name], tensor), name
    assert back.config == result.config
    assert back.scores == result.scores
    assert back.curve == result.curve
    assert back.held_out == result.held_out == (NASTY,)
    assert back.notes == result.notes
    assert back.seconds == result.seconds
    assert back.machine == result.machine
    assert [view.name for view in back.scene.views] == [view.name for view in result.scene.views]
    for view, other in zip(back.scene.views, result.scene.views, strict=True):
        assert view.camera is not None
        assert other.camera is not None
        torch.testing.assert_close(view.camera.world_to_camera, other.camera.world_to_camera)


def test_the_course_of_the_fit_ends_at_its_last_step(result: Result) -> None:
    assert [point.step for point in result.curve] == list(range(1, 21))
    assert result.curve[-1].gaussians == len(result.gaussians)
    assert all(0 < point.loss < 1 for point in result.curve)


def test_the_course_of_the_fit_falls(scene: Scene) -> None:
    # All steps at full size and before black, so that they can be compared: by whole passes over the six photographs.
    plain = FitConfig(steps=60, background="black", resolution=((0.0, 1),), densify=McmcConfig(cap=250))
    losses = [point.loss for point in reconstruct(scene, ReconstructConfig(fit=plain)).curve]
    assert len(losses) == 60
    assert sum(losses[-12:]) < 0.8 * sum(losses[:12])


def test_held_out_photographs_are_not_fitted_and_alone_are_scored(result: Result) -> None:
    assert [view.name for view in result.scores.views] == [NASTY]
    assert NASTY not in result.training
    assert len(result.training) == 5


def test_without_held_out_photographs_the_training_ones_are_scored_and_said_to_be(scene: Scene) -> None:
    result = reconstruct(scene, ReconstructConfig(fit=FitConfig(steps=1)))
    assert len(result.scores.views) == 6
    assert result.scores.evaluated_on == "training photographs"
    assert "the scores flatter" in report(result)


def test_scores_ignore_pixels_that_the_mask_leaves_out(result: Result, scene: Scene) -> None:
    view = scene.views[0]
    assert isinstance(view.image, Path)
    from hyperfocal.data import load_pixels

    pixels, _ = load_pixels(view)
    spoiled = pixels.clone()
    spoiled[:, :10] = 1 - spoiled[:, :10]
    valid = torch.ones(pixels.shape[:2], dtype=torch.bool)
    valid[:, :10] = False

    def psnr(**changes: object) -> float:
        changed = replace(view, **changes)  # pyright: ignore[reportArgumentType]
        return evaluate(result, replace(scene, views=(changed,))).mean().psnr_db

    assert psnr(image=spoiled, mask=valid) == psnr(image=pixels, mask=valid)
    assert psnr(image=spoiled) < psnr(image=pixels)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda m: "{", "is not valid JSON"),
        (lambda m: "[]", "should hold a JSON object, got a list. Reconstruct again"),
        (lambda m: json.dumps({**m, "views": 3}), "is damaged"),
        (lambda m: json.dumps({k: v for k, v in m.items() if k != "curve"}), "is damaged .*curve"),
    ],
)
def test_a_damaged_result_is_named(folder: Path, tmp_path: Path, damage: object, message: str) -> None:
    for entry in folder.iterdir():
        (tmp_path / entry.name).write_bytes(entry.read_bytes())
    metrics = tmp_path / "metrics.json"
    assert callable(damage)
    metrics.write_text(str(damage(json.loads(metrics.read_text()))))
    with pytest.raises(BadInputError, match=message):
        read_result(tmp_path)


def test_a_folder_of_other_things_is_no_result(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"is not a result: it has no metrics\.json"):
        read_result(tmp_path)


class Page(HTMLParser):
    """Collects what a page shows and what it would load."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.shown: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in {"meta", "img", "input"} and not tag.startswith("!"):
            self.open.append(tag)
        self.loads += [value or "" for name, value in attrs if name in {"src", "href", "srcset", "data", "action"}]
        assert tag not in {"script", "link", "iframe", "object", "b><script"}

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        self.shown.append(data)


def test_the_report_is_one_well_formed_page_that_loads_nothing(folder: Path) -> None:
    text = (folder / "report.html").read_text()
    page = Page()
    page.feed(text)
    assert page.open == []
    assert page.loads
    assert all(source.startswith("data:image/webp;base64,") for source in page.loads if source != "view.html")
    assert "url(" not in text
    assert "@import" not in text


def test_the_report_shows_every_view_and_escapes_names(folder: Path, scene: Scene) -> None:
    page = Page()
    page.feed((folder / "report.html").read_text())
    shown = "".join(page.shown)
    for view in scene.views:
        assert view.name in shown
    assert "ball & <script>" in shown
    assert "held out" in shown


def test_a_report_leaves_out_photographs_that_are_gone(result: Result, tmp_path: Path) -> None:
    views = tuple(replace(view, image=tmp_path / "gone.png") for view in result.scene.views)
    page = report(replace(result, scene=replace(result.scene, views=views)))
    assert "is not shown" in page
    assert "No photograph could be read" in page


def test_a_report_stays_small(result: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_module, "MOST_BYTES", 20_000)
    page = report(result)
    assert "views have no pictures here" in page


def test_depth_maps_beside_photographs_are_measured_against(tmp_path: Path) -> None:
    folder = tmp_path / "measured"
    gaussians = write_posed_scene(folder, views=6, width=48, height=36)
    cameras = {view.name: view.camera for view in read_scene(folder).views}
    (folder / "depth").mkdir()
    for name, camera in cameras.items():
        assert camera is not None
        np.save(folder / "depth" / f"{Path(name).stem}.npy", 2 * render(gaussians, camera).depth_median.nan_to_num(0))
    scene = read_scene(folder)
    config = ReconstructConfig(eval_every=6, fit=FitConfig(steps=1, densify=McmcConfig(cap=10_000)))
    result = replace(reconstruct(scene, config), gaussians=gaussians)
    scores = evaluate(result)
    assert scores.views[0].depth_abs_rel == pytest.approx(0.5, abs=1e-6)  # of a map twice as far
    assert scores.views[0].depth_known == 1
    assert "Depth AbsRel" in scores.columns()
    assert any("points of 5 depth maps" in note for note in result.notes)  # the held-out one stays unseen
    (tmp_path / "result").mkdir()
    write_result(tmp_path / "result", result)
    assert "Depth error (AbsRel), held-out" in (tmp_path / "result" / "report.html").read_text()
