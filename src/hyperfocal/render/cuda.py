"""gsplat behind `render`: float32 tensors on an NVIDIA GPU. The only file that imports gsplat.

What differs from the reference, besides rounding: the alpha cut is a constant of the compiled kernels
(`Stages.alpha_cut`). Where a smaller cut is asked for, light is lost, which is warned of. A larger one is kept to by
whole tiles and not by pixels, so that the faintest rim of a splat, of alphas below the cut, stays in the picture.
"""

import os
import sys
import warnings
from collections.abc import Callable
from functools import cache
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ..camera import Camera
from ..errors import BadInputError, missing_extra
from ..files import cache_folder
from ..gaussians import Gaussians
from ..rendering import Rendering, RenderOptions
from .cuda_adapter import render_with
from .cuda_build import GSPLAT_VERSION, STOCK_CUT, Build, find_build, find_cuda_home, locked
from .cuda_stages import Stages

MOST_FEATURES = 32
REMEDY = "run `hyperfocal doctor --build-cuda` once, which compiles gsplat with a lower cut"


def render_cuda(
    gaussians: Gaussians, camera: Camera, background: Float[Tensor, "v 3"], options: RenderOptions
) -> Rendering:
    """Render a batch of views with gsplat, one after the other.

    Raises:
        BadInputError: no GPU, or a gsplat of another version.
        MissingExtraError: gsplat is not installed.
        TypeError: tensors that are not float32 on one CUDA device.
        NotImplementedError: a setting that gsplat cannot serve.
    """
    check_gpu()
    _check_tensors(gaussians, camera, background, options)
    stages = load_stages()
    check_options(options, stages.alpha_cut)
    with torch.cuda.device(gaussians.device):
        return render_with(stages, gaussians, camera, background, options)


def check_gpu() -> None:
    """Refuse to go on without a GPU: gsplat's first import there starts minutes of compiling that cannot succeed.

    Raises:
        BadInputError: torch finds none.
    """
    if not torch.cuda.is_available():
        build = "was built without CUDA" if torch.version.cuda is None else "finds none"
        raise BadInputError(
            f"The cuda backend needs an NVIDIA GPU, and this torch ({torch.__version__}) {build}. Use backend='cpu', "
            "or install a torch with CUDA on a machine with a GPU, and then pip install 'hyperfocal[cuda]'."
        )


@cache
def load_stages() -> Stages:
    """Return gsplat's stages: of the build with the lower cut if there is one, else of the installed package.

    Raises:
        MissingExtraError: gsplat is not installed.
        BadInputError: it is of another version, or could not be compiled.
    """
    check_gpu()
    build = find_build()
    if build is not None and "gsplat" not in sys.modules:
        sys.path.insert(0, str(build.folder))
    try:
        gsplat: Any = import_module("gsplat")
    except ImportError as error:
        raise missing_extra("gsplat", "cuda") from error
    finally:
        if build is not None and str(build.folder) in sys.path:
            sys.path.remove(str(build.folder))  # nothing else is to be found there
    if gsplat.__version__ != GSPLAT_VERSION:
        raise BadInputError(
            f"The cuda backend works with gsplat {GSPLAT_VERSION} only, got {gsplat.__version__}: "
            "pip install 'hyperfocal[cuda]'."
        )
    kernels = _load_kernels()
    if kernels is None:
        raise BadInputError(
            "gsplat is installed, but its kernels are not compiled and there is no CUDA toolkit to compile them with: "
            "install the toolkit (nvcc) of torch's CUDA version and set CUDA_HOME to its folder."
        )
    is_ours = build is not None and is_from(build, Path(str(gsplat.__file__)))
    return Stages(
        fully_fused_projection=gsplat.fully_fused_projection,
        spherical_harmonics=gsplat.spherical_harmonics,
        isect_tiles=gsplat.isect_tiles,
        isect_offset_encode=gsplat.isect_offset_encode,
        rasterize_to_pixels=gsplat.rasterize_to_pixels,
        rasterize_to_indices_in_range=gsplat.rasterize_to_indices_in_range,
        alpha_cut=build.alpha_cut if build is not None and is_ours else STOCK_CUT,
    )


