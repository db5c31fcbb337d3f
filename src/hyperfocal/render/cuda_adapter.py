"""From the options of `render` to the stages of gsplat and back. Plain torch: knows neither gsplat nor a GPU.

gsplat projects without our hooks, so they are put between its stages: footprints are widened, moved and cut here, and
tiles are chosen by the widened footprints. Equation numbers are those of docs/theory.md.
"""

import math
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ..camera import Camera
from ..gaussians import Gaussians
from ..rendering import Rendering, RenderOptions, expected_depth
from ..sh import coefficient_count, color_from_sum
from ..transforms import rotation_from_quaternion
from .cuda_stages import Stages
from .opacity_law import spread_opacity
from .reference import ALPHA_MAX, CUT_FLOOR, FRUSTUM_MARGIN, project_gaussians

TILE_PX = 16
BOX_SIGMAS = 3.33  # gsplat culls by a box of this half-width, which is where an opaque Gaussian falls to 1/255


@dataclass(frozen=True)
class ViewInputs:
    """What one view draws: every field but the flags has a row for each Gaussian."""

    means: Float[Tensor, "n 3"]
    quaternions: Float[Tensor, "n 4"]
    scales: Float[Tensor, "n 3"]
    opacities: Float[Tensor, " n"]
    sh: Float[Tensor, "n k 3"]
    """Up to the degree that is drawn; none where `colors` take its place."""
    colors: Float[Tensor, "n 3"] | None
    features: Float[Tensor, "n c"] | None
    variance_px2: Float[Tensor, " n"] | None
    opacity_factor: Float[Tensor, " n"] | None
    mean_offsets_px: Float[Tensor, "n 2"] | None

    def select(self, index: Tensor) -> "ViewInputs":
        """Return the inputs of some Gaussians."""
        rows = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{name: None if t is None else t[index] for name, t in rows.items()})

    def finite(self) -> Bool[Tensor, " n"]:
        """Return which Gaussians have no value that is no number or infinite."""
        rows = [t for f in fields(self) if (t := getattr(self, f.name)) is not None]
        return torch.stack([t.isfinite().flatten(1).all(1) if t.dim() > 1 else t.isfinite() for t in rows]).all(0)


@dataclass(frozen=True)
class Footprints:
    """The `m` Gaussians near the view as gsplat's rasteriser takes them, in image pixels."""

    index: Int[Tensor, " m"]
    """Which Gaussians they are."""
    means_px: Float[Tensor, "m 2"]
    conics: Float[Tensor, "m 3"]
    depths_z: Float[Tensor, " m"]
    peaks: Float[Tensor, " m"]
    box_px: Int[Tensor, "m 2"]
    """Half-sizes of the boxes by which tiles are chosen; 0 for what is not drawn."""
    radii_px: Float[Tensor, " m"]


def render_with(
    stages: Stages, gaussians: Gaussians, camera: Camera, background: Float[Tensor, "v 3"], options: RenderOptions
) -> Rendering:
    """Render a batch of views, one after the other."""
    views = []
    for i in range(len(background)):
        inputs = _inputs_of(gaussians, options, i)
        view, bad = _render_view(stages, inputs, camera[i], background[i], options, i)
        if bad is not None:
            # A NaN times a gradient of zero is a NaN, so such Gaussians must not even be projected. They are so rare
            # that the picture is made anew without them in place of testing every input of every render.
            kept = inputs.finite() & ~bad
            index = kept.nonzero().squeeze(1)
            view, _ = _render_view(stages, inputs.select(index), camera[i], background[i], options, i)
            view = _scattered(view, index, len(gaussians))
        views.append(view)
    stacked: dict[str, Any] = {}
    for name in vars(views[0]):
        column = [getattr(view, name) for view in views]
        stacked[name] = None if column[0] is None else torch.stack(column)
    return Rendering(**stacked)


