"""`Rendering` and `RenderOptions`: what `render` returns and what it takes beyond the everyday arguments."""

import math
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from .apertures import Aperture


@dataclass(frozen=True)
class Rendering:
    """A picture of Gaussians. The view dimension `*v` is there when the camera was a batch."""

    color: Float[Tensor, "*v h w 3"]
    """Composited over the background, in the colour space of the Gaussians; not clamped."""
    alpha: Float[Tensor, "*v h w"]
    """Coverage in [0, 1]."""
    depth_expected: Float[Tensor, "*v h w"]
    """Mean camera z weighted by contribution; 0 where nothing was hit."""
    depth_median: Float[Tensor, "*v h w"]
    """Camera z of the Gaussian that takes the transmittance to one half; 0 where more than half stays clear. NaN where
    `RenderOptions.depth_median` let a backend leave it out."""
    normals: Float[Tensor, "*v h w 3"] | None
    """Unit world normals of `depth_median` facing the camera; 0 where unknown; None unless asked for."""
    features: Float[Tensor, "*v h w c"] | None
    """Blended feature channels, over zero; None unless given."""
    radii_px: Float[Tensor, "*v n"]
    """Larger half-extent of each footprint; 0 for culled Gaussians. Not differentiable."""
    weight_sum: Float[Tensor, "*v n"] | None
    """Sum over pixels of each Gaussian's contribution; None unless asked for. Not differentiable."""
    error_sum: Float[Tensor, "*v n"] | None
    """Sum over pixels of contribution times `RenderOptions.error_map`; None unless given. Not differentiable."""


def expected_depth(depth_sum: Float[Tensor, "*v h w"], alpha: Float[Tensor, "*v h w"]) -> Float[Tensor, "*v h w"]:
    """Return the weighted sum of depths over the sum of weights; 0 where nothing was hit."""
    # Not a clamped denominator: where nothing was hit its gradient would be huge, and huge times zero is no number.
    hit = alpha > 0
    return torch.where(hit, depth_sum / torch.where(hit, alpha, 1), 0)


OpacityLaw: TypeAlias = Literal[
    "none",  # opacities stay as they are
    "energy",  # a Gaussian alone takes as much light as before
    "optical_depth",  # a surface of many stays closed
    "light_kept",  # each Gaussian gives the picture as much light as without blur: measured; only with a lens
]


Defocus: TypeAlias = Literal[
    "splat",  # the footprint of each Gaussian grows by its circle of confusion
    "fast_splat",  # the same, strongly blurred depths in smaller pictures: no median depth, features or sums
    "aperture",  # the average of pinhole pictures from points of the lens: slow, what the others are held against
]


def check_settings(low_pass_px2: float, near: float, far: float, alpha_cut: float) -> None:
    """Refuse what no renderer can draw with.

    Raises:
        ValueError: a setting outside its range.
    """
    if not low_pass_px2 >= 0:
        raise ValueError(f"`low_pass_px2` must be at least 0, got {low_pass_px2}.")
    if not 0 <= alpha_cut < 1:
        raise ValueError(f"`alpha_cut` must be in [0, 1), got {alpha_cut}.")
    if not near > 0:  # the projection divides by the camera z of what is seen
        raise ValueError(f"`near` must be positive, got {near}.")
    if not far > near:
        raise ValueError(f"`far` must be beyond `near`, got {far} and {near}.")


BY_VIEW_AND_GAUSSIAN = ("means", "quaternions", "variance_px2", "opacity_factor", "mean_offsets_px")
"""The options whose tensors begin with [views, Gaussians]."""


@dataclass(frozen=True)
class RenderOptions:
    """Everything about a render that is not everyday. `v` counts the camera's views (1 for a single camera).

    Raises:
        ValueError: a setting outside its range.
    """

    sh_degree: int | None = None
    """Highest degree of spherical harmonics to use; None is all there are."""
    low_pass_px2: float = 0.3
    """Variance added to every 2D footprint, so that a Gaussian never falls between pixels (Kerbl et al. 2023)."""
    near: float = 0.01
    """Gaussians with camera z below this are not seen; scene units."""
    far: float = math.inf
    """Gaussians with this camera z or a larger one are not seen; scene units."""
    alpha_cut: float = 1 / 255
    """Contributions with a smaller alpha are dropped."""
    relative_cut: bool = True
    """Scale the cut by each Gaussian's opacity factor and law, floor 1e-6: blur then keeps the same share of light."""
    colors: Float[Tensor, "n 3"] | Float[Tensor, "v n 3"] | None = None
    """Direct colours in place of spherical harmonics."""
    features: Float[Tensor, "n c"] | Float[Tensor, "v n c"] | None = None
    """Extra channels to blend, c <= 32."""
    means: Float[Tensor, "v n 3"] | None = None
    """Per-view centres in place of the shared ones (Gaussians at each view's time)."""
    quaternions: Float[Tensor, "v n 4"] | None = None
    """Per-view orientations in place of the shared ones."""
    variance_px2: Float[Tensor, "v n"] | None = None
    """Isotropic variance added to each 2D footprint."""
    opacity_law: OpacityLaw | None = None
    """What blur does to the opacities, besides `opacity_factor`; None is "light_kept" with a lens, else "none"."""
    defocus: Defocus = "splat"
    """How a lens is drawn."""
    aperture: Aperture = field(default_factory=Aperture)
    """Shape of the lens's opening. Splats are blurred by the Gaussian that blurs most like it
    (`apertures.gaussian_variance`), only `defocus="aperture"` by the shape itself."""
    aperture_samples: int = 64
    """Points of the opening, for `defocus="aperture"`."""
    opacity_factor: Float[Tensor, "v n"] | None = None
    """Factor on each opacity."""
    mean_offsets_px: Float[Tensor, "v n 2"] | None = None
    """Added to the 2D centres; pass zeros that require a gradient to get the 2D-mean gradient."""
    error_map: Float[Tensor, "v h w"] | None = None
    """Weights for `Rendering.error_sum`."""
    weight_sum: bool = False
    """Return `Rendering.weight_sum`."""
    depth_median: bool = True
    """Compute `Rendering.depth_median`. False lets the cuda backend, which pays for it, leave it out (all NaN)."""
    row_window: tuple[int, int] | None = None
    """Render only rows [first, last) of the image."""
    threads: int | None = None
    """CPU threads; None is torch's number."""

    def __post_init__(self) -> None:
        check_settings(self.low_pass_px2, self.near, self.far, self.alpha_cut)
