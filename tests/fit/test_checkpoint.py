import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from jaxtyping import TypeCheckError
from safetensors import safe_open
from safetensors.torch import save_file
from test_loop import perturbed, photographs_of, small, world

from hyperfocal.errors import BadInputError
from hyperfocal.fit import (
    CaptureConfig,
    Checkpoint,
    ClassicConfig,
    McmcConfig,
    fit,
    read_checkpoint,
    write_checkpoint,
)
from hyperfocal.gaussians import Gaussians

STEPS, STOP = 60, 23


def bits(gaussians: Gaussians) -> list[bytes]:
    return [t.numpy().tobytes() for t in gaussians.tensors().values()]


@pytest.fixture(scope="module")
def stopped() -> Checkpoint:
    """A fit after a few steps."""
    for step in fit(photographs_of(world()), perturbed(world()), small(STEPS)):
        if step.index + 1 == STOP:
            return step.checkpoint()
    raise AssertionError


CONFIGS: dict[str, dict[str, Any]] = {
    "mcmc": {"densify": McmcConfig(cap=400, interval=10)},
    "classic": {"densify": ClassicConfig(cap=400, interval=10)},
    "half the memory": {"densify": McmcConfig(cap=400, interval=10), "moments": "bfloat16"},
    "exposure and pose": {"capture": CaptureConfig(exposure="affine", pose=True)},
    "bilateral grid": {"capture": CaptureConfig(exposure="grid", exposure_rate=1e-2)},
}


@pytest.mark.parametrize("changes", CONFIGS.values(), ids=CONFIGS)
def test_going_on_from_a_file_gives_the_bits_of_never_stopping(changes: dict[str, Any], tmp_path: Path) -> None:
    photographs, start, config = photographs_of(world()), perturbed(world()), small(STEPS, **changes)
    steps = list_of_gaussians(fit(photographs, start, config), tmp_path / "stopped.safetensors")
    resumed = fit(photographs, start, config, resume=read_checkpoint(tmp_path / "stopped.safetensors"))
    again = list_of_gaussians(resumed, None)
    assert len(again) == STEPS - STOP
    assert again == steps[STOP:]


def list_of_gaussians(steps: Any, checkpoint: Path | None) -> list[list[bytes]]:
    found = []
    for step in steps:
        found.append(bits(step.gaussians()))
        if checkpoint is not None and step.index + 1 == STOP:
            write_checkpoint(checkpoint, step.checkpoint())
    return found


def test_a_checkpoint_serves_twice(stopped: Checkpoint) -> None:
    photographs, start = photographs_of(world()), perturbed(world())
    ends = [list_of_gaussians(fit(photographs, start, small(STEPS), resume=stopped), None)[-1] for _ in range(2)]
    assert ends[0] == ends[1]


def test_other_photographs_or_steps_are_refused(stopped: Checkpoint) -> None:
    photographs, start = photographs_of(world()), perturbed(world())
    with pytest.raises(BadInputError, match="of 8 photographs"):
        fit(photographs[1:], start, small(STEPS), resume=stopped)
    with pytest.raises(BadInputError, match="one of 60 steps"):
        fit(photographs, start, small(STEPS + 1), resume=stopped)


def test_a_step_that_is_over_has_no_checkpoint() -> None:
    steps = fit(photographs_of(world()), perturbed(world()), small(5))
    first = next(steps)
    next(steps)
    with pytest.raises(RuntimeError, match="is over"):
        first.checkpoint()


def test_damaged_files_are_refused_by_name(stopped: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "fit.safetensors"
    write_checkpoint(path, stopped)
    whole = path.read_bytes()
    for damaged in (b"", whole[:7], whole[:1000], whole[:-5], b"\xff" * 8 + whole[8:], b"pickle" + whole):
        path.write_bytes(damaged)
        with pytest.raises(BadInputError, match=r"fit\.safetensors"):
            read_checkpoint(path)
    with pytest.raises(BadInputError, match="missing"):
        read_checkpoint(tmp_path / "missing")


def test_parts_that_do_not_fit_together_are_refused(stopped: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "fit.safetensors"
    values = stopped.gaussians.values
    wrong = (
        replace(stopped, taken=STEPS + 1),
        replace(stopped, order=torch.tensor([99])),
        replace(stopped, photographs=stopped.photographs[1:]),
        replace(stopped, gaussians=replace(stopped.gaussians, values=replace(values, means=values.means * torch.nan))),
    )
    for checkpoint in wrong:
        write_checkpoint(path, checkpoint)
        with pytest.raises(BadInputError, match="cannot be read"):
            read_checkpoint(path)


@pytest.mark.parametrize("name", ["gaussians.values.means", "gaussians.second.sh", "capture.visits"])
def test_a_tensor_that_lacks_rows_or_is_not_there_is_refused(name: str, stopped: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "fit"
    write_checkpoint(path, stopped)
    with safe_open(path, framework="pt") as file:
        header, tensors = file.metadata(), {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    save_file({key: tensor for key, tensor in tensors.items() if key != name}, path, header)
    with pytest.raises(BadInputError, match="cannot be read"):
        read_checkpoint(path)
    if name.startswith("gaussians"):
        save_file(tensors | {name: tensors[name][1:].clone()}, path, header)
        with pytest.raises((BadInputError, TypeCheckError)):  # the types are checked in tests only
            read_checkpoint(path)


def test_another_version_is_refused(stopped: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["hyperfocal.fit.checkpoint"], "VERSION", 99)
    write_checkpoint(tmp_path / "fit", stopped)
    monkeypatch.undo()
    with pytest.raises(BadInputError, match="version 99; expected 'hyperfocal fit' of version 4"):
        read_checkpoint(tmp_path / "fit")
