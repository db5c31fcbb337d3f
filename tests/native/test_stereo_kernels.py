"""The core's stereo against its twins in torch and Python loops."""

import pytest
import torch
from torch import Tensor

from hyperfocal.native.stereo import (
    UNSEEN,
    Slants,
    SlantSearch,
    StereoSource,
    StereoView,
    refine_slants,
    semi_global,
    sweep_planes,
)
from stereo_twin import semi_global_twin, slant_cost_twin, sweep_twin


def noise(height: int, width: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 1, height // 2 + 2, width // 2 + 2, generator=generator) - 0.5
    return torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic", align_corners=False)[0, 0]


def view_of(sources: int = 3, height: int = 26, width: int = 21) -> StereoView:
    """Sources of several sizes, one with a hole, one behind the reference at some planes."""
    found = []
    for s in range(sources):
        grey = noise(height + s, width - s, seed=s)
        if s == 1:
            grey[3:6, 4:9] = torch.nan
        turn = torch.eye(3, dtype=torch.float64)
        turn[0, 1], turn[2, 0] = 0.02 * s, 0.001 * s
        shift = torch.tensor([6.0 - 4 * s, 1.5 * s, -0.9 if s == 2 else 0.05], dtype=torch.float64)
        found.append(StereoSource(grey, turn, shift))
    return StereoView(noise(height, width, seed=99), tuple(found), radius_px=2, noise_power=1e-4)


PLANES = torch.tensor([0.1, 0.37, 0.8, 1.3])


def test_the_sweep_equals_its_twin(simd_level: str) -> None:
    view = view_of()
    got, expected = sweep_planes(view, PLANES, threads=2).double(), sweep_twin(view, PLANES)
    assert torch.equal(got == UNSEEN, expected == UNSEEN)
    assert 0.02 < float((got == UNSEEN).double().mean()) < 0.9
    # Rounded to whole numbers; float32 sums beside float64 ones.
    assert float((got - expected).abs().max()) < 0.6


def test_the_smooth_choice_equals_its_twin(simd_level: str) -> None:
    generator = torch.Generator().manual_seed(5)
    cost = torch.randint(0, 256, (7, 9, 6), generator=generator, dtype=torch.uint8)
    grey = torch.rand(7, 9, generator=generator)
    total, place = semi_global_twin(grey, cost, 10, 60, 0.1)
    got = semi_global(grey, cost, step=10, jump=60, edge=0.1, threads=3)
    assert torch.allclose(got.place.double(), place, atol=1e-5)
    best = total.min(2).values
    beside = (torch.arange(6) - total.argmin(2, keepdim=True)).abs() <= 1
    second = torch.where(beside, 10**6, total).min(2).values
    assert torch.allclose(got.margin.double(), (second - best).double() / (8 * 254), atol=1e-5)


def test_a_refined_plane_costs_what_the_twin_says(simd_level: str) -> None:
    view = view_of(sources=1)
    shape = view.grey.shape
    start = Slants(torch.full(shape, 0.4), torch.zeros(shape), torch.zeros(shape), torch.zeros(shape))
    search = SlantSearch(spacing=0.1, anchor_weight=0.0, rounds=2)
    found = refine_slants(view, start, start.inverse_depth, search, threads=2)
    compared = 0
    for row, column in ((0, 0), (12, 10), (13, 9), (20, 4), (25, 3), (8, 14), (17, 12)):
        plane = tuple(float(tensor[row, column]) for tensor in found[:3])
        (expected,) = slant_cost_twin(view, row, column, plane, search.grey_sigma)
        got = float(found.cost[row, column])
        if expected == expected:
            assert got == pytest.approx(expected, abs=2e-3)
            compared += 1
        else:
            assert got == 2
    assert compared >= 4


def test_refinement_never_makes_a_pixel_dearer_than_where_it_started() -> None:
    view = view_of()
    shape = view.grey.shape
    start = Slants(torch.full(shape, 0.4), torch.zeros(shape), torch.zeros(shape), torch.zeros(shape))
    costs = [
        refine_slants(view, start, start.inverse_depth, SlantSearch(spacing=0.1, rounds=rounds)).cost.double().mean()
        for rounds in (1, 3)
    ]
    assert costs[1] < costs[0]


def test_nothing_depends_on_the_number_of_threads() -> None:
    view = view_of(height=70, width=40)
    results = []
    for threads in (1, 2, 5):
        cost = sweep_planes(view, PLANES, threads=threads)
        place, margin = semi_global(view.grey, cost, step=10, jump=60, edge=0.1, threads=threads)
        inverse = 0.1 + 0.4 * place
        start = Slants(inverse, torch.zeros_like(place), torch.zeros_like(place), torch.zeros_like(place))
        found = refine_slants(view, start, inverse, SlantSearch(spacing=0.4), threads=threads)
        results.append([cost, place, margin, *found])
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert torch.equal(a, b)


def test_what_the_core_does_not_serve_is_refused() -> None:
    view = view_of()
    with pytest.raises(ValueError, match="1 to 16 sources"):
        StereoView(view.grey, ())
    with pytest.raises(ValueError, match="radius"):
        StereoView(view.grey, view.sources, radius_px=9)
    with pytest.raises(ValueError, match="1 to 1024 planes"):
        sweep_planes(view, torch.zeros(0))
    with pytest.raises(ValueError, match="step <= jump"):
        semi_global(view.grey, sweep_planes(view, PLANES), step=9, jump=3, edge=0.1)
    with pytest.raises(ValueError, match="radius of 1 to 4"):
        SlantSearch(spacing=0.1, radius=5)
