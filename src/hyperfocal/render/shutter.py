"""A finite exposure: the average of the pictures of its sub-frames, rows at their own times, a lens in each of them.

Equation 24 of the theory page.
"""

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from typing import Any, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from ..camera import Camera
from ..color import linear_from_srgb, srgb_from_linear
from ..gaussians import Gaussians
from ..lens import ThinLens
from ..rendering import BY_VIEW_AND_GAUSSIAN, Rendering, RenderOptions, expected_depth
from ..shutter import MotionPath, Shutter
from .aperture import render_aperture
from .defocus import Draw, render_splats

GaussiansAt: TypeAlias = Gaussians | Callable[[float], Gaussians]
"""What is seen at a scene time: a function of it, or Gaussians that stand still."""

# Sub-frames are drawn as one batch of views, up to as many as have this many pixels, and Gaussians, together.
_MOST_PER_CALL = 2**24
_PER_VIEW = (*BY_VIEW_AND_GAUSSIAN, "error_map")
_OVER_ROWS = ("weight_sum", "error_sum")


def render_still(
    draw: Draw,
    gaussians: Gaussians,
    camera: Camera,
    lens: ThinLens | None,
    background: Float[Tensor, "v 3"],
    options: RenderOptions,
) -> Rendering:
    """Return what a backend draws at one moment, through a lens or as a pinhole.

    Args:
        draw: The backend.
        gaussians: What is seen.
        camera: A batch.
        lens: None is the pinhole; else one for all views, or one a view.
        background: Of each view.
        options: Whatever else.

    Raises:
        ValueError: options for a lens, and there is none.
    """
    if lens is None:
        if options.opacity_law == "light_kept" or options.defocus != "splat":
            raise ValueError("`opacity_law='light_kept'` and other ways of `defocus` are for a lens: none is given.")
        return draw(gaussians, camera, background, options)
    through = render_aperture if options.defocus == "aperture" else render_splats
    return through(draw, gaussians, camera, lens, background, options)


def render_exposure(
    draw: Draw,
    gaussians_at: GaussiansAt,
    path: MotionPath | None,
    camera: Camera,
    lens: ThinLens | None,
    shutter: Shutter,
    background: Float[Tensor, "v 3"],
    options: RenderOptions,
) -> Rendering:
    """Return what a batch of cameras takes with the shutter open for a while; see `render.expose`.

    Args:
        draw: The backend.
        gaussians_at: What is seen.
        path: Motions of the cameras; None is none.
        camera: A batch.
        lens: None is the pinhole; else one for all views, or one a view.
        shutter: When rows are exposed; its own path is not looked at.
        background: Of each view.
        options: Whatever else.

    Raises:
        BadInputError: the path does not cover the exposure.
        ValueError: paths for another number of views, or options that say where the Gaussians are beside a function
            that does so.
    """
    views, height = len(background), camera.height
    if path is not None and path.is_batch and len(path.poses) != views:
        raise ValueError(f"A motion path has control poses for {len(path.poses)} views, and the camera {views}.")
    moves = path is not None or not isinstance(gaussians_at, Gaussians)
    if not isinstance(gaussians_at, Gaussians) and (options.means is not None or options.quaternions is not None):
        raise ValueError(
            "`RenderOptions.means` and `quaternions` are for Gaussians that stand still; a function of time was given, "
            "which says itself where they are."
        )
    first, last = options.row_window or (0, height)
    if not 0 <= first < last <= height:
        raise ValueError(
            f"`RenderOptions.row_window` must be rows [first, last) of {height}, got {options.row_window}."
        )
    parts: list[Rendering] = []
    for top, bottom in shutter.row_bands(height) if moves else [(0, height)]:
        moments = shutter.moments((top, bottom), height)
        if not moves:
            moments = moments[:1]
        top, bottom = max(top, first), min(bottom, last)
        if top >= bottom:
            continue
        window = options if (top, bottom) == (first, last) else replace(options, row_window=(top, bottom))
        drawn = _sub_frames(draw, gaussians_at, path, camera, lens, moments, background, window)
        parts.append(_average(drawn, srgb=shutter.linear_light))
    return parts[0] if len(parts) == 1 else _below_each_other(parts)


