"""What `hyperfocal bench` does with its words: list the benches, run one, or check a folder of results."""

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ..errors import BadInputError
from ..progress import Progress, silent
from . import BENCHES
from .config import BenchConfig


def bench(
    name: str | None,
    folder: Path | None = None,
    config: BenchConfig | None = None,
    *,
    console: Console,
    progress: Progress = silent,
) -> int:
    """Run `hyperfocal bench [NAME | check FOLDER]` and return its exit code.

    Args:
        name: A bench, `check`, or None to list the benches.
        folder: What to check.
        config: How much to measure.
        console: Where tables go; the line of JSON goes there last.
        progress: Told of every cell.

    Raises:
        BadInputError: words that do not fit together.
        NothingUsableError: nothing to measure or to check.
    """
    if (name == "check") != (folder is not None):
        raise BadInputError("`hyperfocal bench check FOLDER` checks a folder of results; a bench takes no folder.")
    if name is None:
        console.print(_table("benches", ("name", "what it measures"), BENCHES))
    elif folder is not None:
        from .check import check

        differences = check(folder)
        console.print("\n".join(differences) or f"{folder}: every figure follows from the files.", highlight=False)
        return 1 if differences else 0
    else:
        from .harness import run

        config = config or BenchConfig()
        record = run(name, config, progress)
        if not config.json:
            console.print(_table(f"hyperfocal bench {name}", ("row", "figure"), _as_text(record["rows"])))
            console.print(", ".join(f"{key} {value}" for key, value in _as_text(record["machine"]).items()))
            notes = record.get("notes", [])
            assert isinstance(notes, list)
            console.print("\n".join(f"Note: {note}" for note in notes), end="\n" if notes else "", highlight=False)
        else:
            console.print(json.dumps(record), soft_wrap=True, highlight=False, markup=False)
    return 0


def _table(title: str, columns: tuple[str, str], rows: dict[str, str]) -> Table:
    table = Table(*columns, title=title, title_justify="left")
    for row in rows.items():
        table.add_row(*row)
    return table


def _as_text(values: object) -> dict[str, str]:
    """Return the values of a flat mapping for people: numbers with four digits."""
    assert isinstance(values, dict)
    return {key: f"{value:.4g}" if isinstance(value, float) else str(value) for key, value in values.items()}
