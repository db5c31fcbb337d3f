"""Zip files of anything that `read_scene` reads, unpacked with the care that strangers' files need.

They are unpacked to a folder among the system's temporary files, which lives as long as the process: the scene can be
read all that time, and the folder is removed when Python ends, or when the next zip file is read if it was killed. To
keep the photographs for longer, unpack the file yourself.
"""

import shutil
import stat
import tempfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from ..errors import BadInputError
from ..progress import Progress, silent
from ..scratch import new_scratch, remove_scratch
from .listed import path_inside

ZIP_SUFFIXES = frozenset({".zip", ".r3d"})

_MOST_FILES = 200_000
_MOST_BYTES = 200 * 2**30
# Text shrinks to a tenth and empty depth maps to a hundredth; a bomb's layers reach 1,000 to 1.
_MOST_RATIO = 200
_FREE_BYTES = 16 * 2**20  # what may be unpacked before ratios count
_ARCHIVES = frozenset({".zip", ".rar", ".7z", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".r3d"})
_CHUNK = 1 << 20

_unpacked: dict[tuple[str, int, int], Path] = {}


def is_zip(path: Path) -> bool:
    """Return whether a path is a zip file by name and content."""
    return path.is_file() and path.suffix.lower() in ZIP_SUFFIXES and zipfile.is_zipfile(path)


def unpacked(path: Path, *, progress: Progress = silent) -> Path:
    """Return the folder with the content of a zip file; the same one for the same file within a process.

    Where everything lies in one folder of the file, that folder.

    Raises:
        BadInputError: the file is damaged, locked, a bomb, or holds links, archives or paths that lead out of it.
    """
    state = path.stat()
    key = (str(path.absolute()), state.st_mtime_ns, state.st_size)
    if key not in _unpacked or not _unpacked[key].is_dir():
        folder = new_scratch()
        try:
            _unpack(path, folder, progress)
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, OSError) as error:
            remove_scratch(folder)
            raise BadInputError(
                f"{path} could not be unpacked to {folder}: {error}. Copy or download it again, or unpack it yourself "
                "and give the folder."
            ) from error
        except BaseException:  # Ctrl-C, too
            remove_scratch(folder)
            raise
        _unpacked[key] = folder
    return _single_folder(_unpacked[key])


def _unpack(path: Path, folder: Path, progress: Progress) -> None:
    with zipfile.ZipFile(path) as archive:
        entries = [entry for entry in archive.infolist() if not _is_housekeeping(entry.filename)]
        files = [(entry, _checked(entry, folder, path)) for entry in entries if not entry.is_dir()]
        _check_totals(path, files)
        written = 0
        for done, (entry, target) in enumerate(files, start=1):
            target.parent.mkdir(parents=True, exist_ok=True)
            most = _FREE_BYTES + _MOST_RATIO * entry.compress_size
            size = 0
            # What the header promises is the attacker's word, so what comes out is counted.
            with archive.open(entry) as source, target.open("xb") as out:
                while chunk := source.read(_CHUNK):
                    size, written = size + len(chunk), written + len(chunk)
                    if size > most or written > _MOST_BYTES:
                        raise _bomb(path, entry.filename)
                    out.write(chunk)
            progress("Unpacking", done, len(files))


def _checked(entry: zipfile.ZipInfo, folder: Path, path: Path) -> Path:
    """Return where an entry goes, if it may go anywhere."""
    target = path_inside(folder, entry.filename, path)
    mode = entry.external_attr >> 16
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        raise BadInputError(
            f"{path} holds the link or device {entry.filename!r}; for safety only plain files are unpacked. Pack the "
            "files themselves."
        )
    if entry.flag_bits & 1:
        raise BadInputError(f"{path} is locked with a password. Unpack it yourself and give the folder.")
    if target.suffix.lower() in _ARCHIVES:
        raise BadInputError(
            f"{path} holds another archive, {entry.filename!r}, which is not unpacked for safety. Unpack it yourself "
            "and give the folder."
        )
    if entry.file_size > _FREE_BYTES + _MOST_RATIO * entry.compress_size:
        raise _bomb(path, entry.filename)
    return target


def _check_totals(path: Path, files: list[tuple[zipfile.ZipInfo, Path]]) -> None:
    if len({str(target).casefold() for _, target in files}) < len(files):
        raise BadInputError(
            f"{path} holds two files of one name (capital letters apart). Unpack it yourself and give the folder."
        )
    total = sum(entry.file_size for entry, _ in files)
    if len(files) > _MOST_FILES or total > _MOST_BYTES:
        raise BadInputError(
            f"{path} holds {len(files):,} files of {total / 2**30:.0f} GiB, more than is unpacked unasked. Unpack it "
            "yourself and give the folder."
        )
    if total > len(files) * _FREE_BYTES + _MOST_RATIO * path.stat().st_size:
        raise _bomb(path, "the whole")
    free = shutil.disk_usage(tempfile.gettempdir()).free
    if total > free:
        raise BadInputError(
            f"{path} unpacks to {total / 2**20:.0f} MiB, but {tempfile.gettempdir()} has {free / 2**20:.0f} MiB left. "
            "Unpack it where there is room and give the folder, or set TMPDIR."
        )


def _bomb(path: Path, name: str) -> BadInputError:
    return BadInputError(
        f"{path} looks like a zip bomb: {name} unpacks to more than {_MOST_RATIO} times its packed size. It was not "
        "unpacked. If you trust it, unpack it yourself and give the folder."
    )


def _is_housekeeping(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return "__MACOSX" in parts or (bool(parts) and parts[-1] in {".DS_Store", "Thumbs.db", "desktop.ini"})


def _single_folder(folder: Path) -> Path:
    """Return the innermost folder that holds everything: most tools pack a folder, not its content."""
    for _ in range(8):
        inside = list(folder.iterdir())
        if len(inside) != 1 or not inside[0].is_dir() or inside[0].name in {"images", "keyframes", "sparse"}:
            break
        folder = inside[0]
    return folder
