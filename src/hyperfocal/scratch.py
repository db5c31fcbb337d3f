"""Folders among the system's temporary files that live as long as their process, however it ends.

Each holds a lock file that its process (and its forked children) keep locked, and the content beside it. The system
opens the lock of a process that ends, be it by SIGKILL, so whoever makes the next folder knows whose may go.
"""

import atexit
import os
import shutil
import stat
import sys
import tempfile
from pathlib import Path

PREFIX = "hyperfocal-scratch-"
_LOCK, _CONTENT = "lock", "content"
_handles: dict[Path, int] = {}  # of the locks of this process


def new_scratch() -> Path:
    """Return a new empty folder, which `remove_scratch` or the end of the process removes.

    What earlier processes left when they were killed is removed first.

    Raises:
        OSError: the folder cannot be made.
    """
    remove_stale()
    holder = Path(tempfile.mkdtemp(prefix=PREFIX))
    atexit.register(_remove, holder, os.getpid())
    # Locked first and named afterwards: nobody ever sees an unlocked lock of a living process.
    unnamed = holder / f".{_LOCK}"
    handle = os.open(unnamed, os.O_CREAT | os.O_RDWR | getattr(os, "O_CLOEXEC", 0), 0o600)
    _locked(handle)
    _handles[holder] = handle  # stays open: it is the lock
    if sys.platform != "win32":
        unnamed.rename(holder / _LOCK)
    content = holder / _CONTENT
    content.mkdir()
    return content


def remove_scratch(folder: Path) -> None:
    """Remove a folder that `new_scratch` returned, before the process ends."""
    _remove(folder.parent, os.getpid())


def remove_stale() -> None:
    """Remove the folders whose processes have ended without doing it."""
    try:
        holders = [entry for entry in Path(tempfile.gettempdir()).iterdir() if entry.name.startswith(PREFIX)]
    except OSError:
        return  # making a folder there will say what is wrong
    for holder in holders:
        if _is_ours(holder):
            _remove_if_free(holder)


def _is_ours(holder: Path) -> bool:
    """Return whether this is a real folder of this user: anybody may put names into a temporary folder."""
    try:
        status = holder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and (sys.platform == "win32" or status.st_uid == os.getuid())


def _remove_if_free(holder: Path) -> None:
    try:
        if sys.platform == "win32":
            (holder / f".{_LOCK}").unlink(missing_ok=True)  # refused while a process has it open
            shutil.rmtree(holder, ignore_errors=True)
            return
        handle = os.open(holder / _LOCK, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        return  # gone meanwhile, being made right now, or held
    try:
        if _locked(handle):
            shutil.rmtree(holder, ignore_errors=True)
    finally:
        os.close(handle)


def _locked(handle: int) -> bool:
    """Lock an open file if nobody else has; return whether it is ours."""
    if sys.platform == "win32":
        return True  # an open file cannot be removed there, which is lock enough
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _remove(holder: Path, process: int) -> None:
    if os.getpid() == process:  # not a forked child that ends
        if holder in _handles:
            os.close(_handles.pop(holder))
        shutil.rmtree(holder, ignore_errors=True)