def _inputs_of(gaussians: Gaussians, options: RenderOptions, i: int) -> ViewInputs:
    """Return what view number `i` draws."""

    def of_view(tensor: Tensor | None, shared_dims: int) -> Tensor | None:
        return tensor if tensor is None or tensor.dim() == shared_dims else tensor[i]

    degree = gaussians.sh_degree if options.sh_degree is None else min(options.sh_degree, gaussians.sh_degree)
    used = 0 if options.colors is not None else coefficient_count(degree)  # the others may be anything, NaN included
    return ViewInputs(
        means=gaussians.means if options.means is None else options.means[i],
        quaternions=gaussians.quaternions if options.quaternions is None else options.quaternions[i],
        scales=gaussians.scales,
        opacities=gaussians.opacities,
        sh=gaussians.sh[:, :used],
        colors=of_view(options.colors, 2),
        features=of_view(options.features, 2),
        variance_px2=of_view(options.variance_px2, 1),
        opacity_factor=of_view(options.opacity_factor, 1),
        mean_offsets_px=of_view(options.mean_offsets_px, 2),
    )


def _render_view(
    stages: Stages, inputs: ViewInputs, camera: Camera, background: Float[Tensor, "3"], options: RenderOptions, i: int
) -> tuple[Rendering, Bool[Tensor, " n"] | None]:
    """Render one view; also return which Gaussians must be left out for that, if there are any."""
    if len(inputs.means) == 0:
        return _empty(inputs, camera, background, options), None
    splats, bad = project(stages, inputs, camera, options)
    if len(splats.index) == 0:
        return _empty(inputs, camera, background, options), None
    colors = _colors(stages, inputs, splats.index, camera)
    bad = bad | ~colors.detach().isfinite().all(1)
    if inputs.features is not None:
        bad = bad | ~inputs.features[splats.index].detach().isfinite().all(1)
    if bool(bad.any()):
        marked = torch.zeros(len(inputs.means), dtype=torch.bool, device=bad.device)
        return _empty(inputs, camera, background, options), marked.index_put((splats.index,), bad)

    first, last = options.row_window or (0, camera.height)
    width, height = camera.width, last - first
    # From here on everything has gsplat's camera dimension: its kernels tell packed tensors by its absence.
    means_px = splats.means_px - splats.means_px.new_tensor([0.0, first]) if first else splats.means_px
    means_px, conics, peaks = means_px.unsqueeze(0).contiguous(), splats.conics.unsqueeze(0), splats.peaks.unsqueeze(0)
    tiles = math.ceil(width / TILE_PX), math.ceil(height / TILE_PX)
    depths_z, box_px = splats.depths_z.detach().unsqueeze(0), splats.box_px.unsqueeze(0)
    _, isect_ids, flatten_ids = stages.isect_tiles(means_px.detach(), box_px, depths_z, TILE_PX, *tiles)
    if len(flatten_ids) == 0:  # gsplat's kernels would return memory that nobody has written to
        view = _empty(inputs, camera, background, options)
        return replace(view, radii_px=view.radii_px.index_put((splats.index,), splats.radii_px)), None
    offsets = stages.isect_offset_encode(isect_ids, 1, *tiles)
    lists = (width, height, TILE_PX, offsets.reshape(1, tiles[1], tiles[0]), flatten_ids)

    channels = [colors, splats.depths_z.unsqueeze(1)]
    if inputs.features is not None:
        channels.append(inputs.features[splats.index])
    behind = torch.nn.functional.pad(background, (0, sum(c.shape[1] for c in channels[1:])))
    blended, alpha = stages.rasterize_to_pixels(
        means_px, conics, torch.cat(channels, 1).unsqueeze(0), peaks, *lists, backgrounds=behind.unsqueeze(0)
    )
    blended, alpha = blended[0], alpha[0, :, :, 0]
    sums = None
    if options.weight_sum or options.error_map is not None:
        sums = _weight_sums(stages, (means_px, conics, peaks), lists, options, i)
    n = len(inputs.means)

    def per_gaussian(values: Tensor | None) -> Tensor | None:
        return None if values is None else values.new_zeros(n).index_put((splats.index,), values)

    radii_px = per_gaussian(splats.radii_px)
    assert radii_px is not None
    if options.depth_median:
        depth_median = _median_depth(stages, (means_px, conics, peaks), lists, splats.depths_z)
    else:
        depth_median = torch.full_like(alpha, math.nan)
    view = Rendering(
        color=blended[..., :3],
        alpha=alpha,
        depth_expected=expected_depth(blended[..., 3], alpha),
        depth_median=depth_median,
        normals=None,
        features=None if inputs.features is None else blended[..., 4:],
        radii_px=radii_px,
        weight_sum=per_gaussian(sums[0] if sums is not None and options.weight_sum else None),
        error_sum=per_gaussian(sums[1] if sums is not None and options.error_map is not None else None),
    )
    return view, None


