"""PLY files of 3D Gaussians, in the layout that every viewer reads (Kerbl et al. 2023).

A file holds float32 logs of scales and logits of opacities; `Gaussians` hold activated values. `activations` makes the
two agree: Gaussians that came from `fit` or from `read_ply` are the same to the last bit after writing and reading;
of others the scales and opacities move to the nearest values that a float32 log or logit can name.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor

from ..activations import logits_from_opacities, logs_from_scales, opacities_from_logits, scales_from_logs
from ..color import ColorSpace
from ..errors import BadInputError
from ..files import replacing
from ..gaussians import Gaussians
from ..sh import coefficient_count

_TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "<i2", "int16": "<i2", "ushort": "<u2",
    "uint16": "<u2", "int": "<i4", "int32": "<i4", "uint": "<u4", "uint32": "<u4", "float": "<f4", "float32": "<f4",
    "double": "<f8", "float64": "<f8",
}  # fmt: skip
_REST_COUNTS = {3 * (coefficient_count(degree) - 1): degree for degree in range(4)}  # f_rest_* -> degree
_LONGEST_HEADER = 64 * 1024  # bytes; ours has about 1.5 KiB, one of another program with 100 properties about 3 KiB
_COUNT = re.compile("[0-9]{1,15}")
_COLOR_SPACE = "comment hyperfocal color_space "
_REMEDY = "Choose a binary little-endian PLY of 3D Gaussians, as `hyperfocal reconstruct` and other trainers write."


def write_ply(path: Path | str, gaussians: Gaussians) -> None:
    """Write `gaussians` to a binary little-endian PLY file, whole or not at all.

    Normals (`nx ny nz`) are zero: viewers expect the properties and ignore them. Colours are written as they are; a
    comment says which colour space that is.

    Raises:
        BadInputError: the file cannot be written.
    """
    names = _property_names(gaussians.sh_degree)
    color = f"{_COLOR_SPACE}{gaussians.color_space}"
    properties = [f"property float {name}" for name in names]
    header = "\n".join(
        ["ply", "format binary_little_endian 1.0", color, f"element vertex {len(gaussians)}", *properties, "end_header"]
    )
    g = gaussians.detach().to("cpu", torch.float32)
    # Channel-major: all coefficients of red, then of green, then of blue.
    rest = g.sh[:, 1:].transpose(1, 2).flatten(1)
    columns = [
        g.means,
        torch.zeros_like(g.means),
        g.sh[:, 0],
        rest,
        logits_from_opacities(g.opacities).unsqueeze(1),
        logs_from_scales(g.scales),
        g.quaternions,
    ]
    rows = torch.cat(columns, dim=1).numpy().astype("<f4", copy=False)
    with replacing(Path(path)) as temporary, temporary.open("wb") as file:
        file.write(f"{header}\n".encode("ascii"))
        file.write(rows.data)


def read_ply(path: Path | str) -> Gaussians:
    """Return the Gaussians of a binary little-endian PLY file.

    Properties may come in any order and as any scalar type; others are ignored, and so are elements other than `vertex`
    (if they come before it, their rows must have a fixed length). The colour space is sRGB unless a comment says
    otherwise.

    Raises:
        BadInputError: the file is missing, is no such PLY, is cut short, or holds values that are no Gaussians.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            header = _read_header(path, file)
            rows = _read_rows(path, file, header)
    except OSError as error:
        raise BadInputError(f"Could not read {path}: {error.strerror or error}.") from error
    return _gaussians_from_rows(path, rows, header)


@dataclass(frozen=True)
class _Header:
    count: int
    """Gaussians."""
    row: np.dtype
    """Of one Gaussian."""
    start: int
    """Offset of the first row in bytes."""
    degree: int
    color_space: ColorSpace


def _property_names(degree: int) -> list[str]:
    rest = 3 * (coefficient_count(degree) - 1)
    return [
        *("x", "y", "z", "nx", "ny", "nz"),
        *(f"f_dc_{i}" for i in range(3)),
        *(f"f_rest_{i}" for i in range(rest)),
        "opacity",
        *(f"scale_{i}" for i in range(3)),
        *(f"rot_{i}" for i in range(4)),
    ]


def _bad(path: Path, got: str, expected: str) -> BadInputError:
    return BadInputError(f"{path} is not a PLY file of 3D Gaussians: {got}; expected {expected}. {_REMEDY}")


