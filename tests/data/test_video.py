import struct
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from hyperfocal.data import read_scene
from hyperfocal.data.video import read_video
from hyperfocal.data.video_motion import Meter, choose, shots, usual_count
from hyperfocal.errors import BadInputError, MissingExtraError
from photo_files import recorder, texture

av = pytest.importorskip("av", reason="PyAV (the extra `view`) is not installed")

WIDTH, HEIGHT = 320, 180
WALL = (texture(5, 900) * 255).astype(np.uint8)
OTHER_WALL = 255 - (texture(6, 900) * 200).astype(np.uint8)


def window(x: float, wall: np.ndarray = WALL) -> np.ndarray:
    """What a camera sees that looks at a wall, `x` pixels from its left end."""
    shift = np.array([[1, 0, -x], [0, 1, -100]], np.float32)
    return cv2.warpAffine(wall, shift, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)


def write_video(path: Path, frames: list[np.ndarray], times_ms: list[int] | None = None) -> Path:
    """Write frames as nearly lossless H.264 at 25 frames a second, or at the given times."""
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "12", "preset": "ultrafast", "g": "5"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv444p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for i, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame.pts, frame.time_base = (times_ms[i] if times_ms else 40 * i), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def numbers(scene) -> list[int]:
    return [int(view.name[6:12]) for view in scene.views]


def test_frames_are_spaced_by_motion_not_by_time(tmp_path: Path):
    # The first 30 frames move by 1 px, the next 30 by 5 px: of 180 px, a sixth lies in the first half.
    places = np.concatenate((np.arange(30) * 1.0, 30 + np.arange(30) * 5.0))
    scene = read_video(write_video(tmp_path / "pan.mp4", [window(x) for x in places]), frames=12, cache=tmp_path / "c")
    assert scene is not None
    assert (scene.kind, scene.format) == ("video", "a video")
    assert 11 <= len(scene.views) <= 12
    gaps = np.diff(places[numbers(scene)])
    assert gaps.min() > 5
    assert gaps.max() < 30  # 15 is even
    assert sum(n < 30 for n in numbers(scene)) <= 3


def test_the_sharpest_of_neighbours_is_taken(tmp_path: Path):
    frames = [window(3.0 * i) for i in range(40)]
    sharp = set(range(1, 40, 3))
    frames = [f if i in sharp else cv2.blur(f, (9, 3)) for i, f in enumerate(frames)]
    scene = read_video(write_video(tmp_path / "shaky.mp4", frames), frames=8, cache=tmp_path / "c")
    assert scene is not None
    assert len(scene.views) >= 7
    assert set(numbers(scene)) <= sharp


def test_motion_is_measured_in_long_sides():
    meter = Meter()
    moved = [meter.measure(i, i / 25, cv2.resize(window(4.0 * i), (640, 360))).moved for i in range(30)]
    assert abs(moved[-1] - 4.0 * 29 / WIDTH) < 0.02  # 0.36
    assert all(a <= b for a, b in pairwise(moved))


def test_a_trembling_hand_is_no_motion():
    meter, generator = Meter(), np.random.default_rng(0)
    places = 100 + generator.uniform(-1.5, 1.5, 60)
    frames = [meter.measure(i, i / 25, cv2.resize(window(x), (640, 360))) for i, x in enumerate(places)]
    assert frames[-1].moved < 0.02


def test_a_pause_is_skipped(tmp_path: Path):
    places = [3.0 * i for i in range(20)] + [57.0] * 40 + [57 + 3.0 * i for i in range(20)]
    scene = read_video(
        write_video(tmp_path / "pause.mp4", [window(x) for x in places]), frames=12, cache=tmp_path / "c"
    )
    assert scene is not None
    assert sum(20 < n < 59 for n in numbers(scene)) <= 1
    assert len(scene.views) >= 10


def test_a_still_camera_is_said_to_be_still(tmp_path: Path):
    scene = read_video(write_video(tmp_path / "still.mp4", [window(50)] * 30), cache=tmp_path / "c")
    assert scene is not None
    assert any("hardly moves" in note for note in scene.notes)
    assert 3 <= len(scene.views) <= 15


def test_the_longest_shot_is_kept(tmp_path: Path):
    frames = [window(3.0 * i, OTHER_WALL) for i in range(15)] + [window(3.0 * i) for i in range(40)]
    scene = read_video(write_video(tmp_path / "cut.mp4", frames), frames=10, cache=tmp_path / "c")
    assert scene is not None
    assert min(numbers(scene)) >= 15
    assert any("0.6 to 2.2 s, is used; left out: 0.0 to 0.6 s" in note for note in scene.notes), scene.notes


def test_a_flash_is_no_cut():
    meter = Meter()
    frames = [window(3.0 * i) for i in range(30)]
    frames[15] = np.minimum(frames[15].astype(int) + 120, 255).astype(np.uint8)
    assert len(shots([meter.measure(i, i / 25, cv2.resize(f, (640, 360))) for i, f in enumerate(frames)])) == 1