def project(
    stages: Stages, inputs: ViewInputs, camera: Camera, options: RenderOptions
) -> tuple[Footprints, Bool[Tensor, " m"]]:
    """Return the footprints of one view, and which of them have values that are no numbers (equations 1 to 4, 7)."""
    size = camera.focal_px.new_tensor([camera.width, camera.height])
    pad, enlarged = _margins(inputs, options, stages.alpha_cut)
    # gsplat culls by the footprint that it knows. What the hooks add may reach further: so the canvas is larger by
    # what a blur or an offset can add, and where the cut is lower than gsplat's, all lengths are doubled or
    # quadrupled for the projection (powers of two: nothing is rounded).
    focal, center = camera.focal_px.detach(), camera.center_px.detach()
    calibration = torch.diag(torch.nn.functional.pad(focal, (0, 1), value=1.0))
    calibration[:2, 2] = center + pad
    _, _, index, _, means_px, depths_z, conics, _ = stages.fully_fused_projection(
        inputs.means,
        None,
        inputs.quaternions,
        inputs.scales * enlarged if enlarged > 1 else inputs.scales,
        camera.world_to_camera.unsqueeze(0),
        calibration.unsqueeze(0),
        camera.width + 2 * pad,
        camera.height + 2 * pad,
        eps2d=options.low_pass_px2 * enlarged**2,
        near_plane=options.near,
        far_plane=min(options.far, 3e38),
        packed=True,
    )
    if pad:
        means_px = means_px - pad
    if enlarged > 1:
        conics = conics * enlarged**2
    calibrates = camera.focal_px.requires_grad or camera.center_px.requires_grad
    changes = bool(pad) or calibrates or inputs.variance_px2 is not None
    xx, xy, yy = _inverse(conics if changes else conics.detach())
    if pad or calibrates:
        means_px, (xx, xy, yy) = _with_own_border(inputs, index, means_px, (xx, xy, yy), camera, options)
    area_ratio = None
    if inputs.variance_px2 is not None:
        added, own = inputs.variance_px2[index], xx * yy - xy.square()
        xx, yy = xx + added, yy + added
        area_ratio = (own / (xx * yy - xy.square())).sqrt()
    if changes:
        conics = torch.stack(_inverse(torch.stack((xx, xy, yy), 1)), 1)
    if inputs.mean_offsets_px is not None:
        means_px = means_px + inputs.mean_offsets_px[index]

    opacities = inputs.opacities[index]
    factor = torch.ones_like(opacities) if inputs.opacity_factor is None else inputs.opacity_factor[index]
    if area_ratio is not None and options.opacity_law not in (None, "none"):
        factor = factor * spread_opacity(opacities, area_ratio, options.opacity_law) / opacities
    peaks = opacities * factor
    with torch.no_grad():
        finite = means_px.isfinite().all(1) & conics.isfinite().all(1) & peaks.isfinite()
        cuts = factor * options.alpha_cut
        cuts = cuts.clamp_min(CUT_FLOOR) if options.relative_cut else torch.full_like(cuts, options.alpha_cut)
        cuts = cuts.clamp_min(stages.alpha_cut)  # what the kernels drop anyhow
        reach = (2 * torch.log((peaks / cuts).clamp_min(1))).sqrt()
        extent = reach.unsqueeze(1) * torch.stack((xx, yy), 1).sqrt()
        on_image = ((means_px + extent >= 0) & (means_px - extent <= size)).all(1)
        visible = finite & on_image & (peaks >= cuts)
        box_px = torch.where(visible.unsqueeze(1), extent.ceil().clamp_min(1), 0).to(torch.int32)
        radii_px = torch.where(visible, extent.amax(1), 0)
    return Footprints(index, means_px, conics, depths_z, peaks, box_px, radii_px), ~finite


