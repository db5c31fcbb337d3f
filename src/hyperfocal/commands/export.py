"""`hyperfocal export`: a scene in another format."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from ..errors import BadInputError
from ..export import read_ply, write_compressed_ply, write_ply
from ..export.page import Page, page_of, write_page
from ..gaussians import Gaussians
from ..progress import Progress
from ..reconstruct.config import ReconstructConfig
from ..reconstruct.folder import RESULT_MARK
from ..reconstruct.page import page_with_all_inside
from ..reconstruct.result import Result, read_result
from .arguments import Export, Format
from .display import show_facts, show_notes


@dataclass(frozen=True)
class FileFormat:
    """A format that holds Gaussians and nothing else."""

    ending: str
    write: Callable[[Path, Gaussians], None]


FILES: Mapping[Format, FileFormat] = {
    "compressed-ply": FileFormat(".compressed.ply", write_compressed_ply),
    "ply": FileFormat(".ply", write_ply),
}
ENDINGS: Mapping[Format, str] = {"html": ".html", **{name: kind.ending for name, kind in FILES.items()}}


def export(words: Export, *, console: Console, progress: Progress) -> Mapping[str, object]:
    """Write what is at a path in the format that was asked for."""
    format_, out = _format_and_place(words)
    if words.photographs is not None and format_ != "html":
        raise BadInputError(f"--photographs says what a page shows; {format_} holds no photographs. Leave it away.")
    if out.exists() and not words.overwrite:
        raise BadInputError(f"{out} already exists. Choose another name with --out, or replace it with --overwrite.")
    if out.is_dir():
        raise BadInputError(f"--out {out} is a folder; expected the name of a file. Choose another one.")
    what = read_result(words.path) if (words.path / RESULT_MARK).is_file() else read_ply(words.path)
    gaussians = what.gaussians if isinstance(what, Result) else what
    shown: dict[str, int] = {}
    if format_ == "html":
        page, notes = _page(what, words, progress)
        write_page(out, page)
        shown["cameras"] = len(page.cameras)
        shown["photographs"] = sum(camera.photograph is not None for camera in page.cameras)
    else:
        FILES[format_].write(out, gaussians)
        notes = ()
    size = out.stat().st_size
    facts = {"Gaussians": f"{len(gaussians):,}", **shown, format_: f"{out} ({size / 2**20:.1f} MiB)"}
    show_facts(console, f"Exported {words.path}", facts)
    show_notes(console, notes)
    record = {"path": words.path, "out": out, "format": format_, "bytes": size, "gaussians": len(gaussians)}
    return {**record, **shown, "notes": notes}


def _page(what: Result | Gaussians, words: Export, progress: Progress) -> tuple[Page, tuple[str, ...]]:
    if isinstance(what, Result):
        photographs = ReconstructConfig.view_photographs if words.photographs is None else words.photographs
        return page_with_all_inside(what, photographs=photographs, progress=progress)
    return page_of(what, title=_plain_name(words.path)), ()


def _format_and_place(words: Export) -> tuple[Format, Path]:
    """Return (the format, the file) from what was said of both; each follows from the other."""
    chosen: Format | None = words.format
    if chosen is None and words.out is not None:
        # The longest ending that fits: every compressed PLY ends like a PLY.
        fitting: list[Format] = [name for name, ending in ENDINGS.items() if words.out.name.lower().endswith(ending)]
        if not fitting:
            known = ", ".join(ENDINGS.values())
            raise BadInputError(f"--out {words.out} says no format; expected a name that ends in {known}, or --format.")
        chosen = max(fitting, key=lambda name: len(ENDINGS[name]))
    format_: Format = chosen or "html"
    return format_, words.out or Path(_plain_name(words.path) + ENDINGS[format_])


def _plain_name(path: Path) -> str:
    """Return the name of a path without an ending of ours."""
    name = path.absolute().name
    ends = sorted(ENDINGS.values(), key=len, reverse=True)
    return next((name[: -len(end)] for end in ends if name.lower().endswith(end)), name) or "scene"
