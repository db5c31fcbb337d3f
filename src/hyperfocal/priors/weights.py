"""Where weights of learned models lie on disk, and on what terms they are used. Loads no torch by itself."""

import logging
import os
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import BadInputError
from .registry import Weights, known_weights

_log = logging.getLogger(__name__)


def weights_folder() -> Path:
    """Return the folder of weights: $HYPERFOCAL_WEIGHTS, or hyperfocal/weights in the user's cache."""
    if chosen := os.environ.get("HYPERFOCAL_WEIGHTS"):
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "hyperfocal" / "weights"


def find_weights(name: str) -> Path | None:
    """Return the file of that name in the folder of weights, None if it is not there."""
    path = weights_folder() / name
    return path if path.is_file() else None


def weights_on_disk(weights: Weights) -> tuple[Path, ...] | None:
    """Return where the files of known weights lie, None unless all of them are there."""
    found = tuple(path for file in weights.files if (path := find_weights(file.path)) is not None)
    return found if len(found) == len(weights.files) else None


def require_weights(name: str) -> tuple[Path, ...]:
    """Return the files of known weights, and say once on what terms they are used.

    Raises:
        BadInputError: a file is missing; the message names it and the command that gets it.
    """
    weights = known_weights(name)
    paths = weights_on_disk(weights)
    if paths is None:
        raise missing_weights(weights)
    say_licence(name)
    return paths


def missing_weights(weights: Weights) -> BadInputError:
    """Return the error for known weights that are not, or not all, on disk."""
    missing = [file.path for file in weights.files if find_weights(file.path) is None]
    return BadInputError(
        f"The weights of {weights.network} are not here: {', '.join(missing)} should be in {weights_folder()}. "
        f"`hyperfocal weights get {weights.name}` downloads them ({weights.size}; {weights.licence}); from a file or "
        f"folder that you have, `hyperfocal weights get {weights.name} --from PATH`."
    )


@cache
def say_licence(name: str) -> None:
    """Say under which licence known weights are used: once for each, to the log, which a terminal shows."""
    weights = known_weights(name)
    _log.warning("%s: weights by their authors, licence: %s.", weights.network, weights.licence)


def fingerprint(paths: tuple[Path, ...]) -> str:
    """Return what changes when files are replaced: their sizes and times, since hashing gigabytes takes seconds."""
    return ",".join(f"{path.stat().st_size:x}-{path.stat().st_mtime_ns:x}" for path in paths)


def load_foreign_weights(path: Path) -> dict[str, Any]:
    """Return the tensors of a .pt file; nothing in it is run.

    Raises:
        BadInputError: it cannot be read, or holds something else.
    """
    import torch

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # pickle, zip and torch raise whatever a damaged file makes them
        raise BadInputError(
            f"The weights {path} cannot be read ({type(error).__name__}). Download the file again, or remove it."
        ) from error
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        raise BadInputError(f"The weights {path} hold a {type(state).__name__}; expected tensors by name.")
    return state