def _margins(inputs: ViewInputs, options: RenderOptions, kernel_cut: float) -> tuple[int, int]:
    """Return (pixels around the image, factor on lengths) with which gsplat culls nothing that our hooks bring in."""
    most_factor, pad = 1.0, 0.0
    hooks = (inputs.variance_px2, inputs.opacity_factor, inputs.mean_offsets_px)
    if any(t is not None for t in hooks):
        with torch.no_grad():
            zero = inputs.means.new_zeros(())
            largest = [zero if t is None else torch.where(t.isfinite(), t.abs(), 0).amax() for t in hooks]
            variance, factor, offset = torch.stack(largest).tolist()
        pad = BOX_SIGMAS * math.sqrt(variance) + offset
        most_factor = max(1.0, factor)
    # The largest peak over its cut: 255 at the customary cut, whatever the blur.
    if options.relative_cut:
        ratio = 1 / max(options.alpha_cut, kernel_cut / most_factor)
    else:
        ratio = most_factor / max(options.alpha_cut, kernel_cut)
    reach = math.sqrt(2 * math.log(max(ratio, 1.0)))
    enlarged = 1
    while reach > BOX_SIGMAS * enlarged:
        enlarged *= 2
    return min(math.ceil(pad * enlarged), 2**24), enlarged


def _with_own_border(
    inputs: ViewInputs,
    index: Int[Tensor, " m"],
    means_px: Float[Tensor, "m 2"],
    covariances: tuple[Tensor, Tensor, Tensor],
    camera: Camera,
    options: RenderOptions,
) -> tuple[Float[Tensor, "m 2"], tuple[Tensor, Tensor, Tensor]]:
    """Return 2D means and covariances (xx, xy, yy) with the true image's border and gradients to focal and centre.

    Inside the border, where the tangent is taken at the mean itself, both are plain functions of the calibration:
    positions are proportional to the focal length, entries of the covariance to the product of two. Beyond it the
    tangent is frozen at a border that gsplat puts at the wrong place when the canvas is padded: those are projected
    anew in plain torch. They are few.
    """
    focal, center = camera.focal_px, camera.center_px
    size = focal.new_tensor([camera.width, camera.height])
    margin = 0.5 * FRUSTUM_MARGIN * size
    beyond = ((means_px < -margin) | (means_px > size + margin)).any(1).nonzero().squeeze(1)
    xx, xy, yy = covariances
    if focal.requires_grad or center.requires_grad:
        # One in value, 1/focal in derivative.
        ratio = focal / focal.detach()
        means_px = (means_px - center.detach()) * ratio + center
        low_pass = options.low_pass_px2
        xx = (xx - low_pass) * ratio[0] ** 2 + low_pass
        yy = (yy - low_pass) * ratio[1] ** 2 + low_pass
        xy = xy * ratio[0] * ratio[1]
    if len(beyond):
        few = inputs.select(index[beyond])
        half = rotation_from_quaternion(few.quaternions) * few.scales.unsqueeze(-2)
        true = project_gaussians(few.means, half @ half.transpose(1, 2), few.opacities, camera, options)
        entries = ((xx, 0, 0), (xy, 0, 1), (yy, 1, 1))
        xx, xy, yy = (t.index_put((beyond,), true.covariances_px2[:, row, column]) for t, row, column in entries)
    return means_px, (xx, xy, yy)


def _inverse(symmetric: Float[Tensor, "m 3"]) -> tuple[Tensor, Tensor, Tensor]:
    """Return the inverse of symmetric 2 x 2 matrices, both as their entries xx, xy, yy."""
    xx, xy, yy = symmetric.unbind(1)
    determinant = xx * yy - xy * xy
    return yy / determinant, -xy / determinant, xx / determinant


def _colors(stages: Stages, inputs: ViewInputs, index: Int[Tensor, " m"], camera: Camera) -> Float[Tensor, "m 3"]:
    if inputs.colors is not None:
        return inputs.colors[index]
    degree = math.isqrt(inputs.sh.shape[1]) - 1
    directions = inputs.means[index] - camera.centers()
    return color_from_sum(stages.spherical_harmonics(degree, directions, inputs.sh[index]))


