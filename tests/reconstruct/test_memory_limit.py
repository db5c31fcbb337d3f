"""Limits of memory kept and hit by real processes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from hyperfocal.cli import main
from hyperfocal.errors import is_out_of_memory
from hyperfocal.reconstruct import job
from photo_files import relief_views, transforms_json

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="limits of processes")

SMALL = ("--steps", "12", "--checkpoint-every", "5", "--max-gaussians", "20000", "--fit.initial.random-points", "2000")


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    views = relief_views(tmp_path / "scene" / "images", 6, width=480, height=360, focal_px=400.0)
    return transforms_json(views, tmp_path / "scene").parent


def command(*words: object, before: str = "") -> "subprocess.CompletedProcess[str]":
    code = f"import sys\n{before}\nfrom hyperfocal.cli import main\nsys.exit(main(sys.argv[1:]))"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "1000"}
    line = [sys.executable, "-c", code, *map(str, words)]
    return subprocess.run(line, capture_output=True, text=True, env=environment, timeout=600)


def test_a_job_under_a_limit_stays_below_it(photographs: Path, tmp_path: Path):
    words = ("reconstruct", photographs, "--out", tmp_path / "out", *SMALL, "--json")
    limit = 650  # MiB: less than it would take
    assert json.loads(command(*words, "--dry-run").stdout.splitlines()[-1])["memory_mib"] > limit
    done = command(*words, "--memory", f"{limit}MiB")
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout.splitlines()[-1])
    assert 0 < record["peak_memory_mib"] < limit
    assert any(note.startswith(f"To stay below {limit}MiB, ") for note in record["notes"])
    names = {entry.name for entry in tmp_path.iterdir()}
    assert names == {"scene", "out"}, "no photographs are left beside it"


def test_a_limit_that_nothing_meets_is_refused_at_once(photographs: Path, capsys: pytest.CaptureFixture[str]):
    for words in (("--memory", "300MB"), ("--memory", "4 bananas")):
        assert main(["reconstruct", str(photographs), *words]) == 2
        said = " ".join(capsys.readouterr().err.split())
        assert "What would fit: " in said or "is no amount of memory" in said
        assert "Traceback" not in said


def test_a_process_without_memory_says_what_helps(photographs: Path, tmp_path: Path):
    # The limit comes once everything is loaded, as libraries reserve far more addresses than they use.
    limit = (
        "import resource, torch, hyperfocal.commands.reconstruct, pathlib, re\n"
        "size = int(re.search(r'VmSize:\\s+(\\d+)', pathlib.Path('/proc/self/status').read_text())[1]) * 1024\n"
        "resource.setrlimit(resource.RLIMIT_AS, (size + 400 * 2**20,) * 2)"
    )
    if not Path("/proc/self/status").is_file():
        pytest.skip("the system does not say how much a process has")
    # With points: pycolmap, which would find some, aborts the process where it cannot start a thread.
    head = "ply\nformat binary_little_endian 1.0\nelement vertex 300000\n"
    head += "".join(f"property float {axis}\n" for axis in "xyz") + "end_header\n"
    points = np.random.default_rng(0).random((300_000, 3), np.float32)
    (photographs / "sparse.ply").write_bytes(head.encode() + points.tobytes())
    file = photographs / "transforms.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"ply_file_path": "sparse.ply"}))
    words = ("--steps", "12", "--max-gaussians", "300000")
    done = command("reconstruct", photographs, "--out", tmp_path / "out", *words, before=limit)
    assert done.returncode == 2, done.stderr
    assert "The memory of the machine is full. Say with --memory" in done.stderr
    assert "--long-side or --max-gaussians" in done.stderr
    assert "Traceback" not in done.stderr
    assert {entry.name for entry in tmp_path.iterdir()} <= {"scene", "out.unfinished"}


@pytest.mark.parametrize(
    ("error", "where"),
    [
        (torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), "the GPU"),
        (MemoryError("std::bad_alloc"), "the machine"),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:75] DefaultCPUAllocator: can't allocate memory"), "the machine"),
    ],
)
def test_a_fit_that_runs_out_of_memory_is_kept_and_named(
    error: Exception,
    where: str,
    photographs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    whole = job.fit

    def until_step_seven(*arguments, **named):
        for step in whole(*arguments, **named):
            if step.index == 7:
                raise error
            yield step

    monkeypatch.setattr(job, "fit", until_step_seven)
    words = ["reconstruct", str(photographs), "--out", str(tmp_path / "out"), *SMALL, "--long-side", "100"]
    assert main(words) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert f"The memory of {where} is full." in said
    assert "out.unfinished: repeat the command with --resume" in said.replace("out. unfinished", "out.unfinished")
    assert {entry.name for entry in tmp_path.iterdir()} == {"scene", "out.unfinished"}
    monkeypatch.setattr(job, "fit", whole)
    assert main([*words, "--resume", "--memory", "2GB"]) == 0, "a fit may go on with less"


def test_other_errors_are_not_taken_for_want_of_memory():
    assert not is_out_of_memory(RuntimeError("shapes do not match"))
    assert not is_out_of_memory(ValueError("can't allocate memory"))
