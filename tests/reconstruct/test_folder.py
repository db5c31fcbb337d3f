import errno
import os
from pathlib import Path

import pytest

from hyperfocal.errors import BadInputError
from hyperfocal.reconstruct import folder as folders
from hyperfocal.reconstruct.folder import RESULT_MARK, new_folder


def fill(folder: Path, content: str) -> None:
    (folder / RESULT_MARK).write_text(content)


def test_a_folder_appears_when_it_is_complete(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "result"
    with new_folder(out) as folder:
        fill(folder, "new")
        assert not out.exists()
    assert (out / RESULT_MARK).read_text() == "new"
    assert [entry.name for entry in out.parent.iterdir()] == ["result"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, MemoryError])
def test_nothing_is_left_after_an_error(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), new_folder(tmp_path / "result") as folder:
        fill(folder, "half")
        raise error
    assert list(tmp_path.iterdir()) == []


def test_an_existing_result_is_refused_before_any_work(tmp_path: Path) -> None:
    fill(tmp_path, "old")
    with pytest.raises(BadInputError, match=r"already exists .* --overwrite"), new_folder(tmp_path):
        pytest.fail("work began")
    assert (tmp_path / RESULT_MARK).read_text() == "old"


def test_an_empty_folder_may_be_filled(tmp_path: Path) -> None:
    out = tmp_path / "result"
    out.mkdir()
    with new_folder(out) as folder:
        fill(folder, "new")
    assert (out / RESULT_MARK).read_text() == "new"


def test_overwrite_replaces_the_whole_result(tmp_path: Path) -> None:
    out = tmp_path / "result"
    out.mkdir()
    fill(out, "old")
    (out / "old.ply").touch()
    with new_folder(out, overwrite=True) as folder:
        fill(folder, "new")
    assert [entry.name for entry in out.iterdir()] == [RESULT_MARK]
    assert (out / RESULT_MARK).read_text() == "new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["result"]


def test_a_failed_overwrite_keeps_the_old_result(tmp_path: Path) -> None:
    out = tmp_path / "result"
    out.mkdir()
    fill(out, "old")
    with pytest.raises(RuntimeError), new_folder(out, overwrite=True):
        raise RuntimeError
    assert (out / RESULT_MARK).read_text() == "old"


def test_overwrite_never_deletes_other_things(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(BadInputError, match="was not written by this command"), new_folder(tmp_path, overwrite=True):
        pytest.fail("work began")
    assert (tmp_path / "holiday.jpg").exists()


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "result").touch()
    with pytest.raises(BadInputError, match="result is a file"), new_folder(tmp_path / "result", overwrite=True):
        pytest.fail("work began")


def test_too_little_space_is_said_before_any_work(tmp_path: Path) -> None:
    with (
        pytest.raises(BadInputError, match=r"MiB free in .* Free some space"),
        new_folder(tmp_path / "result", needed_bytes=2**60),
    ):
        pytest.fail("work began")


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    with (
        pytest.raises(BadInputError, match=r"Could not write the result .*: No space left on device"),
        new_folder(tmp_path / "result") as folder,
    ):
        fill(folder, "half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert list(tmp_path.iterdir()) == []


def test_a_read_only_place_is_said_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The superuser may write anywhere, so the refusal is simulated.
    def refuse(path: Path, *_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(folders.Path, "mkdir", refuse)
    with (
        pytest.raises(BadInputError, match=r"Could not write the result .*: Permission denied"),
        new_folder(tmp_path / "result"),
    ):
        pytest.fail("work began")
