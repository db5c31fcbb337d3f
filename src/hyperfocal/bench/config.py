"""`BenchConfig`: the arguments of `hyperfocal bench`. Torch-free."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class BenchConfig:
    """What to measure, how much of it, and where the results go."""

    quick: bool = False
    """Measure the first cell of every row only: the smallest size, one seed."""
    data: Path | None = None
    """Folder of photographs for the benches that need one."""
    scene_seed: int | None = None
    """Generate the scene anew from this seed instead of reading a shipped one."""
    out: Path | None = None
    """Folder for pictures, depth and one line a cell; nothing is kept without it."""
    table: bool = False
    """Measure the full list of cells instead of the reduced one."""
    resume: bool = False
    """Skip the cells that the folder of --out already holds."""
    cells: str | None = None
    """Measure only the cells whose name contains this text."""
    json: bool = False
    """Print one line of JSON at the end."""
