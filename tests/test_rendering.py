import math

import pytest
import torch

from hyperfocal.native.rasterize import rasterize
from hyperfocal.rendering import RenderOptions, expected_depth
from scenes import pinhole, random_gaussians


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


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("near", value) for value in (0.0, -0.01, math.nan)),
        *(("low_pass_px2", value) for value in (-0.1, math.nan)),
        *(("alpha_cut", value) for value in (-0.1, 1.0, math.nan)),
    ],
)
def test_settings_out_of_range_are_refused_by_options_and_rasteriser_alike(name: str, value: float) -> None:
    gaussians, camera = random_gaussians(3), pinhole().as_batch()
    parts = (gaussians.means, gaussians.quaternions, gaussians.scales, gaussians.opacities)
    view = (camera.world_to_camera, camera.focal_px, camera.center_px, camera.width, camera.height)
    with pytest.raises(ValueError, match=f"`{name}` must be .*, got {value}"):
        RenderOptions(**{name: value})  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match=f"`{name}` must be .*, got {value}"):
        rasterize(*parts, *view, sh=gaussians.sh, **{name: value})  # pyright: ignore[reportArgumentType]
