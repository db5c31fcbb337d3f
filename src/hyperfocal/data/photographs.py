"""A folder of photographs, or one photograph, without any known camera."""

import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ..errors import BadInputError, HyperfocalError
from ..progress import Progress, silent
from ..scene import Scene, View
from .image_header import ImageHeader
from .images import (
    HEIF_SUFFIXES,
    PHOTOGRAPH_SUFFIXES,
    PLAIN_SUFFIXES,
    RAW_SUFFIXES,
    check_decodes,
    missing_for,
    read_header,
)
from .listed import find_mask, photographs_in, some_of

# What other programs keep beside photographs: not photographs of the scene.
_NOT_PHOTOGRAPHS = {"masks", "mask", "depth", "depths", "confidence", "normals", "sparse", "thumbnails", "__macosx"}
_DEEPEST = 4  # folders below the one that is named
_MOST_WORKERS = 8  # each holds a decoded photograph, and a PNG of 100 megapixels has 300 MB


def read_photographs(path: Path, *, progress: Progress = silent) -> Scene | None:
    """Return the photographs of a folder, sorted by name, or None if there are none.

    Takes the files of the folder itself; if it has none, those of its subfolder `images`; if that has none, those of
    all subfolders, named "subfolder/file". Every file is parsed to its end; damaged ones are left out with a note, and
    so are files that need a package which is not installed, and raw files beside a picture of the same name. Masks lie
    in `masks` beside the photographs or their folder, as `NAME.png` or `STEM.png`.

    Raises:
        BadInputError: there are photographs, but none can be decoded.
    """
    if path.is_file():
        files, root, notes = [path] if path.suffix.lower() in PHOTOGRAPH_SUFFIXES else [], path.parent, ()
    else:
        files, root, notes = _files(path)
    if not files:
        return None
    views, more = plain_views(files, root=root, source=path, progress=progress)
    return Scene(source=path, views=views, notes=notes + more)


def plain_views(
    files: list[Path], *, root: Path | None = None, source: Path | None = None, progress: Progress = silent
) -> tuple[tuple[View, ...], tuple[str, ...]]:
    """Return (views without cameras, notes about files that were left out) of some photographs.

    Args:
        files: In the order of the views.
        root: What the views' names are relative to; None is each file's own folder.
        source: What the user named, for the error.
        progress: Told of every file.

    Raises:
        BadInputError: none can be decoded.
    """
    all_files, notes = files, []
    missing = {suffix: missing_for(suffix) for suffix in {file.suffix.lower() for file in files}}
    for what, extra in sorted({need for need in missing.values() if need is not None}):
        left_out = [file for file in files if missing[file.suffix.lower()] == (what, extra)]
        files = [file for file in files if file not in left_out]
        notes.append(f"{len(left_out)} {what} were left out; to read them: pip install 'hyperfocal[{extra}]'.")
    files, doubles = _without_doubles(files)
    notes += doubles
    views, damaged = [], []
    with ThreadPoolExecutor(min(_MOST_WORKERS, os.cpu_count() or 1)) as pool:
        for done, (file, outcome) in enumerate(zip(files, pool.map(_outcome, files), strict=True), start=1):
            if isinstance(outcome, HyperfocalError):
                damaged.append((file.name, outcome))
            else:
                name = file.name if root is None else file.relative_to(root).as_posix()
                views.append(View(name, file, mask=find_mask(file), exif=outcome.exif, orientation=outcome.orientation))
            progress("Reading photographs", done, len(files))
    if not views:
        reason = damaged[0][1] if damaged else notes[0]
        where = source or all_files[0].parent
        raise BadInputError(f"None of the photographs in {where} can be read. The first: {reason}")
    if damaged:
        notes.append(
            f"{len(damaged)} of {len(files)} photographs are damaged or cut short and were left out: "
            f"{some_of([name for name, _ in damaged])}."
        )
    alike = Counter(view.name.casefold() for view in views)
    if twice := sorted(view.name for view in views if alike[view.name.casefold()] > 1):
        notes.append(
            f"The names of these photographs differ only in capital letters, which Windows and macOS do not tell "
            f"apart: {some_of(twice)}."
        )
    return tuple(views), tuple(notes)


def _files(path: Path) -> tuple[list[Path], Path, tuple[str, ...]]:
    """Return (the photographs, the folder that names are relative to, notes)."""
    for folder in (path, path / "images"):
        if files := photographs_in(folder):
            return files, folder, ()
    below = sorted(file for folder in _folders_below(path, _DEEPEST) for file in photographs_in(folder))
    if not below:
        return [], path, ()
    folders = list(dict.fromkeys(file.parent.relative_to(path).as_posix() for file in below))
    if len(folders) == 1:
        return below, path / folders[0], (f"The photographs were taken from the subfolder {folders[0]}.",)
    return below, path, (f"The photographs were taken from {len(folders)} subfolders: {some_of(folders)}.",)


def _folders_below(path: Path, depth: int) -> list[Path]:
    """Return the folders below, without those of other things, links and hidden ones."""
    if depth == 0:
        return []
    found = []
    for folder in sorted(path.iterdir()) if path.is_dir() else []:
        name = folder.name.lower()
        if not name.startswith(".") and name not in _NOT_PHOTOGRAPHS and folder.is_dir() and not folder.is_symlink():
            found += [folder, *_folders_below(folder, depth - 1)]
    return found


def _without_doubles(files: list[Path]) -> tuple[list[Path], list[str]]:
    """Return (files, notes) without raw and HEIC files that stand beside a plain picture of the same name.

    Cameras that store both write the same photograph twice.
    """
    plain = {(file.parent, file.stem.casefold()) for file in files if file.suffix.lower() in PLAIN_SUFFIXES}
    second = [
        file
        for file in files
        if file.suffix.lower() in RAW_SUFFIXES | HEIF_SUFFIXES and (file.parent, file.stem.casefold()) in plain
    ]
    if not second:
        return files, []
    note = (
        f"{len(second)} photographs are there twice, raw or HEIC beside a picture of the same name; the picture was "
        f"taken: {some_of([file.name for file in second])}."
    )
    return [file for file in files if file not in second], [note]


def _outcome(file: Path) -> ImageHeader | HyperfocalError:
    """Return the header of a file, or what is wrong with it."""
    try:
        header = read_header(file)
        check_decodes(file)
    except HyperfocalError as error:
        return error
    return header
