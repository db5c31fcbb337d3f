import pytest
import torch
from torch import Tensor

from hyperfocal.losses.photometric import l1_ssim_loss
from hyperfocal.native.ssim import fused_l1_ssim_loss


def images(height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """A rendering, a photograph like it, and a mask."""
    generator = torch.Generator().manual_seed(height * 1000 + width)
    rendered = torch.rand(height, width, 3, generator=generator)
    target = 0.7 * rendered + 0.3 * torch.rand(height, width, 3, generator=generator)
    return rendered, target, torch.rand(height, width, generator=generator) < 0.7


def native(rendered: Tensor, target: Tensor, valid: Tensor | None, threads: int = 2) -> tuple[Tensor, Tensor]:
    rendered = rendered.clone().requires_grad_()
    loss = fused_l1_ssim_loss(rendered, target, ssim_weight=0.3, valid=valid, threads=threads)
    return loss.detach(), torch.autograd.grad(loss, rendered)[0]


def reference(rendered: Tensor, target: Tensor, valid: Tensor | None) -> tuple[Tensor, Tensor]:
    """The same in float64 torch."""
    rendered = rendered.double().requires_grad_()
    loss = l1_ssim_loss(rendered, target.double(), ssim_weight=0.3, valid=valid)
    return loss.detach(), torch.autograd.grad(loss, rendered)[0]


def assert_equal(
    result: tuple[Tensor, Tensor], expected: tuple[Tensor, Tensor], gradient_tolerance: float = 2e-6
) -> None:
    # Float32 against float64; the gradient against its largest entry.
    assert result[0].item() == pytest.approx(expected[0].item(), rel=1e-6, abs=1e-9)
    difference = (result[1] - expected[1]).abs().max() / expected[1].abs().max()
    assert difference < gradient_tolerance


# One pixel; less than a window; rows and columns that fill no block; one band exactly, one row more, and three.
@pytest.mark.parametrize(("height", "width"), [(1, 1), (4, 7), (23, 97), (64, 48), (65, 130), (150, 60)])
@pytest.mark.parametrize("masked", [False, True])
def test_equals_the_torch_twin(simd_level: str, height: int, width: int, masked: bool) -> None:
    rendered, target, mask = images(height, width)
    valid = mask if masked and height > 1 else None
    assert_equal(native(rendered, target, valid), reference(rendered, target, valid))


def test_a_real_image_size(simd_level: str) -> None:
    # Segments of 40 pixels; a smooth picture with an edge, as photographs are, and a rendering a little off. Small
    # variances are small differences of large numbers: torch's own float32 gradient is 3.2e-5 from its float64 one.
    y, x = torch.meshgrid(torch.linspace(0, 1, 90), torch.linspace(0, 1, 640), indexing="ij")
    target = torch.stack((x, 0.5 + 0.4 * torch.sin(9 * x + 5 * y), (x > 0.6).float()), dim=-1)
    rendered = target + 0.02 * torch.cos(40 * x - 30 * y).unsqueeze(-1)
    assert_equal(native(rendered, target, None), reference(rendered, target, None), gradient_tolerance=4e-5)


@pytest.mark.parametrize("masked", [False, True])
def test_does_not_depend_on_the_number_of_threads(masked: bool) -> None:
    rendered, target, mask = images(300, 130)
    results = [native(rendered, target, mask if masked else None, threads) for threads in (1, 2, 3, 16)]
    for loss, gradient in results[1:]:
        assert torch.equal(loss, results[0][0])
        assert torch.equal(gradient, results[0][1])


def test_the_value_alone_is_the_same_value() -> None:
    rendered, target, _ = images(70, 50)
    alone = fused_l1_ssim_loss(rendered, target, ssim_weight=0.3, threads=1)
    assert not alone.requires_grad
    assert torch.equal(alone, native(rendered, target, None)[0])


def test_equal_images_have_no_loss_and_no_slope() -> None:
    # SSIM is at its maximum there, and the slope of |0| is 0 as in torch. Round-off against 1 / values for scale.
    _, target, _ = images(40, 60)
    loss, gradient = native(target, target, None)
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert gradient.abs().max() * target.numel() < 1e-4


def test_what_is_invalid_may_be_anything() -> None:
    rendered, target, mask = images(70, 50)
    spoiled = torch.where(mask.unsqueeze(-1), rendered, torch.nan)
    expected = native(rendered, target, mask)
    result = native(spoiled, target, mask)
    assert torch.equal(result[0], expected[0])
    assert torch.equal(result[1], expected[1])
    assert (result[1][~mask] == 0).all()


def test_an_empty_mask_costs_nothing() -> None:
    rendered, target, mask = images(20, 30)
    loss, gradient = native(rendered, target, torch.zeros_like(mask))
    assert loss.item() == 0
    assert (gradient == 0).all()


def test_nan_is_loud() -> None:
    rendered, target, _ = images(20, 30)
    rendered[3, 4, 1] = torch.nan
    assert native(rendered, target, None)[0].isnan()


def test_float32_on_the_cpu_takes_the_kernel_and_scales_its_gradient() -> None:
    rendered, target, _ = images(30, 40)
    rendered.requires_grad_()
    loss = l1_ssim_loss(rendered, target, ssim_weight=0.3)
    assert type(loss.grad_fn).__name__.startswith("_FusedL1Ssim")
    (gradient,) = torch.autograd.grad(3 * loss, rendered, retain_graph=True)
    (again,) = torch.autograd.grad(loss, rendered)
    assert torch.allclose(gradient, 3 * again)


def test_a_target_that_wants_a_gradient_gets_it() -> None:
    rendered, target, _ = images(12, 13)
    target.requires_grad_()
    (gradient,) = torch.autograd.grad(l1_ssim_loss(rendered, target), target)
    assert (gradient != 0).any()


def test_views_of_larger_tensors_are_read_right() -> None:
    rendered, target, mask = images(40, 60)
    crop = (slice(3, 33), slice(10, 51))
    result = native(rendered[crop], target[crop], mask[crop])
    expected = native(rendered[crop].contiguous(), target[crop].contiguous(), mask[crop].contiguous())
    assert torch.equal(result[1], expected[1])
