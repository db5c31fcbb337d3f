"""A video as photographs: sharp frames at about equal distances of camera motion, written to a cache folder.

The cache (`hyperfocal/frames` in XDG_CACHE_HOME, or in ~/.cache) is keyed by the video's content, so reading again is
quick, and a result finds its photographs later. It may be deleted at any time; reading the video fills it again.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow

from ..errors import BadInputError, missing_extra
from ..files import cache_folder, write_text
from ..progress import Progress, silent
from ..scene import Exif, Scene, View
from .video_motion import FrameMeasures, Meter, choose, hardly_moves, relative_sharpness, shots, usual_count

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".mts", ".m2ts", ".3gp", ".mpg", ".mpeg", ".wmv"}
)
_VERSION = 1  # of the choice of frames; another one makes cached frames out of date
_MEASURED_PX = 640
# Slow motion shows nothing new from one frame to the next: frames nearer in time than this are not looked at.
_LEAST_STEP_S = 1 / 65
# Above this, differences to the decoded frame are below what the video's own compression lost.
_JPEG_QUALITY = 97
_COMPLETE = 0.9  # of the frames or the duration that the file announces
_BLURRED = 0.5  # of the sharpness around
_HASHED_BYTES = 1 << 20
_INDEX = "frames.json"


def read_video(
    path: Path, *, frames: int | None = None, cache: Path | None = None, progress: Progress = silent
) -> Scene | None:
    """Return sharp, well-spaced frames of a video as a scene without cameras; None if `path` is not a video.

    Every frame is decoded small and measured (how sharp, how far the picture moved); then the sharpest in each of
    `frames` stretches of about equal motion is written in full size as JPEG of quality 97 without chroma subsampling.
    Display rotation and pixel shape are applied, times are the file's own. After a cut only the longest shot is kept.

    Args:
        path: The file.
        frames: How many at most; None is 60 to 150, by how far the camera moves, and fewer of a short video.
        cache: Folder for the frames; None is `hyperfocal/frames` in the user's cache folder.
        progress: Told about both passes.

    Raises:
        BadInputError: the file is no video, is damaged or cut short, or `frames` is less than 3.
        MissingExtraError: PyAV is not installed.
    """
    if path.suffix.lower() not in VIDEO_SUFFIXES or not path.is_file():
        return None
    if frames is not None and frames < 3:
        raise BadInputError(f"At least 3 frames of a video are needed to find cameras, got frames={frames}.")
    folder = (cache or cache_folder() / "frames") / f"{path.stem[:40]}-{_key(path, frames)}"
    index = _read_index(folder) or _extracted(path, frames, folder, progress)
    exif = Exif(make=index["make"], model=index["model"])
    views = tuple(View(name, folder / name, exif=exif, time_s=time_s) for name, time_s in index["frames"])
    return Scene(path, views, kind="video", format="a video", notes=tuple(index["notes"]))


def _key(path: Path, frames: int | None) -> str:
    """Return what tells this video and these settings from others: size, times and content of both ends."""
    try:
        status = path.stat()
        digest = hashlib.sha256(f"{_VERSION} {frames} {status.st_size} {status.st_mtime_ns}".encode())
        with path.open("rb") as file:
            digest.update(file.read(_HASHED_BYTES))
            file.seek(max(0, status.st_size - _HASHED_BYTES))
            digest.update(file.read(_HASHED_BYTES))
    except OSError as error:
        raise BadInputError(f"The video {path} could not be read: {error.strerror or error}.") from error
    return digest.hexdigest()[:16]


def _read_index(folder: Path) -> dict[str, Any] | None:
    """Return what an earlier reading wrote, if all of it is still there."""
    try:
        index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return index if all((folder / name).is_file() for name, _ in index["frames"]) else None


def _extracted(path: Path, frames: int | None, folder: Path, progress: Progress) -> dict[str, Any]:
    """Write the chosen frames and their index to `folder`, whole or not at all, and return the index."""
    measured, notes, tags = _measured(path, progress)
    takes = shots(measured)
    shot = max(takes, key=lambda take: take[-1].time_s - take[0].time_s)
    chosen = choose(shot, frames or usual_count(shot))
    index = {
        "frames": [(f"frame_{frame.number:06d}.jpg", frame.time_s) for frame in chosen],
        "notes": [*notes, *_notes(takes, shot, chosen)],
        **tags,
    }
    part = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        part.mkdir(parents=True)
        _write_frames(path, {frame.number for frame in chosen}, part, progress)
        write_text(part / _INDEX, json.dumps(index, indent=1))
        shutil.rmtree(folder, ignore_errors=True)  # of an earlier reading, incomplete
        part.replace(folder)
    except OSError as error:
        raise BadInputError(
            f"The frames of {path} could not be written to {folder}: {error.strerror or error}. Free some space, or "
            "set XDG_CACHE_HOME to a folder with more."
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return index


def _notes(takes: list[list[FrameMeasures]], shot: list[FrameMeasures], chosen: list[FrameMeasures]) -> list[str]:
    """Return what the user should know about the choice."""
    notes = [f"{len(chosen)} of {sum(map(len, takes)):,} frames of the video are used, the sharpest at equal motion."]
    if len(takes) > 1:
        others = ", ".join(_span(take) for take in takes if take is not shot)
        notes.append(
            f"The video has cuts: its longest shot, {_span(shot)}, is used; left out: {others}. "
            "For another one, cut the video into files."
        )
    if hardly_moves(shot):
        notes.append("The camera hardly moves in this video, so its frames show no depth by parallax.")
    relative = dict(zip([frame.number for frame in shot], relative_sharpness(shot), strict=True))
    if blurred := sum(relative[frame.number] < _BLURRED for frame in chosen):
        notes.append(f"{blurred} of these frames are much less sharp than those around: the camera moved fast there.")
    return notes


def _span(take: list[FrameMeasures]) -> str:
    return f"{take[0].time_s:.1f} to {take[-1].time_s:.1f} s"


def _measured(path: Path, progress: Progress) -> tuple[list[FrameMeasures], list[str], dict[str, Any]]:
    """Return (measures of the frames of a video, notes, make and model of the camera)."""
    meter, measured, notes = Meter(), [], []
    with _opened(path) as (container, stream):
        total = stream.frames or _announced(container, stream)
        tags = {name: _tag(container.metadata, name) for name in ("make", "model")}
        seen, end_s, last_s, is_hdr, is_interlaced = 0, 0.0, -1.0, False, False
        for number, time_s, frame in _decoded(path, container, stream):
            seen, end_s = number + 1, time_s
            is_hdr, is_interlaced = is_hdr or frame.color_trc in (16, 18), is_interlaced or frame.interlaced_frame
            if time_s - last_s >= _LEAST_STEP_S:
                last_s = time_s
                measured.append(meter.measure(number, time_s, _pixels(frame, stream, _MEASURED_PX)))
            progress("Looking at the video", min(seen, total or seen), max(total or seen, seen))
        if not measured:
            raise _damaged(path, "holds no frame that can be decoded")
        if total and seen < _COMPLETE * total:
            raise _damaged(path, f"ends after {end_s:.1f} s: {seen} of about {total} frames can be decoded")
    progress("Looking at the video", seen, seen)
    if is_hdr:
        notes.append("The video is HDR; its colours are used as stored, and look pale.")
    if is_interlaced:
        notes.append("The video is interlaced; moving edges are combed. Progressive video gives better results.")
    return measured, notes, tags


def _write_frames(path: Path, numbers: set[int], folder: Path, progress: Progress) -> None:
    """Write frames in full size, under the names of the index."""
    done = 0
    with _opened(path) as (container, stream):
        for number, _, frame in _decoded(path, container, stream):
            if number in numbers:
                picture = Pillow.fromarray(_pixels(frame, stream, None))
                picture.save(folder / f"frame_{number:06d}.jpg", quality=_JPEG_QUALITY, subsampling=0)
                done += 1
                progress("Writing frames", done, len(numbers))
                if done == len(numbers):
                    return


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Any]]:
    """Yield (container, video stream); every failure inside becomes a BadInputError that names the file."""
    try:
        import av  # pyright: ignore[reportMissingImports]
        from av.error import FFmpegError  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise missing_extra("PyAV", "view") from error
    try:
        with av.open(str(path), metadata_errors="ignore") as container:
            if not container.streams.video:
                raise _damaged(path, "has no video stream")
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            yield container, stream
    except FFmpegError as error:
        raise _damaged(path, f"could not be decoded ({error.strerror or error})") from error


def _damaged(path: Path, what: str) -> BadInputError:
    return BadInputError(
        f"The video {path} {what}. The file is damaged, cut short or not a video: copy it again from the camera, or "
        "write it anew with a video program."
    )


def _decoded(path: Path, container: Any, stream: Any) -> Iterator[tuple[int, float, Any]]:
    """Yield (number, seconds since the first frame, frame); times never go back."""
    start, time_s = None, 0.0
    for number, frame in enumerate(container.decode(stream)):
        if frame.time is None and stream.average_rate is None:
            raise _damaged(path, "tells no times of its frames")
        at = float(frame.time) if frame.time is not None else number / float(stream.average_rate)
        start = at if start is None else start
        time_s = max(time_s, at - start)
        yield number, time_s, frame


def _announced(container: Any, stream: Any) -> int:
    """Return about how many frames there should be; 0 if the file does not say."""
    seconds = float(stream.duration * stream.time_base) if stream.duration else (container.duration or 0) / 1e6
    return int(seconds * float(stream.average_rate or 0))


def _pixels(frame: Any, stream: Any, long_side: int | None) -> np.ndarray:
    """Return a frame as it is displayed, [h, w, 3] sRGB uint8: with square pixels, upright, at most `long_side`."""
    aspect = float(stream.sample_aspect_ratio or 1) or 1.0
    width, height = round(frame.width * aspect), frame.height
    ratio = min(1.0, (long_side or max(width, height)) / max(width, height))
    # FFmpeg takes unmarked video for standard definition; high definition means BT.709 (ITU-R BT.709, customary).
    space = "itu709" if frame.colorspace == 2 and frame.height >= 720 else None
    size = (max(2, round(width * ratio)), max(2, round(height * ratio)))
    small = frame.reformat(
        *size, format="rgb24", src_colorspace=space, interpolation="AREA" if long_side else "BICUBIC"
    )
    # The angle counts against the clock; cameras only ever turn by right angles.
    return np.ascontiguousarray(np.rot90(small.to_ndarray(), round(frame.rotation / 90)))


def _tag(metadata: dict[str, str], name: str) -> str | None:
    """Return the maker or model of a phone or camera."""
    keys = {name, f"com.apple.quicktime.{name}", f"com.android.{name}"}
    return next((text.strip() for key, text in metadata.items() if key.lower() in keys and text.strip()), None)
