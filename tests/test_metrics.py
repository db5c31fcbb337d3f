import math
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from jaxtyping import Float
from scipy.ndimage import gaussian_filter
from torch import Tensor

from hyperfocal import metrics


def image(seed: int, height: int = 24, width: int = 31) -> Float[Tensor, "h w 3"]:
    return torch.rand(height, width, 3, generator=torch.Generator().manual_seed(seed))


def half_mask() -> Tensor:
    mask = torch.ones(24, 31, dtype=torch.bool)
    mask[:, 15:] = False
    return mask


def test_psnr_of_a_constant_offset() -> None:
    # An error of 0.1 everywhere: -20 log10(0.1) = 20 dB.
    truth = image(0) * 0.8
    assert metrics.psnr(truth + 0.1, truth) == pytest.approx(20, abs=1e-4)


def test_psnr_of_equal_images_is_infinite() -> None:
    assert metrics.psnr(image(0), image(0)) == math.inf


def test_psnr_looks_at_valid_pixels_only() -> None:
    truth = image(0) * 0.5
    rendered = truth + torch.where(half_mask(), 0.01, 0.4).unsqueeze(-1)
    assert metrics.psnr(rendered, truth, half_mask()) == pytest.approx(40, abs=1e-3)


def test_ssim_agrees_with_an_independent_implementation() -> None:
    a, b = image(1).double().numpy(), (0.7 * image(1) + 0.3 * image(2)).double().numpy()

    def blur(values: np.ndarray) -> np.ndarray:
        return gaussian_filter(values, 1.5, mode="constant", radius=5, axes=(0, 1))

    variance_a, variance_b = blur(a * a) - blur(a) ** 2, blur(b * b) - blur(b) ** 2
    covariance = blur(a * b) - blur(a) * blur(b)
    luminance = (2 * blur(a) * blur(b) + 1e-4) / (blur(a) ** 2 + blur(b) ** 2 + 1e-4)
    expected = luminance * (2 * covariance + 9e-4) / (variance_a + variance_b + 9e-4)
    assert metrics.ssim(torch.from_numpy(a).float(), torch.from_numpy(b).float()) == pytest.approx(
        expected.mean(), abs=1e-5
    )


def test_ssim_of_equal_images_is_one() -> None:
    assert metrics.ssim(image(3), image(3)) == pytest.approx(1, abs=1e-6)


def test_what_is_invalid_does_not_change_the_numbers() -> None:
    truth, rendered = image(4), image(5)
    spoiled = torch.where(half_mask().unsqueeze(-1), rendered, 0)
    for metric in (metrics.psnr, metrics.ssim, metrics.flip):
        assert metric(spoiled, truth, half_mask()) == metric(rendered, truth, half_mask())


def test_flip_of_equal_images_is_zero() -> None:
    assert metrics.flip(image(6), image(6)) == 0


def test_flip_of_black_and_white_is_near_one() -> None:
    black, white = torch.zeros(40, 40, 3), torch.ones(40, 40, 3)
    assert 0.95 < metrics.flip(white, black) <= 1


def test_flip_sees_less_from_afar() -> None:
    truth = image(7)
    rendered = (truth + 0.2 * (image(8) - 0.5)).clamp(0, 1)
    assert metrics.flip(rendered, truth, pixels_per_degree=200.0) < metrics.flip(rendered, truth)


def test_flip_leaves_its_inputs_alone() -> None:
    truth, rendered = image(9), image(10)
    metrics.flip(rendered, truth)
    assert torch.equal(truth, image(9))
    assert torch.equal(rendered, image(10))


def test_a_photograph_has_8_bits() -> None:
    rounded = metrics.as_photograph(torch.tensor([-0.1, 0.2 / 255, 0.6 / 255, 0.5, 1.7]))
    assert torch.equal(rounded, torch.tensor([0, 0, 1, 128, 255]) / 255)


@pytest.mark.parametrize("metric", [metrics.psnr, metrics.ssim, metrics.flip])
def test_an_error_of_no_pixels_is_refused(metric: Callable[..., float]) -> None:
    with pytest.raises(ValueError, match="nothing to compare"):
        metric(image(0), image(1), torch.zeros(24, 31, dtype=torch.bool))


def test_lpips_says_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "find_spec", lambda name: None)
    assert "lpips" in str(metrics.lpips_obstacle())
    assert metrics.lpips(image(0), image(1)) is None


def test_lpips_never_downloads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(metrics, "find_spec", lambda name: object())
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    assert "vgg16" in str(metrics.lpips_obstacle())
    assert metrics.lpips(image(0), image(1)) is None


def test_lpips_hands_over_batches_of_planes(monkeypatch: pytest.MonkeyPatch) -> None:
    def create(net: str, verbose: bool) -> object:
        assert (net, verbose) == ("vgg", False)

        def distance(a: Tensor, b: Tensor, normalize: bool) -> Tensor:
            assert a.shape == b.shape == (1, 3, 24, 31)
            assert normalize  # [0, 1] in, as ours are
            return (a - b).abs().mean().view(1, 1, 1, 1)

        return distance

    monkeypatch.setattr(metrics, "lpips_obstacle", lambda: None)
    monkeypatch.setitem(sys.modules, "lpips", SimpleNamespace(LPIPS=create))
    metrics._lpips_network.cache_clear()
    assert metrics.lpips(image(0), image(0)) == 0
    metrics._lpips_network.cache_clear()


def test_depth_errors_of_a_scaled_depth() -> None:
    truth = 1 + 4 * image(11)[..., 0]
    near, far = metrics.depth_errors(1.2 * truth, truth), metrics.depth_errors(truth / 1.3, truth)
    assert near.abs_rel == pytest.approx(0.2, abs=1e-6)
    assert near.delta1 == 1
    assert near.rmse_log == pytest.approx(math.log(1.2), abs=1e-6)
    assert far.abs_rel == pytest.approx(1 - 1 / 1.3, abs=1e-6)
    assert far.delta1 == 0
    assert far.rmse_log == pytest.approx(math.log(1.3), abs=1e-6)


def test_depth_is_judged_where_the_truth_is_known() -> None:
    truth = torch.tensor([[2.0, 0.0]])
    assert metrics.depth_errors(torch.tensor([[2.0, 9.0]]), truth).abs_rel == 0


def test_a_depth_that_is_no_depth_is_refused() -> None:
    with pytest.raises(ValueError, match="`estimate` must be positive"):
        metrics.depth_errors(torch.tensor([[2.0, 0.0]]), torch.tensor([[2.0, 2.0]]))
