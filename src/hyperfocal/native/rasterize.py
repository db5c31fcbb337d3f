"""The rasteriser as one autograd function.

Everything is float32 on the CPU. Shapes and types are checked here, so that the core meets only what it understands.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from .. import _core

NO_FEATURES = "feature channels are not served by the cpu backend yet; use backend='reference'"
NO_ROW_WINDOW = "a row window is not served by the cpu backend yet; use backend='reference'"


@dataclass(frozen=True)
class RasterOutputs:
    """What the rasteriser draws of `v` views."""

    color: Float[Tensor, "v h w 3"]
    """Colour over the background."""
    alpha: Float[Tensor, "v h w"]
    """1 - transmittance."""
    depth_sum: Float[Tensor, "v h w"]
    """Sum of camera z times blending weight."""
    depth_median: Float[Tensor, "v h w"]
    """Camera z of the first Gaussian behind which at most half of the light comes from; 0 if there is none."""
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
    features: Tensor | None = None,
    row_window: tuple[int, int] | None = None,
    error_map: Float[Tensor, "v h w"] | None = None,
    weight_sum: bool = False,
    low_pass_px2: float = 0.3,
    near: float = 0.01,
    alpha_cut: float = 1 / 255,
    relative_cut: bool = True,
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
        features: Not served yet.
        row_window: Not served yet.
        error_map: Weighs `error_sum`, which is computed only if this is given.
        weight_sum: Compute `weight_sum`.
        low_pass_px2: Variance that every 2D covariance gets.
        near: Gaussians with a smaller camera z are culled.
        alpha_cut: Smaller contributions are dropped.
        relative_cut: Multiply the cut by the opacity factor (but not below 1e-6).
        threads: By default as many as torch uses. The result is the same bit for bit.

    Raises:
        TypeError: a tensor is not float32 on the CPU.
        ValueError: shapes do not fit together, or a setting makes no sense.
        NotImplementedError: features or a row window.
    """
    if features is not None:
        raise NotImplementedError(NO_FEATURES)
    if row_window is not None:
        raise NotImplementedError(NO_ROW_WINDOW)
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
    }
    _check(tensors | {"error_map": error_map}, width, height)
    degree = 0
    if sh is not None:
        stored = {1: 0, 4: 1, 9: 2, 16: 3}[sh.shape[1]]
        degree = stored if sh_degree is None else min(sh_degree, stored)
        if degree < 0:
            raise ValueError(f"sh_degree must not be negative, got {sh_degree}")
    settings = (width, height, degree, low_pass_px2, near, alpha_cut, relative_cut)
    if threads is not None and threads < 1:
        raise ValueError(f"threads must be at least 1, or None for torch's number, got {threads}")
    wanted = (error_map, weight_sum, threads or torch.get_num_threads())
    results = _Rasterize.apply(settings, wanted, *(t if t is None else t.contiguous() for t in tensors.values()))
    return RasterOutputs(*results)


class _Rasterize(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, settings: tuple, wanted: tuple, *inputs: Tensor | None) -> tuple[Tensor | None, ...]:
        width, height, degree, low_pass_px2, near, alpha_cut, relative_cut = settings
        error_map, weight_sum, threads = wanted
        arrays: list[Any] = [None if t is None else t.detach() for t in inputs]
        means, quaternions, scales, opacities, pose, focal, center, sh, colors, *rest = arrays
        background, variance, factor, offsets = rest
        core = _core.Rasterization.prepare(
            *(means, quaternions, scales, opacities, pose, focal, center, width, height, sh, colors, degree),
            *(background, variance, factor, offsets, low_pass_px2, near, alpha_cut, relative_cut),
        )
        views, n = len(pose), len(opacities)
        empty = means.new_empty
        color = empty(views, height, width, 3)
        alpha, depth_sum, depth_median = (empty(views, height, width) for _ in range(3))
        radii = empty(views, n)
        weights = empty(views, n) if weight_sum else None
        errors = None if error_map is None else empty(views, n)
        error_map = None if error_map is None else error_map.detach().contiguous()
        core.forward(threads, color, alpha, depth_sum, depth_median, radii, error_map, weights, errors)
        ctx.core, ctx.threads = core, threads
        # The core reads these again in backward: saving them makes autograd notice if they were changed meanwhile.
        ctx.save_for_backward(color, alpha, depth_sum, *inputs)
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(radii, *(t for t in (weights, errors) if t is not None))
        return color, alpha, depth_sum, depth_median, radii, weights, errors

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *d_outputs: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        color, alpha, depth_sum, *inputs = ctx.saved_tensors
        d_inputs = [
            torch.empty_like(t) if t is not None and needed else None
            for t, needed in zip(inputs, ctx.needs_input_grad[2:], strict=True)
        ]
        d_images = [None if d is None else d.detach().contiguous() for d in d_outputs[:4]]
        means, quaternions, scales, opacities, pose, focal, center, sh, colors, background, *hooks = d_inputs
        ctx.core.backward(
            ctx.threads,
            color.detach(),
            alpha.detach(),
            depth_sum.detach(),
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
        "error_map": ((v, height, width),),
    }
    for name, tensor in tensors.items():
        if tensor is not None and tuple(tensor.shape) not in shapes[name]:
            expected = " or ".join(str(list(shape)) for shape in shapes[name])
            raise ValueError(
                f"{name} must have shape {expected} for {n} Gaussians and {v} views of {width} x {height} pixels, "
                f"got {list(tensor.shape)}"
            )
