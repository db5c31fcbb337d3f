"""A folder of photographs, or one photograph, without any known camera."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ..errors import BadInputError
from ..progress import Progress, silent
from ..scene import Scene, View
from .images import HEIF_SUFFIXES, PHOTOGRAPH_SUFFIXES, check_decodes, has_heif, read_header
from .listed import some_of


def read_photographs(path: Path, *, progress: Progress = silent) -> Scene | None:
    """Return the photographs of a folder, sorted by name, or None if there are none.

    Takes the files of the folder itself, or of its subfolder `images` when it has none. Every file is parsed to its
    end; damaged ones are left out with a note. Masks lie in `masks` beside the photographs or their folder, as
    `NAME.png` or `STEM.png`.

    Raises:
        BadInputError: there are photographs, but none can be decoded.
    """
    files = [path] if path.is_file() else _photographs_in(path) or _photographs_in(path / "images")
    files = [file for file in files if file.suffix.lower() in PHOTOGRAPH_SUFFIXES]
    if not files:
        return None
    notes = []
    if not has_heif() and (heif := [file.name for file in files if file.suffix.lower() in HEIF_SUFFIXES]):
        files = [file for file in files if file.name not in heif]
        notes.append(f"{len(heif)} HEIC photographs were left out; to read them: pip install 'hyperfocal[heif]'.")
    views, damaged = [], []
    with ThreadPoolExecutor() as pool:
        for done, (file, outcome) in enumerate(zip(files, pool.map(_view, files), strict=True), start=1):
            if isinstance(outcome, View):
                views.append(outcome)
            else:
                damaged.append((file.name, outcome))
            progress("Reading photographs", done, len(files))
    if not views:
        reason = damaged[0][1] if damaged else notes[0]
        raise BadInputError(f"None of the photographs in {path} can be read. The first: {reason}")
    if damaged:
        notes.append(
            f"{len(damaged)} of {len(files)} photographs are damaged or cut short and were left out: "
            f"{some_of([name for name, _ in damaged])}."
        )
    return Scene(source=path, views=tuple(views), notes=tuple(notes))


def find_mask(image: Path) -> Path | None:
    """Return the mask of a photograph (see `read_photographs`), if there is one."""
    for folder in (image.parent / "masks", image.parent.parent / "masks"):
        for name in (f"{image.name}.png", f"{image.stem}.png"):
            if (folder / name).is_file():
                return folder / name
    return None


def _photographs_in(folder: Path) -> list[Path]:
    """Return the photographs directly in a folder by name; hidden files are somebody's housekeeping."""
    if not folder.is_dir():
        return []
    return sorted(
        file
        for file in folder.iterdir()
        if file.suffix.lower() in PHOTOGRAPH_SUFFIXES and not file.name.startswith(".") and file.is_file()
    )


def _view(file: Path) -> View | BadInputError:
    """Return the view of a file, or what is wrong with it."""
    try:
        header = read_header(file)
        check_decodes(file)
    except BadInputError as error:
        return error
    return View(file.name, file, mask=find_mask(file), exif=header.exif, orientation=header.orientation)
