"""Raw photographs through rawpy (LibRaw): demosaiced to sRGB with the white balance that the camera chose."""

import io
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image as Pillow

from ..errors import BadInputError, has_package, missing_extra
from ..exif_lens import believable
from ..scene import Exif
from .exif import read_exif
from .image_header import DAMAGED, ImageHeader

RAW_SUFFIXES = frozenset({".cr2", ".cr3", ".nef", ".arw", ".dng", ".raf", ".orf", ".rw2"})

# TIFF 6.0: tags of pixels (offsets, sizes) and of further directories, and the types H and L.
_PIXELS, _SUB_DIRECTORIES, _WHOLE_NUMBERS = ((273, 279), (324, 325)), 330, {3: "H", 4: "L"}
_MOST_DIRECTORIES = 64

# LibRaw's flips as EXIF orientations; LibRaw knows no mirrored ones.
_ORIENTATIONS = {0: 1, 3: 3, 5: 8, 6: 6}


def has_rawpy() -> bool:
    """Return whether raw photographs can be decoded here."""
    return has_package("rawpy")


def read_raw_header(path: Path) -> ImageHeader:
    """Return size, orientation and EXIF of a raw photograph.

    Raises:
        BadInputError: LibRaw cannot read it.
        MissingExtraError: rawpy is not installed.
    """
    with _opened(path) as raw:
        sizes = raw.sizes
        orientation = _ORIENTATIONS.get(sizes.flip, 1)
        return ImageHeader(sizes.iwidth, sizes.iheight, orientation, _exif(path, raw))


def check_raw_decodes(path: Path) -> None:
    """Unpack the sensor's values, to find damage.

    Raises:
        BadInputError: LibRaw cannot read it, or it is cut short.
    """
    with _opened(path) as raw:
        raw.unpack()
    # LibRaw itself fills what is missing with black and says so only on the terminal.
    if (end := _end_of_pixels(path)) > (size := path.stat().st_size):
        raise BadInputError(
            f"The raw photograph {path} is cut short: it has {size:,} bytes, and its pixels end at {end:,}. Copy it "
            "again from the camera, or take it out of the folder."
        )


def decode_raw(path: Path) -> np.ndarray:
    """Return [h, w, 3] in [0, 1], sRGB, not turned.

    Nothing is adapted to the single photograph but the white balance: no automatic brightness, no scaling to the
    brightest pixel, since photographs of one scene must stay comparable.

    Raises:
        BadInputError: LibRaw cannot read it.
        MissingExtraError: rawpy is not installed.
    """
    with _opened(path) as raw:
        import rawpy  # pyright: ignore[reportMissingImports]

        pixels = raw.postprocess(
            use_camera_wb=True,
            no_auto_bright=True,
            adjust_maximum_thr=0.0,
            output_bps=16,
            output_color=rawpy.ColorSpace.sRGB,
            gamma=(2.4, 12.92),
            user_flip=0,
        )
    return pixels.astype(np.float32) / np.float32(65535)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    if not has_rawpy():
        raise missing_extra("rawpy", "raw")
    import rawpy  # pyright: ignore[reportMissingImports]

    try:
        with rawpy.imread(str(path)) as raw:
            yield raw
    except rawpy.LibRawError as error:
        if not path.exists():
            raise BadInputError(f"The photograph {path} does not exist (any more).") from error
        reason = error.args[0] if error.args else error
        text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise BadInputError(
            f"The raw photograph {path} could not be decoded: {text}. The file is damaged, cut short or from a camera "
            "that LibRaw does not know; develop it to a 16-bit TIFF, or take it out of the folder."
        ) from error


def _end_of_pixels(path: Path) -> int:
    """Return where the last strip or tile of a TIFF ends by its directories; 0 for raw files that are no TIFF."""
    end, waiting, seen = 0, [], set()
    with path.open("rb") as file:
        start = file.read(8)
        order = {b"II*\0": "<", b"MM\0*": ">"}.get(start[:4])
        if order is None or len(start) < 8:
            return 0
        waiting = [struct.unpack(order + "L", start[4:])[0]]
        while waiting and len(seen) < _MOST_DIRECTORIES:
            at = waiting.pop()
            if at == 0 or at in seen:
                continue
            seen.add(at)
            tags, following = _directory(file, at, order)
            waiting += [following, *tags.get(_SUB_DIRECTORIES, [])]
            for offsets, counts in _PIXELS:
                pairs = zip(tags.get(offsets, []), tags.get(counts, []), strict=False)
                end = max([end, *(offset + count for offset, count in pairs)])
    return end


def _directory(file: BinaryIO, at: int, order: str) -> tuple[dict[int, list[int]], int]:
    """Return (the whole numbers of a TIFF directory by tag, where the next one is)."""

    def read(position: int, form: str) -> list[int]:
        file.seek(position)
        size = struct.calcsize(order + form)
        data = file.read(size)
        return list(struct.unpack(order + form, data)) if len(data) == size else []

    tags = {}
    count = next(iter(read(at, "H")), 0)
    for i in range(count):
        entry = read(at + 2 + 12 * i, "HHL")
        if not entry or entry[1] not in _WHOLE_NUMBERS or entry[2] > 1 << 20:
            continue
        form = f"{entry[2]}{_WHOLE_NUMBERS[entry[1]]}"
        place = at + 2 + 12 * i + 8
        if struct.calcsize(order + form) > 4:
            place = next(iter(read(place, "L")), 0)
        tags[entry[0]] = read(place, form)
    return tags, next(iter(read(at + 2 + 12 * count, "L")), 0)


def _exif(path: Path, raw: Any) -> Exif:
    """Return what LibRaw understood, with what only the file's own EXIF or that of its preview says."""
    other = raw.other
    known = {
        "focal_length_mm": _positive(getattr(other, "focal_len", None)),
        "f_number": _positive(getattr(other, "aperture", None)),
        "exposure_s": _positive(getattr(other, "shutter_speed", None)),
    }
    known = {key: value for key, value in known.items() if value is not None}
    return believable(replace(_tagged_exif(path, raw), **known))


def _tagged_exif(path: Path, raw: Any) -> Exif:
    """Return the EXIF of the file if it is a TIFF as most raw files are, else of its JPEG preview, else nothing."""
    import rawpy  # pyright: ignore[reportMissingImports]

    try:
        with path.open("rb") as file:
            if file.read(4) in {b"II*\0", b"MM\0*"}:
                file.seek(0)
                exif = Pillow.Exif()
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # about tags that it skips
                    exif.load_from_fp(file)
                    return read_exif(exif)
        preview = raw.extract_thumb()
        if preview.format == rawpy.ThumbFormat.JPEG:
            with Pillow.open(io.BytesIO(preview.data)) as opened:
                return read_exif(opened.getexif())
    except (*DAMAGED, rawpy.LibRawError):
        pass  # EXIF is a bonus: without it, the fields are unknown
    return Exif()


def _positive(value: float | None) -> float | None:
    """Return a number as EXIF means it: 0 is unknown. LibRaw keeps 32-bit floats: 4.25, not 4.250000001."""
    return None if value is None or not np.isfinite(value) or value <= 0 else round(float(value), 9)
