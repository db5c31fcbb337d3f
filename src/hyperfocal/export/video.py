"""Films as MP4 files (H.264), written frame by frame by PyAV of the extra `view`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np

from ..color import to_uint8
from ..errors import BadInputError, missing_extra
from ..files import replacing
from ..shapes import Image

_QUALITY = "18"  # x264's constant rate factor: differences are hard to see
_BT709 = 1  # the code for primaries, transfer and matrix in H.264's and FFmpeg's tables (ITU-T H.273)


def require_av() -> None:
    """Raise unless films can be written here.

    Raises:
        MissingExtraError: PyAV is not installed.
    """
    try:
        import av  # noqa: F401  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise missing_extra("av", "view") from error


@contextmanager
def film_writer(path: Path, width: int, height: int, fps: float) -> Iterator[Callable[[Image], None]]:
    """Yield a function that appends an sRGB picture [height, width, 3] to a film, which is there whole or not at all.

    Frames go to the encoder one by one: memory does not grow with the film.

    Raises:
        BadInputError: a size with an odd side, a rate that is not positive, or a file that cannot be written.
        MissingExtraError: PyAV is not installed.
    """
    require_av()
    import av  # pyright: ignore[reportMissingImports]
    from av.error import FFmpegError  # pyright: ignore[reportMissingImports]

    if width % 2 or height % 2 or min(width, height) < 2:
        raise BadInputError(
            f"A film cannot be {width} x {height} pixels: both sides must be even. Choose another --size."
        )
    if not fps > 0:
        raise BadInputError(f"A film cannot have {fps:g} frames a second; --fps must be more than 0.")
    try:
        with replacing(path) as temporary, av.open(str(temporary), "w", format="mp4") as container:
            stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            stream.options = {"crf": _QUALITY, "preset": "medium"}
            # Players assume BT.709 for films of this size; said and done, or reds and greens come out wrong.
            context = stream.codec_context
            context.color_primaries = context.color_trc = context.colorspace = _BT709

            def append(picture: Image) -> None:
                if picture.shape != (height, width, 3):
                    raise ValueError(f"A frame should be [{height}, {width}, 3], got {list(picture.shape)}.")
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(to_uint8(picture).numpy()), format="rgb24")
                frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709", interpolation="BICUBIC")
                for packet in stream.encode(frame):
                    container.mux(packet)

            yield append
            for packet in stream.encode():
                container.mux(packet)
    except FFmpegError as error:
        raise BadInputError(
            f"Could not write the film {path}: {error.strerror or error}. Nothing was left there; free some space or "
            "choose another place with --out."
        ) from error
