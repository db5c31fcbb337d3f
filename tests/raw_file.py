"""A raw photograph written from the DNG specification (1.4, chapters 2 and 4), without a camera or a raw library."""

import struct
from pathlib import Path

import numpy as np

# XYZ (D65) to linear sRGB, IEC 61966-2-1: a camera with this matrix sees in linear sRGB.
_XYZ_TO_SRGB = (3.2404542, -1.5371385, -0.4985314, -0.9692660, 1.8760108, 0.0415560, 0.0556434, -0.2040259, 1.0572252)

_SHORT, _LONG, _RATIONAL, _BYTE, _ASCII, _SRATIONAL = 3, 4, 5, 1, 2, 10
_SIZES = {_SHORT: "H", _LONG: "L", _BYTE: "B"}


def write_dng(
    path: Path, linear_rgb: np.ndarray, *, neutral: tuple[float, float, float] = (1, 1, 1), orientation: int = 1
) -> None:
    """Write linear sRGB [h, w, 3] in [0, 1] as a Bayer mosaic (RGGB) of 16 bits; the camera's white is `neutral`."""
    height, width, _ = linear_rgb.shape
    seen = linear_rgb * np.array(neutral)
    mosaic = np.empty((height, width))
    for row, column, channel in ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2)):
        mosaic[row::2, column::2] = seen[row::2, column::2, channel]
    pixels = (mosaic * 65535).round().astype("<u2").tobytes()
    model = b"Test Camera\0"
    exif = [(33434, _RATIONAL, [1 / 125]), (33437, _RATIONAL, [2.8]), (37386, _RATIONAL, [35.0])]
    main = [
        (254, _LONG, [0]), (256, _LONG, [width]), (257, _LONG, [height]), (258, _SHORT, [16]), (259, _SHORT, [1]),
        (262, _SHORT, [32803]), (271, _ASCII, b"Tester\0"), (272, _ASCII, model), (273, _LONG, [0]),
        (274, _SHORT, [orientation]), (277, _SHORT, [1]), (278, _LONG, [height]), (279, _LONG, [len(pixels)]),
        (284, _SHORT, [1]), (33421, _SHORT, [2, 2]), (33422, _BYTE, [0, 1, 1, 2]), (34665, _LONG, [0]),
        (50706, _BYTE, [1, 4, 0, 0]), (50708, _ASCII, model), (50714, _LONG, [0]), (50717, _LONG, [65535]),
        (50721, _SRATIONAL, list(_XYZ_TO_SRGB)), (50728, _RATIONAL, list(neutral)), (50778, _SHORT, [21]),
    ]  # fmt: skip
    # Twice: the first time only to learn where the pixels and the second directory come to lie.
    exif_at, pixels_at, first, second = 0, 0, b"", b""
    for _ in range(2):
        known = {34665: [exif_at], 273: [pixels_at]}
        first = _directory([(tag, kind, known.get(tag, value)) for tag, kind, value in main], 8)
        exif_at = 8 + len(first)
        second = _directory(exif, exif_at)
        pixels_at = exif_at + len(second)
    path.write_bytes(b"II*\0" + struct.pack("<L", 8) + first + second + pixels)


def _directory(entries: list, offset: int) -> bytes:
    """Return a TIFF directory that starts at `offset`, with its values behind it."""
    head, tail = struct.pack("<H", len(entries)), b""
    behind = offset + 2 + 12 * len(entries) + 4
    for tag, kind, value in entries:
        if kind == _ASCII:
            data, count = value, len(value)
        elif kind in (_RATIONAL, _SRATIONAL):
            form = "<LL" if kind == _RATIONAL else "<ll"
            data, count = b"".join(struct.pack(form, round(v * 1_000_000), 1_000_000) for v in value), len(value)
        else:
            data, count = struct.pack(f"<{len(value)}{_SIZES[kind]}", *value), len(value)
        if len(data) <= 4:
            field = data.ljust(4, b"\0")
        else:
            field = struct.pack("<L", behind + len(tail))
            tail += data + b"\0" * (len(data) % 2)
        head += struct.pack("<HHL", tag, kind, count) + field
    return head + struct.pack("<L", 0) + tail
