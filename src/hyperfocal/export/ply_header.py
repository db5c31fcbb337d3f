"""Headers of binary PLY files: what a file promises, checked against its size before anything is allocated."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..color import ColorSpace
from ..errors import BadInputError

_TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "<i2", "int16": "<i2", "ushort": "<u2",
    "uint16": "<u2", "int": "<i4", "int32": "<i4", "uint": "<u4", "uint32": "<u4", "float": "<f4", "float32": "<f4",
    "double": "<f8", "float64": "<f8",
}  # fmt: skip
_LONGEST_HEADER = 64 * 1024  # bytes; ours has about 1.5 KiB, one of another program with 100 properties about 3 KiB
_COUNT = re.compile("[0-9]{1,15}")
_COLOR_SPACE = "comment hyperfocal color_space "
_REMEDY = "Choose a binary little-endian PLY of 3D Gaussians, as `hyperfocal reconstruct` and other trainers write."


@dataclass(frozen=True)
class Element:
    """A table of a PLY file."""

    count: int
    row: np.dtype | None
    """Of one entry; None where entries hold lists, and so have no fixed length."""


@dataclass(frozen=True)
class PlyHeader:
    """What a PLY file says about itself."""

    path: Path
    elements: dict[str, Element]
    """In the order of the file."""
    body: int
    """Offset of the first entry in bytes."""
    color_space: ColorSpace
    """sRGB unless a comment of ours says otherwise."""

    def row(self, name: str) -> np.dtype:
        """Return the type of an element's entries.

        Raises:
            BadInputError: they hold lists.
        """
        row = self.elements[name].row
        if row is None:
            raise bad_ply(self.path, f"list properties in element {name!r}", "scalar properties")
        return row

    def types(self, name: str) -> dict[str, np.dtype]:
        """Return the types of an element's properties.

        Raises:
            BadInputError: its entries hold lists.
        """
        row = self.row(name)
        return {property_: row[property_] for property_ in row.names or ()}


def color_space_comment(color_space: ColorSpace) -> str:
    """Return the line of a header that says which colour space a file's colours are in."""
    return f"{_COLOR_SPACE}{color_space}"


def bad_ply(path: Path, got: str, expected: str) -> BadInputError:
    """Return the error about a file that holds no 3D Gaussians."""
    return BadInputError(f"{path} is not a PLY file of 3D Gaussians: {got}; expected {expected}. {_REMEDY}")


def read_header(path: Path, file: BinaryIO) -> PlyHeader:
    """Return the header of a binary little-endian PLY file.

    Raises:
        BadInputError: it is none.
    """
    text = file.read(_LONGEST_HEADER)
    if not text.startswith((b"ply\n", b"ply\r\n")):
        raise bad_ply(path, f"it starts with {text[:16]!r}", "a first line 'ply'")
    end = text.find(b"\nend_header")
    body = text.find(b"\n", end + 1) + 1
    if end < 0 or body == 0:
        raise bad_ply(path, f"no 'end_header' in its first {len(text)} bytes", "a complete header")
    lines = [line.strip() for line in text[:end].decode("latin-1").split("\n")[1:]]
    if "format binary_little_endian 1.0" not in lines:
        got = next((line for line in lines if line.startswith("format")), "no format line")
        raise bad_ply(path, repr(got), "'format binary_little_endian 1.0'")
    elements = _parse_elements(path, lines)
    if "vertex" not in elements:
        raise bad_ply(path, f"elements {sorted(elements)}", "an element 'vertex'")
    spaces = [line.removeprefix(_COLOR_SPACE) for line in lines if line.startswith(_COLOR_SPACE)]
    return PlyHeader(path, elements, body, _parse_color_space(path, spaces[0] if spaces else "srgb"))


def read_rows(file: BinaryIO, header: PlyHeader, name: str) -> np.ndarray:
    """Return the entries of an element.

    Raises:
        BadInputError: the file does not hold them, or entries of unknown length come before them.
    """
    row, count, start = header.row(name), header.elements[name].count, header.body
    for other, element in header.elements.items():
        if other == name:
            break
        start += element.count * header.row(other).itemsize
    end, size = start + count * row.itemsize, header.path.stat().st_size
    if end > size:
        raise bad_ply(
            header.path,
            f"it has {size:,} bytes",
            f"{end:,} for the {count:,} entries of {name!r} that its header promises (cut short on the way?)",
        )
    if count == 0:
        return np.zeros(0, row)
    file.seek(start)
    rows = np.fromfile(file, dtype=row, count=count)
    if len(rows) < count:
        raise bad_ply(header.path, f"{len(rows):,} entries", f"{count:,} (cut short while being read?)")
    return rows


def _parse_color_space(path: Path, name: str) -> ColorSpace:
    if name == "srgb" or name == "linear":
        return name
    raise bad_ply(path, f"color_space {name!r} in a comment", "'srgb' or 'linear'")


def _parse_elements(path: Path, lines: list[str]) -> dict[str, Element]:
    elements: dict[str, tuple[int, list[tuple[str, str]] | None]] = {}
    current = ""
    for line in lines:
        match line.split():
            case ["element", name, count] if name not in elements and _COUNT.fullmatch(count):
                current = name
                elements[current] = (int(count), [])
            case ["property", "list", *_] if current:
                elements[current] = (elements[current][0], None)
            case ["property", kind, name] if current and kind in _TYPES:
                fields = elements[current][1]
                if fields is None:
                    continue
                if any(name == other for other, _ in fields):
                    raise bad_ply(path, f"property {name!r} twice", "different names")
                fields.append((name, _TYPES[kind]))
            case ["comment" | "obj_info" | "format", *_] | []:
                continue
            case _:
                raise bad_ply(path, f"header line {line[:80]!r}", "'element NAME COUNT' or 'property TYPE NAME'")
    return {name: Element(n, None if fields is None else np.dtype(fields)) for name, (n, fields) in elements.items()}
