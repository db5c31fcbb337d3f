import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from hyperfocal.errors import BadInputError, MissingExtraError
from hyperfocal.export import video
from hyperfocal.export.video import film_writer
from hyperfocal.shapes import Image

COLORS = torch.tensor([[0.9, 0.1, 0.1], [0.1, 0.8, 0.2], [0.2, 0.3, 0.9], [0.5, 0.5, 0.5]])


def decoded(av: Any, path: Path) -> Iterator[Any]:
    with av.open(str(path)) as container:
        yield from container.decode(video=0)


@pytest.fixture
def av() -> Any:
    return pytest.importorskip("av", reason="PyAV is not installed: pip install 'hyperfocal[view]'")


def plain(color: torch.Tensor, width: int = 64, height: int = 48) -> Image:
    return color.expand(height, width, 3)


def test_a_film_decodes_to_its_frames_size_rate_and_colours(av: Any, tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    with film_writer(path, 64, 48, 24.0) as append:
        for i in range(20):
            append(plain(COLORS[i % 4]))
        assert not path.exists(), "a film has no name before it is whole"
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.frames, float(stream.average_rate)) == ("h264", 20, 24.0)
        assert float(stream.duration * stream.time_base) == pytest.approx(20 / 24, abs=1e-3)
    frames = list(decoded(av, path))
    assert [(frame.width, frame.height) for frame in frames] == [(64, 48)] * 20
    for i, frame in enumerate(frames):
        # As a player decodes it, by the file's own tags; BT.601 where BT.709 is said would be off by up to 20.
        shown = torch.from_numpy(frame.to_ndarray(format="rgb24"))[24, 32].float()
        assert float((shown - 255 * COLORS[i % 4]).abs().max()) < 4
    assert [entry.name for entry in tmp_path.iterdir()] == ["film.mp4"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_interrupted_film_leaves_nothing(error: type[BaseException], av: Any, tmp_path: Path) -> None:
    with pytest.raises(error), film_writer(tmp_path / "film.mp4", 64, 48, 24.0) as append:
        append(plain(COLORS[0]))
        raise error
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up_leaves_the_old_film(av: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (tmp_path / "film.mp4").write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", full)
    with (
        pytest.raises(BadInputError, match="No space left on device"),
        film_writer(tmp_path / "film.mp4", 64, 48, 24.0) as append,
    ):
        append(plain(COLORS[0]))
    assert (tmp_path / "film.mp4").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("size", "fps", "phrase"), [((65, 48), 24.0, "65 x 48"), ((64, 47), 24.0, "even"), ((64, 48), 0.0, "--fps")]
)
def test_what_no_player_shows_is_refused(
    size: tuple[int, int], fps: float, phrase: str, av: Any, tmp_path: Path
) -> None:
    with pytest.raises(BadInputError, match=phrase), film_writer(tmp_path / "film.mp4", *size, fps):
        pass


def test_a_folder_that_does_not_exist_is_named(av: Any, tmp_path: Path) -> None:
    with (
        pytest.raises(BadInputError, match=r"nowhere/film\.mp4"),
        film_writer(tmp_path / "nowhere" / "film.mp4", 64, 48, 24.0) as append,
    ):
        append(plain(COLORS[0]))


def test_a_frame_of_another_size_is_a_mistake_of_the_caller(av: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="48, 64, 3"), film_writer(tmp_path / "film.mp4", 64, 48, 24.0) as append:
        append(plain(COLORS[0], 32, 48))


def test_without_pyav_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)  # importing it now raises
    with pytest.raises(MissingExtraError, match=r"hyperfocal\[view\]"):
        video.require_av()
