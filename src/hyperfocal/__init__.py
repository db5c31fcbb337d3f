"""hyperfocal: photographs, sharp or not, into 3D Gaussian scenes whose depth can be trusted.

Names are loaded on first use, so that `import hyperfocal` stays light and the command line starts without torch.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .apertures import Aperture as Aperture
    from .apertures import aperture_points as aperture_points
    from .apertures import blur_kernel as blur_kernel
    from .camera import Camera as Camera
    from .data import load_photograph as load_photograph
    from .data import read_scene as read_scene
    from .depth import Depth as Depth
    from .errors import BadInputError as BadInputError
    from .errors import HyperfocalError as HyperfocalError
    from .errors import NothingUsableError as NothingUsableError
    from .exif_lens import physical_lens_from_exif as physical_lens_from_exif
    from .export import read_ply as read_ply
    from .export import write_compressed_ply as write_compressed_ply
    from .export import write_page as write_page
    from .export import write_ply as write_ply
    from .fit import Checkpoint as Checkpoint
    from .fit import FitConfig as FitConfig
    from .fit import fit as fit
    from .fit import initialize_gaussians as initialize_gaussians
    from .fit import read_checkpoint as read_checkpoint
    from .fit import write_checkpoint as write_checkpoint
    from .gaussians import Gaussians as Gaussians
    from .lens import PhysicalLens as PhysicalLens
    from .lens import ThinLens as ThinLens
    from .reconstruct import ReconstructConfig as ReconstructConfig
    from .reconstruct import Result as Result
    from .reconstruct import evaluate as evaluate
    from .reconstruct import read_result as read_result
    from .reconstruct import reconstruct as reconstruct
    from .render import expose as expose
    from .render import render as render
    from .rendering import Rendering as Rendering
    from .rendering import RenderOptions as RenderOptions
    from .scene import Photograph as Photograph
    from .scene import Scene as Scene
    from .scene import View as View
    from .sfm import estimate_poses as estimate_poses
    from .shutter import MotionPath as MotionPath
    from .shutter import Shutter as Shutter

# Public name -> the module that defines it. A test keeps this table and the imports above equal.
_HOMES = {
    "Aperture": "apertures",
    "aperture_points": "apertures",
    "blur_kernel": "apertures",
    "Camera": "camera",
    "load_photograph": "data",
    "read_scene": "data",
    "Depth": "depth",
    "BadInputError": "errors",
    "HyperfocalError": "errors",
    "NothingUsableError": "errors",
    "physical_lens_from_exif": "exif_lens",
    "read_ply": "export",
    "write_compressed_ply": "export",
    "write_page": "export",
    "write_ply": "export",
    "Checkpoint": "fit",
    "FitConfig": "fit",
    "fit": "fit",
    "initialize_gaussians": "fit",
    "read_checkpoint": "fit",
    "write_checkpoint": "fit",
    "Gaussians": "gaussians",
    "PhysicalLens": "lens",
    "ThinLens": "lens",
    "ReconstructConfig": "reconstruct",
    "Result": "reconstruct",
    "evaluate": "reconstruct",
    "read_result": "reconstruct",
    "reconstruct": "reconstruct",
    "expose": "render",
    "render": "render",
    "Rendering": "rendering",
    "RenderOptions": "rendering",
    "Photograph": "scene",
    "Scene": "scene",
    "View": "scene",
    "estimate_poses": "sfm",
    "MotionPath": "shutter",
    "Shutter": "shutter",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> object:
    """Load a public name on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module 'hyperfocal' has no attribute {name!r}")
    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


class _Package(ModuleType):
    """Keeps `hyperfocal.render` the function where the import system would bind the subpackage of the same name."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
