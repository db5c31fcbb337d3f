"""`Gaussians` as a value."""

import pytest
import torch

from hyperfocal.gaussians import Gaussians, concatenate, from_points
from hyperfocal.sh import color_from_dc
from hyperfocal.transforms import rotation_from_quaternion
from scenes import random_gaussians


def test_fields_of_different_lengths_are_refused() -> None:
    g = random_gaussians(5)
    with pytest.raises((ValueError, TypeError)):  # the shape checker of the tests is quicker than our own check
        Gaussians(g.means[:4], g.quaternions, g.scales, g.opacities, g.sh)


def test_a_number_of_coefficients_that_no_degree_has_is_refused() -> None:
    g = random_gaussians(5)
    with pytest.raises(ValueError, match="1, 4, 9 or 16"):
        Gaussians(g.means, g.quaternions, g.scales, g.opacities, g.sh[:, :5])


def test_the_covariance_has_the_squared_scales_as_eigenvalues() -> None:
    g = random_gaussians(20, dtype=torch.float64)
    values = torch.linalg.eigvalsh(g.covariances())
    torch.testing.assert_close(values, g.scales.square().sort(dim=1).values)


def test_a_quarter_turn_about_z_swaps_the_x_and_y_extents() -> None:
    g = Gaussians(
        means=torch.zeros(1, 3),
        quaternions=torch.tensor([[0.5**0.5, 0.0, 0.0, 0.5**0.5]]),
        scales=torch.tensor([[1.0, 2.0, 3.0]]),
        opacities=torch.tensor([0.5]),
        sh=torch.zeros(1, 1, 3),
    )
    torch.testing.assert_close(g.covariances()[0], torch.diag(torch.tensor([4.0, 1.0, 9.0])), atol=1e-6, rtol=0)


def test_the_length_of_a_quaternion_means_nothing() -> None:
    g = random_gaussians(10)
    longer = Gaussians(g.means, 3 * g.quaternions, g.scales, g.opacities, g.sh)
    torch.testing.assert_close(longer.covariances(), g.covariances())


def test_transforming_moves_means_and_covariances_alike() -> None:
    g = random_gaussians(10, sh_degree=0, dtype=torch.float64)
    turn = rotation_from_quaternion(torch.tensor([0.9, 0.1, -0.3, 0.2], dtype=torch.float64))
    shift = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    moved = g.transformed(2.0, turn, shift)
    torch.testing.assert_close(moved.means, 2 * g.means @ turn.T + shift)
    torch.testing.assert_close(moved.covariances(), 4 * turn @ g.covariances() @ turn.T)


def test_colours_that_depend_on_direction_are_not_turned_silently() -> None:
    with pytest.raises(ValueError, match="with_sh_degree"):
        random_gaussians(3).transformed(1.0, torch.eye(3), torch.zeros(3))


def test_raising_the_degree_fills_with_zeros_and_lowering_cuts() -> None:
    g = random_gaussians(4, sh_degree=1)
    raised = g.with_sh_degree(3)
    assert raised.sh.shape == (4, 16, 3)
    assert not raised.sh[:, 4:].any()
    assert torch.equal(raised.with_sh_degree(1).sh, g.sh)


def test_concatenation_keeps_order_and_the_highest_degree() -> None:
    a, b = random_gaussians(3, sh_degree=0), random_gaussians(2, sh_degree=2, seed=1)
    joined = concatenate([a, b])
    assert len(joined) == 5
    assert joined.sh_degree == 2
    assert torch.equal(joined.means, torch.cat((a.means, b.means)))
    assert torch.equal(joined.select(torch.arange(3, 5)).sh, b.sh)


def test_colour_spaces_are_not_mixed() -> None:
    a = random_gaussians(3)
    b = Gaussians(**a.tensors(), color_space="linear")
    with pytest.raises(ValueError, match="colour space"):
        concatenate([a, b])


def test_points_become_round_gaussians_of_their_colour() -> None:
    colors = torch.tensor([[0.1, 0.5, 0.9], [1.0, 0.0, 0.3]])
    g = from_points(torch.zeros(2, 3), colors, torch.tensor([0.5, 2.0]), opacity=0.3, sh_degree=2)
    torch.testing.assert_close(color_from_dc(g.sh[:, 0]), colors)
    assert not g.sh[:, 1:].any()
    torch.testing.assert_close(g.covariances()[1], 4 * torch.eye(3))
    assert g.opacities.tolist() == pytest.approx([0.3, 0.3])
