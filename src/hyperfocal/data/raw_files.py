"""Raw photographs through rawpy (LibRaw): demosaiced to sRGB with the white balance that the camera chose."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow

from ..errors import BadInputError, missing_extra
from ..scene import Exif
from .exif import read_exif
from .image_header import DAMAGED, ImageHeader

RAW_SUFFIXES = frozenset({".cr2", ".cr3", ".nef", ".arw", ".dng", ".raf", ".orf", ".rw2"})

# LibRaw's flips as EXIF orientations; LibRaw knows no mirrored ones.
_ORIENTATIONS = {0: 1, 3: 3, 5: 8, 6: 6}


def has_rawpy() -> bool:
    """Return whether raw photographs can be decoded here."""
    try:
        import rawpy  # noqa: F401  # pyright: ignore[reportMissingImports]
    except ImportError:
        return False
    return True


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


def _exif(path: Path, raw: Any) -> Exif:
    """Return what LibRaw understood, with what only the file's own EXIF or that of its preview says."""
    other = raw.other
    known = {
        "focal_length_mm": _positive(getattr(other, "focal_len", None)),
        "f_number": _positive(getattr(other, "aperture", None)),
        "exposure_s": _positive(getattr(other, "shutter_speed", None)),
    }
    return replace(_tagged_exif(path, raw), **{key: value for key, value in known.items() if value is not None})


def _tagged_exif(path: Path, raw: Any) -> Exif:
    """Return the EXIF of the file if it is a TIFF as most raw files are, else of its JPEG preview, else nothing."""
    import rawpy  # pyright: ignore[reportMissingImports]

    try:
        with path.open("rb") as file:
            if file.read(4) in {b"II*\0", b"MM\0*"}:
                file.seek(0)
                exif = Pillow.Exif()
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
