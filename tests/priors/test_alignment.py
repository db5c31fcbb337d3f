"""Alignment of priors (equations 26 to 29 of the paper, corrected) on scenes whose scale and shift are known."""

import math

import pytest
import torch
from torch import Tensor

from hyperfocal.camera import Camera, in_picture, project, unproject
from hyperfocal.depth import Depth
from hyperfocal.errors import BadInputError
from hyperfocal.priors.alignment import (
    AlignmentConfig,
    PairMatches,
    PointDepths,
    align_priors,
    visible_points,
)
from hyperfocal.priors.alignment_start import robust_line, triangulated
from hyperfocal.priors.alignment_terms import MatchGeometry, point_term, ratio_term, reprojection_term
from hyperfocal.protocols import Matches

WIDTH, HEIGHT = 64, 48
NOTHING = PointDepths(torch.zeros(0, 2), torch.zeros(0))


def camera_at(x: float, turn_deg: float = 0.0) -> Camera:
    """A camera at (x, 0, 0), turned about the vertical, in float64 so that what is exact stays so."""
    c, s = math.cos(math.radians(turn_deg)), math.sin(math.radians(turn_deg))
    pose = torch.eye(4, dtype=torch.float64)
    pose[:3, :3] = torch.tensor([[c, 0, -s], [0, 1, 0], [s, 0, c]], dtype=torch.float64)
    pose[:3, 3] = -pose[:3, :3] @ torch.tensor([x, 0.0, 0.0], dtype=torch.float64)
    focal = torch.tensor([60.0, 60.0], dtype=torch.float64)
    return Camera(pose, focal, torch.tensor([WIDTH / 2, HEIGHT / 2], dtype=torch.float64), WIDTH, HEIGHT)


def wall(camera: Camera) -> Tensor:
    """Camera z of the plane z = 4 + x / 2 + y / 4 of the world, in every pixel."""
    far = unproject(camera, torch.ones(HEIGHT, WIDTH, dtype=torch.float64))
    center = camera.centers()
    ray = far - center
    normal = torch.tensor([-0.5, -0.25, 1.0], dtype=torch.float64)
    return (4 - center @ normal) / (ray @ normal)


CAMERAS = [camera_at(0.0), camera_at(0.5, -4), camera_at(-0.4, 3)]
TRUTH = [wall(camera) for camera in CAMERAS]


def points_of(i: int, outliers: float = 0.0, count: int = 60, seed: int = 0) -> PointDepths:
    """Known depths at pixel centres; a share of them wrong by up to a factor of 3, all to one side."""
    generator = torch.Generator().manual_seed(seed + i)
    row = torch.randint(HEIGHT, (count,), generator=generator)
    column = torch.randint(WIDTH, (count,), generator=generator)
    z = TRUTH[i][row, column].clone()
    wrong = int(outliers * count)
    z[:wrong] *= 1.2 + 1.8 * torch.rand(wrong, generator=generator, dtype=torch.float64)
    return PointDepths(torch.stack((column, row), 1).double() + 0.5, z)


def matches_of(i: int, j: int, outliers: float = 0.0) -> PairMatches:
    """Where pixel centres of one photograph are in the other; a share of them somewhere else."""
    generator = torch.Generator().manual_seed(10 * i + j)
    pixels, z = project(CAMERAS[j], unproject(CAMERAS[i], TRUTH[i]).reshape(-1, 3))
    seen = in_picture(CAMERAS[j], pixels, z)
    y, x = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
    own = torch.stack((x, y), -1).reshape(-1, 2).double() + 0.5
    chosen = seen.nonzero().squeeze(1)
    chosen = chosen[torch.randperm(len(chosen), generator=generator)[:150]]
    there = pixels[chosen].clone()
    wrong = int(outliers * len(chosen))
    there[:wrong] = torch.rand(wrong, 2, generator=generator, dtype=torch.float64) * torch.tensor([WIDTH, HEIGHT])
    return PairMatches(i, j, Matches(own[chosen], there, torch.ones(len(chosen))))


def prior_of(i: int, scale: float, shift: float, kind: str = "metric") -> Depth:
    """The prior that `scale` and `shift` make right."""
    target = 1 / TRUTH[i] if kind == "affine_disparity" else TRUTH[i]
    return Depth((target - shift) / scale, kind)


