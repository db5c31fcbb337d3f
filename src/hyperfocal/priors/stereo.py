"""Depth of every posed photograph from the others: plane-sweep stereo, which needs no network and no weights.

See the theory page, "Stereo by plane sweep", for the equations.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate

from ..camera import Camera, reduced_size, unproject
from ..color import LUMA
from ..depth import Depth
from ..errors import BadInputError, NothingUsableError
from ..native.stereo import MOST_PLANES, Slants, SlantSearch, StereoSource, StereoView, semi_global, sweep_planes
from ..native.stereo import refine_slants as refined
from ..progress import Progress, silent
from ..scene import Photograph
from ..shapes import Map
from .stereo_agreement import agreement
from .stereo_views import (
    InverseRange,
    choose_sources,
    induced_maps,
    points_to_ask,
    range_of_points,
    widest_ranges,
)

# Where no points are given, a coarse sweep finds some: pictures of this size say where the depths are.
_COARSE_PX = 128
_ENOUGH_POINTS = 20_000  # of all photographs together: they say where the depths are, not what they are
_MIDDLE_GREY = 0.5  # taken off, so that sums of squares keep their digits


@dataclass(frozen=True)
class StereoConfig:
    """Settings of stereo.

    Raises:
        ValueError: a setting that makes no sense.
    """

    planes: int = 64
    """Depths that are tried, even in inverse depth over what a photograph sees. More for larger pictures."""
    sources: int = 6
    """Other photographs that each is compared with; the better half of those that see a point counts."""
    radius_px: int = 3
    """Of the windows that are compared."""
    noise: float = 2.5 / 255
    """Deviation of grey that is no texture."""
    step: int = 12
    """What a change by one plane from pixel to pixel costs, where 254 is the cost of windows without resemblance."""
    jump: int = 80
    """What a larger change costs, where the picture has no edge."""
    edge: float = 0.06
    """Difference of grey (of 1) that halves `jump`."""
    rounds: int = 2
    """Of the search for slanted planes that fit better between the planes of the sweep; 0 leaves it out."""
    tolerance: float = 0.01
    """Relative difference of depth up to which two photographs agree, or half of a plane's spacing if that is more."""
    agreeing: int = 2
    """Other photographs that must agree (one, where only one sees the point)."""

    def __post_init__(self) -> None:
        if not 3 <= self.planes <= MOST_PLANES:
            raise ValueError(f"Stereo takes 3 to {MOST_PLANES} planes, got {self.planes}.")
        if not (self.noise > 0 and self.edge > 0 and self.tolerance > 0 and self.rounds >= 0 and self.agreeing >= 0):
            raise ValueError("noise, edge and tolerance must be positive, rounds and agreeing not negative.")


