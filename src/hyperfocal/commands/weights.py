"""`hyperfocal weights`: which learned networks can be used, on what terms, and bringing their weights here."""

from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..errors import BadInputError
from ..priors.obtain import copy_weights, download_weights
from ..priors.registry import WEIGHTS, Weights, known_weights
from ..priors.weights import missing_weights, weights_folder, weights_on_disk
from ..progress import Progress
from .display import say, show_facts, show_next


def list_weights(*, console: Console) -> Mapping[str, object]:
    """Say of all known weights what they are for, their size and licence, and whether they are here."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for title in ("name", "size", "here", "what it is"):
        table.add_column(title, no_wrap=title != "what it is", overflow="fold")
    for weights in WEIGHTS:
        here = "no" if weights_on_disk(weights) is None else "yes"
        sums = [f"{Path(file.path).name}: SHA-256 {_short(file.sha256)}" for file in weights.files]
        lines = (
            f"{weights.network}: {weights.gives} ({weights.purpose})",
            f"licence: {weights.licence}",
            *(line for line in sums if not line.startswith("config.json")),
        )
        table.add_row(weights.name, weights.size, here, Text("\n".join(lines)))
    console.print(table)
    say(console, f"Folder: {weights_folder()}; HYPERFOCAL_WEIGHTS names another one.")
    show_next(console, f"hyperfocal weights get {WEIGHTS[0].name}")
    return {"folder": weights_folder(), "weights": [_record(weights) for weights in WEIGHTS]}


def get_weights(
    name: str, source: Path | None, *, console: Console, progress: Progress, bars: bool
) -> Mapping[str, object]:
    """Bring weights to their folder, from the user's file or folder or, without one, by download."""
    weights = known_weights(name)
    say(console, f"Licence of {weights.network}: {weights.licence}.", "" if weights.commercial else "yellow")
    if source is not None:
        copy_weights(weights, source, progress=progress)
    elif weights_on_disk(weights) is None:
        download_weights(weights, bars=bars)
    record = _record(weights)
    here = "all of its files are here" if record["here"] else "more of its files are missing"
    show_facts(console, f"{name}: {here}", {Path(str(path)).name: path for path in _places(weights)})
    return record


def show_path(name: str, *, console: Console) -> Mapping[str, object]:
    """Print where the files of weights lie, one a line.

    Raises:
        BadInputError: one of them is missing.
    """
    weights = known_weights(name)
    paths = weights_on_disk(weights)
    if paths is None:
        raise missing_weights(weights)
    for path in paths:
        say(console, str(path))
    return _record(weights)


def weights_command(
    action: str, name: str | None, source: Path | None, *, console: Console, progress: Progress, bars: bool
) -> Mapping[str, object]:
    """Do one of list, get and path.

    Raises:
        BadInputError: the words do not fit together, or what the action raises.
    """
    if action == "list":
        if name is not None or source is not None:
            raise BadInputError("`hyperfocal weights list` lists all weights and takes nothing more.")
        return list_weights(console=console)
    if name is None:
        names = ", ".join(weights.name for weights in WEIGHTS)
        raise BadInputError(f"Say which weights: `hyperfocal weights {action} NAME`, with NAME one of {names}.")
    if action == "path":
        if source is not None:
            raise BadInputError("--from belongs to `hyperfocal weights get`.")
        return show_path(name, console=console)
    return get_weights(name, source, console=console, progress=progress, bars=bars)


def _short(sha256: str | None) -> str:
    return "unknown" if sha256 is None else f"{sha256[:12]}…"


def _places(weights: Weights) -> list[Path]:
    return [weights_folder() / file.path for file in weights.files]


def _record(weights: Weights) -> dict[str, object]:
    """Return what a script wants to know of weights."""
    return {
        "name": weights.name,
        "purpose": weights.purpose,
        "network": weights.network,
        "gives": weights.gives,
        "licence": weights.licence,
        "commercial": weights.commercial,
        "megabytes": weights.megabytes,
        "page": weights.page,
        "here": weights_on_disk(weights) is not None,
        "files": [
            {"path": place, "sha256": file.sha256 or "unknown"}
            for place, file in zip(_places(weights), weights.files, strict=True)
        ],
    }
