"""The gridwise fit (equations 35 to 39 of the paper, corrected)."""

import numpy as np
import pytest
import torch

from hyperfocal.priors.gridwise import RIDGE, cell_side_px, gridwise_fit


def maps(height: int = 40, width: int = 50) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    prior = 1 + torch.rand(height, width, generator=generator, dtype=torch.float64)
    return 2 * prior + 0.3 + 0.05 * torch.randn(height, width, generator=generator, dtype=torch.float64), prior


def test_cells_equal_least_squares_of_numpy_with_the_ridge_as_two_more_rows() -> None:
    # Minimising |X a - y|^2 + r |a|^2 is plain least squares of X over sqrt(r) I and y over 0 (35 to 37).
    depth_z, prior = maps()
    at = torch.rand(40, 50, generator=torch.Generator().manual_seed(4)) < 0.3
    fit = gridwise_fit(depth_z, prior, at, 20)
    assert fit.scale.shape == (2, 3)
    for r in range(2):
        for c in range(3):
            cell = (slice(20 * r, 20 * r + 20), slice(20 * c, 20 * c + 20))
            x, y = prior[cell][at[cell]].numpy(), depth_z[cell][at[cell]].numpy()
            X = np.vstack((np.stack((x, np.ones_like(x)), 1), np.sqrt(RIDGE) * np.eye(2)))
            a = np.linalg.lstsq(X, np.append(y, [0, 0]), rcond=None)[0]
            assert [float(fit.scale[r, c]), float(fit.shift[r, c])] == pytest.approx(a.tolist(), rel=1e-6)
            assert float(fit.error[r, c]) == pytest.approx(np.abs(y - a[0] * x - a[1]).mean(), rel=1e-6)  # (38)
            assert int(fit.places[r, c]) == len(x)


def test_a_prior_that_is_right_up_to_scale_and_shift_leaves_no_error() -> None:
    _, prior = maps()
    fit = gridwise_fit(3 * prior + 1, prior, torch.ones(40, 50, dtype=torch.bool), 25)
    fitted, valid = fit.fitted(prior)
    assert bool(valid.all()) and float((fitted - 3 * prior - 1).abs().max()) < 1e-5


def test_cells_with_fewer_than_five_places_are_left_out() -> None:
    depth_z, prior = maps()
    at = torch.zeros(40, 50, dtype=torch.bool)
    at[0, :5] = at[0, 30:34] = True
    fit = gridwise_fit(depth_z, prior, at, 25)
    assert fit.valid.tolist() == [[True, False], [False, False]]
    error, valid = fit.error_map(40, 50)
    # The published code counts them as 1, the largest error.
    assert bool(valid[:25, :25].all()) and not bool(valid[:, 25:].any()) and float(error[:, 25:].abs().max()) == 0
    assert torch.allclose(error[:25, :25], fit.error[0, 0])  # nothing of invalid cells is mixed in


def test_unknown_depth_counts_nowhere() -> None:
    depth_z, prior = maps()
    spoiled = depth_z.clone()
    spoiled[:20, :10], spoiled[:20, 10] = 0, torch.nan
    at = torch.ones(40, 50, dtype=torch.bool)
    known = at.clone()
    known[:20, :11] = False
    assert torch.equal(gridwise_fit(spoiled, prior, at, 20).scale, gridwise_fit(depth_z, prior, known, 20).scale)


def test_the_normaliser_runs_from_0_to_1_without_gradient_through_its_extremes() -> None:
    depth_z, prior = maps()
    depth_z[:20, :25] += torch.randn(20, 25, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    depth_z.requires_grad_()
    fit = gridwise_fit(depth_z, prior, torch.ones(40, 50, dtype=torch.bool), 25)
    normal = fit.normalised_error()  # (39)
    assert float(normal.detach().min()) == 0 and float(normal.detach().max()) == pytest.approx(1)
    span = float((fit.error.max() - fit.error.min()).detach())
    (of_normal,) = torch.autograd.grad(normal.sum(), depth_z, retain_graph=True)
    (of_error,) = torch.autograd.grad(fit.error.sum(), depth_z)
    assert torch.allclose(of_normal, of_error / span)


def test_gradients_are_those_of_differences() -> None:
    depth_z, prior = maps(8, 9)
    at = torch.ones(8, 9, dtype=torch.bool)

    def outputs(depth_z: torch.Tensor, prior: torch.Tensor) -> tuple[torch.Tensor, ...]:
        fit = gridwise_fit(depth_z, prior, at, 5)
        return fit.scale, fit.shift, fit.error, fit.error_map(8, 9)[0]

    assert torch.autograd.gradcheck(outputs, (depth_z.requires_grad_(), prior.requires_grad_()))


def test_cells_hold_about_nine_matches_within_the_papers_bounds() -> None:
    assert [cell_side_px(stride) for stride in (1.0, 8.0, 16.0, 40.0)] == [15, 24, 48, 60]


def test_maps_of_different_sizes_are_refused() -> None:
    depth_z, prior = maps()
    with pytest.raises(ValueError, match="one size"):
        gridwise_fit(depth_z, prior[:20], torch.ones(40, 50, dtype=torch.bool), 20)
    with pytest.raises(ValueError, match="positive ridge"):
        gridwise_fit(depth_z, prior, torch.ones(40, 50, dtype=torch.bool), 20, ridge=0.0)
