import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hyperfocal import scratch
from hyperfocal.scratch import PREFIX, new_scratch, remove_scratch, remove_stale

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals")


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for temporary files of this test alone."""
    monkeypatch.setattr(scratch.tempfile, "tempdir", str(tmp_path))
    return tmp_path


def process(temporary: Path, then: str) -> "subprocess.Popen[str]":
    """Return a process that has made a folder with a file in it and said where, and does something then."""
    code = (
        "import os, signal, sys, time\nfrom hyperfocal.scratch import new_scratch\n"
        "folder = new_scratch()\n(folder / 'a').write_text('a')\nprint(folder, flush=True)\n"
    )
    environment = {**os.environ, "TMPDIR": str(temporary)}
    command = [sys.executable, "-c", code + then]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)


def folder_of(running: "subprocess.Popen[str]") -> Path:
    assert running.stdout is not None
    return Path(running.stdout.readline().strip())


def test_a_folder_is_empty_and_private_and_can_be_removed(temporary: Path):
    folder = new_scratch()
    assert folder.is_dir()
    assert list(folder.iterdir()) == []
    assert folder.parent.stat().st_mode & 0o777 == 0o700
    remove_scratch(folder)
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    "then", ["", "raise ValueError", "sys.exit(3)", "os.kill(os.getpid(), signal.SIGINT)\ntime.sleep(60)"]
)
def test_a_process_that_ends_by_itself_leaves_nothing(temporary: Path, then: str):
    with process(temporary, then) as running:
        assert folder_of(running).name == "content"
        running.wait(timeout=60)
    assert list(temporary.iterdir()) == []


def test_what_a_killed_process_left_goes_and_what_a_living_one_uses_stays(temporary: Path):
    with process(temporary, "time.sleep(60)") as killed, process(temporary, "time.sleep(60)") as living:
        left, used = folder_of(killed), folder_of(living)
        killed.kill()
        killed.wait(timeout=60)
        assert (left / "a").is_file(), "nobody has cleaned up yet"
        own = new_scratch()
        assert not left.parent.exists()
        assert (used / "a").is_file()
        remove_scratch(own)
        living.kill()


def test_a_forked_child_keeps_the_folder_of_its_killed_parent(temporary: Path):
    then = (
        "child = os.fork()\nif child == 0: time.sleep(60)\n"
        "print(child, flush=True)\nos.kill(os.getpid(), signal.SIGKILL)"
    )
    with process(temporary, then) as running:
        folder = folder_of(running)
        assert running.stdout is not None
        child = int(running.stdout.readline())
        running.wait(timeout=60)
        remove_stale()
        assert (folder / "a").is_file()
        os.kill(child, signal.SIGKILL)
    deadline = time.monotonic() + 30  # until the system has ended it
    while folder.exists() and time.monotonic() < deadline:
        remove_stale()
    assert not folder.exists()


def test_only_own_folders_are_removed(temporary: Path):
    """Neither other names, nor links to elsewhere, nor folders that somebody is about to lock."""
    elsewhere = temporary / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "lock").touch()
    (temporary / f"{PREFIX}link").symlink_to(elsewhere)
    (temporary / f"{PREFIX}new").mkdir()
    (temporary / f"{PREFIX}file").touch()
    before = sorted(path.name for path in temporary.iterdir())
    remove_stale()
    assert sorted(path.name for path in temporary.iterdir()) == before
    assert (elsewhere / "lock").is_file()
