from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hyperfocal.camera import Camera, pixel_centers, project
from hyperfocal.data import load_photograph
from hyperfocal.distortion import Distortion, distort
from hyperfocal.errors import BadInputError
from hyperfocal.scene import View
from photo_files import camera_at, picture_of_relief, save_picture

DISTORTIONS = (
    Distortion("opencv", (0.08, -0.05, 0.002, -0.001)),
    Distortion("opencv", (-0.15, 0.02, 0.0, 0.0)),
    Distortion("full_opencv", (0.05, -0.02, 0.001, -0.002, 0.01, 0.02, 0.0, 0.01)),
    Distortion("fisheye", (0.02, -0.01, 0.0, 0.001)),
)


def dots(camera: Camera, distortion: Distortion | None, points: torch.Tensor) -> torch.Tensor:
    """A photograph with a Gaussian dot (sigma 2 px) at the distorted position of each point."""
    ideal, _ = project(camera, points)
    plane = (ideal - camera.center_px) / camera.focal_px
    seen = (plane if distortion is None else distort(distortion, plane)) * camera.focal_px + camera.center_px
    pixels = pixel_centers(camera.width, camera.height)
    image = torch.zeros(camera.height, camera.width)
    for position in seen:
        image += torch.exp(-(pixels - position).square().sum(-1) / 8)
    return image.clamp(0, 1).unsqueeze(-1).expand(-1, -1, 3).contiguous()


def centroid(image: torch.Tensor, near: torch.Tensor, radius_px: int = 8) -> torch.Tensor:
    """The light's mean position around a pixel position."""
    x, y = (int(v) for v in near)
    patch = image[y - radius_px : y + radius_px + 1, x - radius_px : x + radius_px + 1, 0]
    places = pixel_centers(image.shape[1], image.shape[0])[
        y - radius_px : y + radius_px + 1, x - radius_px : x + radius_px + 1
    ]
    return (places * patch.unsqueeze(-1)).sum((0, 1)) / patch.sum()


POINTS = torch.tensor([[0.0, 0.0, 0.0], [0.9, 0.6, 0.0], [-1.0, 0.5, 0.3], [0.7, -0.7, -0.2], [-0.8, -0.6, 0.1]])


@pytest.mark.parametrize("distortion", [None, *DISTORTIONS])
@pytest.mark.parametrize("long_side", [None, 160])
def test_a_dot_lands_where_its_camera_projects_it(distortion: Distortion | None, long_side: int | None):
    camera = camera_at((0.4, -0.2, -3.0))
    view = View("dots", dots(camera, distortion, POINTS), camera, distortion)
    photograph = load_photograph(view, long_side=long_side)
    expected, _ = project(photograph.camera, POINTS)
    assert photograph.image.shape[:2] == (photograph.camera.height, photograph.camera.width)
    for position in expected:
        radius_px = 8 if long_side is None else 5
        assert float((centroid(photograph.image, position, radius_px) - position).norm()) < 0.1


@pytest.mark.parametrize("distortion", DISTORTIONS)
def test_undistorting_gives_the_picture_of_the_pinhole(distortion: Distortion):
    camera = camera_at((0.5, 0.1, -3.0))
    photograph = load_photograph(View("relief", picture_of_relief(camera, distortion), camera, distortion))
    truth = picture_of_relief(camera)
    error = (photograph.image - truth).abs()[photograph.valid]
    assert photograph.valid.float().mean() > 0.7
    assert float(error.mean()) < 0.01  # a shift of half a pixel would give 0.02


def test_a_photograph_without_distortion_is_not_resampled():
    image = picture_of_relief(camera := camera_at((0.5, 0.1, -3.0)))
    for distortion in (None, Distortion("opencv", (0.0,) * 4)):
        photograph = load_photograph(View("relief", image, camera, distortion))
        assert torch.equal(photograph.image, image)
        assert bool(photograph.valid.all())


def test_pixels_that_the_lens_did_not_see_are_not_valid():
    camera = camera_at((0, 0, -3.0))
    pincushion = load_photograph(View("a", torch.ones(240, 320, 3), camera, Distortion("opencv", (0.3, 0.0, 0.0, 0.0))))
    assert not pincushion.valid[0, 0]
    assert pincushion.valid[120, 160]
    barrel = load_photograph(View("a", torch.ones(240, 320, 3), camera, Distortion("opencv", (-0.3, 0.0, 0.0, 0.0))))
    assert bool(barrel.valid.all())


