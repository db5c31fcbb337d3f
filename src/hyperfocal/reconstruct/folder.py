"""Result folders that are there whole or not at all, and never replace anything unasked."""

import glob
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import BadInputError

RESULT_MARK = "metrics.json"  # a folder with this file is one of our results

SPARE_BYTES = 32 * 2**20  # the report, the tables and some air


@contextmanager
def new_folder(
    folder: Path, *, mark: str = RESULT_MARK, overwrite: bool = False, needed_bytes: int = 0
) -> Iterator[Path]:
    """Yield a temporary folder beside `folder`; on success it takes the name `folder`, on any error it is removed.

    Everything that can be known to go wrong is checked before the first photograph is read, not after the last step.

    Args:
        folder: Where the result will stand.
        mark: The file by which a folder of this kind is known.
        overwrite: Replace a folder of this kind (never one of other things).
        needed_bytes: About how much will be written.

    Raises:
        BadInputError: the folder exists, or its place is missing, read-only or full.
    """
    refuse_to_replace(folder, mark=mark, overwrite=overwrite)
    place = folder.absolute().parent
    try:
        place.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(place).free
        if free < needed_bytes:
            raise BadInputError(
                f"There are {free / 2**20:.0f} MiB free in {place}, and the result will need about "
                f"{needed_bytes / 2**20:.0f} MiB. Free some space or choose another folder with --out."
            )
        remove_leftovers(place, f".{folder.name}.*.part*")
        temporary = place / f".{folder.name}.{os.getpid()}.part"
        temporary.mkdir()
    except OSError as error:
        raise _cannot_write(folder, error) from error
    try:
        yield temporary
        _put_in_place(temporary, folder)
    except OSError as error:
        raise _cannot_write(folder, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remove_leftovers(place: Path, pattern: str) -> None:
    """Delete what killed processes left in `place`: `.NAME.PID.part` of a PID that is no more."""
    for leftover in place.glob(glob.escape(pattern).replace("[*]", "*")):
        pid = next((part for part in reversed(leftover.name.split(".")) if part.isdigit()), "")
        if not pid or _is_alive(int(pid)):
            continue
        shutil.rmtree(leftover, ignore_errors=True) if leftover.is_dir() else leftover.unlink(missing_ok=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # somebody else's
    return True


def refuse_to_replace(folder: Path, *, mark: str = RESULT_MARK, overwrite: bool = False) -> None:
    """Raise unless `folder` is free, empty, or may be replaced.

    Raises:
        BadInputError: it may not.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise BadInputError(f"{folder} is a file; expected the name of a folder for the result. Choose another --out.")
    try:
        names = {entry.name for entry in folder.iterdir()}
    except OSError as error:
        raise _cannot_write(folder, error) from error
    if not names:
        return
    if not overwrite:
        raise BadInputError(
            f"{folder} already exists and is not empty. Choose another folder with --out, or replace what is in it "
            "with --overwrite."
        )
    if mark not in names:
        raise BadInputError(
            f"{folder} was not written by this command (it has no {mark}), so --overwrite will not delete it. Choose "
            "another folder with --out."
        )


def _put_in_place(temporary: Path, folder: Path) -> None:
    if not folder.exists():
        temporary.rename(folder)
        return
    # The old result is moved aside first, so that one of the two is whole at every moment.
    old = folder.with_name(f"{temporary.name}.old")
    folder.rename(old)
    try:
        temporary.rename(folder)
    except OSError:
        old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _cannot_write(folder: Path, error: OSError) -> BadInputError:
    return BadInputError(
        f"Could not write the result {folder}: {error.strerror or error}. Nothing was left there; free some space or "
        "choose another folder with --out."
    )
