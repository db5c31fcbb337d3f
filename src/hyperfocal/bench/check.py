"""`hyperfocal bench check FOLDER`: do the figures follow from the files?"""

import json
import math
from pathlib import Path

from ..errors import BadInputError, NothingUsableError
from .harness import load, read_cells, recomputed, rows_of, with_headlines

# Sums of pixels may be taken in another order on another machine; nothing else may differ.
TOLERANCE = 1e-5


def check(folder: Path) -> list[str]:
    """Return a sentence for every figure in `folder` that its files do not give again.

    The figures of a view are recomputed from its pictures and depth; means and noise from the cells. What no file can
    show, such as seconds, is only carried through to the means.

    Raises:
        BadInputError: the folder holds no record of a bench.
        NothingUsableError: no cell has pictures.
    """
    try:
        record = json.loads((folder / "bench.json").read_text(encoding="utf-8"))
        name, rows = record["bench"], record["rows"]
    except (OSError, ValueError, KeyError) as error:
        raise BadInputError(f"{folder} holds no bench.json of a finished bench: {error}.") from error
    cells = read_cells(folder)
    pictured = [measured for measured in cells if (folder / measured.cell.name / "rendered").is_dir()]
    if not pictured:
        raise NothingUsableError(f"No cell in {folder} has pictures, so there is nothing to recompute.")
    differences, bench = [], load(name)
    for measured in pictured:
        again = recomputed(bench, measured.cell, folder / measured.cell.name)
        differences += _differences(measured.cell.name, {k: measured.figures.get(k) for k in again}, again)
    return differences + _differences("rows", rows, with_headlines(bench, rows_of(cells)))


def _differences(where: str, said: dict[str, float | None], found: dict[str, float]) -> list[str]:
    return [
        f"{where}: {name} is given as {said.get(name)}, the files say {found.get(name)}"
        for name in dict.fromkeys((*said, *found))
        if not _equal(said.get(name), found.get(name))
    ]


def _equal(a: float | None, b: float | None) -> bool:
    return a is not None and b is not None and math.isclose(a, b, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
