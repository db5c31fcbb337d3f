"""`render`, `expose`: Gaussians and a camera in, a picture with depth out. Each backend is a twin of the reference."""

from dataclasses import replace
from typing import Any, Literal, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from ..camera import Camera
from ..depth import normals_from_depth
from ..gaussians import Gaussians
from ..lens import ThinLens
from ..rendering import BY_VIEW_AND_GAUSSIAN, Rendering, RenderOptions
from ..shutter import MotionPath, Shutter
from .defocus import Draw
from .shutter import GaussiansAt, render_exposure, render_still

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
    shutter: Shutter | None = None,
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
        shutter: None is the still frame; else the exposure of Gaussians that stand still to a camera that moves along
            `shutter.path`. `expose` says more, and takes Gaussians that move.
        background: Colour behind everything, one or one a view; None is black.
        normals: Also compute world normals of the median depth.
        backend: Forces a backend, which raises if it cannot serve; there is no silent fallback.
        options: Everything that is not everyday.

    Raises:
        BadInputError: `shutter.path` does not cover the exposure.
        NotImplementedError: the backend does not serve an option yet; the message says which.
        TypeError: tensors of a kind that the backend does not take.
        ValueError: per-view tensors for another number of views.
    """
    if shutter is not None:
        if normals:
            raise ValueError("Normals are those of a still frame: leave `normals` False, or `shutter` None.")
        return expose(
            gaussians, shutter.path, camera,
            lens=lens, shutter=shutter, background=background, backend=backend, options=options,
        )  # fmt: skip
    draw, batch, background = _prepared(gaussians, camera, lens, background, backend, options)
    rendering = render_still(draw, gaussians, batch, lens, background, options)
    if normals:
        if options.row_window is not None:
            raise NotImplementedError("Normals of a row window are not served: render the whole image.")
        if not options.depth_median or options.defocus != "splat":
            raise ValueError(
                "Normals are those of the median depth: leave `RenderOptions.depth_median` True and `defocus` 'splat'."
            )
        maps = [normals_from_depth(batch[i], depth_z) for i, depth_z in enumerate(rendering.depth_median)]
        rendering = replace(rendering, normals=torch.stack(maps))
    return rendering if camera.is_batch else _first_view(rendering)


def expose(
    gaussians_at: GaussiansAt,
    path: MotionPath | None,
    camera: Camera,
    *,
    shutter: Shutter,
    lens: ThinLens | None = None,
    background: Float[Tensor, "3"] | Float[Tensor, "v 3"] | None = None,
    backend: Backend = "auto",
    options: RenderOptions = _EVERYDAY,
) -> Rendering:
    """Return what `camera` takes while it and the Gaussians move, differentiable in both, in the path and in the lens.

    The picture is the mean of `shutter.sub_frames` pictures, each through the lens, so both blurs come together. With
    `shutter.linear_light`, the default, colours of sRGB Gaussians are averaged as light. `alpha`, features and sums
    per Gaussian are means; `depth_expected` is the mean weighted by alpha, `depth_median` that of the moments that have
    one, `radii_px` the largest. What stands still is the still frame of `render`, bit for bit
    (with the rows of a rolling shutter, up to rounding).

    All sub-frames of a batch of cameras are drawn together, which costs a backend less than one by one. A rolling
    shutter draws each band of rows by itself: every Gaussian is projected and sorted again for each, only the pixels
    are not drawn again.

    Args:
        gaussians_at: What is seen at a scene time, a function of it; or Gaussians that stand still. Functions that
            return the same tensors of scales, opacities and colours at all times are served faster.
        path: Motions of the camera from its `world_to_camera` on, over all of the exposure; None is none.
        camera: One view, or a batch; the tensors of the result have the same leading dimension.
        shutter: When rows are exposed, and in how many sub-frames.
        lens: None is the pinhole; else one for all views, or one a view.
        background: Colour behind everything, one or one a view; None is black.
        backend: As of `render`.
        options: As of `render`. Tensors by view are the same in all sub-frames, `error_map` included.

    Raises:
        BadInputError: the path does not cover the exposure.
        NotImplementedError: the backend does not serve an option yet; the message says which.
        TypeError: tensors of a kind that the backend does not take.
        ValueError: lenses, per-view tensors or paths for another number of views, a shutter with another path, or
            options that say where the Gaussians are beside a function of time.
    """
    if shutter.path is not None and shutter.path is not path:
        raise ValueError("`shutter` has a path of its own, which is not the path given: leave `Shutter.path` None.")
    with torch.no_grad():
        now = gaussians_at if isinstance(gaussians_at, Gaussians) else gaussians_at(shutter.time)
    draw, batch, background = _prepared(now, camera, lens, background, backend, options)
    rendering = render_exposure(draw, gaussians_at, path, batch, lens, shutter, background, options)
    return rendering if camera.is_batch else _first_view(rendering)


def _prepared(
    gaussians: Gaussians,
    camera: Camera,
    lens: ThinLens | None,
    background: Float[Tensor, "3"] | Float[Tensor, "v 3"] | None,
    backend: Backend,
    options: RenderOptions,
) -> tuple[Draw, Camera, Float[Tensor, "v 3"]]:
    """Return (the backend, the camera as a batch, the background of each view), what goes with them checked."""
    batch = camera.as_batch()
    v = len(batch.world_to_camera)
    if lens is not None and lens.is_batch and len(lens.focus_distance) != v:
        raise ValueError(f"`lens` must be one lens or one a view, {v}, got {len(lens.focus_distance)} lenses.")
    if background is None:
        background = torch.zeros(3, dtype=gaussians.means.dtype, device=gaussians.device)
    _check_views(options, v, len(gaussians))
    return _backend(backend, gaussians.device), batch, background.expand(v, 3)


def _backend(name: Backend, device: torch.device) -> Draw:
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
    for name in BY_VIEW_AND_GAUSSIAN:
        tensor = getattr(options, name)
        if tensor is not None and tuple(tensor.shape[:2]) != (v, n):
            raise ValueError(
                f"`RenderOptions.{name}` must start with [views, Gaussians] = {[v, n]}, got {list(tensor.shape)}."
            )


def _first_view(rendering: Rendering) -> Rendering:
    """Return the rendering of a batch of one without its view dimension."""
    first: dict[str, Any] = {name: None if t is None else t[0] for name, t in vars(rendering).items()}
    return Rendering(**first)
