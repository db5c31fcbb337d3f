"""Fitting Gaussians to photographs: initialise, then `fit` step by step.

Names are loaded on first use, so that `fit.config` can be read without torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .checkpoint import Checkpoint as Checkpoint
    from .checkpoint import read_checkpoint as read_checkpoint
    from .checkpoint import write_checkpoint as write_checkpoint
    from .config import CaptureConfig as CaptureConfig
    from .config import ClassicConfig as ClassicConfig
    from .config import FitConfig as FitConfig
    from .config import InitialConfig as InitialConfig
    from .config import LearningRates as LearningRates
    from .config import McmcConfig as McmcConfig
    from .densify import Densifier as Densifier
    from .initialize import initialize_gaussians as initialize_gaussians
    from .initialize import with_fewer_points as with_fewer_points
    from .initialize import with_random_points as with_random_points
    from .loop import Step as Step
    from .loop import fit as fit

_HOMES = {
    "Checkpoint": "checkpoint",
    "read_checkpoint": "checkpoint",
    "write_checkpoint": "checkpoint",
    "CaptureConfig": "config",
    "ClassicConfig": "config",
    "FitConfig": "config",
    "InitialConfig": "config",
    "LearningRates": "config",
    "McmcConfig": "config",
    "Densifier": "densify",
    "initialize_gaussians": "initialize",
    "with_fewer_points": "initialize",
    "with_random_points": "initialize",
    "Step": "loop",
    "fit": "loop",
}


def __getattr__(name: str) -> object:
    """Load a public name on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module 'hyperfocal.fit' has no attribute {name!r}")
    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(_HOMES)