@pytest.mark.parametrize(
    ("kind", "truth"),
    [
        ("metric", [(0.5, 0.3), (2.0, -0.7), (1.3, 0.1)]),
        ("affine_disparity", [(0.02, 0.05), (0.01, 0.1), (0.5, 0.02)]),
        ("scale_free", [(0.5, 0.0), (7.0, 0.0), (0.01, 0.0)]),
    ],
)
@pytest.mark.parametrize("outliers", [0.0, 0.3])
def test_known_scale_and_shift_are_recovered(kind: str, truth: list[tuple[float, float]], outliers: float) -> None:
    priors = [prior_of(i, *truth[i], kind) for i in range(3)]
    points = [points_of(i, outliers) for i in range(3)]
    for matches in ([], [matches_of(0, 1, outliers), matches_of(1, 2, outliers)]):
        found = align_priors(priors, CAMERAS, points, matches)
        for i, (alignment, (scale, shift)) in enumerate(zip(found, truth, strict=True)):
            assert alignment.scale == pytest.approx(scale, rel=1e-3 if matches else 1e-6)
            assert alignment.shift == pytest.approx(shift, rel=1e-3 if matches else 1e-6, abs=1e-3 if matches else 1e-6)
            aligned = alignment.apply(priors[i])
            assert aligned.kind == "scene"
            assert float((aligned.values / TRUTH[i] - 1).abs().max()) < (2e-3 if matches else 1e-6)
            assert alignment.status == ("points and matches" if matches else "points")
            assert alignment.points == 60 and alignment.point_error is not None and alignment.point_error < 1e-3
            assert abs(alignment.rejected - outliers) < 0.06


def test_a_view_without_points_is_aligned_by_its_matches() -> None:
    priors = [prior_of(0, 0.5, 0.3), prior_of(1, 2.0, -0.7), prior_of(2, 1.0, 0.0)]
    points = [points_of(0), NOTHING, NOTHING]
    found = align_priors(priors, CAMERAS, points, [matches_of(0, 1, 0.2)])
    assert [alignment.status for alignment in found] == ["points and matches", "matches", "nothing"]
    assert float((found[1].apply(priors[1]).values / TRUTH[1] - 1).abs().max()) < 5e-3
    assert "0 points" in found[1].note
    assert found[1].match_error_px is not None and found[1].match_error_px < 0.1
    # Said, and nothing invented in its place.
    assert "left out" in found[2].note
    assert not found[2].apply(priors[2]).valid.any()


def test_a_prior_that_runs_backwards_is_left_out() -> None:
    backwards = Depth(10 - TRUTH[0], "metric")
    found = align_priors([backwards, prior_of(1, 2.0, 0.1)], CAMERAS[:2], [points_of(0), points_of(1)])
    assert found[0].status == "nothing" and "nearer" in found[0].note
    assert found[1].scale == pytest.approx(2.0)


def test_a_flat_prior_gets_a_scale_and_no_shift() -> None:
    flat = Depth(torch.full((HEIGHT, WIDTH), 2.0, dtype=torch.float64), "metric")
    (alignment,) = align_priors([flat], CAMERAS[:1], [points_of(0)])
    assert alignment.shift == 0 and "no shift" in alignment.note
    assert alignment.scale == pytest.approx(float(points_of(0).depth_z.median()) / 2, rel=0.1)


def test_nothing_at_all_is_said_and_no_error() -> None:
    (alignment,) = align_priors([prior_of(0, 1.0, 0.0)], CAMERAS[:1], [NOTHING])
    assert alignment.status == "nothing" and alignment.point_error is None and alignment.match_error_px is None


def test_equation_27_holds_for_true_depths_and_no_term_moves_the_truth() -> None:
    pair = matches_of(0, 1)
    depth_first = TRUTH[0][pair.matches.first_px[:, 1].long(), pair.matches.first_px[:, 0].long()]
    world = unproject(CAMERAS[0], TRUTH[0])[pair.matches.first_px[:, 1].long(), pair.matches.first_px[:, 0].long()]
    depth_second = project(CAMERAS[1], world)[1]
    geometry = geometry_of(pair, depth_first, depth_second)
    zero = torch.zeros(len(depth_first), dtype=torch.float64)
    for term in (reprojection_term(geometry), ratio_term(geometry, 40.0)):
        assert float(term.residual(zero, zero, zero, zero).abs().max()) < 1e-9
    # gamma is the ratio of depths, z_j / z_i: with depths a tenth too large it is another one.
    u = torch.full_like(zero, math.log(1.1))
    off = ratio_term(geometry, 1.0).residual(u, zero, u, zero)[:, 0]
    expected = depth_second / depth_first - geometry.turned[:, 2] - geometry.moved[:, 2] / (1.1 * depth_first)
    assert torch.allclose(off, expected)


