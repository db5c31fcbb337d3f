"""What a camera wrote into a photograph. A field that is missing or makes no sense is None: unknown, never guessed."""

import math

from PIL import ExifTags
from PIL.Image import Exif as PillowExif
from PIL.TiffImagePlugin import IFDRational

from ..exif_lens import believable
from ..scene import Exif

_INFINITELY_FAR = 0xFFFFFFFF  # the Exif standard's numerator for a SubjectDistance of infinity


def exif_orientation(exif: PillowExif) -> int:
    """Return the EXIF orientation, 1 where it is missing or out of range."""
    value = exif.get(ExifTags.Base.Orientation)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def read_exif(exif: PillowExif) -> Exif:
    """Return how a photograph was taken."""
    details = {**exif, **exif.get_ifd(ExifTags.IFD.Exif)}
    tags = ExifTags.Base
    read = Exif(
        focal_length_mm=_positive(details.get(tags.FocalLength)),
        focal_length_35mm=_positive(details.get(tags.FocalLengthIn35mmFilm)),
        f_number=_positive(details.get(tags.FNumber)),
        exposure_s=_positive(details.get(tags.ExposureTime)),
        focus_distance_m=_distance(details.get(tags.SubjectDistance)),
        make=_text(details.get(tags.Make)),
        model=_text(details.get(tags.Model)),
    )
    return believable(read)


def _distance(value: object) -> float | None:
    """Return metres, infinity where the numerator says so."""
    if isinstance(value, IFDRational) and value.numerator == _INFINITELY_FAR:
        return math.inf
    return _positive(value)


def _positive(value: object) -> float | None:
    """Return a rational or number as a float; 0 and infinity are EXIF's ways to say "unknown"."""
    try:
        number = float(value)  # pyright: ignore[reportArgumentType]
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return number if math.isfinite(number) and number > 0 else None


def _text(value: object) -> str | None:
    """Return a string without the NULs and blanks that cameras pad with; None if nothing is left."""
    return value.strip("\0 \t\r\n") or None if isinstance(value, str) else None
