"""Where weights of learned models lie on disk."""

import os
from pathlib import Path
from typing import Any

import torch

from ..errors import BadInputError


def weights_folder() -> Path:
    """Return the folder of weights: $HYPERFOCAL_WEIGHTS, or hyperfocal/weights in the user's cache."""
    if chosen := os.environ.get("HYPERFOCAL_WEIGHTS"):
        return Path(chosen)
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "hyperfocal" / "weights"


def find_weights(name: str) -> Path | None:
    """Return the file of that name in the folder of weights, None if it is not there."""
    path = weights_folder() / name
    return path if path.is_file() else None


def load_foreign_weights(path: Path) -> dict[str, Any]:
    """Return the tensors of a .pt file; nothing in it is run.

    Raises:
        BadInputError: it cannot be read, or holds something else.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # pickle, zip and torch raise whatever a damaged file makes them
        raise BadInputError(
            f"The weights {path} cannot be read ({type(error).__name__}). Download the file again, or remove it."
        ) from error
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        raise BadInputError(f"The weights {path} hold a {type(state).__name__}; expected tensors by name.")
    return state
