"""Raw parameters and the surgery on their rows."""

import torch

from hyperfocal.fit.parameters import (
    Trainable,
    activate,
    append,
    keep,
    overwrite,
    parameters_from_gaussians,
    trainable,
    with_opacity_logits,
)
from scenes import random_gaussians


def trained(n: int, seed: int = 0) -> Trainable:
    """A state whose moments are not zero."""
    a, b, c = (parameters_from_gaussians(random_gaussians(n, seed=seed + i)) for i in range(3))
    return Trainable(a, b, c)


def parts(state: Trainable) -> list[torch.Tensor]:
    return [t for p in (state.values, state.first, state.second) for t in p.tensors().values()]


def test_activating_parameters_of_gaussians_gives_them_back() -> None:
    g = random_gaussians(50)
    back = activate(parameters_from_gaussians(g), g.color_space)
    for name, tensor in g.tensors().items():
        torch.testing.assert_close(getattr(back, name), tensor, rtol=1e-6, atol=0)


def test_activation_of_a_snapshot_is_a_fixed_point() -> None:
    once = activate(parameters_from_gaussians(random_gaussians(500)))
    twice = activate(parameters_from_gaussians(once))
    assert all(torch.equal(t, getattr(twice, k)) for k, t in once.tensors().items())


def test_parameters_do_not_share_memory_with_the_gaussians_they_came_from() -> None:
    g = random_gaussians(5)
    before = {k: t.clone() for k, t in g.tensors().items()}
    for tensor in parameters_from_gaussians(g).tensors().values():
        tensor.zero_()
    assert all(torch.equal(t, before[k]) for k, t in g.tensors().items())


def test_kept_rows_keep_their_moments() -> None:
    state = trained(10)
    kept = keep(state, torch.tensor([7, 2]))
    assert all(torch.equal(new, old[[7, 2]]) for new, old in zip(parts(kept), parts(state), strict=True))


def test_appended_rows_start_with_no_moments_and_others_are_untouched() -> None:
    state, extra = trained(10), parameters_from_gaussians(random_gaussians(3, seed=9))
    longer = append(state, extra)
    assert all(torch.equal(new[:10], old) for new, old in zip(parts(longer), parts(state), strict=True))
    assert torch.equal(longer.values.means[10:], extra.means)
    assert not any(t[10:].any() for p in (longer.first, longer.second) for t in p.tensors().values())


def test_overwriting_changes_only_the_rows_named_and_not_the_argument() -> None:
    state, rows = trained(10), parameters_from_gaussians(random_gaussians(2, seed=9))
    before = [t.clone() for t in parts(state)]
    written = overwrite(state, torch.tensor([4, 1]), rows)
    others = torch.tensor([0, 2, 3, 5, 6, 7, 8, 9])
    assert all(torch.equal(new[others], old[others]) for new, old in zip(parts(written), before, strict=True))
    assert torch.equal(written.values.sh[[4, 1]], rows.sh)
    assert not any(t[[4, 1]].any() for p in (written.first, written.second) for t in p.tensors().values())
    assert all(torch.equal(now, old) for now, old in zip(parts(state), before, strict=True))


def test_new_opacities_leave_all_other_moments_alone() -> None:
    state = trained(5)
    changed = with_opacity_logits(state, torch.full((5,), -4.0))
    assert not changed.first.opacity_logits.any()
    assert torch.equal(changed.first.means, state.first.means)
    assert torch.equal(changed.second.sh, state.second.sh)


def test_a_fresh_state_has_no_moments() -> None:
    state = trainable(parameters_from_gaussians(random_gaussians(5)))
    assert not any(t.any() for p in (state.first, state.second) for t in p.tensors().values())
