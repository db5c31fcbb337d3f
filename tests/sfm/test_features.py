from pathlib import Path

import numpy as np
import pytest
import torch

from hyperfocal.camera import pixel_centers
from hyperfocal.errors import BadInputError
from hyperfocal.progress import silent
from hyperfocal.scene import View
from hyperfocal.sfm import SfmConfig
from hyperfocal.sfm.features import find_features
from photo_files import camera_at, picture_of_relief


def blob(x: float, y: float, sigma_px: float, width: int = 200, height: int = 160) -> torch.Tensor:
    """A red Gaussian blob on black, at pixel coordinates whose centres are at +0.5."""
    square = (pixel_centers(width, height) - torch.tensor([x, y])).square().sum(-1)
    return torch.exp(-square / (2 * sigma_px**2)).unsqueeze(-1) * torch.tensor([0.9, 0.1, 0.1])


@pytest.mark.parametrize(("max_image_size_px", "tolerance_px"), [(1600, 0.05), (100, 0.2)])
def test_a_blob_is_found_at_its_pixel_position(max_image_size_px: int, tolerance_px: float):
    # The half pixel between OpenCV's and our coordinates would shift every principal point.
    view = View("blob", blob(90.3, 71.8, 5.0))
    found = find_features((view,), SfmConfig(max_image_size_px=max_image_size_px), {}, silent).features[0]
    offsets = np.abs(found.keypoints[:, :2] - (90.3, 71.8)).max(axis=1)
    assert offsets.min() < tolerance_px
    assert found.colors[offsets.argmin(), 0] > 200
    assert found.colors[offsets.argmin(), 1] < 50


def test_masks_keep_features_out():
    image = picture_of_relief(camera_at((0, 0, -3)))
    left = (pixel_centers(320, 240)[..., 0] < 160).clone()
    view = View("relief", image, mask=left)
    upper = pixel_centers(320, 240)[..., 1] < 120
    found = find_features((view,), SfmConfig(), {"relief": upper}, silent).features[0]
    assert len(found.keypoints) > 50
    assert found.keypoints[:, 0].max() < 160
    assert found.keypoints[:, 1].max() < 120
    assert len(found.keypoints) == len(found.descriptors) == len(found.colors)


def test_a_mask_of_the_wrong_size_is_refused():
    view = View("relief", picture_of_relief(camera_at((0, 0, -3))))
    with pytest.raises(BadInputError, match="the mask given for relief has 3 x 2 pixels, the photograph 320 x 240"):
        find_features((view,), SfmConfig(), {"relief": torch.ones(2, 3, dtype=torch.bool)}, silent)


def test_a_photograph_that_cannot_be_decoded_is_noted(tmp_path: Path):
    (tmp_path / "bad.jpg").write_bytes(b"\xff\xd8\xff\xe0 nothing")
    good = View("good", blob(50, 50, 5))
    found = find_features((View("bad.jpg", tmp_path / "bad.jpg"), good), SfmConfig(), {}, silent)
    assert found.views == [good]
    assert len(found.features) == 1
    assert found.notes == ("1 photographs cannot be decoded: bad.jpg.",)


def test_an_image_without_detail_has_no_features():
    found = find_features((View("grey", torch.full((60, 80, 3), 0.5)),), SfmConfig(), {}, silent).features[0]
    assert found.keypoints.shape == (0, 4)
    assert found.descriptors.shape == (0, 128)


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="max_features must be at least 1, got 0"):
        SfmConfig(max_features=0)
