"""What a photograph's file says before it is decoded."""

import struct
import zlib
from dataclasses import dataclass

from PIL import Image as Pillow

from ..scene import Exif

# What Pillow's format plug-ins raise on damaged files.
DAMAGED = (
    OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, EOFError, OverflowError,
    struct.error, zlib.error, Pillow.DecompressionBombError,
)  # fmt: skip


@dataclass(frozen=True)
class ImageHeader:
    """Size, orientation and EXIF of a photograph."""

    width: int
    """Columns as stored, before `orientation` is applied."""
    height: int
    """Rows as stored."""
    orientation: int
    """EXIF orientation, 1 to 8."""
    exif: Exif

    def size(self, orientation: int) -> tuple[int, int]:
        """Return (width, height) after the pixels are turned by `orientation`."""
        return (self.height, self.width) if orientation > 4 else (self.width, self.height)
