"""Depth networks of others as priors: their architectures with small random weights, so shapes, sizes and kinds.

What they see and say is tested against a network that says what it saw, since random depth has no truth.
"""

import math
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from hyperfocal.errors import BadInputError, MissingExtraError, has_package
from hyperfocal.priors import depth_anything, depth_pro, metric3d, transformers_models, zoe_depth
from hyperfocal.priors.depth_priors import load_depth_prior, ready_depth_prior
from hyperfocal.priors.network_images import IMAGENET, as_batch, nearest_multiple, normalised, on_pixels, shrunk_size
from hyperfocal.protocols import DepthPrior
from learned_weights import offline, saved
from tiny_onnx import grey_model

needs_transformers = pytest.mark.skipif(not has_package("transformers"), reason="transformers is missing: extra priors")
needs_onnxruntime = pytest.mark.skipif(not has_package("onnxruntime"), reason="onnxruntime is missing: extra priors")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of weights, and no network."""
    offline(monkeypatch)
    monkeypatch.setenv("HYPERFOCAL_WEIGHTS", str(tmp_path))
    return tmp_path


def picture(height: int = 37, width: int = 53) -> Tensor:
    return torch.rand(height, width, 3, generator=torch.Generator().manual_seed(0))


def tiny_dinov2(image_size: int = 28, patch_size: int = 14, **more: Any) -> Any:
    transformers: Any = import_module("transformers")

    small: dict[str, Any] = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "mlp_ratio": 2}
    return transformers.Dinov2Config(**{**small, "image_size": image_size, "patch_size": patch_size, **more})


def tiny_depth_anything(metric: bool = False) -> Any:
    transformers: Any = import_module("transformers")

    backbone = tiny_dinov2(
        num_hidden_layers=4,
        out_features=["stage1", "stage2", "stage3", "stage4"],
        reshape_hidden_states=False,
        apply_layernorm=True,
    )
    config = transformers.DepthAnythingConfig(
        backbone_config=backbone,
        reassemble_hidden_size=16,
        neck_hidden_sizes=[8, 8, 8, 8],
        fusion_hidden_size=8,
        head_hidden_size=4,
        patch_size=14,
        depth_estimation_type="metric" if metric else "relative",
        max_depth=20 if metric else 1,
    )
    return transformers.DepthAnythingForDepthEstimation(config)


def tiny_depth_pro(fov: bool) -> Any:
    transformers: Any = import_module("transformers")

    parts = {f"{part}_model_config": tiny_dinov2(32, 8) for part in ("image", "patch", "fov")}
    config = transformers.DepthProConfig(
        fusion_hidden_size=8,
        patch_size=32,
        intermediate_hook_ids=[1, 0],
        intermediate_feature_dims=[8, 8],
        scaled_images_ratios=[0.25, 0.5, 1.0],
        scaled_images_overlap_ratios=[0.0, 0.5, 0.25],
        scaled_images_feature_dims=[8, 8, 8],
        merge_padding_value=1,
        use_fov_model=fov,
        num_fov_head_layers=0,
        **parts,
    )
    return transformers.DepthProForDepthEstimation(config)


def tiny_zoe_depth() -> Any:
    transformers: Any = import_module("transformers")

    backbone = transformers.BeitConfig(
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=32,
        patch_size=16,
        use_relative_position_bias=True,
        reshape_hidden_states=False,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    config = transformers.ZoeDepthConfig(
        backbone_config=backbone,
        backbone_hidden_size=16,
        neck_hidden_sizes=[8, 8, 8, 8],
        fusion_hidden_size=8,
        bottleneck_features=8,
        num_relative_features=8,
        bin_embedding_dim=8,
        patch_transformer_hidden_size=8,
        patch_transformer_intermediate_size=8,
        patch_transformer_num_attention_heads=2,
        num_attractors=[4, 2, 2, 1],
    )
    return transformers.ZoeDepthForDepthEstimation(config)


@needs_transformers
@pytest.mark.parametrize("metric", [False, True])
def test_depth_anything_says_its_kind(metric: bool, folder: Path) -> None:
    name = "depth-anything-v2-metric-indoor" if metric else "depth-anything-v2-small"
    saved(tiny_depth_anything(metric), folder / name)
    prior: DepthPrior = depth_anything.DepthAnything(name, short_side=28)
    depth = prior(picture())
    assert depth.kind == ("metric" if metric else "affine_disparity")
    assert depth.values.shape == (37, 53)
    assert bool((depth.values >= 0).all())
    assert torch.equal(prior(picture(), 500.0).values, depth.values)


@needs_transformers
def test_the_first_prior_that_is_free_to_use_is_ready(folder: Path) -> None:
    saved(tiny_depth_anything(), folder / "depth-anything-v2-large")  # not for commercial use
    assert ready_depth_prior() is None
    saved(tiny_depth_anything(), folder / "depth-anything-v2-small")
    load = ready_depth_prior()
    assert load is not None
    assert load().identity.startswith("depth-anything-v2-small ")


@needs_transformers
@pytest.mark.parametrize("fov", [False, True])
def test_depth_pro_without_any_focal_length_is_not_metric(fov: bool, folder: Path) -> None:
    saved(tiny_depth_pro(fov), folder / "depth-pro")
    prior = depth_pro.DepthPro(side=128)
    told = prior(picture(), 50.0)
    assert told.kind == "metric"
    assert told.values.shape == (37, 53)
    guessed = prior(picture())
    assert guessed.kind in (("metric", "scale_free") if fov else ("scale_free",))
    # Depth grows with the focal length: that of the network's own camera is the width of the picture.
    near = told.values < depth_pro.FARTHEST_M / 4
    assert bool(near.any())
    torch.testing.assert_close(prior(picture(), 100.0).values[near], 2 * told.values[near])


@needs_transformers
def test_zoe_depth_keeps_the_photographs_pixels(folder: Path) -> None:
    saved(tiny_zoe_depth(), folder / "zoedepth")
    prior = load_depth_prior("zoedepth")
    depth = prior(picture(96, 128))
    assert depth.kind == "metric"
    assert depth.values.shape == (96, 128)
    assert bool((depth.values > 0).all())


@needs_transformers
def test_damaged_and_foreign_weights_are_errors(folder: Path) -> None:
    place = saved(tiny_depth_anything(), folder / "depth-anything-v2-small")
    saved(tiny_depth_pro(False), folder / "zoedepth")
    with pytest.raises(BadInputError, match=r"zoedepth.*ZoeDepthForDepthEstimation"):
        load_depth_prior("zoedepth")
    (place / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(BadInputError, match="depth-anything-v2-small cannot be read as DepthAnything"):
        load_depth_prior("depth-anything-v2-small")


@needs_transformers
def test_weights_with_gaps_are_refused(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    place = saved(tiny_depth_anything(), folder / "depth-anything-v2-small") / "model.safetensors"
    values = load_file(place)
    del values["head.conv1.weight"]
    save_file(values, place, {"format": "pt"})
    with pytest.raises(BadInputError, match=r"1 of its values are missing, such as head\.conv1\.weight"):
        load_depth_prior("depth-anything-v2-small")


def test_without_the_package_the_extra_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (transformers_models, metric3d):
        monkeypatch.setattr(module, "has_package", lambda name: False)
    for name, files in (
        ("zoedepth", ("zoedepth/config.json", "zoedepth/model.safetensors")),
        ("metric3d-v2-small", ("metric3d-v2-small.onnx",)),
    ):
        for file in files:
            (folder / file).parent.mkdir(exist_ok=True)
            (folder / file).touch()
        with pytest.raises(MissingExtraError, match=r"hyperfocal\[priors\]"):
            load_depth_prior(name)


class Saying:
    """A network that says back the first channel of what it saw, and remembers it."""

    config = SimpleNamespace(depth_estimation_type="metric")

    def __init__(self, fov_degrees: float | None = None) -> None:
        self._fov = None if fov_degrees is None else torch.tensor([fov_degrees])
        self.saw = torch.zeros(0)

    def to(self, device: object) -> "Saying":
        return self

    def __call__(self, *, pixel_values: Tensor) -> Any:
        self.saw = pixel_values
        return SimpleNamespace(predicted_depth=pixel_values[:, 0] + 3, field_of_view=self._fov)


def saying(monkeypatch: pytest.MonkeyPatch, module: Any, folder: Path, name: str, network: Saying) -> None:
    (folder / name).mkdir()
    for file in ("config.json", "model.safetensors"):
        (folder / name / file).touch()
    monkeypatch.setattr(module, "load_network", lambda kind, place: network)


def ramp(height: int, width: int) -> Tensor:
    """A picture that grows from left to right, so that shifts and stretches show."""
    return torch.linspace(0.1, 0.9, width).view(1, -1, 1).expand(height, width, 3).contiguous()


def test_depth_anything_sees_multiples_of_its_patch(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = Saying()
    saying(monkeypatch, depth_anything, folder, "depth-anything-v2-small", network)
    image = ramp(600, 900)
    depth = depth_anything.DepthAnything()(image)
    assert network.saw.shape == (1, 3, 518, 784)
    expected = (image[..., 0] - 0.485) / 0.229 + 3
    torch.testing.assert_close(depth.values[:, 20:-20], expected[:, 20:-20], atol=5e-3, rtol=0)


def test_zoe_depth_cuts_its_margin_off_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = Saying()
    saying(monkeypatch, zoe_depth, folder, "zoedepth", network)
    image = ramp(480, 640)
    depth = zoe_depth.ZoeDepth()(image)
    assert network.saw.shape == (1, 3, 384, 512)
    expected = (image[..., 0] - 0.5) / 0.5 + 3
    torch.testing.assert_close(depth.values[:, 20:-20], expected[:, 20:-20], atol=5e-3, rtol=0)


def test_depth_pro_turns_its_inverse_depth_into_metres(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = Saying(fov_degrees=90.0)
    saying(monkeypatch, depth_pro, folder, "depth-pro", network)
    image = ramp(60, 90)
    depth = depth_pro.DepthPro(side=64)(image)
    assert network.saw.shape == (1, 3, 64, 64)
    # 90 degrees across 90 px are a focal length of 45 px, so inverse depth is what it says times 90 / 45.
    inverse = ((image[..., 0] - 0.5) / 0.5 + 3) * 90 / (0.5 * 90 / math.tan(math.radians(45)))
    torch.testing.assert_close(depth.values[:, 5:-5], 1 / inverse[:, 5:-5], atol=0, rtol=0.02)


class Session:
    """Stands in for a session of onnxruntime: says the first channel, at a fraction of the size."""

    def __init__(self, shape: list[Any], fraction: int = 1) -> None:
        self._shape, self._fraction = shape, fraction
        self.saw = np.zeros(0, np.float32)

    def get_inputs(self) -> Any:
        return [SimpleNamespace(name="picture", shape=self._shape)]

    def get_outputs(self) -> Any:
        return [SimpleNamespace(name="normals"), SimpleNamespace(name="predicted_depth")]

    def run(self, names: list[str], given: dict[str, np.ndarray]) -> list[np.ndarray]:
        assert names == ["predicted_depth"]
        self.saw = given["picture"]
        return [self.saw[:, :1, :: self._fraction, :: self._fraction] / 255]


@pytest.mark.parametrize(("shape", "size"), [([1, 3, "h", "w"], (616, 1064)), ([1, 3, 56, 112], (56, 112))])
@pytest.mark.parametrize(("height", "width"), [(90, 200), (200, 90)])
def test_metric3d_recovers_the_scale_of_the_true_camera(
    shape: list[Any], size: tuple[int, int], height: int, width: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "metric3d-v2-small.onnx").touch()
    session = Session(shape)
    monkeypatch.setattr(metric3d, "_session", lambda path: session)
    image = ramp(height, width)
    prior: DepthPrior = metric3d.Metric3D()
    free, depth = prior(image), prior(image, 400.0)
    assert session.saw.shape == (1, 3, *size)
    assert (free.kind, depth.kind) == ("scale_free", "metric")
    ratio = min(size[0] / height, size[1] / width)
    inner = slice(8, -8)
    torch.testing.assert_close(free.values[:, inner], image[:, inner, 0], atol=0.02, rtol=0)
    torch.testing.assert_close(depth.values, free.values * 400.0 * ratio / 1000)
    # The padding is the mean colour: nothing after the file's own normalisation.
    corner = session.saw[0, :, 0, 0] if width / height != size[1] / size[0] else None
    if corner is not None:
        np.testing.assert_allclose(corner, [123.675, 116.28, 103.53], rtol=1e-5)


def test_metric3d_takes_answers_at_a_fraction_of_the_size(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "metric3d-v2-small.onnx").touch()
    monkeypatch.setattr(metric3d, "_session", lambda path: Session([1, 3, 56, 112], fraction=4))
    image = ramp(50, 60)
    depth = metric3d.Metric3D()(image)
    assert depth.values.shape == (50, 60)
    torch.testing.assert_close(depth.values[:, 8:-8], image[:, 8:-8, 0], atol=0.05, rtol=0)


@needs_onnxruntime
def test_metric3d_runs_an_onnx_file(folder: Path) -> None:
    place = folder / "metric3d-v2-small.onnx"
    place.write_bytes(grey_model())
    prior = metric3d.Metric3D(size=(56, 112))
    image = ramp(50, 100)
    torch.testing.assert_close(prior(image).values[:, 4:-4], 255 * image[:, 4:-4, 0], atol=3.0, rtol=0)
    place.write_bytes(b"no model")
    with pytest.raises(BadInputError, match="cannot be read as an ONNX model"):
        metric3d.Metric3D()


def test_pictures_keep_their_corners_on_the_way_to_a_network_and_back() -> None:
    image = ramp(40, 60)
    there = as_batch(image, 20, 30, "cpu")
    # Halving averages pairs: the first is at 1 px, between the first two pixels.
    torch.testing.assert_close(there[0, 0, 5, 5:25], image[0, :, 0].view(-1, 2).mean(1)[5:25], atol=1e-3, rtol=0)
    back = on_pixels(there[0, 0], image)
    torch.testing.assert_close(back[:, 4:-4], image[:, 4:-4, 0], atol=1e-3, rtol=0)
    assert as_batch(image, 40, 60, "cpu").shape == (1, 3, 40, 60)
    grey = normalised(torch.full((1, 3, 1, 1), 0.485), IMAGENET)
    assert float(grey[0, 0]) == pytest.approx(0, abs=1e-6)


def test_sizes_are_the_nearest_multiples() -> None:
    assert nearest_multiple(20.0, 14) == 14
    assert nearest_multiple(21.5, 14) == 28
    assert nearest_multiple(1.0, 14) == 14
    assert shrunk_size(1000, 2000, 800, 8) == (400, 800)
    assert shrunk_size(100, 200, 800) == (100, 200)
