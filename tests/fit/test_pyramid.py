"""Photographs at the sizes that a fit uses."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
import torch

from hyperfocal.camera import project
from hyperfocal.fit.pyramid import PhotographStore, shrunk
from hyperfocal.scene import Photograph
from scenes import pinhole


def photograph(width: int = 64, height: int = 48) -> Photograph:
    image = torch.rand(height, width, 3, generator=torch.Generator().manual_seed(0))
    return Photograph("a", image, torch.ones(height, width, dtype=torch.bool), pinhole(width, height))


def test_each_pixel_is_the_mean_of_what_it_covers() -> None:
    small = shrunk(photograph(), 2)
    assert small.image.shape == (24, 32, 3)
    torch.testing.assert_close(small.image[3, 5], photograph().image[6:8, 10:12].mean((0, 1)))


def test_the_camera_shrinks_with_the_picture() -> None:
    point = torch.tensor([[0.2, -0.1, 1.0]])
    large, small = photograph(), shrunk(photograph(), 3)
    at_large, at_small = (project(p.camera, point)[0] for p in (large, small))
    ratio = torch.tensor([small.camera.width / large.camera.width, small.camera.height / large.camera.height])
    torch.testing.assert_close(at_small, at_large * ratio)
    assert small.image.shape[:2] == (small.camera.height, small.camera.width)


def test_a_pixel_counts_only_if_all_that_it_covers_does() -> None:
    whole = photograph()
    whole.valid[7, 11] = False
    valid = shrunk(whole, 2).valid
    assert not valid[3, 5]
    assert int((~valid).sum()) == 1


def test_small_photographs_stay_large_enough_for_the_structural_term() -> None:
    assert shrunk(photograph(64, 48), 100).image.shape == (16, 21, 3)
    assert shrunk(photograph(20, 20), 4).image.shape == (20, 20, 3)


def test_every_size_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    store = PhotographStore((photograph(),))
    half = store.photograph(0, 2)
    monkeypatch.setattr(sys.modules["hyperfocal.fit.pyramid"], "shrunk", None)
    assert torch.equal(store.photograph(0, 2).image, half.image)
    assert store.photograph(0).image.shape == (48, 64, 3)


def test_pixels_of_8_bits_come_back_exactly_and_others_to_half_a_step() -> None:
    deep = photograph()
    shallow = replace(deep, image=(255 * deep.image).round() / 255)
    store = PhotographStore((deep, shallow))
    assert torch.equal(store.photograph(1).image, shallow.image)
    assert (store.photograph(0).image - deep.image).abs().max() <= 0.5 / 255 + 1e-6
    assert torch.equal(PhotographStore((deep,), bits="float32").photograph(0).image, deep.image)


@pytest.mark.parametrize("bits", ["uint8", "float32"])
def test_a_store_on_disk_holds_the_same(bits: Literal["uint8", "float32"], tmp_path: Path) -> None:
    holed = photograph()
    holed.valid[3, 4] = False
    memory = PhotographStore((photograph(), holed), bits=bits)
    disk = PhotographStore((photograph(), holed), bits=bits, folder=tmp_path)
    for i, factor in ((0, 1), (1, 1), (1, 2), (0, 2)):
        a, b = memory.photograph(i, factor), disk.photograph(i, factor)
        assert torch.equal(a.image, b.image)
        assert torch.equal(a.valid, b.valid)
        assert (a.name, a.camera.width) == (b.name, b.camera.width)
    assert len(list(tmp_path.iterdir())) == 4


def test_a_store_is_a_row_of_photographs() -> None:
    store = PhotographStore((photograph(), replace(photograph(), name="b")))
    assert len(store) == 2
    assert store.names == ("a", "b")
    assert [one.name for one in store] == ["a", "b"]
    assert [camera.width for camera in store.cameras] == [64, 64]
