"""Runs a bench: its cells one after the other, each written down as soon as it is measured."""

import json
import statistics
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol, runtime_checkable

from .. import __version__
from ..errors import BadInputError, NothingUsableError
from ..files import write_text
from ..progress import Progress, silent
from ..reconstruct.machine import describe_machine
from . import BENCHES
from .config import BenchConfig
from .evidence import figures_from

CELLS_FILE = "cells.jsonl"


@dataclass(frozen=True)
class Cell:
    """One thing to measure: a row of the table, on a scene, with a seed."""

    row: str
    scene: str
    seed: int = 0

    @property
    def name(self) -> str:
        """Unique in a bench; also the name of the cell's folder."""
        return f"{self.row}-{self.scene}-{self.seed}"


@dataclass(frozen=True)
class Measured:
    """A cell and its figures, each with its unit at the end of its name."""

    cell: Cell
    figures: dict[str, float]


@runtime_checkable
class Bench(Protocol):
    """What a module of this package offers."""

    def cells(self, config: BenchConfig) -> list[Cell]:
        """Return what there is to measure, the most important first."""
        ...

    def measure(self, cell: Cell, config: BenchConfig, folder: Path, progress: Progress) -> dict[str, float]:
        """Return the figures of one cell; pictures and depth go into `folder`."""
        ...


def load(name: str) -> Bench:
    """Return the bench of this name.

    Raises:
        BadInputError: there is none.
    """
    if name not in BENCHES:
        raise BadInputError(f"There is no bench {name!r}; there are {', '.join(BENCHES)}.")
    return import_module(f".{name}", __package__)  # pyright: ignore[reportReturnType]


def run(name: str, config: BenchConfig, progress: Progress = silent) -> dict[str, object]:
    """Measure a bench and return its record: name, version, machine and rows of figures.

    Raises:
        BadInputError: no such bench, data that is missing, or --resume without --out.
        NothingUsableError: no cell matches --cells.
    """
    if config.resume and config.out is None:
        raise BadInputError("--resume continues a folder of results: name it with --out.")
    bench = load(name)
    wanted = [cell for cell in bench.cells(config) if config.cells is None or config.cells in cell.name]
    if config.quick:
        wanted = first_of_each_row(wanted)
    if not wanted:
        raise NothingUsableError(f"No cell of {name} has {config.cells!r} in its name.")
    with _folder(config.out) as out:
        done = read_cells(out) if config.resume else []
        write_cells(out, done)
        for index, cell in enumerate(wanted):
            progress("cells", index, len(wanted))
            if any(measured.cell == cell for measured in done):
                continue
            (out / cell.name).mkdir(exist_ok=True)
            done.append(Measured(cell, bench.measure(cell, config, out / cell.name, progress)))
            write_cells(out, done)
        progress("cells", len(wanted), len(wanted))
        record = {
            "bench": name,
            "version": __version__,
            "machine": describe_machine(),
            "rows": with_headlines(bench, rows_of(done)),
        }
        if left_out := notes_of(bench, config):
            record["notes"] = left_out
        write_text(out / "bench.json", json.dumps(record, indent=1) + "\n")
    return record


def with_headlines(bench: Bench, rows: dict[str, float]) -> dict[str, float]:
    """Return the rows, after the figures that follow from them where a bench has a function `headlines(rows)`."""
    headlines = getattr(bench, "headlines", None)
    return rows if headlines is None else headlines(rows) | rows


def recomputed(bench: Bench, cell: Cell, folder: Path) -> dict[str, float]:
    """Return the figures that follow from a cell's files: the bench's function `recompute(cell, folder)` says which.

    Without one they are the means over the views that are kept.
    """
    recompute = getattr(bench, "recompute", None)
    return figures_from(folder) if recompute is None else recompute(cell, folder)


def notes_of(bench: Bench, config: BenchConfig) -> list[str]:
    """Return what a bench with a function `notes(config)` left out on this machine, with the reasons."""
    notes = getattr(bench, "notes", None)
    return [] if notes is None else list(notes(config))


@contextmanager
def _folder(out: Path | None) -> Iterator[Path]:
    """Yield the folder of results: the one asked for, or one that is gone afterwards."""
    if out is None:
        with TemporaryDirectory() as temporary:
            yield Path(temporary)
    else:
        out.mkdir(parents=True, exist_ok=True)
        yield out


def first_of_each_row(cells: Iterable[Cell]) -> list[Cell]:
    """Return the first cell of every row, in their order."""
    first: dict[str, Cell] = {}
    for cell in cells:
        first.setdefault(cell.row, cell)
    return list(first.values())


def rows_of(done: Iterable[Measured]) -> dict[str, float]:
    """Return `scene.row.figure` -> mean over the seeds, and `...figure.noise`, their standard deviation if several."""
    values: dict[str, list[float]] = {}
    for measured in done:
        for figure, value in measured.figures.items():
            values.setdefault(f"{measured.cell.scene}.{measured.cell.row}.{figure}", []).append(value)
    rows = {}
    for row, numbers in values.items():
        rows[row] = statistics.fmean(numbers)
        if len(numbers) > 1:
            rows[f"{row}.noise"] = statistics.stdev(numbers)
    return rows


def write_cells(out: Path, done: Iterable[Measured]) -> None:
    """Write a line of JSON for every measured cell."""
    write_text(out / CELLS_FILE, "".join(f"{json.dumps({**vars(m.cell), 'figures': m.figures})}\n" for m in done))


def read_cells(out: Path) -> list[Measured]:
    """Return the cells that a folder of results holds; none if it has no list yet.

    Raises:
        BadInputError: the list is not one that `write_cells` wrote.
    """
    path = out / CELLS_FILE
    if not path.exists():
        return []
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        return [Measured(Cell(line["row"], line["scene"], line["seed"]), line["figures"]) for line in lines]
    except (ValueError, KeyError, TypeError) as error:
        raise BadInputError(f"{path} is not a list of measured cells ({error}); use another folder.") from error
