import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from hyperfocal.losses.photometric import l1_map, l1_ssim_loss, ssim_map


def image(seed: int, height: int = 9, width: int = 14) -> Float[Tensor, "h w 3"]:
    return torch.rand(height, width, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_equal_images_have_no_loss() -> None:
    assert l1_ssim_loss(image(0), image(0)).item() == pytest.approx(0, abs=1e-12)
    assert torch.allclose(ssim_map(image(0), image(0)), torch.ones(9, 14, 3, dtype=torch.float64))


def test_ssim_of_flat_images_is_the_luminance_term() -> None:
    # Inside, where the window sees no border: no variance, so SSIM = (2 a b + C1) / (a^2 + b^2 + C1).
    a, b = torch.full((15, 15, 1), 0.25).double(), torch.full((15, 15, 1), 0.75).double()
    expected = (2 * 0.25 * 0.75 + 1e-4) / (0.25**2 + 0.75**2 + 1e-4)
    assert torch.allclose(ssim_map(a, b)[5:-5, 5:-5], torch.tensor(expected).double())


def test_ssim_of_a_negative_is_near_minus_one_when_means_agree() -> None:
    # A checkerboard of amplitude a about 1/2 against its negative: equal means, covariance -variance.
    rows, columns = torch.meshgrid(torch.arange(25), torch.arange(25), indexing="ij")
    board = (0.4 * (1 - 2 * ((rows + columns) % 2)).double()).unsqueeze(-1)
    centre = ssim_map(0.5 + board, 0.5 - board)[12, 12, 0]
    assert centre.item() == pytest.approx(-1, abs=0.01)


def test_loss_is_the_weighted_sum_of_its_maps() -> None:
    a, b = image(1), image(2)
    expected = 0.7 * l1_map(a, b).mean() + 0.3 * (1 - ssim_map(a, b).mean())
    assert torch.allclose(l1_ssim_loss(a, b, ssim_weight=0.3), expected)


@pytest.mark.parametrize("masked", [False, True])
def test_gradients_agree_with_finite_differences(masked: bool) -> None:
    a, b = image(3, 6, 7).requires_grad_(), image(4, 6, 7)
    valid = (torch.rand(6, 7, generator=torch.Generator().manual_seed(5)) < 0.6) if masked else None
    assert torch.autograd.gradcheck(lambda x: l1_ssim_loss(x, b, ssim_weight=0.4, valid=valid), (a,), fast_mode=True)


def test_invalid_pixels_change_neither_loss_nor_gradient() -> None:
    a, b = image(6), image(7)
    valid = torch.ones(9, 14, dtype=torch.bool)
    valid[2:6, 3:9] = False
    spoiled = torch.where(valid.unsqueeze(-1), a, 1e3)
    losses, gradients = [], []
    for rendered in (a, spoiled):
        rendered = rendered.clone().requires_grad_()
        losses.append(l1_ssim_loss(rendered, b, valid=valid))
        gradients.append(torch.autograd.grad(losses[-1], rendered)[0])
    assert torch.equal(losses[0], losses[1])
    assert torch.equal(gradients[0], gradients[1])
    assert (gradients[0][~valid] == 0).all()
    assert (gradients[0][valid] != 0).all()


def test_a_full_mask_is_no_mask() -> None:
    a, b = image(8), image(9)
    assert torch.allclose(l1_ssim_loss(a, b, valid=torch.ones(9, 14, dtype=torch.bool)), l1_ssim_loss(a, b))


def test_an_empty_mask_costs_nothing() -> None:
    a = image(10).requires_grad_()
    loss = l1_ssim_loss(a, image(11), valid=torch.zeros(9, 14, dtype=torch.bool))
    assert loss.item() == 0
    assert (torch.autograd.grad(loss, a)[0] == 0).all()


def test_a_weight_outside_its_range_is_refused() -> None:
    with pytest.raises(ValueError, match="ssim_weight"):
        l1_ssim_loss(image(0), image(0), ssim_weight=1.5)
