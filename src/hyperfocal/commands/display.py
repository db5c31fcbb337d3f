"""Progress and tables for people: bars on a terminal, plain lines elsewhere. Torch-free."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.table import Table
from rich.text import Text

from ..progress import Progress

LINE_EVERY_S = 10.0  # between two lines of one stage where there is no terminal


@contextmanager
def showing_progress(console: Console) -> Iterator[Progress]:
    """Yield a listener that draws a bar for each stage, or writes a line now and then where there is no terminal."""
    if not console.is_terminal:
        yield _lines(console)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=console, refresh_per_second=4) as bars:
        tasks: dict[str, TaskID] = {}

        def draw(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(_sentence(stage), total=total)
            bars.update(tasks[stage], completed=done, total=total)

        yield draw


def _lines(console: Console) -> Progress:
    last: dict[str, float] = {}

    def write(stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        if done == total or now - last.get(stage, 0.0) >= LINE_EVERY_S:
            last[stage] = now
            say(console, f"{_sentence(stage)}: {done} of {total}")

    return write


def _sentence(stage: str) -> str:
    return stage[:1].upper() + stage[1:]


def say(console: Console, text: str, style: str = "") -> None:
    """Print text as it is: names in brackets are no markup, and paths are never broken where there is no terminal."""
    console.print(Text(text, style=style), soft_wrap=True)


def show_facts(console: Console, title: str, facts: Mapping[str, object]) -> None:
    """Print a title and, below it, names with their values."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, value in facts.items():
        table.add_row(name, Text(str(value)))
    say(console, title, "bold")
    console.print(table)


def show_notes(console: Console, notes: tuple[str, ...]) -> None:
    """Print what was skipped, repaired or assumed."""
    for note in notes:
        say(console, f"Note: {note}", "yellow")


def show_next(console: Console, command: str) -> None:
    """Print the command that a user may want now."""
    say(console, f"Next: {command}", "green")
