"""`render`: Gaussians and a camera in, a picture with depth out. Each backend is a twin of the reference."""

from dataclasses import replace
from typing import Any, Literal, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from ..camera import Camera
from ..depth import normals_from_depth
from ..gaussians import Gaussians
from ..lens import ThinLens
from ..rendering import Rendering, RenderOptions
from .aperture import render_aperture
from .defocus import render_splats

Backend: TypeAlias = Literal[
    "auto",  # by the device of the tensors: cpu on the CPU, cuda on an NVIDIA GPU
    "reference",  # plain torch, any floating-point type; slow, the definition of correct
    "cpu",  # the C++ core, float32
    "cuda",  # gsplat, float32
]
_EVERYDAY = RenderOptions()


def render(
    gaussians: Gaussians,
    camera: Camera,
    *,
    lens: ThinLens | None = None,
    shutter: None = None,
    background: Float[Tensor, "3"] | Float[Tensor, "v 3"] | None = None,
    normals: bool = False,
    backend: Backend = "auto",
    options: RenderOptions = _EVERYDAY,
) -> Rendering:
    """Return the picture that `camera` takes of `gaussians`, differentiable in every input that is a tensor.

    Args:
        gaussians: What is seen.
        camera: One view, or a batch; the tensors of the result have the same leading dimension.
        lens: None is the pinhole; else one for all views, or one a view. See `RenderOptions.opacity_law` and `defocus`.
        shutter: None is the still frame. A finite exposure is not served yet.
        background: Colour behind everything, one or one a view; None is black.
        normals: Also compute world normals of the median depth.
        backend: Forces a backend, which raises if it cannot serve; there is no silent fallback.
        options: Everything that is not everyday.

    Raises:
        NotImplementedError: the backend does not serve an option yet; the message says which.
        TypeError: tensors of a kind that the backend does not take.
        ValueError: per-view tensors for another number of views.
    """
    if shutter is not None:
        raise NotImplementedError("`shutter` is not served yet: only the still frame is.")
    if lens is None and (options.opacity_law == "light_kept" or options.defocus != "splat"):
        raise ValueError("`opacity_law='light_kept'` and other ways of `defocus` are for a lens: none is given.")
    batch = camera.as_batch()
    v = len(batch.world_to_camera)
    if lens is not None and lens.is_batch and len(lens.focus_distance) != v:
        raise ValueError(f"`lens` must be one lens or one a view, {v}, got {len(lens.focus_distance)} lenses.")
    dtype, device = gaussians.means.dtype, gaussians.device
    if background is None:
        background = torch.zeros(3, dtype=dtype, device=device)
    _check_views(options, v, len(gaussians))
    draw, background = _backend(backend, device), background.expand(v, 3)
    if lens is None:
        rendering = draw(gaussians, batch, background, options)
    else:
        through = render_aperture if options.defocus == "aperture" else render_splats
        rendering = through(draw, gaussians, batch, lens, background, options)
    if normals:
        if options.row_window is not None:
            raise NotImplementedError("Normals of a row window are not served: render the whole image.")
        if not options.depth_median or options.defocus != "splat":
            raise ValueError(
                "Normals are those of the median depth: leave `RenderOptions.depth_median` True and `defocus` 'splat'."
            )
        maps = [normals_from_depth(batch[i], rendering.depth_median[i]) for i in range(v)]
        rendering = replace(rendering, normals=torch.stack(maps))
    return rendering if camera.is_batch else _first_view(rendering)


def _backend(name: Backend, device: torch.device):
    """Return the render function of a backend, imported late: the binary core and gsplat load only when used."""
    if name == "reference":
        from .reference import render_reference

        return render_reference
    if name == "cpu" or (name == "auto" and device.type == "cpu"):
        from .cpu import render_cpu

        return render_cpu
    if name == "cuda" or (name == "auto" and device.type == "cuda"):
        from .cuda import render_cuda

        return render_cuda
    if name != "auto":
        raise ValueError(f"There is no backend {name!r}; there are auto, reference, cpu and cuda.")
    raise NotImplementedError(
        f"There is no backend for tensors on {device}: move the Gaussians to the CPU with .to('cpu')."
    )


def _check_views(options: RenderOptions, v: int, n: int) -> None:
    """Refuse per-view tensors whose sizes do not fit the camera and the Gaussians."""
    for name in ("means", "quaternions", "variance_px2", "opacity_factor", "mean_offsets_px"):
        tensor = getattr(options, name)
        if tensor is not None and tuple(tensor.shape[:2]) != (v, n):
            raise ValueError(
                f"`RenderOptions.{name}` must start with [views, Gaussians] = {[v, n]}, got {list(tensor.shape)}."
            )


def _first_view(rendering: Rendering) -> Rendering:
    """Return the rendering of a batch of one without its view dimension."""
    first: dict[str, Any] = {name: None if t is None else t[0] for name, t in vars(rendering).items()}
    return Rendering(**first)
