"""Scale and shift of every photograph's prior, so that all agree about the scene (equations 26 to 29 of the paper).

The paper is named in `gridwise.py`; the theory page, "Aligning priors", says what is different here and why.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from ..camera import Camera, in_picture, project, relative_pose
from ..depth import Depth
from ..errors import BadInputError
from ..protocols import Matches
from .alignment_start import rays, robust_line, sampled, triangulated
from .alignment_terms import MatchGeometry, Solution, Term, point_term, ratio_term, reprojection_term, solve

_EXACT_PX = 0.1  # residuals within are never left out, however exact the others are

Status = Literal[
    "points",  # known points of the scene fix scale and shift
    "points and matches",  # and matches with other photographs as well
    "matches",  # no points are seen: matches alone, which the cameras' places give a scale
    "nothing",  # neither: the prior cannot be used
]


@dataclass(frozen=True)
class PointDepths:
    """Where a photograph sees points of the scene whose depth is known."""

    pixels_px: Float[Tensor, "p 2"]
    depth_z: Float[Tensor, " p"]


@dataclass(frozen=True)
class PairMatches:
    """Matches of two photographs, by their position in the list of photographs."""

    first: int
    second: int
    matches: Matches


@dataclass(frozen=True)
class AlignmentConfig:
    """How residuals are weighed."""

    huber_px: float = 2.0
    """Residuals beyond count by their size, not by its square."""
    relative_huber: float = 0.05
    """The relative error of depth that weighs as much as `huber_px`: turns errors of points and ratios into pixels."""
    ratio_weight: float = 0.5
    """Of the squared error of ratios (lambda of equation 28) beside that of reprojection."""
    least_points: int = 5
    least_matches: int = 8
    least_confidence: float = 0.5
    """Of matches, as in the paper."""
    rounds: int = 4
    """After a first fit, residuals beyond three robust deviations are left out, and the rest fitted again."""

    def __post_init__(self) -> None:
        if not (self.huber_px > 0 and self.relative_huber > 0 and self.ratio_weight >= 0 and self.rounds >= 0):
            raise ValueError("huber_px and relative_huber must be positive, ratio_weight and rounds not negative.")


@dataclass(frozen=True)
class Alignment:
    """How a photograph's prior becomes depth in scene units, and how well it is known."""

    scale: float
    shift: float
    of_inverse_depth: bool
    """Scale and shift are of inverse depth (the prior is a disparity), else of depth."""
    status: Status
    points: int
    """Known depths that the prior has a value at."""
    matches: int
    """Matches with others, in either direction, that both priors have a value at."""
    rejected: float
    """The share of both that the fit leaves out."""
    point_error: float | None
    """Median of |aligned / known - 1| over all points, left out or not; None without points."""
    match_error_px: float | None
    """Median error of reprojection over all matches; None without matches."""
    note: str = ""
    """What was not as it should be, a sentence for people."""

    def apply(self, prior: Depth) -> Depth:
        """Return the aligned depth in scene units (29): unknown wherever it would not be in front of the camera."""
        if self.status == "nothing":
            return Depth(torch.zeros_like(prior.values), "scene")
        values = self.scale * prior.values + self.shift
        ahead = prior.valid & (values > 0)
        depth_z = torch.where(ahead, 1 / torch.where(ahead, values, 1) if self.of_inverse_depth else values, 0)
        return Depth(depth_z, "scene", confidence=prior.confidence)