def _weight_sums(
    stages: Stages, splats: tuple[Tensor, Tensor, Tensor], lists: tuple, options: RenderOptions, i: int
) -> Float[Tensor, "2 m"]:
    """Return each footprint's sum of weights, and of weights times the error map.

    A weight is the derivative of a blended channel by that channel's value in one Gaussian, so a backward pass of two
    channels of zeros, with ones and with the error map as their gradients, adds up both.
    """
    width, height = lists[:2]
    means_px, conics, peaks = (t.detach() for t in splats)
    gradient = means_px.new_ones(1, height, width, 2)
    if options.error_map is not None:
        first = (options.row_window or (0, height))[0]
        gradient[0, :, :, 1] = options.error_map[i, first : first + height].detach()
    with torch.enable_grad():
        channels = means_px.new_zeros(1, means_px.shape[1], 2).requires_grad_()
        blended, _ = stages.rasterize_to_pixels(means_px, conics, channels, peaks, *lists)
        (sums,) = torch.autograd.grad(blended, channels, gradient)
    return sums[0].T


def _median_depth(
    stages: Stages, splats: tuple[Tensor, Tensor, Tensor], lists: tuple, depths_z: Float[Tensor, " m"]
) -> Float[Tensor, "h w"]:
    """Return the depth of the first Gaussian behind which at most half of the light is left (equation 8).

    gsplat has no such output. It can list every meeting of a pixel and a Gaussian, front to back; sums of logarithms
    along the list give the transmittance behind each. The list takes about 60 bytes a meeting.
    """
    width, height = lists[:2]
    with torch.no_grad():
        means_px, conics, peaks = (t.detach() for t in splats)
        clear = means_px.new_ones(1, height, width)
        which, pixel, _ = stages.rasterize_to_indices_in_range(0, 2**30, clear, means_px, conics, peaks, *lists)
        x, y = (pixel % width) + 0.5 - means_px[0, which, 0], (pixel // width) + 0.5 - means_px[0, which, 1]
        xx, xy, yy = conics[0, which].unbind(1)
        alpha = (peaks[0, which] * torch.exp(-0.5 * (xx * x * x + yy * y * y) - xy * x * y)).clamp_max(ALPHA_MAX)
        # One running sum over all pixels, whose value at each pixel's start is taken off: needs double precision.
        dark = -torch.log1p(-alpha.double())
        total = dark.cumsum(0)
        starts = torch.ones_like(pixel, dtype=torch.bool)
        starts[1:] = pixel[1:] != pixel[:-1]
        before = (total - dark)[starts]
        behind = total - before[starts.cumsum(0) - 1]
        crosses = (behind >= math.log(2)) & (behind - dark < math.log(2))
        which, pixel = which[crosses], pixel[crosses]
    flat = depths_z.new_zeros(height * width).index_put((pixel,), depths_z[which])
    return flat.reshape(height, width)


def _empty(inputs: ViewInputs, camera: Camera, background: Float[Tensor, "3"], options: RenderOptions) -> Rendering:
    """Return the picture of nothing. It still belongs to the graph of the inputs, whose gradients are zeros."""
    first, last = options.row_window or (0, camera.height)
    tensors = [t for f in fields(inputs) if (t := getattr(inputs, f.name)) is not None]
    zero = torch.stack([t[:0].sum() for t in (*tensors, camera.world_to_camera, camera.focal_px)]).sum()
    image = zero.expand(last - first, camera.width)
    nothing = inputs.means.new_zeros(len(inputs.means))
    return Rendering(
        color=image.unsqueeze(2) + background,
        alpha=image,
        depth_expected=image,
        depth_median=image if options.depth_median else image + math.nan,
        normals=None,
        features=None if inputs.features is None else image.unsqueeze(2).expand(-1, -1, inputs.features.shape[1]),
        radii_px=nothing,
        weight_sum=nothing if options.weight_sum else None,
        error_sum=None if options.error_map is None else nothing,
    )


def _scattered(view: Rendering, index: Int[Tensor, " m"], n: int) -> Rendering:
    """Return a rendering of the Gaussians at `index` as one of all `n`."""
    sums = {name: getattr(view, name) for name in ("radii_px", "weight_sum", "error_sum")}
    return replace(view, **{k: None if t is None else t.new_zeros(n).index_put((index,), t) for k, t in sums.items()})
