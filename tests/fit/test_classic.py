"""Density control by image-plane gradients."""

from dataclasses import replace

import pytest
import torch

from hyperfocal.fit import ClassicConfig
from hyperfocal.fit.densify import Observation
from hyperfocal.fit.densify.classic import Classic, densify, prune
from hyperfocal.fit.parameters import Trainable, activate, parameters_from_gaussians, trainable
from hyperfocal.gaussians import Gaussians
from scenes import random_gaussians

CONFIG = ClassicConfig(cap=1000, split_scale=0.1)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def state_of(gaussians: Gaussians) -> Trainable:
    values = parameters_from_gaussians(gaussians)
    return Trainable(values, values, values)  # moments that are not zero


def test_small_gaussians_of_large_gradient_are_cloned_in_place() -> None:
    g = random_gaussians(4, size=0.001)
    after = densify(state_of(g), torch.tensor([0.0, 1.0, 0.0, 1.0]), CONFIG, 1.0, generator())
    assert torch.equal(after.values.means, torch.cat((g.means, g.means[[1, 3]])))
    assert not after.first.means[4:].any()
    assert torch.equal(after.first.means[:4], g.means)


def test_large_gaussians_of_large_gradient_become_two_that_are_smaller() -> None:
    g = random_gaussians(3, size=1.0)
    after = activate(densify(state_of(g), torch.tensor([0.0, 1.0, 0.0]), CONFIG, 1.0, generator()).values)
    assert len(after) == 4
    assert torch.equal(after.means[:2], g.means[[0, 2]])
    torch.testing.assert_close(after.scales[2:], g.scales[[1, 1]] / 1.6)
    torch.testing.assert_close(after.opacities[2:], g.opacities[[1, 1]])
    # Drawn from the Gaussian that they replace: within five of its standard deviations.
    own_axes = torch.linalg.solve_triangular(
        torch.linalg.cholesky(g.covariances()[1]), (after.means[2:] - g.means[1]).T, upper=False
    )
    assert bool((own_axes.norm(dim=0) < 5).all())
    assert not torch.equal(after.means[2], after.means[3])


def test_growth_never_exceeds_the_cap_and_prefers_the_largest_gradients() -> None:
    g = random_gaussians(6, size=0.001)
    gradient = torch.tensor([0.1, 0.6, 0.3, 0.5, 0.2, 0.4])
    after = densify(state_of(g), gradient, replace(CONFIG, cap=8), 1.0, generator())
    assert torch.equal(after.values.means[6:], g.means[[1, 3]])
    assert len(densify(state_of(g), gradient, replace(CONFIG, cap=6), 1.0, generator())) == 6
    assert len(densify(state_of(g), gradient, replace(CONFIG, cap=3), 1.0, generator())) == 6


def test_gradients_below_the_threshold_change_nothing() -> None:
    state = state_of(random_gaussians(5))
    assert len(densify(state, torch.full((5,), 1e-4), CONFIG, 1.0, generator())) == 5


def test_transparent_and_very_large_gaussians_are_removed_with_their_moments() -> None:
    g = random_gaussians(4, size=0.01)
    g.opacities[1] = 0.001
    g.scales[2, 0] = 5.0
    state = state_of(g)
    assert torch.equal(prune(state, CONFIG, 1.0, too_large=False).values.means, g.means[[0, 2, 3]])
    after = prune(state, CONFIG, 1.0, too_large=True)
    assert torch.equal(after.values.means, g.means[[0, 3]])
    assert torch.equal(after.second.means, g.means[[0, 3]])


def seen(step: int, steps: int, count: int, gradient: float) -> Observation:
    return Observation(
        step=step,
        steps=steps,
        extent=1.0,
        means_rate=1.6e-4,
        means_rate_share=1.0,
        gaussians=random_gaussians(count),
        radii_px=torch.tensor([1.0] * (count - 1) + [0.0]),
        mean_gradients=torch.full((count, 2), gradient),
        generator=generator(),
    )


def test_the_mean_gradient_counts_only_the_views_that_see_a_gaussian() -> None:
    policy = Classic(CONFIG)
    memory = policy.init(3)
    state = state_of(random_gaussians(3))
    for step in range(3):
        _, memory = policy.step(state, memory, seen(step, 1000, 3, 3.0))
    assert memory.views.tolist() == [3, 3, 0]
    torch.testing.assert_close(memory.total, torch.tensor([3 * 18.0**0.5, 3 * 18.0**0.5, 0.0]))


def test_opacities_are_reset_on_schedule_and_not_shortly_before_the_end() -> None:
    config = ClassicConfig(interval=10_000, reset_every=0.1, stop=0.5)
    policy = Classic(config)
    memory = policy.init(2)
    resets = []
    for step in range(499, 10_000, 500):
        state = trainable(parameters_from_gaussians(random_gaussians(2)))
        after, memory = policy.step(state, memory, seen(step, 10_000, 2, 0.0))
        if after is not state:
            resets.append(step + 1)
            assert float(activate(after.values).opacities.max()) <= 0.0100001
    assert resets == [1000, 2000, 3000, 4000]
    assert memory.was_reset


def test_pruned_gaussians_do_not_come_back() -> None:
    g = random_gaussians(5, size=0.001)
    g.opacities[2] = 0.001
    policy = Classic(replace(CONFIG, interval=1, start=0.0, stop=1.0))
    state, memory = policy.step(state_of(g), policy.init(5), seen(0, 100, 5, 0.0))
    for step in range(1, 5):
        state, memory = policy.step(state, memory, seen(step, 100, len(state), 1.0))
    assert len(state) > 4
    assert not (state.values.means == g.means[2]).all(1).any()


def test_settings_that_would_remove_everything_are_refused() -> None:
    with pytest.raises(ValueError, match="a reset removes everything"):
        ClassicConfig(prune_opacity=0.02, reset_opacity=0.01)
