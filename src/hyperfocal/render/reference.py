"""The definition of correct: every Gaussian against every pixel in plain torch, in any floating-point type.

Source: Zwicker et al. 2001 (EWA splatting) as used by Kerbl et al. 2023; equation numbers are those of docs/theory.md.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from .. import sh as spherical_harmonics
from ..camera import Camera, pixel_centers
from ..gaussians import Gaussians
from ..rendering import Rendering, RenderOptions, expected_depth
from ..transforms import rotation_from_quaternion
from .opacity_law import spread_opacity

ALPHA_MAX = 0.999  # a splat never hides everything, so transmittance stays invertible
TRANSMITTANCE_STOP = 1e-4  # a pixel is finished before the Gaussian that would take it to this
CUT_FLOOR = 1e-6  # of the relative alpha cut
FRUSTUM_MARGIN = 0.3  # of half the image: beyond it the Jacobian is frozen, as the linearisation explodes there


@dataclass(frozen=True)
class Footprints:
    """The Gaussians of one view as 2D footprints."""

    means_px: Float[Tensor, "n 2"]
    covariances_px2: Float[Tensor, "n 2 2"]
    depths_z: Float[Tensor, " n"]
    peaks: Float[Tensor, " n"]
    """Opacity times the opacity factor."""
    cuts: Float[Tensor, " n"]
    """Contributions with a smaller alpha are dropped."""
    visible: Bool[Tensor, " n"]
    radii_px: Float[Tensor, " n"]


def render_reference(
    gaussians: Gaussians, camera: Camera, background: Float[Tensor, "v 3"], options: RenderOptions
) -> Rendering:
    """Render a batch of views; memory grows with Gaussians x pixels."""
    views = [_render_view(gaussians, camera[i], background[i], options, i) for i in range(len(background))]
    fields = {name: [getattr(view, name) for view in views] for name in vars(views[0])}
    stacked: dict[str, Any] = {name: None if t[0] is None else torch.stack(t) for name, t in fields.items()}
    return Rendering(**stacked)


def project_gaussians(
    means: Float[Tensor, "n 3"],
    covariances: Float[Tensor, "n 3 3"],
    opacities: Float[Tensor, " n"],
    camera: Camera,
    options: RenderOptions,
    *,
    variance_px2: Float[Tensor, " n"] | None = None,
    opacity_factor: Float[Tensor, " n"] | None = None,
    mean_offsets_px: Float[Tensor, "n 2"] | None = None,
) -> Footprints:
    """Return the 2D footprints of Gaussians in a single view (equations 1 to 4)."""
    rotation, translation = camera.world_to_camera[:3, :3], camera.world_to_camera[:3, 3]
    inside = means @ rotation.T + translation
    depths_z = inside[:, 2]
    in_front = (depths_z >= options.near) & (depths_z < options.far)
    z = torch.where(in_front, depths_z, 1.0)
    slope = inside[:, :2] / z.unsqueeze(1)

    size = camera.focal_px.new_tensor([camera.width, camera.height])
    margin = FRUSTUM_MARGIN * 0.5 * size / camera.focal_px
    low = -(camera.center_px / camera.focal_px + margin)
    high = (size - camera.center_px) / camera.focal_px + margin
    frozen = torch.minimum(torch.maximum(slope, low), high)
    jacobian = means.new_zeros(len(means), 2, 3)
    jacobian[:, 0, 0] = camera.focal_px[0] / z
    jacobian[:, 1, 1] = camera.focal_px[1] / z
    jacobian[:, :, 2] = -camera.focal_px * frozen / z.unsqueeze(1)

    to_image = jacobian @ rotation
    spread = variance_px2 if variance_px2 is not None else means.new_zeros(len(means))
    identity = torch.eye(2, dtype=means.dtype, device=means.device)
    own_px2 = to_image @ covariances @ to_image.transpose(1, 2) + options.low_pass_px2 * identity
    covariances_px2 = own_px2 + spread[:, None, None] * identity
    means_px = camera.focal_px * slope + camera.center_px
    if mean_offsets_px is not None:
        means_px = means_px + mean_offsets_px

    factor = opacity_factor if opacity_factor is not None else torch.ones_like(opacities)
    if variance_px2 is not None and options.opacity_law not in (None, "none"):
        area_ratio = (torch.linalg.det(own_px2) / torch.linalg.det(covariances_px2)).sqrt()
        factor = factor * spread_opacity(opacities, area_ratio, options.opacity_law) / opacities
    peaks = opacities * factor
    cuts = torch.full_like(peaks, options.alpha_cut)
    if options.relative_cut:
        cuts = (factor.detach() * options.alpha_cut).clamp_min(CUT_FLOOR)
    with torch.no_grad():
        finite = means_px.isfinite().all(1) & covariances_px2.isfinite().all(2).all(1) & peaks.isfinite()
        # Where the peak equals the cut the footprint is a point: exp(-d^2/2) = cut / peak.
        reach2 = 2 * torch.log((peaks / cuts.clamp_min(torch.finfo(peaks.dtype).tiny)).clamp_min(1))
        extent = (reach2.unsqueeze(1) * torch.diagonal(covariances_px2, dim1=1, dim2=2)).sqrt()
        on_image = ((means_px + extent >= 0) & (means_px - extent <= size)).all(1)
        visible = in_front & finite & on_image & (peaks >= cuts)
        radii_px = torch.where(visible, extent.amax(1), 0)
    return Footprints(means_px, covariances_px2, depths_z, peaks, cuts, visible, radii_px)


def _render_view(
    gaussians: Gaussians, camera: Camera, background: Float[Tensor, "3"], options: RenderOptions, i: int
) -> Rendering:
    """Render view number `i`, whose camera is already picked from the batch."""
    n = len(gaussians)
    features = None if options.features is None else _of_view(options.features, i)
    means = gaussians.means if options.means is None else options.means[i]
    quaternions = gaussians.quaternions if options.quaternions is None else options.quaternions[i]

    def project_and_color(index: Tensor) -> tuple[Footprints, Float[Tensor, "m 3"]]:
        """Return the footprints and colours of the Gaussians at `index`."""
        half = rotation_from_quaternion(quaternions[index]) * gaussians.scales[index].unsqueeze(-2)
        footprints = project_gaussians(
            means[index],
            half @ half.transpose(1, 2),
            gaussians.opacities[index],
            camera,
            options,
            variance_px2=_at(options.variance_px2, i, index),
            opacity_factor=_at(options.opacity_factor, i, index),
            mean_offsets_px=_at(options.mean_offsets_px, i, index),
        )
        return footprints, _colors(gaussians, means, camera, options, i, index)

    # Culled Gaussians leave before any differentiable arithmetic: their values, NaN included, cannot reach a gradient.
    with torch.no_grad():
        everyone, colors = project_and_color(torch.arange(n, device=means.device))
        kept = everyone.visible & colors.isfinite().all(1)
        if features is not None:
            kept &= features.isfinite().all(1)
        order = kept.nonzero().squeeze(1)
        order = order[everyone.depths_z[order].argsort(stable=True)]
        radii_px = torch.where(kept, everyone.radii_px, 0)
    footprints, colors = project_and_color(order)

    first, last = options.row_window or (0, camera.height)
    pixels = pixel_centers(camera.width, camera.height, means.device)[first:last].to(means.dtype)
    shape = pixels.shape[:2]
    alphas, weights, transmittance_after = _composite(footprints, pixels.reshape(-1, 2))

    remaining = torch.where(weights > 0, 1 - alphas, 1).prod(dim=1)
    depths_z = footprints.depths_z
    alpha = (1 - remaining).reshape(shape)
    crossed = (transmittance_after <= 0.5) & (weights > 0)
    median = crossed & (crossed.cumsum(1) == 1)

    def per_gaussian(values: Tensor) -> Tensor:
        """Scatter detached per-splat sums back to all n Gaussians."""
        return means.new_zeros(n).index_put((order,), values.detach())

    error_map = options.error_map
    return Rendering(
        color=(weights @ colors + remaining.unsqueeze(1) * background).reshape(*shape, 3),
        alpha=alpha,
        depth_expected=expected_depth((weights @ depths_z).reshape(shape), alpha),
        depth_median=(median.to(depths_z.dtype) @ depths_z).reshape(shape),
        normals=None,
        features=None if features is None else (weights @ features[order]).reshape(*shape, -1),
        radii_px=radii_px,
        weight_sum=per_gaussian(weights.sum(0)) if options.weight_sum else None,
        error_sum=None if error_map is None else per_gaussian(error_map[i, first:last].reshape(-1) @ weights),
    )


def _composite(
    footprints: Footprints, pixels: Float[Tensor, "p 2"]
) -> tuple[Float[Tensor, "p m"], Float[Tensor, "p m"], Float[Tensor, "p m"]]:
    """Return (alpha, blending weight, transmittance behind) of the ordered Gaussians at each pixel (equations 5, 6)."""
    offset = pixels.unsqueeze(1) - footprints.means_px
    precision = torch.linalg.inv(footprints.covariances_px2)
    distance2 = torch.einsum("pmi,mij,pmj->pm", offset, precision, offset)
    alphas = (footprints.peaks * torch.exp(-0.5 * distance2)).clamp_max(ALPHA_MAX)
    alphas = torch.where(alphas.detach() >= footprints.cuts, alphas, 0)
    after = torch.cumprod(1 - alphas, dim=1)
    before = torch.cat((torch.ones_like(after[:, :1]), after[:, :-1]), dim=1)
    added = after.detach() > TRANSMITTANCE_STOP
    return alphas, torch.where(added, before * alphas, 0), after


def _colors(
    gaussians: Gaussians, means: Float[Tensor, "n 3"], camera: Camera, options: RenderOptions, i: int, index: Tensor
) -> Float[Tensor, "m 3"]:
    """Return the colours of the Gaussians at `index` as view number `i` sees them."""
    if options.colors is not None:
        return _of_view(options.colors, i)[index]
    degree = gaussians.sh_degree if options.sh_degree is None else min(options.sh_degree, gaussians.sh_degree)
    directions = torch.nn.functional.normalize(means[index] - camera.centers(), dim=1)
    return spherical_harmonics.evaluate(gaussians.sh[index], directions, degree)


def _of_view(tensor: Tensor, i: int) -> Tensor:
    """Return the rows of view `i`: those of all views, or its own where each view has some."""
    return tensor if tensor.dim() == 2 else tensor[i]


def _at(tensor: Tensor | None, i: int, index: Tensor) -> Tensor | None:
    """Return what an optional per-view tensor says of view `i` and the Gaussians at `index`."""
    return None if tensor is None else tensor[i, index]
