"""The rasteriser as one autograd function.

Everything is float32 on the CPU. Shapes and types are checked here, so that the core meets only what it understands.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from .. import _core
from ..rendering import OpacityLaw, check_settings
from .memory import empty

MAX_CHANNELS = 32


@dataclass(frozen=True)
class RasterOutputs:
    """What the rasteriser draws of `v` views."""

    color: Float[Tensor, "v h w 3"]
    """Colour over the background."""
    alpha: Float[Tensor, "v h w"]
    """1 - transmittance."""
    depth_expected: Float[Tensor, "v h w"]
    """Mean camera z by blending weight; 0 where there is none."""
    depth_median: Float[Tensor, "v h w"]
    """Camera z of the first Gaussian behind which at most half of the light comes from; 0 if there is none."""
    features: Float[Tensor, "v h w c"] | None
    """Blended feature channels, over zero."""
    radii: Float[Tensor, "v n"]
    """Larger half-extent of the footprint at the alpha cut in pixels; 0 if culled."""
    weight_sum: Float[Tensor, "v n"] | None
    """Sum over pixels of the blending weight."""
    error_sum: Float[Tensor, "v n"] | None
    """Sum over pixels of the blending weight times the error map."""


def rasterize(
    means: Float[Tensor, "n 3"] | Float[Tensor, "v n 3"],
    quaternions: Float[Tensor, "n 4"] | Float[Tensor, "v n 4"],
    scales: Float[Tensor, "n 3"],
    opacities: Float[Tensor, " n"],
    world_to_camera: Float[Tensor, "v 4 4"],
    focal_px: Float[Tensor, "v 2"],
    center_px: Float[Tensor, "v 2"],
    width: int,
    height: int,
    *,
    sh: Float[Tensor, "n k 3"] | None = None,
    colors: Float[Tensor, "n 3"] | Float[Tensor, "v n 3"] | None = None,
    sh_degree: int | None = None,
    background: Float[Tensor, "v 3"] | None = None,
    variance_px2: Float[Tensor, "v n"] | None = None,
    opacity_factor: Float[Tensor, "v n"] | None = None,
    mean_offsets_px: Float[Tensor, "v n 2"] | None = None,
    features: Float[Tensor, "n c"] | Float[Tensor, "v n c"] | None = None,
    row_window: tuple[int, int] | None = None,
    error_map: Float[Tensor, "v h w"] | None = None,
    weight_sum: bool = False,
    low_pass_px2: float = 0.3,
    near: float = 0.01,
    far: float = math.inf,
    alpha_cut: float = 1 / 255,
    relative_cut: bool = True,
    opacity_law: OpacityLaw = "none",
    threads: int | None = None,
) -> RasterOutputs:
    """Draw Gaussians into `v` views.

    Args:
        means: World positions, or one set a view.
        quaternions: Orientations wxyz of any length but zero, or one set a view.
        scales: Standard deviations along the Gaussians' own axes, positive.
        opacities: In (0, 1).
        world_to_camera: Poses; OpenCV axes.
        focal_px: Horizontal and vertical focal length.
        center_px: Principal point; the first pixel's centre is at 0.5.
        width: Image columns.
        height: Image rows.
        sh: Spherical-harmonics coefficients; either these or `colors`.
        colors: Colours as they are, or one set a view.
        sh_degree: Degree to use; by default the stored one.
        background: Colour behind everything; black by default.
        variance_px2: Isotropic variance added to the 2D covariances.
        opacity_factor: Multiplies the opacities.
        mean_offsets_px: Added to the 2D means; a tensor of zeros tells the 2D means' gradient.
        features: At most 32 channels to blend like colours, or one set a view.
        row_window: Draw only rows [first, last) of the image: `h` is their number.
        error_map: Weighs `error_sum`, which is computed only if this is given.
        weight_sum: Compute `weight_sum`.
        low_pass_px2: Variance that every 2D covariance gets.
        near: Gaussians with a smaller camera z are culled; positive.
        far: Gaussians with this camera z or a larger one are culled.
        alpha_cut: Smaller contributions are dropped.
        relative_cut: Multiply the cut by the opacity factor (but not below 1e-6), the law's included.
        opacity_law: What `variance_px2` does to the opacities, besides `opacity_factor`.
        threads: By default as many as torch uses. The result is the same bit for bit.

    Raises:
        TypeError: a tensor is not float32 on the CPU.
        ValueError: shapes do not fit together, or a setting makes no sense.
    """
    tensors = {
        "means": means,
        "quaternions": quaternions,
        "scales": scales,
        "opacities": opacities,
        "world_to_camera": world_to_camera,
        "focal_px": focal_px,
        "center_px": center_px,
        "sh": sh,
        "colors": colors,
        "background": background,
        "variance_px2": variance_px2,
        "opacity_factor": opacity_factor,
        "mean_offsets_px": mean_offsets_px,
        "features": features,
    }
    first_row, last_row = row_window or (0, height)
    if not 0 <= first_row < last_row <= height:
        raise ValueError(f"row_window must be rows [first, last) of an image {height} high, got {row_window}")
    check_settings(low_pass_px2, near, far, alpha_cut)
    _check(tensors | {"error_map": error_map}, width, height)
    degree = 0
    if sh is not None:
        stored = {1: 0, 4: 1, 9: 2, 16: 3}[sh.shape[1]]
        degree = stored if sh_degree is None else min(sh_degree, stored)
        if degree < 0:
            raise ValueError(f"sh_degree must not be negative, got {sh_degree}")
    window = (width, last_row - first_row, first_row, height)
    law = getattr(_core.OpacityLaw, opacity_law if variance_px2 is not None else "none")
    settings = (*window, degree, low_pass_px2, near, far, alpha_cut, relative_cut, law)
    if threads is not None and threads < 1:
        raise ValueError(f"threads must be at least 1, or None for torch's number, got {threads}")
    if error_map is not None:
        error_map = error_map[:, first_row:last_row].detach().contiguous()
    wanted = (error_map, weight_sum, threads or torch.get_num_threads())
    results = _Rasterize.apply(settings, wanted, *(t if t is None else t.contiguous() for t in tensors.values()))
    return RasterOutputs(*results)


class _Rasterize(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, settings: tuple, wanted: tuple, *inputs: Tensor | None) -> tuple[Tensor | None, ...]:
        width, height, first_row, image_height, degree, *floats_and_laws = settings
        error_map, weight_sum, threads = wanted
        arrays: list[Any] = [None if t is None else t.detach() for t in inputs]
        means, quaternions, scales, opacities, pose, focal, center, sh, colors, *rest = arrays
        background, variance, factor, offsets, features = rest
        core = _core.Rasterization.prepare(
            *(means, quaternions, scales, opacities, pose, focal, center, width, height, first_row, image_height),
            *(sh, colors, degree),
            *(background, variance, factor, offsets, features, *floats_and_laws),
        )
        views, n = len(pose), len(opacities)
        color = empty(views, height, width, 3)
        alpha, depth_expected, depth_median = (empty(views, height, width) for _ in range(3))
        blended = None if features is None else empty(views, height, width, features.shape[-1])
        radii = empty(views, n)
        weights = empty(views, n) if weight_sum else None
        errors = None if error_map is None else empty(views, n)
        images = (color, alpha, depth_expected, depth_median, blended)
        core.forward(threads, *images, radii, error_map, weights, errors)
        ctx.core, ctx.threads = core, threads
        # The core reads these again in backward: saving them makes autograd notice if they were changed meanwhile.
        ctx.save_for_backward(color, alpha, depth_expected, blended, *inputs)
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(radii, *(t for t in (weights, errors) if t is not None))
        return *images, radii, weights, errors

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *d_outputs: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        images, inputs = ctx.saved_tensors[:4], ctx.saved_tensors[4:]
        d_inputs = [
            empty(*t.shape) if t is not None and needed else None
            for t, needed in zip(inputs, ctx.needs_input_grad[2:], strict=True)
        ]
        d_images = [None if d is None else d.detach().contiguous() for d in d_outputs[:5]]
        means, quaternions, scales, opacities, pose, focal, center, sh, colors, background, *hooks = d_inputs
        ctx.core.backward(
            ctx.threads,
            *(None if t is None else t.detach() for t in images),
            *d_images,
            *(means, quaternions, scales, opacities, sh, colors),
            *(pose, focal, center, background),
            *hooks,
        )
        return None, None, *d_inputs


def _check(tensors: dict[str, Tensor | None], width: int, height: int) -> None:
    """Refuse what the core does not understand, by name."""
    for name, tensor in tensors.items():
        if tensor is None:
            continue
        if not isinstance(tensor, Tensor) or tensor.dtype != torch.float32 or tensor.device.type != "cpu":
            got = f"{tensor.dtype} on {tensor.device}" if isinstance(tensor, Tensor) else type(tensor).__name__
            raise TypeError(
                f"{name} must be a float32 tensor on the CPU, got {got}; "
                f"convert it with {name}.to('cpu', torch.float32), or use backend='reference'"
            )
    if (tensors["sh"] is None) == (tensors["colors"] is None):
        raise ValueError("exactly one of sh and colors must be given")
    if width < 1 or height < 1:
        raise ValueError(f"width and height must be at least 1, got {width} x {height}")
    opacities, poses = tensors["opacities"], tensors["world_to_camera"]
    assert opacities is not None and poses is not None
    n, v = opacities.shape[0], poses.shape[0]
    shapes: dict[str, tuple[tuple[int, ...], ...]] = {
        "means": ((n, 3), (v, n, 3)),
        "quaternions": ((n, 4), (v, n, 4)),
        "scales": ((n, 3),),
        "opacities": ((n,),),
        "world_to_camera": ((v, 4, 4),),
        "focal_px": ((v, 2),),
        "center_px": ((v, 2),),
        "sh": tuple((n, k, 3) for k in (1, 4, 9, 16)),
        "colors": ((n, 3), (v, n, 3)),
        "background": ((v, 3),),
        "variance_px2": ((v, n),),
        "opacity_factor": ((v, n),),
        "mean_offsets_px": ((v, n, 2),),
        "features": tuple(shape for c in range(1, MAX_CHANNELS + 1) for shape in ((n, c), (v, n, c))),
        "error_map": ((v, height, width),),
    }
    for name, tensor in tensors.items():
        if tensor is not None and tuple(tensor.shape) not in shapes[name]:
            expected = " or ".join(str(list(shape)) for shape in shapes[name])
            if name == "features":
                expected = f"[{n}, c] or [{v}, {n}, c] with c from 1 to {MAX_CHANNELS}"
            raise ValueError(
                f"{name} must have shape {expected} for {n} Gaussians and {v} views of {width} x {height} pixels, "
                f"got {list(tensor.shape)}"
            )
