"""The coloured points of a PLY file, as tools put them beside transforms.json."""

from pathlib import Path

import numpy as np
import torch

from ..errors import BadInputError
from ..scene import PointCloud

_TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1",
    "short": "i2", "int16": "i2", "ushort": "u2", "uint16": "u2",
    "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4",
    "float": "f4", "float32": "f4", "double": "f8", "float64": "f8",
}  # fmt: skip
_ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}


def read_ply_points(path: Path) -> PointCloud:
    """Return the vertices of a PLY; grey where it has no colours. Points that are not finite are left out.

    Raises:
        BadInputError: not a PLY whose first element is vertices with x, y and z.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadInputError(f"The points file {path} cannot be read: {error.strerror or error}.") from error
    try:
        vertices = _vertices(data)
        positions = torch.from_numpy(np.stack([vertices[axis] for axis in "xyz"], axis=1).astype(np.float32))
        colors = torch.full_like(positions, 0.5)
        if vertices.dtype.names and {"red", "green", "blue"} <= set(vertices.dtype.names):
            channels = [vertices[name] for name in ("red", "green", "blue")]
            full = 255 if channels[0].dtype.kind in "iu" else 1
            colors = torch.from_numpy(np.stack(channels, axis=1).astype(np.float32) / full).clamp(0, 1)
    except (ValueError, KeyError, IndexError, UnicodeDecodeError) as error:
        raise BadInputError(
            f"The points file {path} cannot be read ({error}). Expected a PLY that starts with vertices with x, y and "
            "z; write it again, or remove its name from the file that lists it."
        ) from error
    finite = positions.isfinite().all(1)
    return PointCloud(positions[finite], colors[finite])


def _vertices(data: bytes) -> np.ndarray:
    """Return the first element of a PLY as a structured array."""
    end = data.find(b"end_header")
    body = data.find(b"\n", end) + 1
    if not data.startswith(b"ply") or end < 0 or body == 0:
        raise ValueError("no PLY header")
    lines = [line.split() for line in data[:end].decode("ascii").splitlines()]
    order = _ORDERS[next(line[1] for line in lines if line[:1] == ["format"])]
    elements = [i for i, line in enumerate(lines) if line[:1] == ["element"]]
    if not elements or lines[elements[0]][1] != "vertex":
        raise ValueError("the first element is not vertices")
    count = int(lines[elements[0]][2])
    stop = elements[1] if len(elements) > 1 else len(lines)
    properties = [line for line in lines[elements[0] + 1 : stop] if line[:1] == ["property"]]
    dtype = np.dtype([(line[-1], order + _TYPES[line[1]]) for line in properties])
    # A row of text has at least two bytes a value: a wrong count is found before anything is allocated.
    smallest = dtype.itemsize if order else 2 * len(properties)
    if count < 0 or count * smallest > len(data) - body + 1:
        raise ValueError(f"{count} vertices do not fit into its {len(data)} bytes")
    if order:
        return np.frombuffer(data, dtype, count, body)
    rows = data[body:].decode("ascii").splitlines()[:count]
    return np.array([tuple(float(value) for value in row.split()) for row in rows], dtype=dtype)
