"""Where a photograph was taken, as its EXIF says (GPS IFD; positions are WGS 84)."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import ExifTags
from PIL import Image as Pillow
from torch import Tensor

from .images import has_heif


@dataclass(frozen=True)
class GpsPosition:
    """A position on the Earth."""

    latitude_deg: float
    """North is positive."""
    longitude_deg: float
    """East is positive."""
    altitude_m: float | None = None
    """Above the sea as the camera says; None where it does not."""


def read_gps(image: Path | Tensor) -> GpsPosition | None:
    """Return the position in a photograph's EXIF; None without one, or where it makes no sense."""
    if isinstance(image, Tensor):
        return None
    has_heif()  # lets Pillow open HEIC files, where that can be done at all
    try:
        with Pillow.open(image) as opened:
            return gps_position(opened.getexif().get_ifd(ExifTags.IFD.GPSInfo))
    except (OSError, SyntaxError, ValueError, KeyError):  # damaged, or a format without EXIF
        return None


def gps_position(tags: dict[int, Any]) -> GpsPosition | None:
    """Return the position that the tags of a GPS IFD say (EXIF 2.32, section 4.6.6)."""
    names = ExifTags.GPS
    latitude = _degrees(tags.get(names.GPSLatitude), tags.get(names.GPSLatitudeRef), "S", 90.0)
    longitude = _degrees(tags.get(names.GPSLongitude), tags.get(names.GPSLongitudeRef), "W", 180.0)
    if latitude is None or longitude is None or (latitude == 0 and longitude == 0):  # 0, 0: no fix yet
        return None
    altitude = _number(tags.get(names.GPSAltitude))
    below = tags.get(names.GPSAltitudeRef) in (1, b"\x01")
    return GpsPosition(latitude, longitude, -altitude if altitude is not None and below else altitude)


def _degrees(parts: Any, reference: Any, negative: str, limit: float) -> float | None:
    try:
        degrees, minutes, seconds = (_number(part) for part in parts)
    except (TypeError, ValueError):
        return None
    if degrees is None or minutes is None or seconds is None:
        return None
    value = degrees + minutes / 60 + seconds / 3600
    if not 0 <= value <= limit:
        return None
    return -value if str(reference).strip("\0 ").upper() == negative else value


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return number if math.isfinite(number) else None