def geometry_of(pair: PairMatches, depth_first: Tensor, depth_second: Tensor, inverse: bool = False) -> MatchGeometry:
    from hyperfocal.priors.alignment_start import rays, relative_pose

    R, t = relative_pose(CAMERAS[pair.first], CAMERAS[pair.second])
    n = len(depth_first)
    which = torch.full((n,), inverse)
    values = [1 / d if inverse else d for d in (depth_first, depth_second)]
    return MatchGeometry(
        torch.zeros(n, dtype=torch.int64),
        torch.ones(n, dtype=torch.int64),
        *values,
        which,
        which,
        rays(CAMERAS[pair.first], pair.matches.first_px) @ R.T,
        t.expand(n, 3),
        CAMERAS[pair.second].focal_px.expand(n, 2),
        rays(CAMERAS[pair.second], pair.matches.second_px)[:, :2],
    )


@pytest.mark.parametrize("inverse", [False, True])
def test_the_terms_have_the_gradients_that_differences_say(inverse: bool) -> None:
    pair = matches_of(0, 1)
    few = PairMatches(0, 1, Matches(*(tensor[:7] for tensor in vars(pair.matches).values())))
    row, column = few.matches.first_px[:, 1].long(), few.matches.first_px[:, 0].long()
    geometry = geometry_of(few, TRUTH[0][row, column], TRUTH[0][row, column] * 1.1, inverse)
    generator = torch.Generator().manual_seed(3)
    state = [0.1 * torch.randn(7, generator=generator, dtype=torch.float64) for _ in range(4)]
    state = [tensor.requires_grad_() for tensor in state]
    index = torch.zeros(7, dtype=torch.int64)
    points = point_term(TRUTH[0][row, column], TRUTH[0][row, column] * 0.9, torch.full((7,), inverse), index, 40.0)
    for term in (points, reprojection_term(geometry), ratio_term(geometry, 40.0)):
        assert torch.autograd.gradcheck(term.residual, state)


def test_rays_meet_where_the_wall_is() -> None:
    pair = matches_of(0, 1, 0.3)
    z, told = triangulated(CAMERAS[0], CAMERAS[1], pair.matches.first_px, pair.matches.second_px, 1.0)
    row, column = pair.matches.first_px[:, 1].long(), pair.matches.first_px[:, 0].long()
    right = (z / TRUTH[0][row, column] - 1).abs() < 1e-9
    assert bool(right[45:].all()) and bool(told[45:].all())  # the first 30 % are somewhere else
    assert int(told[:45].sum()) < 10


def test_the_line_holds_with_outliers_up_to_nearly_a_half() -> None:
    generator = torch.Generator().manual_seed(1)
    x = 1 + torch.rand(100, generator=generator, dtype=torch.float64)
    y = 3 * x + 0.5
    y[:45] *= 2
    line = robust_line(x, y, may_shift=True)
    assert line.scale == pytest.approx(3) and line.shift == pytest.approx(0.5)


def test_points_behind_others_are_not_seen() -> None:
    camera = camera_at(0.0)
    points = torch.tensor([[0.0, 0, 2], [0.01, 0, 8], [2.0, 0, 8], [0, 0, -2]], dtype=torch.float64)
    assert visible_points(camera, points).depth_z.tolist() == [2, 8]


def test_what_does_not_belong_together_is_refused() -> None:
    prior = prior_of(0, 1.0, 0.0)
    with pytest.raises(BadInputError, match="2 priors, 1 cameras"):
        align_priors([prior, prior], CAMERAS[:1], [NOTHING])
    with pytest.raises(BadInputError, match="32 x 48 pixels"):
        align_priors([Depth(prior.values[:, :32], "metric")], CAMERAS[:1], [NOTHING])
    with pytest.raises(BadInputError, match="along rays"):
        align_priors([Depth(prior.values, "metric", axis="ray")], CAMERAS[:1], [NOTHING])
    with pytest.raises(BadInputError, match="photographs 0 and 5"):
        align_priors([prior], CAMERAS[:1], [NOTHING], [PairMatches(0, 5, matches_of(0, 1).matches)])
    with pytest.raises(ValueError, match="must be positive"):
        AlignmentConfig(huber_px=0.0)