def stereo_depth(
    photographs: Sequence[Photograph],
    points: Float[Tensor, "p 3"] | None = None,
    *,
    config: StereoConfig | None = None,
    metres_per_unit: float | None = None,
    threads: int | None = None,
    progress: Progress = silent,
) -> tuple[Depth, ...]:
    """Return the depth of every photograph, in their order, from the others given; 0 where it is unknown.

    Only what is given is looked at: leave held-out photographs out. The same bits for any number of threads.

    Args:
        photographs: At least two, of still things, with known cameras.
        points: Of the scene, in scene units: they say which depths to try. None finds them from the photographs.
        config: None for the defaults.
        metres_per_unit: Makes the depth metric; None leaves it in scene units.
        threads: torch's if None.
        progress: Told of the photographs.

    Raises:
        BadInputError: fewer than two photographs, or all from one place.
        NothingUsableError: no two photographs see anything in common.
    """
    config = config or StereoConfig()
    if len(photographs) < 2:
        raise BadInputError(f"Stereo got {len(photographs)} photographs, and needs at least 2 with known cameras.")
    cameras = [_on_cpu(photograph.camera) for photograph in photographs]
    centers = torch.stack([camera.centers() for camera in cameras])
    if float((centers - centers[0]).norm(dim=1).max()) == 0:
        raise BadInputError(
            f"All {len(cameras)} photographs were taken from one place, where stereo sees no depth. Add photographs "
            "from other places, or use a prior that needs only one."
        )
    greys = [_grey(photograph) for photograph in photographs]
    if points is None:
        points = _coarse_points(photographs, config, threads)
    points = points.detach().cpu().float()
    points = points[:: max(1, len(points) // _ENOUGH_POINTS)]
    widest = widest_ranges(cameras)
    ranges, asked = [], []
    for camera, wide in zip(cameras, widest, strict=True):
        known = range_of_points(camera, points)
        ranges.append(known or wide)
        asked.append(points if known else points_to_ask(camera, wide))
    sources = choose_sources(cameras, asked, config.sources)
    if not any(sources):
        raise NothingUsableError(
            f"No two of the {len(cameras)} photographs see the same from different places, so stereo finds no depth. "
            "Check that the cameras belong to the photographs."
        )
    surfaces = []
    for i, chosen in enumerate(sources):
        progress("Stereo", i, len(cameras))
        surfaces.append(_matched(i, chosen, cameras, greys, ranges[i], config, threads))
    depths = []
    for i, chosen in enumerate(sources):
        others = [(cameras[j], surfaces[j].inverse_depth) for j in chosen]
        known = torch.isfinite(greys[i])
        depths.append(_believed(cameras[i], surfaces[i], others, known, ranges[i], config, metres_per_unit))
    progress("Stereo", len(cameras), len(cameras))
    return tuple(depths)


def _on_cpu(camera: Camera) -> Camera:
    camera = camera.to("cpu", torch.float32)
    return replace(camera, world_to_camera=camera.world_to_camera.detach(), focal_px=camera.focal_px.detach())


def _grey(photograph: Photograph) -> Map:
    """Return luma around 0, NaN where the photograph does not count."""
    image = photograph.image.detach().cpu().float()
    grey = image @ image.new_tensor(LUMA) - _MIDDLE_GREY
    return torch.where(photograph.valid.cpu(), grey, torch.nan)


def _matched(
    i: int,
    chosen: tuple[int, ...],
    cameras: list[Camera],
    greys: list[Map],
    inverse_range: InverseRange,
    config: StereoConfig,
    threads: int | None,
) -> Slants:
    """Return the surface of a photograph as it matches its sources best, everywhere."""
    if not chosen:
        nothing = torch.zeros_like(greys[i])
        return Slants(nothing, nothing, nothing, nothing + 2)
    view = StereoView(
        greys[i].nan_to_num(0.0),
        tuple(StereoSource(greys[j], *induced_maps(cameras[i], cameras[j])) for j in chosen),
        config.radius_px,
        config.noise**2,
    )
    cost = sweep_planes(view, inverse_range.planes(config.planes), threads=threads)
    place, margin = semi_global(view.grey, cost, step=config.step, jump=config.jump, edge=config.edge, threads=threads)
    spacing = inverse_range.spacing(config.planes)
    anchor = _median(inverse_range.far + spacing * place)
    start = Slants(anchor, _slope(anchor, 1), _slope(anchor, 0), 1 - margin.clamp(0, 1))
    if config.rounds == 0:
        return start
    search = SlantSearch(spacing=spacing, rounds=config.rounds)
    return refined(view, start, anchor, search, threads=threads)


def _believed(
    camera: Camera,
    surface: Slants,
    others: list[tuple[Camera, Map]],
    known: Tensor,
    inverse_range: InverseRange,
    config: StereoConfig,
    metres_per_unit: float | None,
) -> Depth:
    """Return the depth where enough sources agree, the mean of all that do."""
    found = agreement(camera, surface, others, config.tolerance, 0.5 * inverse_range.spacing(config.planes))
    needed = torch.minimum(torch.full_like(found.asked, config.agreeing), found.asked.clamp(min=1))
    keep = known & (found.count >= needed) & (found.inverse_depth > 0) & (surface.cost < 1)
    share = found.count / torch.clamp(found.asked, min=1)
    confidence = torch.where(keep, share * (1 - surface.cost).clamp(0, 1), 0)
    depth_z = torch.where(keep, (metres_per_unit or 1.0) / found.inverse_depth, 0)
    return Depth(depth_z, "scene" if metres_per_unit is None else "metric", confidence=confidence)


def _coarse_points(
    photographs: Sequence[Photograph], config: StereoConfig, threads: int | None
) -> Float[Tensor, "p 3"]:
    """Return points that a sweep of small pictures over all depths finds; none where it finds too few."""
    small = [_reduced(photograph) for photograph in photographs]
    cameras, greys = [_on_cpu(p.camera) for p in small], [_grey(p) for p in small]
    ranges = widest_ranges(cameras)
    coarse = replace(config, planes=max(config.planes, 64), radius_px=2, rounds=0, sources=4)
    asked = [points_to_ask(camera, wide) for camera, wide in zip(cameras, ranges, strict=True)]
    sources = choose_sources(cameras, asked, coarse.sources)
    surfaces = [_matched(i, chosen, cameras, greys, ranges[i], coarse, threads) for i, chosen in enumerate(sources)]
    points = []
    for i, chosen in enumerate(sources):
        others = [(cameras[j], surfaces[j].inverse_depth) for j in chosen]
        if not others:
            continue
        depth = _believed(cameras[i], surfaces[i], others, torch.isfinite(greys[i]), ranges[i], coarse, None)
        points.append(unproject(cameras[i], depth.values)[depth.valid])
    return torch.cat(points) if points else torch.zeros(0, 3)


def _reduced(photograph: Photograph) -> Photograph:
    camera = photograph.camera
    width, height = reduced_size((camera.width, camera.height), _COARSE_PX)
    picture = photograph.image.detach().cpu().permute(2, 0, 1)[None].float()
    image = interpolate(picture, (height, width), mode="area")[0].permute(1, 2, 0)
    counts = interpolate(photograph.valid.cpu()[None, None].float(), (height, width), mode="area")[0, 0]
    return replace(photograph, image=image, valid=counts > 0.99, camera=camera.resized(width, height), depth_z=None)


def _median(values: Map) -> Map:
    return torch.from_numpy(cv2.medianBlur(values.contiguous().numpy(), 3))


def _slope(values: Map, axis: int) -> Map:
    """Return the smaller of the slopes to both sides, 0 where they disagree about the sign: no edge is a slope."""
    forward = torch.zeros_like(values)
    steps = values.diff(dim=axis)
    backward = forward.clone()
    forward.narrow(axis, 0, steps.shape[axis]).copy_(steps)
    backward.narrow(axis, 1, steps.shape[axis]).copy_(steps)
    smaller = torch.where(forward.abs() < backward.abs(), forward, backward)
    return _median(torch.where(forward * backward > 0, smaller, 0))
