"""Progress and tables for people: bars on a terminal, plain lines elsewhere. Torch-free."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.table import Table
from rich.text import Text

from ..progress import Progress

LINE_EVERY_S = 10.0  # between two lines of one stage where there is no terminal


class Output(Console):
    """Standard output for results. Bars on the same terminal end before a line is printed, or they would tear it."""

    def __init__(self, before_printing: Callable[[], None]) -> None:
        super().__init__(highlight=False)
        self._before_printing = before_printing

    def print(self, *objects: Any, **style: Any) -> None:
        """Print as `Console` does."""
        self._before_printing()
        super().print(*objects, **style)


@contextmanager
def screen(errors: Console) -> Iterator[tuple[Output, Progress]]:
    """Yield where results go, and a listener that draws bars on a terminal and writes a line now and then elsewhere."""
    if not errors.is_terminal:
        yield Output(lambda: None), _lines(errors)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    bars = Bars(*columns, console=errors, refresh_per_second=4)
    tasks: dict[str, TaskID] = {}

    def draw(stage: str, done: int, total: int) -> None:
        if stage not in tasks:
            tasks[stage] = bars.add_task(_sentence(stage), total=total)
        bars.update(tasks[stage], completed=done, total=total)
        if not bars.live.is_started and done < total:
            bars.start()

    def end() -> None:
        if bars.live.is_started:
            bars.stop()
        for task in bars.task_ids:  # they stay on the terminal, but would be drawn again with the next bar
            bars.remove_task(task)
        tasks.clear()

    try:
        yield Output(end), draw
    finally:
        end()


def _lines(console: Console) -> Progress:
    written: dict[str, tuple[float, int]] = {}  # stage -> when and what its last line was

    def write(stage: str, done: int, total: int) -> None:
        when, what = written.get(stage, (-LINE_EVERY_S, -1))
        now = time.monotonic()
        if done != what and (done == total or now - when >= LINE_EVERY_S):
            written[stage] = now, done
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
