"""gsplat's stages as one value, so that the adapter between them can be tested without a GPU."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Stages:
    """The functions of gsplat 1.5.3 that the cuda backend calls, with the signatures they have there.

    Tensors stay on their device; the intersection stages have no gradient, the others are differentiable in every
    tensor but the calibration matrices.
    """

    fully_fused_projection: Callable[..., Any]
    """World to footprints: 2D means, depths and conics of the Gaussians in view (`packed=True`)."""
    spherical_harmonics: Callable[..., Any]
    """Colours by direction, without the one half."""
    isect_tiles: Callable[..., Any]
    """Which tiles each footprint's box touches, sorted by tile and depth."""
    isect_offset_encode: Callable[..., Any]
    """Where each tile's list begins."""
    rasterize_to_pixels: Callable[..., Any]
    """Alpha blending of any channels."""
    rasterize_to_indices_in_range: Callable[..., Any]
    """The same walk, which writes down the Gaussians that each pixel meets."""
    alpha_cut: float
    """What the kernels of this build drop: 1/255 as published."""
