"""The cache of learned depth: equal answers, nothing stale, nothing damaged."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from torch import Tensor

from hyperfocal.depth import Depth
from hyperfocal.priors.depth_cache import CachedDepthPrior, clear_depth_cache, depth_cache_folder
from hyperfocal.protocols import DepthPrior


@dataclass
class Counting:
    """A prior that counts how often it is asked."""

    asked: list[float | None] = field(default_factory=list)

    def __call__(self, image: Tensor, focal_px: float | None = None) -> Depth:
        self.asked.append(focal_px)
        values = image.mean(-1) + len(self.asked)
        return Depth(values, "metric", "ray", torch.full_like(values, 0.5))


def picture(seed: int = 0) -> Tensor:
    return torch.rand(6, 9, 3, generator=torch.Generator().manual_seed(seed))


def test_the_second_answer_is_the_first_and_costs_nothing(tmp_path: Path) -> None:
    prior = Counting()
    assert isinstance(prior, DepthPrior)
    first = CachedDepthPrior(prior, "counting 1", tmp_path / "depth")(picture())
    again = CachedDepthPrior(prior, "counting 1", tmp_path / "depth")(picture())
    assert len(prior.asked) == 1
    assert (again.kind, again.axis) == ("metric", "ray")
    assert torch.equal(again.values, first.values)
    assert again.confidence is not None
    assert torch.equal(again.confidence, first.confidence)


def test_whatever_decides_the_result_is_in_the_key(tmp_path: Path) -> None:
    prior = Counting()
    cached = CachedDepthPrior(prior, "counting 1", tmp_path)
    cached(picture())
    cached(picture(1))
    cached(picture().reshape(9, 6, 3))
    cached(picture(), 500.0)
    cached(picture(), 501.0)
    CachedDepthPrior(prior, "counting 2", tmp_path)(picture())
    assert len(prior.asked) == 6


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-3] ^= 64  # in the tensors, where the format itself has no checksum
    path.write_bytes(data)


def of_other_kind(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"metric", b"meters"))


@pytest.mark.parametrize("damage", [cut, flip, of_other_kind])
def test_damaged_files_are_computed_anew(
    damage: Callable[[Path], None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    prior = Counting()
    cached = CachedDepthPrior(prior, "counting 1", tmp_path)
    cached(picture())
    (file,) = tmp_path.iterdir()
    damage(file)
    second = cached(picture())
    assert len(prior.asked) == 2
    assert "computed anew" in caplog.text
    assert torch.equal(cached(picture()).values, second.values)  # written over
    assert len(prior.asked) == 2


def test_a_file_under_anothers_name_is_not_believed(tmp_path: Path) -> None:
    prior = Counting()
    cached = CachedDepthPrior(prior, "counting 1", tmp_path)
    cached(picture())
    (first,) = tmp_path.iterdir()
    cached(picture(1))
    (second,) = set(tmp_path.iterdir()) - {first}
    second.write_bytes(first.read_bytes())
    cached(picture(1))
    assert len(prior.asked) == 3


def test_the_folder_stays_below_its_bound(tmp_path: Path) -> None:
    prior = Counting()
    cached = CachedDepthPrior(prior, "counting 1", tmp_path)
    cached(picture())
    (oldest,) = tmp_path.iterdir()
    size = oldest.stat().st_size
    for seed in (1, 2):
        cached(picture(seed))
    for place, file in enumerate(sorted(tmp_path.iterdir(), key=lambda file: file != oldest)):
        os.utime(file, (1000 + place, 1000 + place))
    cached(picture())  # used again, so no longer the one to go
    bounded = CachedDepthPrior(prior, "counting 1", tmp_path, most_bytes=2 * size + size // 2)
    bounded(picture(3))
    assert len(list(tmp_path.iterdir())) == 2
    assert oldest.exists()
    assert clear_depth_cache(tmp_path) == 2 * size
    assert not list(tmp_path.iterdir())


def test_a_result_that_cannot_be_kept_is_not_lost(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    depth = CachedDepthPrior(Counting(), "counting 1", blocked / "depth")(picture())
    assert depth.values.shape == (6, 9)
    assert "could not be cached" in caplog.text


def test_the_folder_is_in_the_users_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert depth_cache_folder() == tmp_path / "hyperfocal" / "depth"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert depth_cache_folder() == Path.home() / ".cache" / "hyperfocal" / "depth"
