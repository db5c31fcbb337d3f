import os
import random
import signal
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from hyperfocal.data import read_scene
from hyperfocal.errors import BadInputError, StoppedError
from hyperfocal.fit import CaptureConfig, FitConfig, McmcConfig
from hyperfocal.gaussians import Gaussians
from hyperfocal.reconstruct import ReconstructConfig, job, read_result, reconstruct
from hyperfocal.reconstruct.unfinished import Unfinished
from hyperfocal.scene import Scene
from posed_scene import write_posed_scene

STEPS = 60
CONFIG = ReconstructConfig(
    eval_every=6,
    checkpoint_every=5,
    fit=FitConfig(steps=STEPS, densify=McmcConfig(cap=250, interval=10), capture=CaptureConfig(exposure="affine")),
)
KILLS = 30


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    folder = tmp_path_factory.mktemp("photos") / "ball"
    write_posed_scene(folder, views=6, width=48, height=36)
    return read_scene(folder)


@pytest.fixture(scope="module")
def undisturbed(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The PLY of a run that nothing stopped."""
    out = tmp_path_factory.mktemp("undisturbed") / "result"
    reconstruct(scene, CONFIG, out=out)
    assert sorted(path.name for path in out.parent.iterdir()) == ["result"]
    return (out / "scene.ply").read_bytes()


def stop_at(step: int):
    """A listener that presses Ctrl-C."""

    def listen(stage: str, done: int, total: int) -> None:
        if stage == "fitting" and done == step:
            signal.raise_signal(signal.SIGINT)

    return listen


def test_ctrl_c_saves_and_resume_gives_the_same_bits(scene: Scene, undisturbed: bytes, tmp_path: Path) -> None:
    out = tmp_path / "result"
    with pytest.raises(StoppedError, match=r"Stopped after step 20 of 60.*--resume"):
        reconstruct(scene, CONFIG, out=out, progress=stop_at(20))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert [path.name for path in tmp_path.iterdir()] == ["result.unfinished"]
    result = reconstruct(scene, CONFIG, out=out, resume=True)
    assert (out / "scene.ply").read_bytes() == undisturbed
    assert [point.step for point in result.curve] == list(range(1, STEPS + 1))
    assert [path.name for path in tmp_path.iterdir()] == ["result"]
    assert read_result(out).held_out == result.held_out != ()


def test_an_unfinished_run_is_not_dropped_unasked(scene: Scene, tmp_path: Path) -> None:
    out = tmp_path / "result"
    with pytest.raises(StoppedError):
        reconstruct(scene, CONFIG, out=out, progress=stop_at(10))
    with pytest.raises(BadInputError, match="holds an unfinished reconstruction"):
        reconstruct(scene, CONFIG, out=out)
    with pytest.raises(BadInputError, match=r"other settings \(fit\.steps: 60, now 61\)"):
        reconstruct(scene, replace(CONFIG, fit=replace(CONFIG.fit, steps=61)), out=out, resume=True)
    with pytest.raises(BadInputError, match="no photograph"):
        reconstruct(replace(scene, views=scene.views[1:]), CONFIG, out=out, resume=True)
    assert Unfinished(out).can_go_on
    reconstruct(scene, CONFIG, out=out, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["result"]


def test_a_log_hears_the_fit_and_changes_no_bit(scene: Scene, undisturbed: bytes, tmp_path: Path) -> None:
    heard: list[int] = []

    class Ears:
        def numbers(self, step: int, values: Mapping[str, float]) -> None:
            heard.append(step)

        def picture(self, step: int, name: str, picture: Tensor) -> None:
            assert name.split("/")[0] in {view.name for view in scene.views}

        def gaussians(self, step: int, gaussians: Gaussians) -> None: ...

    reconstruct(scene, CONFIG, out=tmp_path / "result", log=Ears())
    assert heard[-1] == STEPS
    assert (tmp_path / "result" / "scene.ply").read_bytes() == undisturbed


def test_resume_with_nothing_to_go_on_with_is_a_new_start(scene: Scene, undisturbed: bytes, tmp_path: Path) -> None:
    reconstruct(scene, CONFIG, out=tmp_path / "result", resume=True)
    assert (tmp_path / "result" / "scene.ply").read_bytes() == undisturbed


def test_damaged_files_are_named(scene: Scene, tmp_path: Path) -> None:
    out = tmp_path / "result"
    with pytest.raises(StoppedError):
        reconstruct(scene, CONFIG, out=out, progress=stop_at(10))
    for name in ("course.json", "fit.safetensors", "start.safetensors"):
        path = Unfinished(out).folder / name
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(BadInputError, match=name.replace(".", r"\.")):
            reconstruct(scene, CONFIG, out=out, resume=True)
        path.write_bytes(whole)


def test_a_failure_after_the_fit_says_that_the_fit_is_kept(
    scene: Scene, undisturbed: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise BadInputError("No space left.")

    monkeypatch.setattr(job, "write_result", full)
    with pytest.raises(BadInputError, match=r"No space left. The fit is kept in .*result\.unfinished: .*--resume"):
        reconstruct(scene, CONFIG, out=tmp_path / "result")
    monkeypatch.undo()
    reconstruct(scene, CONFIG, out=tmp_path / "result", resume=True)
    assert (tmp_path / "result" / "scene.ply").read_bytes() == undisturbed


def test_without_checkpoints_nothing_is_kept(scene: Scene, tmp_path: Path) -> None:
    with pytest.raises(StoppedError, match="Nothing was kept"):
        reconstruct(scene, replace(CONFIG, checkpoint_every=0), out=tmp_path / "result", progress=stop_at(10))
    assert list(tmp_path.iterdir()) == []


def test_corrected_poses_are_those_of_the_result(scene: Scene, tmp_path: Path) -> None:
    config = replace(CONFIG, fit=replace(CONFIG.fit, capture=CaptureConfig(pose=True, pose_rate=1e-2)))
    result = reconstruct(scene, config, out=tmp_path / "result")
    for view, given in zip(result.scene.views, scene.views, strict=True):
        assert view.camera is not None
        assert given.camera is not None
        moved = not torch.equal(view.camera.world_to_camera, given.camera.world_to_camera)
        assert moved == (view.name not in result.held_out)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked process")
def test_a_run_killed_at_random_moments_ends_with_the_same_bits(
    scene: Scene, undisturbed: bytes, tmp_path: Path
) -> None:
    out = tmp_path / "result"
    moments = random.Random(0)
    saved = 0
    for _ in range(KILLS):
        child = os.fork()
        if child == 0:
            try:
                reconstruct(scene, CONFIG, out=out, resume=True)
            finally:
                os._exit(0)
        time.sleep(moments.uniform(0.0, 0.4))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        if out.exists():  # it was done before: whole, and of the same bits
            assert (out / "scene.ply").read_bytes() == undisturbed
            read_result(out)
            out.rename(tmp_path / "earlier")
            Unfinished(out).remove()
            for path in (tmp_path / "earlier").iterdir():
                path.unlink()
            (tmp_path / "earlier").rmdir()
            saved = 0
            continue
        checkpoint, _, _ = Unfinished(out).fit()  # never damaged
        taken = 0 if checkpoint is None else checkpoint.taken
        assert taken >= saved
        saved = taken
    reconstruct(scene, CONFIG, out=out, resume=True)
    assert (out / "scene.ply").read_bytes() == undisturbed
    assert [path.name for path in tmp_path.iterdir()] == ["result"]