def _sub_frames(
    draw: Draw,
    gaussians_at: GaussiansAt,
    path: MotionPath | None,
    camera: Camera,
    lens: ThinLens | None,
    moments: Float[Tensor, " t"],
    background: Float[Tensor, "v 3"],
    options: RenderOptions,
) -> Iterator[tuple[Gaussians, Rendering]]:
    """Yield, in the order of time, what is drawn in one call: Gaussians, and maps with dimensions [moments, views]."""
    views = len(background)
    now = gaussians_at if isinstance(gaussians_at, Gaussians) else gaussians_at(float(moments[0]))
    together = max(1, _MOST_PER_CALL // (views * max(len(now), camera.width * camera.height)))
    for some in moments.split(together):
        poses = _poses(path, camera, some)
        if isinstance(gaussians_at, Gaussians):
            calls = [(gaussians_at, poses, {})]
        else:
            calls = _shared([gaussians_at(float(time)) for time in some], poses)
        for gaussians, at_times, own in calls:
            count = len(at_times)
            batch = Camera(
                at_times.flatten(0, 1), camera.focal_px.repeat(count, 1), camera.center_px.repeat(count, 1),
                camera.width, camera.height,
            )  # fmt: skip
            drawn = render_still(
                draw,
                gaussians,
                batch,
                None if lens is None else _repeated_lens(lens, views, count),
                background.repeat(count, 1),
                replace(_repeated(options, count), **own),
            )
            yield gaussians, _each(drawn, lambda t, count=count: t.unflatten(0, (count, views)))


def _poses(path: MotionPath | None, camera: Camera, moments: Float[Tensor, " t"]) -> Float[Tensor, "t v 4 4"]:
    """Return world_to_camera of each view at some times."""
    still = camera.world_to_camera
    if path is None:
        return still.expand(len(moments), *still.shape)
    motions = path.at(moments).to(still)
    return (motions.transpose(0, 1) if path.is_batch else motions.unsqueeze(1)) @ still


def _shared(
    states: list[Gaussians], poses: Float[Tensor, "t v 4 4"]
) -> list[tuple[Gaussians, Float[Tensor, "s v 4 4"], dict[str, Any]]]:
    """Return the calls that draw Gaussians which change: one if they only move and turn, else one for each moment.

    Each is Gaussians, the poses of its moments, and options that are their own.
    """
    head, views = states[0], poses.shape[1]
    fixed = ("scales", "opacities", "sh")
    if not all(getattr(state, name) is getattr(head, name) for state in states for name in fixed):
        return [(state, pose, {}) for state, pose in zip(states, poses.split(1), strict=True)]
    own = {
        name: torch.stack([getattr(state, name) for state in states]).repeat_interleave(views, 0)
        for name in ("means", "quaternions")
    }
    return [(head, poses, own)]


def _repeated(options: RenderOptions, count: int) -> RenderOptions:
    """Return options whose tensors by view are there for each of `count` moments."""
    rows: dict[str, Any] = {}
    for name in (*_PER_VIEW, "colors", "features"):
        tensor = getattr(options, name)
        if tensor is not None and (name in _PER_VIEW or tensor.dim() == 3):
            rows[name] = tensor.repeat(count, *(1 for _ in tensor.shape[1:]))
    return replace(options, **rows)


def _repeated_lens(lens: ThinLens, views: int, count: int) -> ThinLens:
    """Return the lens of each view, for each of `count` moments."""
    lens = lens.as_batch(views)
    return ThinLens(lens.aperture_diameter.repeat(count), lens.focus_distance.repeat(count))


def _average(drawn: Iterator[tuple[Gaussians, Rendering]], *, srgb: bool) -> Rendering:
    """Return the mean over the moments of what was drawn; `srgb` if colours in sRGB are averaged in linear light.

    All means are the first value plus the mean of the differences from it: where nothing changes that is the still
    frame, bit for bit, whatever the number of moments. (A window of rows may differ from the whole by rounding.)
    """
    gaussians, some = next(drawn)
    first, moments = _each(some, lambda t: t[0]), 0
    convert = srgb and gaussians.color_space == "srgb"
    totals: dict[str, Tensor] = {}
    weights: dict[str, Tensor] = {}
    radii = first.radii_px
    while True:
        moments += len(some.color)
        radii = torch.maximum(radii, some.radii_px.amax(0))
        by_moment = {"depth_expected": some.alpha, "depth_median": (some.depth_median > 0).to(some.alpha)}
        for name in (f.name for f in fields(some)):
            values, start = getattr(some, name), getattr(first, name)
            if values is None or name == "radii_px":
                continue
            if name == "color" and convert:
                values, start = linear_from_srgb(values), linear_from_srgb(start)
            weight = by_moment.get(name)
            change = values - start
            if weight is not None:
                change = torch.where(weight > 0, weight * change, 0)
                weights[name] = weights.get(name, 0) + weight.sum(0)
            totals[name] = totals.get(name, 0) + change.sum(0)
        following = next(drawn, None)
        if following is None:
            break
        _, some = following
    if moments == 1:
        return first
    means: dict[str, Any] = {"radii_px": radii}
    for name, total in totals.items():
        mean = expected_depth(total, weights[name]) if name in weights else total / moments
        start = getattr(first, name)
        if name == "color" and convert:
            linear = linear_from_srgb(start)
            mean = srgb_from_linear(linear + mean) - srgb_from_linear(linear)
        means[name] = start + mean
    return replace(first, **means)


def _below_each_other(parts: list[Rendering]) -> Rendering:
    """Return one picture of windows of its rows, from the top."""
    columns = {f.name: [getattr(part, f.name) for part in parts] for f in fields(parts[0])}
    joined: dict[str, Any] = {}
    for name, tensors in columns.items():
        if tensors[0] is None:
            joined[name] = None
        elif name == "radii_px":
            joined[name] = torch.stack(tensors).amax(0)
        else:
            joined[name] = torch.stack(tensors).sum(0) if name in _OVER_ROWS else torch.cat(tensors, dim=1)
    return Rendering(**joined)


def _each(rendering: Rendering, change: Callable[[Tensor], Tensor]) -> Rendering:
    """Return the rendering with every map changed."""
    maps: dict[str, Tensor | None] = {f.name: getattr(rendering, f.name) for f in fields(rendering)}
    changed: dict[str, Any] = {name: None if tensor is None else change(tensor) for name, tensor in maps.items()}
    return Rendering(**changed)
