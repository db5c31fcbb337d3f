"""The main job, from photographs to a measured result with its report.

Names are loaded on first use, so that `reconstruct.config` can be read without torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .config import ReconstructConfig as ReconstructConfig
    from .evaluation import evaluate as evaluate
    from .job import reconstruct as reconstruct
    from .photographed import PhotographedLens as PhotographedLens
    from .result import Result as Result
    from .result import read_result as read_result
    from .result import write_result as write_result
    from .scores import Table as Table
    from .scores import ViewScore as ViewScore

_HOMES = {
    "ReconstructConfig": "config",
    "evaluate": "evaluation",
    "reconstruct": "job",
    "PhotographedLens": "photographed",
    "Result": "result",
    "read_result": "result",
    "write_result": "result",
    "Table": "scores",
    "ViewScore": "scores",
}


def __getattr__(name: str) -> object:
    """Load a public name on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module 'hyperfocal.reconstruct' has no attribute {name!r}")
    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value
