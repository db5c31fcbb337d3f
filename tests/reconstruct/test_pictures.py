import base64
import io

import pytest
import torch
from PIL import Image

from hyperfocal.color import linear_from_srgb
from hyperfocal.reconstruct.pictures import (
    DEPTH_RAMP,
    ERROR_RAMP,
    UNKNOWN,
    DepthRange,
    Ramp,
    data_uri,
    depth_picture,
    depth_range,
    error_picture,
)


@pytest.mark.parametrize("ramp", [DEPTH_RAMP, ERROR_RAMP], ids=["depth", "error"])
def test_ramps_grow_lighter_at_an_even_pace(ramp: Ramp) -> None:
    # CIE lightness, which the ramps were not built from: a check of the Oklab arithmetic as well.
    luminance = linear_from_srgb(ramp.colors) @ torch.tensor([0.2126, 0.7152, 0.0722])
    lightness = 116 * luminance.clamp_min(0.008856) ** (1 / 3) - 16
    steps = lightness[40:].diff()
    assert bool((steps > 0).all())
    assert float(steps.max() / steps.min()) < 2.5


@pytest.mark.parametrize("ramp", [DEPTH_RAMP, ERROR_RAMP], ids=["depth", "error"])
def test_ramps_have_no_visible_step(ramp: Ramp) -> None:
    assert float(ramp.colors.diff(dim=0).abs().max()) < 4 / 255


def test_near_is_lighter_than_far_and_unknown_is_grey() -> None:
    picture = depth_picture(torch.tensor([[1.0, 2.0, 4.0, 0.0]]), DepthRange(1.0, 4.0))
    brightness = picture[0].sum(1)
    assert brightness[0] > brightness[1] > brightness[2]
    assert picture[0, 3].tolist() == pytest.approx(UNKNOWN)


def test_ticks_run_from_far_to_near_evenly_in_inverse_depth() -> None:
    ticks = DepthRange(1.0, 4.0).ticks(3)
    assert ticks == pytest.approx([4.0, 1.6, 1.0])


def test_outliers_do_not_stretch_the_range() -> None:
    depth = torch.full((50, 50), 2.0)
    depth[0, :5] = 1000.0
    depth[1, 0] = 0.0
    span = depth_range([depth])
    assert span is not None
    assert span.near == 2.0
    assert span.far == pytest.approx(2.0, rel=2e-3)


def test_no_depth_has_no_range() -> None:
    assert depth_range([torch.zeros(4, 4)]) is None


def test_errors_are_light_and_invalid_pixels_grey() -> None:
    photograph = torch.zeros(1, 3, 3)
    rendered = torch.tensor([0.0, 0.25, 0.25]).view(1, 3, 1).expand(1, 3, 3)
    picture = error_picture(rendered, photograph, torch.tensor([[True, True, False]]), 0.25)
    assert torch.equal(picture[0, 0], ERROR_RAMP.colors[0])
    assert torch.equal(picture[0, 1], ERROR_RAMP.colors[255])
    assert picture[0, 2].tolist() == pytest.approx(UNKNOWN)


def test_a_data_uri_holds_the_reduced_picture() -> None:
    uri = data_uri(torch.full((40, 100, 3), 0.5), long_side=50)
    head, body = uri.split(",", 1)
    assert head == "data:image/webp;base64"
    with Image.open(io.BytesIO(base64.b64decode(body))) as image:
        assert image.size == (50, 20)
        value = image.convert("RGB").getpixel((25, 10))
    assert isinstance(value, tuple)
    assert all(abs(channel - 128) <= 3 for channel in value)