def test_times_are_the_files_own(tmp_path: Path):
    # A phone that drops frames: the gaps differ.
    times = np.cumsum([33 + 50 * (i % 7 == 0) for i in range(40)]).tolist()
    path = write_video(tmp_path / "variable.mp4", [window(4.0 * i) for i in range(40)], times)
    scene = read_video(path, frames=10, cache=tmp_path / "c")
    assert scene is not None
    for number, view in zip(numbers(scene), scene.views, strict=True):
        assert view.time_s == pytest.approx((times[number] - times[0]) / 1000, abs=1e-3)


@pytest.mark.parametrize("quarter_turns", [1, 2, 3])
def test_display_rotation_is_obeyed(tmp_path: Path, quarter_turns: int):
    path = write_video(tmp_path / "turned.mp4", [window(4.0 * i) for i in range(20)])
    # The matrix of the track header (ISO 14496-12, 8.3.2): x' = a x + c y, y' = b x + d y, y down, 16.16 numbers. So
    # (a, b, c, d) = (0, 1, -1, 0) puts what is on the right at the bottom: a quarter turn with the clock.
    a, b, c, d = {1: (0, 1, -1, 0), 2: (-1, 0, 0, -1), 3: (0, -1, 1, 0)}[quarter_turns]
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 4 + 20 + 8 + 8  # version and flags; times, number, duration; reserved; layer, volume
    old = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    assert data[at : at + 36] == old
    data[at : at + 36] = struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    scene = read_video(path, frames=5, cache=tmp_path / "c")
    assert scene is not None
    shown = np.asarray(Image.open(scene.views[0].image)).astype(float)
    stored = window(4.0 * numbers(scene)[0])
    upright = np.rot90(stored, -quarter_turns).astype(float)  # rot90 turns against the clock
    assert shown.shape == upright.shape
    assert np.abs(shown - upright).mean() < 4


def test_reading_again_takes_the_frames_that_are_there(tmp_path: Path):
    path = write_video(tmp_path / "pan.mp4", [window(4.0 * i) for i in range(20)])
    first = read_video(path, frames=5, cache=tmp_path / "c")
    seen, record = recorder()
    again = read_video(path, frames=5, cache=tmp_path / "c", progress=record)
    assert first == again
    assert seen == []
    assert first is not None
    Path(str(first.views[2].image)).unlink()
    assert read_video(path, frames=5, cache=tmp_path / "c", progress=record) == first
    assert Path(str(first.views[2].image)).is_file()
    assert {stage for stage, done, total in seen if done == total} == {"Looking at the video", "Writing frames"}


def test_a_video_cut_short_says_where(tmp_path: Path):
    path = write_video(tmp_path / "short.mp4", [window(4.0 * i) for i in range(50)])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(BadInputError, match=r"short\.mp4 .*(ends after 0\.\d s|could not be decoded).*copy it again"):
        read_video(path, cache=tmp_path / "c")


@pytest.mark.parametrize("content", [b"", b"not a video at all" * 100])
def test_what_is_no_video_is_refused(tmp_path: Path, content: bytes):
    path = tmp_path / "no.mp4"
    path.write_bytes(content)
    with pytest.raises(BadInputError, match=r"no\.mp4 could not be decoded"):
        read_video(path, cache=tmp_path / "c")


def test_read_scene_takes_a_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    scene = read_scene(write_video(tmp_path / "pan.mp4", [window(4.0 * i) for i in range(30)]))
    assert scene.kind == "video"
    assert len(scene.views) == 15
    assert all(Path(str(view.image)).is_relative_to(tmp_path / "cache" / "hyperfocal") for view in scene.views)


def test_the_number_of_frames_can_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    video = write_video(tmp_path / "pan.mp4", [window(3.0 * x) for x in range(40)])
    assert len(read_scene(video, frames=5).views) == 5
    with pytest.raises(BadInputError, match="is no video, so --frames 5 has no meaning"):
        read_scene(tmp_path, frames=5)


def test_without_pyav_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    (tmp_path / "clip.mov").write_bytes(b"x")
    with pytest.raises(MissingExtraError, match=r"hyperfocal\[view\]"):
        read_video(tmp_path / "clip.mov", cache=tmp_path / "c")


def test_too_few_frames_are_refused(tmp_path: Path):
    (tmp_path / "clip.mov").write_bytes(b"x")
    with pytest.raises(BadInputError, match="frames=2"):
        read_video(tmp_path / "clip.mov", frames=2)


def test_the_rollercoaster_is_read(shared_data: Path, tmp_path: Path):
    scene = read_video(shared_data / "videos" / "davis_rollercoaster.mp4", cache=tmp_path)
    assert scene is not None
    assert len(scene.views) == 24
    assert scene.views[-1].time_s == pytest.approx(68 / 24, abs=0.1)


def test_the_usual_count_follows_the_motion():
    meter = Meter()
    frames = [meter.measure(i, i / 25, cv2.resize(window(2.0 * i), (640, 360))) for i in range(120)]
    assert usual_count(frames) == 40  # a third of the frames: 240 px of motion would ask for 60
    assert len(choose(frames, 1000)) <= 1 + round(240 / WIDTH / 0.01)
