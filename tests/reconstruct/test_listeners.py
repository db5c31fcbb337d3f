import sys
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from hyperfocal.errors import BadInputError, MissingExtraError
from hyperfocal.fit import FitConfig, McmcConfig, Step, fit
from hyperfocal.gaussians import Gaussians
from hyperfocal.reconstruct.listeners import heard, open_log
from hyperfocal.render import render
from hyperfocal.scene import Photograph
from hyperfocal.shapes import Image
from scenes import random_gaussians, ring_of_cameras

STEPS = 25


def photographs() -> tuple[Photograph, ...]:
    truth, cameras = random_gaussians(80, sh_degree=0), ring_of_cameras(3)
    valid = torch.ones(30, 40, dtype=torch.bool)
    pictures = [render(truth, cameras[i]).color.clamp(0, 1) for i in range(3)]
    return tuple(Photograph(f"view_{i}.png", picture, valid, cameras[i]) for i, picture in enumerate(pictures))


def steps() -> Iterator[Step]:
    config = FitConfig(steps=STEPS, sh_degree=0, densify=McmcConfig(cap=100))
    return fit(photographs(), random_gaussians(60, seed=1, sh_degree=0), config)


class Notebook:
    """A log that remembers."""

    def __init__(self) -> None:
        self.values: list[tuple[int, dict[str, float]]] = []
        self.pictures: list[tuple[int, str, tuple[int, ...]]] = []
        self.states: list[tuple[int, int]] = []

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        self.values.append((step, dict(values)))

    def picture(self, step: int, name: str, picture: Image) -> None:
        self.pictures.append((step, name, tuple(picture.shape)))

    def gaussians(self, step: int, gaussians: Gaussians) -> None:
        self.states.append((step, len(gaussians)))


def test_a_log_hears_numbers_now_and_then_and_the_end() -> None:
    log = Notebook()
    seen = [(step.index + 1, step.loss) for step in heard(steps(), log, numbers_every=10, pictures_every=20)]
    assert [index for index, _ in seen] == list(range(1, STEPS + 1)), "every step is passed on"
    assert [step for step, _ in log.values] == [10, 20, 25]
    losses = dict(seen)
    for step, values in log.values:
        assert values["loss/sum"] == losses[step]
        terms = [value for name, value in values.items() if name.startswith("loss/") and name != "loss/sum"]
        assert sum(terms) == pytest.approx(values["loss/sum"])
    assert log.states == [(20, 60), (25, 60)]
    assert log.pictures == []


def test_a_log_sees_views_beside_their_photographs() -> None:
    log = Notebook()
    views = photographs()[:2]
    for _ in heard(steps(), log, views=views, pictures_every=20):
        pass
    names = {name for _, name, _ in log.pictures}
    assert names == {f"view_{i}.png/{what}" for i in range(2) for what in ("render", "depth")}
    assert {step for step, _, _ in log.pictures} == {20, 25}
    assert {shape for _, name, shape in log.pictures if "render" in name} == {(30, 80, 3)}
    figures = [values["psnr_db/view_0.png"] for _, values in log.values if "psnr_db/view_0.png" in values]
    assert len(figures) == 2
    assert 5 < figures[0] < 60


def test_listening_changes_no_bit_of_the_fit() -> None:
    with_log = [step.loss for step in heard(steps(), Notebook(), views=photographs(), pictures_every=5)]
    assert with_log == [step.loss for step in heard(steps(), None)]


def test_tensorboard_reads_what_was_logged(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed: pip install 'hyperfocal[train]'")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TensorBoard's own
        from tensorboard.backend.event_processing.event_accumulator import (  # pyright: ignore[reportMissingImports]
            EventAccumulator,
        )

        with open_log("tensorboard", tmp_path / "log") as log:
            losses = [step.loss for step in heard(steps(), log, views=photographs()[:1], pictures_every=20)]
        found = EventAccumulator(str(tmp_path / "log")).Reload()
    scalars = [(event.step, event.value) for event in found.Scalars("loss/sum")]
    assert scalars == [(i, pytest.approx(losses[i - 1], rel=1e-6)) for i in (10, 20, 25)]
    pictures = found.Images("view_0.png/render")
    assert [(picture.step, picture.width, picture.height) for picture in pictures] == [(20, 80, 30), (25, 80, 30)]
    assert "opacity" in found.Tags()["histograms"]


def test_rerun_reads_what_was_logged(tmp_path: Path) -> None:
    chunk: Any = pytest.importorskip("rerun.chunk", reason="rerun is not installed: pip install 'hyperfocal[view]'")
    with open_log("rerun", tmp_path / "log") as log:
        for _ in heard(steps(), log, views=photographs()[:1], pictures_every=20):
            pass
    chunks = list(chunk.RrdReader(str(tmp_path / "log" / "fit.rrd")).stream())
    names = {str(each.entity_path) for each in chunks}
    assert {"/loss/sum", "/scene", "/gaussians", "/views/view_0.png/render", "/views/view_0.png/depth"} <= names


@pytest.mark.parametrize(
    ("kind", "module", "extra"), [("tensorboard", "tensorboard", "train"), ("rerun", "rerun", "view")]
)
def test_what_is_not_installed_is_named(
    kind: Any, module: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)  # importing it now raises
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    with pytest.raises(MissingExtraError, match=rf"hyperfocal\[{extra}\]"), open_log(kind, tmp_path / "log"):
        pass


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInputError, match="file/log"), open_log("tensorboard", tmp_path / "file" / "log"):
        pass