def plain_rasterization() -> Callable[..., Any]:
    """Return gsplat's own `rasterization`, of the same build: what our adapter is measured against."""
    load_stages()
    return import_module("gsplat").rasterization


def _load_kernels() -> object | None:
    """Return gsplat's compiled module, compiling it if that was never done; None if that is impossible here."""
    if find_spec("gsplat.csrc") is not None:
        return import_module("gsplat.cuda._backend")._C
    # gsplat removes the lock of a compilation that another process is in the middle of: so take one of our own.
    # torch's search for the toolkit can end at a link to nvcc in a folder without headers.
    home = find_cuda_home()
    if home is not None:
        os.environ.setdefault("CUDA_HOME", str(home))
    with locked(cache_folder() / "gsplat_first_use.lock"):
        return import_module("gsplat.cuda._backend")._C


def is_from(build: Build, module_file: Path) -> bool:
    """Return whether a module was imported from a build."""
    return module_file.resolve().is_relative_to(build.folder.resolve())


def describe() -> str:
    """Return which gsplat the backend would use, for people; starts no compiling and needs no GPU."""
    build = find_build()
    if build is not None:
        return f"gsplat {GSPLAT_VERSION}, built here with the alpha cut at {build.alpha_cut:g} ({build.folder})"
    try:
        found = metadata.version("gsplat")
    except metadata.PackageNotFoundError:
        return "no gsplat: pip install 'hyperfocal[cuda]'"
    if found != GSPLAT_VERSION:
        return f"gsplat {found}, but {GSPLAT_VERSION} is needed: pip install 'hyperfocal[cuda]'"
    return f"gsplat {found} as published, alpha cut 1/255; for defocus, {REMEDY}"


def check_options(options: RenderOptions, kernel_cut: float) -> None:
    """Refuse what gsplat cannot serve; warn where its compiled cut takes light away.

    Raises:
        NotImplementedError: an option, by name, with the remedy.
    """
    if options.alpha_cut > STOCK_CUT * 1.001:
        raise NotImplementedError(
            f"`RenderOptions.alpha_cut` above 1/255 is not served by the cuda backend, got {options.alpha_cut:g}: the "
            "cut is a constant of gsplat's compiled kernels. Use 1/255, or backend='cpu'."
        )
    features = options.features
    if features is not None and features.shape[-1] > MOST_FEATURES:
        raise NotImplementedError(
            f"`RenderOptions.features` has {features.shape[-1]} channels; the cuda backend serves at most "
            f"{MOST_FEATURES}. Render them in parts."
        )
    lowers = options.opacity_factor is not None or options.opacity_law not in (None, "none")
    if lowers and options.relative_cut and kernel_cut > STOCK_CUT / 1.001:
        _warn_once(
            "The published gsplat drops every alpha below 1/255, and so light of splats whose opacity a blur has "
            "lowered: of a splat of 1 px with opacity 0.5 it keeps 87 % at a blur of sigma 4 px, 49 % at 8 px and "
            f"nothing at 16 px. To keep it, {REMEDY}."
        )
    elif options.alpha_cut < kernel_cut / 1.001:
        _warn_once(
            f"This gsplat drops every alpha below {kernel_cut:g}, whatever `RenderOptions.alpha_cut` says "
            f"({options.alpha_cut:g})" + ("." if kernel_cut < STOCK_CUT / 1.001 else f". To lower it, {REMEDY}.")
        )


@cache
def _warn_once(text: str) -> None:
    warnings.warn(text, stacklevel=5)  # at the caller of `render`


def _check_tensors(gaussians: Gaussians, camera: Camera, background: Tensor, options: RenderOptions) -> None:
    """Refuse tensors that the kernels would misread, by name."""
    tensors: dict[str, Tensor] = {**gaussians.tensors(), "background": background}
    tensors |= {name: t for owner in (camera, options) for name, t in vars(owner).items() if isinstance(t, Tensor)}
    for name, tensor in tensors.items():
        if tensor.dtype != torch.float32 or tensor.device.type != "cuda" or tensor.device != gaussians.device:
            raise TypeError(
                f"{name} must be a float32 tensor on the GPU of the Gaussians ({gaussians.device}), got "
                f"{tensor.dtype} on {tensor.device}; convert it with {name}.to('cuda', torch.float32), or use "
                "backend='cpu'"
            )
