import torch

from hyperfocal.rendering import expected_depth


def test_expected_depth_is_zero_with_finite_gradients_where_nothing_was_hit() -> None:
    depth_sum = torch.tensor([[1.5, 0.0]], requires_grad=True)
    alpha = torch.tensor([[0.5, 0.0]], requires_grad=True)
    depth = expected_depth(depth_sum, alpha)
    assert depth.tolist() == [[3.0, 0.0]]
    depth.sum().backward()
    # d(s / a) = ds / a - s da / a^2
    assert depth_sum.grad is not None
    assert alpha.grad is not None
    assert depth_sum.grad.tolist() == [[2.0, 0.0]]
    assert alpha.grad.tolist() == [[-6.0, 0.0]]
