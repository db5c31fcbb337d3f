"""A lens for splats: each Gaussian's footprint grows by its circle of confusion.

The variance of the Gaussian that blurs most like the opening is added to the 2D covariance. What the opacity becomes is
a law of `opacity_law.py`, or `light_kept`, which measures what the laws assume.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from ..apertures import Aperture, gaussian_variance
from ..camera import Camera
from ..gaussians import Gaussians
from ..lens import ThinLens
from ..rendering import BY_VIEW_AND_GAUSSIAN, Rendering, RenderOptions, expected_depth

Draw = Callable[[Gaussians, Camera, Float[Tensor, "v 3"], RenderOptions], Rendering]

FACTORS = (2, 4, 8, 16)  # by which strongly blurred depths may be drawn smaller
LEAST_CIRCLE_PX = 3.0  # of the smaller picture: measured to stay 57 dB and more from the whole one
MARGIN_PX = 4  # of the smaller picture around the image, for the interpolation
ROUNDS = 2  # of light_kept: a third gains half a decibel at most
# Found on a view of `captures/photographs` that the bench does not look at: together they give with two rounds more
# than three plain ones do, in half the time.
_OVER = 1.3  # each round corrects this power of what it finds
_PART = 0.9  # and the power of all of it that is kept
_ROUGHER_CUT = 8  # times the alpha cut, to measure light
_FAINT = 0.005  # pixels of light below which a Gaussian's ratio says nothing
_USUAL = 0.95  # share of the Gaussians whose circles a border has room for
_ASKED = 10_000  # Gaussians for that: a sample will do
_MOST_CHANGE = 5.0


def circle_variance_px2(
    means: Float[Tensor, "n 3"] | Float[Tensor, "v n 3"], camera: Camera, lens: ThinLens, near: float, shape: Aperture
) -> Float[Tensor, "v n"]:
    """Return the variance of the blur of each Gaussian in each view of a batch, through an opening of a shape."""
    axis, shift = camera.world_to_camera[:, 2, :3], camera.world_to_camera[:, 2, 3:]
    # What is nearer is culled, and must not divide by zero first.
    depth_z = ((means * axis.unsqueeze(1)).sum(-1) + shift).clamp_min(near)
    focal_px = camera.round_focal_px.unsqueeze(1)
    return gaussian_variance(shape) * _per_view(lens, len(axis)).coc_diameter_px(depth_z, focal_px).square()


def render_splats(
    draw: Draw,
    gaussians: Gaussians,
    camera: Camera,
    lens: ThinLens,
    background: Float[Tensor, "v 3"],
    options: RenderOptions,
) -> Rendering:
    """Return what a backend draws through a lens.

    Args:
        draw: The backend.
        gaussians: What is seen.
        camera: A batch.
        lens: One for all views, or one a view.
        background: Of each view.
        options: `defocus`, `opacity_law` and whatever else.

    Raises:
        NotImplementedError: an option that only `defocus="splat"` serves.
    """
    means = gaussians.means if options.means is None else options.means
    variance = circle_variance_px2(means, camera, lens, options.near, options.aperture)
    if options.variance_px2 is not None:
        variance = variance + options.variance_px2
    law = options.opacity_law or "light_kept"
    options = replace(options, variance_px2=variance, opacity_law=law)
    if law == "light_kept":
        kept = light_kept(draw, gaussians, camera, options)
        given = options.opacity_factor
        options = replace(options, opacity_law="optical_depth", opacity_factor=kept if given is None else kept * given)
    if options.defocus == "splat":
        return draw(gaussians, camera, background, options)
    _refuse_in_layers(options)
    views = [
        _in_layers(draw, gaussians, camera[i : i + 1], _per_view(lens, len(background)), i, background[i], options)
        for i in range(len(background))
    ]
    return Rendering(**{name: _joined([getattr(view, name) for view in views]) for name in vars(views[0])})  # pyright: ignore[reportArgumentType]


@torch.no_grad()
def light_kept(draw: Draw, gaussians: Gaussians, camera: Camera, options: RenderOptions) -> Float[Tensor, "v n"]:
    """Return factors on opacities with which each Gaussian gives the blurred picture as much light as the sharp one.

    A blur moves light and neither makes nor takes any: what a Gaussian contributes to the picture, summed over pixels,
    is the same whether it is sharp or not, up to what it wins and loses at the edges of things before it. The laws only
    keep that for Gaussians alone and at random, or in sheets. Here the sums are measured and the opacities corrected,
    from those of the law of optical depth. Not differentiable: the factors count as constants.
    """
    # At half size, as sums over pixels need no more, and with a border, past which the blur moves light both ways.
    assert options.variance_px2 is not None, "the lens has set it"
    camera = _smaller_camera(camera, 2, max(_border_px(options.variance_px2, camera) // 2, 1))
    quick = replace(_smaller(options, 2), features=None, error_map=None, row_window=None, mean_offsets_px=None)
    quick = replace(quick, weight_sum=True, depth_median=False, alpha_cut=min(_ROUGHER_CUT * options.alpha_cut, 0.5))
    quick = replace(quick, colors=torch.zeros_like(gaussians.scales))  # light is all that is looked at
    black = camera.focal_px.new_zeros(len(camera.focal_px), 3)
    sharp = draw(gaussians, camera, black, replace(quick, variance_px2=None, opacity_law="none")).weight_sum
    kept = torch.ones_like(options.variance_px2)
    own = kept if options.opacity_factor is None else options.opacity_factor
    for _ in range(ROUNDS):
        blurred = replace(quick, opacity_law="optical_depth", opacity_factor=own * kept)
        wide = draw(gaussians, camera, black, blurred).weight_sum
        assert sharp is not None and wide is not None, "weight_sum was asked for"
        change = ((sharp + _FAINT) / (wide + _FAINT)).clamp(1 / _MOST_CHANGE, _MOST_CHANGE)
        kept = torch.minimum(kept * change.pow(_OVER), 1 / gaussians.opacities)
    return kept.pow(_PART)


def _border_px(variance_px2: Float[Tensor, "v n"], camera: Camera) -> int:
    """Return half of the usual large circle, at most an eighth of the picture."""
    most_px = max(camera.width, camera.height) // 8
    some = variance_px2.flatten()[:: max(1, variance_px2.numel() // _ASKED)]
    # What is behind the camera has any circle, and what has a larger one gives little to each pixel.
    some = some[some < (most_px / 2) ** 2]
    return math.ceil(2 * float(some.quantile(_USUAL)) ** 0.5) if len(some) else most_px


@dataclass(frozen=True)
class Layer:
    """The Gaussians with camera z in [near, far), drawn `factor` times smaller."""

    near: float
    far: float
    factor: int


def depth_layers(lens: ThinLens, focal_px: float, near: float, far: float) -> Iterator[Layer]:
    """Yield layers front to back such that the circles of each are at least `LEAST_CIRCLE_PX` of its smaller picture.

    Args:
        lens: Of one view.
        focal_px: Focal length of the whole picture.
        near: What is nearer is not seen.
        far: What is farther is not seen.
    """
    reach, focus = float(lens.aperture_diameter) * focal_px, 1 / float(lens.focus_distance)
    circles = [LEAST_CIRCLE_PX * factor for factor in FACTORS]
    fronts = [1 / (focus + circle / reach) if reach > 0 else 0.0 for circle in reversed(circles)]
    backs = [1 / (focus - circle / reach) if reach > 0 and focus > circle / reach else math.inf for circle in circles]
    ends = [*fronts, *backs, math.inf]
    factors = [*reversed(FACTORS), 1, *FACTORS]
    start = near
    for end, factor in zip(ends, factors, strict=True):
        end = min(max(end, start), far)
        if end > start:
            yield Layer(start, end, factor)
        start = end


def _in_layers(
    draw: Draw,
    gaussians: Gaussians,
    camera: Camera,
    lens: ThinLens,
    view: int,
    background: Float[Tensor, "3"],
    options: RenderOptions,
) -> Rendering:
    """Return one view, blended from layers of depth. Blending is associative, so only the interpolation errs."""
    own = ThinLens(lens.aperture_diameter[view].detach(), lens.focus_distance[view].detach())
    focal_px = float(camera.focal_px.detach().prod().sqrt())
    options = _of_view(options, view)
    black = torch.zeros_like(background).unsqueeze(0)
    height, width = camera.height, camera.width
    color, depth = background.new_zeros(height, width, 3), background.new_zeros(height, width)
    clear = background.new_ones(height, width)
    radii = background.new_zeros(len(gaussians))
    for layer in depth_layers(own, focal_px, options.near, options.far):
        small, smaller = replace(options, near=layer.near, far=layer.far), camera
        if layer.factor > 1:
            small, smaller = _smaller(small, layer.factor), _smaller_camera(camera, layer.factor, MARGIN_PX)
        drawn = draw(gaussians, smaller, black, small)
        radii = torch.maximum(radii, layer.factor * drawn.radii_px[0])
        if not bool((drawn.radii_px > 0).any()):
            continue
        maps = torch.cat(
            (drawn.color[0], torch.stack((drawn.alpha[0], drawn.alpha[0] * drawn.depth_expected[0]), -1)), -1
        )
        if layer.factor > 1:
            maps = _enlarged(maps, layer.factor, height, width)
        color = color + clear.unsqueeze(-1) * maps[..., :3]
        depth = depth + clear * maps[..., 4]
        clear = clear * (1 - maps[..., 3])
    alpha = 1 - clear
    return Rendering(
        color=(color + clear.unsqueeze(-1) * background).unsqueeze(0),
        alpha=alpha.unsqueeze(0),
        depth_expected=expected_depth(depth, alpha).unsqueeze(0),
        depth_median=torch.full_like(depth, math.nan).unsqueeze(0),
        normals=None,
        features=None,
        radii_px=radii.unsqueeze(0),
        weight_sum=None,
        error_sum=None,
    )


def _of_view(options: RenderOptions, view: int) -> RenderOptions:
    """Return the options with only the row of one view of what is given by view."""
    rows = {name: getattr(options, name) for name in BY_VIEW_AND_GAUSSIAN}
    if options.colors is not None and options.colors.dim() == 3:
        rows["colors"] = options.colors
    return replace(options, **{name: None if t is None else t[view : view + 1] for name, t in rows.items()})


def _smaller(options: RenderOptions, factor: int) -> RenderOptions:
    """Return the options for a picture `factor` times smaller, whose footprints are the same in the whole one."""
    assert options.variance_px2 is not None, "the lens has set it"
    return replace(
        options, low_pass_px2=options.low_pass_px2 / factor**2, variance_px2=options.variance_px2 / factor**2
    )


def _smaller_camera(camera: Camera, factor: int, margin_px: int) -> Camera:
    """Return the camera of a picture `factor` times smaller with a margin all around."""
    return replace(
        camera,
        width=-(-camera.width // factor) + 2 * margin_px,
        height=-(-camera.height // factor) + 2 * margin_px,
        focal_px=camera.focal_px / factor,
        center_px=camera.center_px / factor + margin_px,
    )


def _enlarged(maps: Float[Tensor, "small_h small_w c"], factor: int, height: int, width: int) -> Float[Tensor, "h w c"]:
    """Return smooth maps at the size of the whole picture (Lanczos, three lobes)."""
    for axis, size in ((0, height), (1, width)):
        moved = maps.transpose(0, axis)
        weights = _interpolation(factor, size, len(moved)).to(maps)
        maps = (weights @ moved.flatten(1)).reshape(size, *moved.shape[1:]).transpose(0, axis)
    return maps


@cache
def _interpolation(factor: int, size: int, small_size: int) -> Float[Tensor, "size small_size"]:
    """Return the weights of the small picture's pixels in each pixel of one axis of the whole one: sparse, six each."""
    place = (torch.arange(size, dtype=torch.float64) + 0.5) / factor + MARGIN_PX
    away = place.unsqueeze(1) - (torch.arange(small_size, dtype=torch.float64) + 0.5)
    weights = torch.where(away.abs() < 3, torch.sinc(away) * torch.sinc(away / 3), 0)
    return (weights / weights.sum(1, keepdim=True)).float().to_sparse()


def _per_view(lens: ThinLens, views: int) -> ThinLens:
    """Return the lens with one aperture and focus, [v, 1], for each view."""
    lens = lens.as_batch(views)
    return ThinLens(lens.aperture_diameter.unsqueeze(1), lens.focus_distance.unsqueeze(1))


def _joined(tensors: list[Tensor | None]) -> Tensor | None:
    known = [tensor for tensor in tensors if tensor is not None]
    return torch.cat(known) if known else None


def _refuse_in_layers(options: RenderOptions) -> None:
    """Raise for what only one picture of all depths has."""
    for name in ("features", "mean_offsets_px", "error_map", "row_window"):
        if getattr(options, name) is not None:
            raise NotImplementedError(
                f"`RenderOptions.{name}` is not served by `defocus='fast_splat'`: use the default, `defocus='splat'`."
            )
    if options.weight_sum:
        raise NotImplementedError("`RenderOptions.weight_sum` is not served by `defocus='fast_splat'`: use 'splat'.")