def _read_header(path: Path, file: BinaryIO) -> _Header:
    """Parse the header and check it against the size of the file, before anything of that size is allocated."""
    text = file.read(_LONGEST_HEADER)
    if not text.startswith((b"ply\n", b"ply\r\n")):
        raise _bad(path, f"it starts with {text[:16]!r}", "a first line 'ply'")
    end = text.find(b"\nend_header")
    body = text.find(b"\n", end + 1) + 1
    if end < 0 or body == 0:
        raise _bad(path, f"no 'end_header' in its first {len(text)} bytes", "a complete header")
    lines = [line.strip() for line in text[:end].decode("latin-1").split("\n")[1:]]
    if "format binary_little_endian 1.0" not in lines:
        got = next((line for line in lines if line.startswith("format")), "no format line")
        raise _bad(path, repr(got), "'format binary_little_endian 1.0'")
    elements = _parse_elements(path, lines)
    if "vertex" not in elements:
        raise _bad(path, f"elements {sorted(elements)}", "an element 'vertex'")
    start = body
    for name, (count, row) in elements.items():
        if row is None:
            raise _bad(path, f"list properties in element {name!r} up to 'vertex'", "scalar properties")
        if name == "vertex":
            break
        start += count * row.itemsize
    count, row = elements["vertex"]
    assert row is not None
    names = set(row.names or ())
    rest = sum(name.startswith("f_rest_") for name in names)
    if rest not in _REST_COUNTS:
        raise _bad(path, f"{rest} properties f_rest_*", f"one of {sorted(_REST_COUNTS)}")
    degree = _REST_COUNTS[rest]
    missing = [name for name in _property_names(degree) if name not in names and name not in ("nx", "ny", "nz")]
    if missing:
        raise _bad(path, f"no property {', '.join(missing)}", "position, f_dc, opacity, scale and rot properties")
    size = path.stat().st_size
    if start + count * row.itemsize > size:
        raise _bad(
            path,
            f"it has {size:,} bytes",
            f"{start + count * row.itemsize:,} for the {count:,} Gaussians its header promises (cut short on the way?)",
        )
    spaces = [line.removeprefix(_COLOR_SPACE) for line in lines if line.startswith(_COLOR_SPACE)]
    return _Header(count, row, start, degree, _parse_color_space(path, spaces[0] if spaces else "srgb"))


def _parse_color_space(path: Path, name: str) -> ColorSpace:
    if name == "srgb" or name == "linear":
        return name
    raise _bad(path, f"color_space {name!r} in a comment", "'srgb' or 'linear'")


def _parse_elements(path: Path, lines: list[str]) -> dict[str, tuple[int, np.dtype | None]]:
    """Return name -> (count, row type) in the order of the file; the type is None where rows hold lists."""
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
                    raise _bad(path, f"property {name!r} twice", "different names")
                fields.append((name, _TYPES[kind]))
            case ["comment" | "obj_info" | "format", *_] | []:
                continue
            case _:
                raise _bad(path, f"header line {line[:80]!r}", "'element NAME COUNT' or 'property TYPE NAME'")
    return {name: (n, None if fields is None else np.dtype(fields)) for name, (n, fields) in elements.items()}


def _read_rows(path: Path, file: BinaryIO, header: _Header) -> np.ndarray:
    if header.count == 0:
        return np.zeros(0, header.row)
    file.seek(header.start)
    rows = np.fromfile(file, dtype=header.row, count=header.count)
    if len(rows) < header.count:
        raise _bad(path, f"{len(rows):,} rows", f"the {header.count:,} of its header (cut short while being read?)")
    return rows


def _gaussians_from_rows(path: Path, rows: np.ndarray, header: _Header) -> Gaussians:
    def columns(*names: str) -> Tensor:
        with np.errstate(over="ignore"):  # a double beyond float32 becomes infinite and is refused below
            return torch.from_numpy(np.stack([rows[name].astype(np.float32) for name in names], axis=1))

    k = coefficient_count(header.degree)
    dc = columns("f_dc_0", "f_dc_1", "f_dc_2").unsqueeze(1)
    if k > 1:
        rest = columns(*(f"f_rest_{i}" for i in range(3 * (k - 1)))).unflatten(1, (3, k - 1)).transpose(1, 2)
        dc = torch.cat((dc, rest), dim=1)
    gaussians = Gaussians(
        means=columns("x", "y", "z"),
        quaternions=columns("rot_0", "rot_1", "rot_2", "rot_3"),
        scales=scales_from_logs(columns("scale_0", "scale_1", "scale_2")),
        opacities=opacities_from_logits(columns("opacity").squeeze(1)),
        sh=dc.contiguous(),
        color_space=header.color_space,
    )
    # Infinite logits are fine (some converters write them for opacity 1); infinite or undefined values are not.
    for name, tensor in gaussians.tensors().items():
        bad = int((~tensor.isfinite()).reshape(len(tensor), -1).any(1).sum()) if len(tensor) else 0
        if bad:
            raise _bad(path, f"{bad:,} of its {header.count:,} Gaussians have {name} that are not finite", "numbers")
    return gaussians