def visible_points(
    camera: Camera, points: Float[Tensor, "p 3"], *, cell_px: float = 8, behind: float = 1.1
) -> PointDepths:
    """Return the points that a camera sees: of those in a cell of the picture, none much behind the nearest.

    Points carry no list of who sees them, and those on the far side of things would spoil an alignment.
    """
    pixels, depth_z = project(camera, points)
    inside = in_picture(camera, pixels, depth_z)
    pixels, depth_z = pixels[inside], depth_z[inside]
    columns = int(camera.width // cell_px) + 1
    cell = (pixels[:, 1] // cell_px).long() * columns + (pixels[:, 0] // cell_px).long()
    nearest = depth_z.new_full((columns * (int(camera.height // cell_px) + 1),), torch.inf)
    nearest = nearest.scatter_reduce(0, cell, depth_z, "amin")
    seen = depth_z <= behind * nearest[cell]
    return PointDepths(pixels[seen], depth_z[seen])


def align_priors(
    priors: Sequence[Depth],
    cameras: Sequence[Camera],
    points: Sequence[PointDepths],
    matches: Sequence[PairMatches] = (),
    *,
    config: AlignmentConfig | None = None,
) -> tuple[Alignment, ...]:
    """Return the alignment of each photograph's prior, all fitted together.

    Minimises, over a scale exp(u) > 0 and a shift of each photograph, robustly: relative errors at points of known
    depth, which fix the unit; errors of reprojecting matches with aligned depth; and errors of the ratio of both
    aligned depths of a match (equations 26 to 28, corrected). Scale-free priors get no shift.

    Args:
        priors: Of the photographs, of any kind, camera z, each of the size of its camera.
        cameras: Of the photographs, in scene units.
        points: Known depths of each photograph; none is allowed (empty tensors).
        matches: Between photographs.
        config: None for the defaults.

    Raises:
        BadInputError: lists or maps that do not belong together, or ray distances.
    """
    config = config or AlignmentConfig()
    _check(priors, cameras, points, matches)
    known = [_points_with_prior(prior, seen) for prior, seen in zip(priors, points, strict=True)]
    both_ways = [pair_of for pair in matches for pair_of in (pair, _turned_round(pair))]
    found = [_matches_with_prior(pair, priors, cameras, config) for pair in both_ways]
    depths = torch.cat([depth_z for _, depth_z in known] + [one.depth_z for one in found])
    unit = float(depths.median()) if len(depths) else 1.0
    starts = [_start(i, priors[i], known[i], found, config) for i in range(len(priors))]
    inverse = torch.tensor([_is_inverse(prior) for prior in priors])
    in_unit = torch.where(inverse, unit, 1 / unit).double()  # lengths are fitted in units of the scene's typical depth
    scale = torch.tensor([start.scale for start in starts], dtype=torch.float64) * in_unit
    shift = torch.tensor([start.shift for start in starts], dtype=torch.float64) * in_unit
    free = torch.tensor([start.has_shift for start in starts])
    terms = _terms(cameras, inverse, known, found, starts, unit, config)
    weights = [torch.ones(len(term.first), dtype=torch.float64) for term in terms]
    state = (scale.log(), shift)
    solution = solve(terms, state, shift_is_free=free, huber_px=config.huber_px, weights=weights)
    for _ in range(config.rounds):
        weights = [_kept(term, norms) for term, norms in zip(terms, solution.norms, strict=True)]
        state = (solution.log_scale, solution.shift)
        solution = solve(terms, state, shift_is_free=free, huber_px=config.huber_px, weights=weights)
    scale, shift = solution.log_scale.exp() / in_unit, solution.shift / in_unit
    px = config.huber_px / config.relative_huber
    return tuple(
        _judged(i, solution, start, terms, weights, float(scale[i]), float(shift[i]), bool(inverse[i]), px)
        for i, start in enumerate(starts)
    )


@dataclass(frozen=True)
class _Start:
    scale: float
    shift: float
    has_shift: bool
    status: Status
    note: str


@dataclass(frozen=True)
class _Found:
    """Matches of a pair, with both priors and the depths that the two rays meet at."""

    first: int
    second: int
    first_px: Float[Tensor, "p 2"]
    second_px: Float[Tensor, "p 2"]
    prior_first: Float[Tensor, " p"]
    prior_second: Float[Tensor, " p"]
    depth_z: Float[Tensor, " k"]
    """In the first photograph, of those whose rays tell it."""
    prior_there: Float[Tensor, " k"]
    """The first photograph's prior at these."""


def _is_inverse(prior: Depth) -> bool:
    return prior.kind == "affine_disparity"


def _check(
    priors: Sequence[Depth], cameras: Sequence[Camera], points: Sequence[PointDepths], matches: Sequence[PairMatches]
) -> None:
    if not len(priors) == len(cameras) == len(points):
        raise BadInputError(
            f"Alignment got {len(priors)} priors, {len(cameras)} cameras and {len(points)} sets of points; it needs "
            "one of each for every photograph (a set of points may be empty)."
        )
    for i, (prior, camera) in enumerate(zip(priors, cameras, strict=True)):
        if prior.values.shape != (camera.height, camera.width):
            raise BadInputError(
                f"The prior of photograph {i} has {prior.values.shape[1]} x {prior.values.shape[0]} pixels, its camera "
                f"{camera.width} x {camera.height}. Make it for the photograph at that size, or resize the camera."
            )
        if prior.axis != "z":
            raise BadInputError(
                f"The prior of photograph {i} is measured along rays; alignment needs camera z. Convert it with "
                "hyperfocal.depth.z_from_ray_distance."
            )
    for pair in matches:
        if not (0 <= pair.first < len(priors) and 0 <= pair.second < len(priors) and pair.first != pair.second):
            raise BadInputError(
                f"Matches are given for photographs {pair.first} and {pair.second}, but there are {len(priors)}, "
                "counted from 0, and a pair is of two of them."
            )


def _turned_round(pair: PairMatches) -> PairMatches:
    other = Matches(pair.matches.second_px, pair.matches.first_px, pair.matches.confidence)
    return PairMatches(pair.second, pair.first, other)


def _points_with_prior(prior: Depth, seen: PointDepths) -> tuple[Tensor, Tensor]:
    """Return (prior, known depth) of the points at which the prior has a value."""
    values, valid = sampled(prior, seen.pixels_px)
    valid &= (seen.depth_z > 0) & torch.isfinite(seen.depth_z)
    return values[valid], seen.depth_z[valid].double()


def _matches_with_prior(
    pair: PairMatches, priors: Sequence[Depth], cameras: Sequence[Camera], config: AlignmentConfig
) -> _Found:
    first_px, second_px = pair.matches.first_px, pair.matches.second_px
    values, valid = sampled(priors[pair.first], first_px)
    others, valid_too = sampled(priors[pair.second], second_px)
    keep = valid & valid_too & (pair.matches.confidence >= config.least_confidence)
    first_px, second_px, values, others = first_px[keep], second_px[keep], values[keep], others[keep]
    depth_z, told = triangulated(cameras[pair.first], cameras[pair.second], first_px, second_px, 2 * config.huber_px)
    return _Found(pair.first, pair.second, first_px, second_px, values, others, depth_z[told], values[told])


def _start(i: int, prior: Depth, known: tuple[Tensor, Tensor], found: list[_Found], config: AlignmentConfig) -> _Start:
    """Return where a photograph starts: the best line through its points, or through what its matches meet at."""
    values, depth_z = known
    own = [one for one in found if one.first == i]
    matched = sum(len(one.first_px) for one in own) >= config.least_matches
    status: Status = "points and matches" if matched else "points"
    note = ""
    if len(values) < config.least_points:
        values = torch.cat([values, *(one.prior_there for one in own)])
        depth_z = torch.cat([depth_z, *(one.depth_z for one in own)])
        status = "matches"
        note = f"It sees {len(known[0])} points of known depth: its matches alone align it."
        if not matched or len(values) < config.least_points:
            return _Start(
                1.0, 0.0, False, "nothing", "It has too few points and matches to be aligned: it is left out."
            )
    may_shift = prior.kind != "scale_free"
    line = robust_line(values, 1 / depth_z if _is_inverse(prior) else depth_z, may_shift=may_shift)
    if line is None:
        note = "Its prior grows where the scene gets nearer, or says nothing: it is left out."
        return _Start(1.0, 0.0, False, "nothing", note)
    if may_shift and not line.has_shift:
        note = f"{note} Its prior hardly varies where depth is known: it has a scale and no shift.".strip()
    return _Start(line.scale, line.shift, line.has_shift, status, note)


def _terms(
    cameras: Sequence[Camera],
    inverse: Tensor,
    known: list[tuple[Tensor, Tensor]],
    found: list[_Found],
    starts: list[_Start],
    unit: float,
    config: AlignmentConfig,
) -> list[Term]:
    """Return the residuals of all photographs that can be aligned; lengths in units of the scene's typical depth."""
    px = config.huber_px / config.relative_huber
    used = [i for i, start in enumerate(starts) if start.status != "nothing"]
    prior = torch.cat([known[i][0] for i in used]) if used else torch.zeros(0, dtype=torch.float64)
    depth_z = torch.cat([known[i][1] for i in used]) / unit if used else prior
    view = torch.cat([torch.full((len(known[i][0]),), i) for i in used]) if used else prior.long()
    terms = [point_term(prior, depth_z, inverse[view], view, px)]
    pairs = [one for one in found if {one.first, one.second} <= set(used) and len(one.first_px)]
    if pairs:
        matches = _geometry(pairs, cameras, inverse, unit)
        terms += [reprojection_term(matches), ratio_term(matches, px * config.ratio_weight**0.5)]
    return terms


def _geometry(pairs: list[_Found], cameras: Sequence[Camera], inverse: Tensor, unit: float) -> MatchGeometry:
    """Return all matches of all pairs in one piece."""
    turned, moved, focal, seen, first, second = [], [], [], [], [], []
    for one in pairs:
        R, t = relative_pose(cameras[one.first], cameras[one.second])
        count = len(one.first_px)
        turned.append(rays(cameras[one.first], one.first_px) @ R.T)
        moved.append((t / unit).expand(count, 3))
        focal.append(cameras[one.second].focal_px.double().expand(count, 2))
        seen.append(rays(cameras[one.second], one.second_px)[:, :2])
        first.append(torch.full((count,), one.first))
        second.append(torch.full((count,), one.second))
    index, other = torch.cat(first), torch.cat(second)
    return MatchGeometry(
        index,
        other,
        torch.cat([one.prior_first for one in pairs]),
        torch.cat([one.prior_second for one in pairs]),
        inverse[index],
        inverse[other],
        torch.cat(turned),
        torch.cat(moved),
        torch.cat(focal),
        torch.cat(seen),
    )


def _kept(term: Term, norms: Tensor) -> Tensor:
    """Return 1 for the residuals of each photograph within three robust deviations of none, and 0 for the others."""
    kept = torch.ones_like(norms)
    for i in term.first.unique().tolist():
        own = term.first == i
        deviation = 1.4826 * float(norms[own].median())
        kept[own] = (norms[own] <= max(3 * deviation, _EXACT_PX)).to(kept)
    return kept


def _judged(
    i: int,
    solution: Solution,
    start: _Start,
    terms: list[Term],
    weights: list[Tensor],
    scale: float,
    shift: float,
    of_inverse_depth: bool,
    px: float,
) -> Alignment:
    """Return the alignment of one photograph with its diagnostics."""
    own = {term.name: term.first == i for term in terms}
    norms = {term.name: norms[own[term.name]] for term, norms in zip(terms, solution.norms, strict=True)}
    kept = {term.name: weight[own[term.name]] for term, weight in zip(terms, weights, strict=True)}
    points, matches = norms["points"], norms.get("reprojection", norms["points"][:0])
    judged = [kept[name] for name in ("points", "reprojection") if name in kept]
    counted = sum(len(one) for one in judged)
    return Alignment(
        scale=scale,
        shift=shift,
        of_inverse_depth=of_inverse_depth,
        status=start.status,
        points=len(points),
        matches=len(matches),
        rejected=1 - float(sum(one.sum() for one in judged)) / counted if counted else 0.0,
        point_error=float(points.median()) / px if len(points) else None,
        match_error_px=float(matches.median()) if len(matches) else None,
        note=start.note,
    )
