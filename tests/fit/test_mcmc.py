"""Density control as Markov-chain Monte Carlo."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from hyperfocal.fit import McmcConfig
from hyperfocal.fit.densify import Observation
from hyperfocal.fit.densify.mcmc import (
    Mcmc,
    grow,
    grown_count,
    relocate,
    shared_opacity_and_shrink,
    walk_,
)
from hyperfocal.fit.parameters import Trainable, activate, parameters_from_gaussians, trainable
from hyperfocal.gaussians import Gaussians
from scenes import random_gaussians


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def state_of(opacities: Tensor, seed: int = 0) -> Trainable:
    g = random_gaussians(len(opacities), seed=seed)
    return trainable(parameters_from_gaussians(Gaussians(g.means, g.quaternions, g.scales, opacities, g.sh)))


def observation(step: int, steps: int, gaussians: Gaussians, seed: int = 0) -> Observation:
    return Observation(
        step=step,
        steps=steps,
        extent=1.0,
        means_rate=1.6e-4,
        means_rate_share=1.0,
        gaussians=gaussians,
        radii_px=torch.ones(len(gaussians)),
        mean_gradients=None,
        generator=generator(seed),
    )


@given(opacity=st.floats(0.006, 0.9999), copies=st.integers(1, 51))
def test_copies_together_are_as_opaque_as_the_one(opacity: float, copies: int) -> None:
    shared, _ = shared_opacity_and_shrink(torch.tensor([opacity], dtype=torch.float64), torch.tensor([copies]))
    # n layers of opacity o' let through (1 - o')^n.
    assert 1 - (1 - float(shared)) ** copies == pytest.approx(opacity, rel=1e-10)


def test_one_copy_changes_nothing() -> None:
    shared, factor = shared_opacity_and_shrink(torch.tensor([0.3], dtype=torch.float64), torch.tensor([1]))
    assert float(shared) == pytest.approx(0.3)
    assert float(factor) == pytest.approx(1.0)


def test_two_copies_shrink_by_the_closed_form() -> None:
    # N = 2: o / (2 o' - o'^2 / sqrt(2)) with o' = 1 - sqrt(1 - o).
    o = 0.6
    half = 1 - math.sqrt(1 - o)
    _, factor = shared_opacity_and_shrink(torch.tensor([o], dtype=torch.float64), torch.tensor([2]))
    assert float(factor) == pytest.approx(o / (2 * half - half**2 / math.sqrt(2)), rel=1e-12)


@pytest.mark.parametrize("copies", [2, 5, 17, 51])
def test_the_single_sum_is_the_double_sum_of_the_paper(copies: int) -> None:
    o = 0.8
    shared = 1 - (1 - o) ** (1 / copies)
    double_sum = sum(
        math.comb(i - 1, k) * (-1) ** k * shared ** (k + 1) / math.sqrt(k + 1)
        for i in range(1, copies + 1)
        for k in range(i)
    )
    _, factor = shared_opacity_and_shrink(torch.tensor([o], dtype=torch.float64), torch.tensor([copies]))
    assert float(factor) == pytest.approx(o / double_sum, rel=1e-9)


@pytest.mark.parametrize("copies", [2, 3, 10])
def test_copies_let_as_much_light_through_a_line_as_the_one(copies: int) -> None:
    # What eq. 9 keeps: the integral of the opacity along a line across the footprint of standard deviation 1.
    o = 0.7
    shared, factor = shared_opacity_and_shrink(torch.tensor([o], dtype=torch.float64), torch.tensor([copies]))
    x = torch.linspace(-8, 8, 20001, dtype=torch.float64)
    one = o * torch.exp(-0.5 * x * x)
    many = 1 - (1 - shared * torch.exp(-0.5 * (x / factor) ** 2)) ** copies
    assert float(many.sum() / one.sum()) == pytest.approx(1, rel=1e-6)


def test_dead_gaussians_move_onto_live_ones_and_share_their_opacity() -> None:
    opacities = torch.tensor([0.8, 0.001, 0.5, 0.004, 0.002])
    state = state_of(opacities)
    before = activate(state.values)
    after = activate(relocate(state, 0.005, generator()).values)
    for dead in (1, 3, 4):
        host = int((before.means[[0, 2]] - after.means[dead]).norm(dim=1).argmin()) * 2
        assert torch.equal(after.means[dead], before.means[host])
    for host in (0, 2):
        here = (after.means == before.means[host]).all(1)
        together = 1 - (1 - after.opacities[here].double()).prod()
        assert float(together) == pytest.approx(float(before.opacities[host]), rel=1e-5)


def test_live_gaussians_that_host_nobody_keep_values_and_moments() -> None:
    values = state_of(torch.tensor([0.9, 0.5, 0.001])).values
    state = Trainable(values, values, values)
    after = relocate(state, 0.005, generator())
    hosted = int((after.values.means[:2] == after.values.means[2]).all(1).nonzero())
    other = 1 - hosted
    for old, new in ((state.values, after.values), (state.first, after.first), (state.second, after.second)):
        assert all(torch.equal(t[other], new.tensors()[k][other]) for k, t in old.tensors().items())
    assert not after.first.sh[hosted].any()
    assert not after.second.sh[2].any()


def test_relocation_with_nobody_dead_or_everybody_dead_changes_nothing() -> None:
    for opacity in (0.5, 0.001):
        state = state_of(torch.full((4,), opacity))
        assert relocate(state, 0.005, generator()) is state


def test_growth_appends_to_the_end() -> None:
    state = state_of(torch.full((10,), 0.5))
    after = grow(state, 14, 0.005, generator())
    assert len(after) == 14
    assert torch.equal(after.values.means[:10], state.values.means)
    assert not after.first.means[10:].any()


@given(count=st.integers(1, 2000), cap=st.integers(1, 2000), rounds=st.integers(1, 300))
def test_growth_never_exceeds_the_cap_and_reaches_it_in_the_last_round(count: int, cap: int, rounds: int) -> None:
    config, now = McmcConfig(cap=cap), count
    for left in range(rounds, 0, -1):
        before, now = now, grown_count(now, config, left)
        assert now >= before
        assert now <= max(cap, count)
    assert now == max(cap, count)


def test_opaque_gaussians_do_not_walk() -> None:
    state = state_of(torch.tensor([0.2, 0.9, 0.001]))
    before = state.values.means.clone()
    walk_(state, activate(state.values), 80.0, generator())
    assert torch.equal(state.values.means[:2], before[:2])
    assert not torch.equal(state.values.means[2], before[2])


def test_the_walk_has_the_shape_of_the_gaussian() -> None:
    n = 20_000
    g = random_gaussians(1, seed=4)
    faint = replace(g.select(torch.zeros(n, dtype=torch.long)), opacities=torch.full((n,), 0.005))
    state = trainable(parameters_from_gaussians(faint))
    walk_(state, faint, 2.0, generator())
    moved = (state.values.means - faint.means).double()
    # size 2, gate 1/2 at opacity 0.005: steps are covariance * noise, their covariance is covariance^2.
    expected = g.covariances()[0].double()
    torch.testing.assert_close(
        moved.T @ moved / n, expected @ expected, rtol=0.05, atol=float(expected.amax()) ** 2 / 50
    )


def test_rounds_happen_only_at_their_interval_and_between_start_and_stop() -> None:
    config = McmcConfig(cap=20, interval=10, start=0.2, grow_until=0.5, stop=0.7, noise=0.0)
    policy, state = Mcmc(config), state_of(torch.full((10,), 0.5))
    grown = []
    for step in range(100):
        before = len(state)
        state, _ = policy.step(state, None, observation(step, 100, activate(state.values), step))
        if len(state) != before:
            grown.append(step + 1)
    assert grown == [20, 30, 40, 50]
    assert len(state) == 20


def test_equal_seeds_give_equal_bits() -> None:
    a, b = (relocate(state_of(torch.linspace(0.001, 0.9, 50)), 0.1, generator(3)) for _ in range(2))
    assert all(torch.equal(t, b.values.tensors()[k]) for k, t in a.values.tensors().items())


def test_regularisers_are_weighted_means_in_units_of_the_scene() -> None:
    g = random_gaussians(10)
    terms = Mcmc(McmcConfig(opacity_weight=0.5, scale_weight=2.0)).regularizers(g, 4.0, 0.0)
    torch.testing.assert_close(terms["opacity"], 0.5 * g.opacities.mean())
    torch.testing.assert_close(terms["scale"], 0.5 * g.scales.mean())