def test_folded_corners_are_not_valid():
    # r (1 - 0.9 r^2) turns back at r = 0.61: 183 px from the middle with f = 300.
    camera = camera_at((0, 0, -3.0))
    photograph = load_photograph(
        View("a", torch.ones(240, 320, 3), camera, Distortion("opencv", (-0.9, 0.0, 0.0, 0.0)))
    )
    radius_px = (pixel_centers(320, 240) - camera.center_px).norm(dim=-1)
    assert torch.equal(photograph.valid, radius_px < 300 * (1 / 2.7) ** 0.5)


def test_downsampling_averages_areas_and_keeps_the_field_of_view():
    image = torch.zeros(240, 320, 3)
    image[:, ::2] = 1.0
    photograph = load_photograph(View("stripes", image, camera_at((0, 0, -3.0))), long_side=80)
    torch.testing.assert_close(photograph.image, torch.full((60, 80, 3), 0.5))
    torch.testing.assert_close(photograph.camera.focal_px, torch.tensor([75.0, 75.0]))
    torch.testing.assert_close(photograph.camera.center_px, torch.tensor([163.0, 118.0]) / 4)


def test_odd_ratios_scale_each_axis_by_its_own_ratio():
    photograph = load_photograph(View("a", torch.rand(240, 320, 3), camera_at((0, 0, -3.0))), long_side=99)
    assert (photograph.camera.width, photograph.camera.height) == (99, 74)
    torch.testing.assert_close(photograph.camera.focal_px, torch.tensor([300 * 99 / 320, 300 * 74 / 240]))


def test_nothing_is_enlarged():
    assert load_photograph(View("a", torch.rand(240, 320, 3), camera_at((0, 0, -3))), long_side=999).camera.width == 320


def test_mask_and_alpha_both_exclude(tmp_path: Path):
    pixels = np.full((24, 32, 4), 255, np.uint8)
    pixels[:, :8, 3] = 0
    Image.fromarray(pixels).save(tmp_path / "a.png")
    mask = np.full((24, 32), 255, np.uint8)
    mask[:, 24:] = 0
    Image.fromarray(mask).save(tmp_path / "mask.png")
    camera = camera_at((0, 0, -3), 32, 24)
    view = View("a", tmp_path / "a.png", camera, mask=tmp_path / "mask.png")
    assert load_photograph(view).valid[0].tolist() == [False] * 8 + [True] * 16 + [False] * 8
    assert load_photograph(view, long_side=8).valid[0].tolist() == [False] * 2 + [True] * 4 + [False] * 2
    wrong = replace(view, mask=torch.ones(3, 3, dtype=torch.bool))
    with pytest.raises(BadInputError, match="the mask of a has 3 x 3 pixels, the photograph 32 x 24"):
        load_photograph(wrong)


def test_the_picture_is_turned_as_the_view_says(tmp_path: Path):
    exif = Image.Exif()
    exif[0x0112] = 6
    save_picture(torch.rand(24, 32, 3), tmp_path / "a.png", exif=exif)
    upright = View("a", tmp_path / "a.png", camera_at((0, 0, -3), 24, 32), orientation=6)
    stored = View("a", tmp_path / "a.png", camera_at((0, 0, -3), 32, 24))
    turned, as_stored = load_photograph(upright).image, load_photograph(stored).image
    torch.testing.assert_close(turned, as_stored.rot90(-1))


def test_a_view_without_camera_is_refused():
    with pytest.raises(BadInputError, match=r"camera of a is unknown. Estimate poses first"):
        load_photograph(View("a", torch.rand(4, 4, 3)))


def test_a_photograph_of_another_size_than_its_camera_is_refused():
    with pytest.raises(BadInputError, match="has 10 x 10 pixels, but its camera is for 320 x 240"):
        load_photograph(View("a", torch.rand(10, 10, 3), camera_at((0, 0, -3))))


def test_a_photograph_that_was_deleted_is_named(tmp_path: Path):
    with pytest.raises(BadInputError, match=r"gone\.png does not exist \(any more\)"):
        load_photograph(View("a", tmp_path / "gone.png", camera_at((0, 0, -3))))
