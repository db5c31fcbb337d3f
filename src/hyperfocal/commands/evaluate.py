"""`hyperfocal evaluate`: a result beside its photographs."""

from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ..data import read_scene
from ..progress import Progress
from ..reconstruct.evaluation import evaluate as evaluate_result
from ..reconstruct.result import read_result
from ..reconstruct.scores import Table as Scores
from ..reconstruct.scores import ViewScore, plain_from_score
from .display import say


def evaluate(result: Path, data: Path | None, *, console: Console, progress: Progress) -> Mapping[str, object]:
    """Measure a result on its photographs, and print the scores."""
    loaded = read_result(result)
    table = evaluate_result(loaded, None if data is None else read_scene(data, progress=progress), progress=progress)
    _show_scores(table, console)
    return {
        "result": result,
        "evaluated_on": table.evaluated_on,
        "mean": plain_from_score(table.mean()),
        "views": [plain_from_score(view) for view in table.views],
        "lpips_obstacle": table.lpips_obstacle,
    }


def _show_scores(table: Scores, console: Console) -> None:
    columns = table.columns()
    shown = Table(title=f"Scores on {table.evaluated_on}", title_justify="left")
    shown.add_column("view", overflow="fold")
    for heading in columns:
        shown.add_column(heading, justify="right")

    def add(view: ViewScore, style: str = "") -> None:
        shown.add_row(view.name, *(written(view) for written in columns.values()), style=style)

    for view in table.views:
        add(view)
    shown.add_section()
    add(table.mean(), "bold")
    console.print(shown, markup=False)
    if table.lpips_obstacle is not None:
        say(console, table.lpips_obstacle, "dim")
