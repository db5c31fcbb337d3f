"""Compressed PLY files of 3D Gaussians, in PlayCanvas's layout: 16 bytes a Gaussian, and one for each coefficient.

Gaussians stand in groups ("chunks") of 256 that are near each other; within a group positions, logs of scales and
colours are fractions of the group's range:

    element chunk:  min_x ... max_z, min_scale_x ... max_scale_z, min_r ... max_b as float32
    element vertex: packed_position  11, 10 and 11 bits of x, y and z
                    packed_rotation  2 bits: which of w, x, y, z is the largest and left out; 10 bits for each other
                    packed_scale     11, 10 and 11 bits
                    packed_color     8 bits each of red, green, blue and opacity
    element sh:     f_rest_0 ... as 8 bits each, -4 to 4, all of red first; absent where colours have degree 0

PlayCanvas's splat-transform writes such files too, and many viewers read them. Every value comes back to within half a
step of its range.
"""

from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch

from ..files import replacing
from ..gaussians import Gaussians
from ..sh import coefficient_count, color_from_dc, dc_from_color
from .ply_header import PlyHeader, bad_ply, color_space_comment, read_rows

CHUNK = 256  # Gaussians that share their ranges
MOST_COMPRESSED_BYTES = 62  # of a Gaussian, with its share of the ranges, at the highest degree of colour
_BLOCK = 64 * CHUNK  # Gaussians at a time, which take 2 kB each meanwhile
_XYZ_BITS = (11, 10, 11)
_SHIFTS = (21, 11, 0)  # of x, y and z in 32 bits
_COLOR_SHIFTS = (24, 16, 8, 0)
_PACKED = ("packed_position", "packed_rotation", "packed_scale", "packed_color")
_REST_DEGREES = {3 * (coefficient_count(degree) - 1): degree for degree in range(1, 4)}
_SH_RANGE = 8.0  # of a coefficient, -4 to 4
_MOST_LOG = 20.0  # scales beyond exp(20) and below exp(-20) would take the steps from the others of their group
_SQRT2 = 2**0.5


def write_compressed_ply(path: Path | str, gaussians: Gaussians) -> None:
    """Write `gaussians` to a compressed PLY file, whole or not at all: about a quarter of the size of `write_ply`.

    The order changes: neighbours stand together. Coefficients of colour are kept within -4 and 4 in steps of 1/32;
    degrees that are zero throughout are left out.

    Raises:
        BadInputError: the file cannot be written.
    """
    data = compressed_ply(gaussians)
    with replacing(Path(path)) as temporary:
        temporary.write_bytes(data)


def compressed_ply(gaussians: Gaussians) -> bytes:
    """Return the content of a compressed PLY file."""
    count, degree = len(gaussians), _degree_in_use(gaussians)
    order = torch.from_numpy(_near_each_other(gaussians.means.detach().cpu().numpy()))
    names = [f"{end}_{prefix}{axis}" for prefix, axes in _GROUPS for end in ("min", "max") for axis in axes]
    head = ["ply", "format binary_little_endian 1.0", color_space_comment(gaussians.color_space)]
    head += [f"element chunk {-(-count // CHUNK)}", *(f"property float {name}" for name in names)]
    head += [f"element vertex {count}", *(f"property uint {name}" for name in _PACKED)]
    if degree:
        head += [f"element sh {count}"]
        head += [f"property uchar f_rest_{i}" for i in range(3 * (coefficient_count(degree) - 1))]
    tables: tuple[list[bytes], ...] = ([], [], [])
    for start in range(0, count, _BLOCK):
        block = gaussians.detach().select(order[start : start + _BLOCK].to(gaussians.device))
        for table, rows in zip(tables, _encoded(block.to("cpu", torch.float32).with_sh_degree(degree)), strict=True):
            table.append(rows.tobytes())
    return b"".join(["\n".join([*head, "end_header", ""]).encode("ascii"), *tables[0], *tables[1], *tables[2]])


def _encoded(g: Gaussians) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the entries of the three tables for whole chunks of Gaussians, of which the last may be a part."""
    logs = g.scales.double().clamp_min(1e-300).log().clamp(-_MOST_LOG, _MOST_LOG).numpy()
    packed = np.empty(len(g), [(name, "<u4") for name in _PACKED])
    bounds = []
    for name, values, bits, shifts in (
        ("packed_position", g.means.double().numpy(), _XYZ_BITS, _SHIFTS),
        ("packed_scale", logs, _XYZ_BITS, _SHIFTS),
        ("packed_color", color_from_dc(g.sh[:, 0]).double().numpy(), (8, 8, 8), _COLOR_SHIFTS[:3]),
    ):
        low, high = _ranges(values)
        bounds += [low, high]
        low, high = _spread(low, len(g)), _spread(high, len(g))
        packed[name] = _bits((values - low) / np.where(high > low, high - low, 1), bits, shifts)
    packed["packed_color"] |= _bits(g.opacities.double().numpy()[:, None], (8,), (0,))
    packed["packed_rotation"] = _packed_rotations(g.quaternions.double().numpy())
    rest = _packed_coefficients(g.sh[:, 1:].transpose(1, 2).flatten(1).numpy())
    return np.concatenate(bounds, axis=1).astype("<f4"), packed, rest


_GROUPS = (("", "xyz"), ("scale_", "xyz"), ("", "rgb"))  # what a chunk has ranges of


def is_compressed(header: PlyHeader) -> bool:
    """Return whether a PLY file is a compressed one."""
    row = header.elements["vertex"].row
    return "chunk" in header.elements and row is not None and "packed_position" in (row.names or ())


def gaussians_of_compressed(file: BinaryIO, header: PlyHeader) -> Gaussians:
    """Return the Gaussians of a compressed PLY file, which may hold values that are not finite.

    Raises:
        BadInputError: the file is damaged or cut short.
    """
    degree = _checked_degree(header)
    chunks = read_rows(file, header, "chunk")
    packed = read_rows(file, header, "vertex")
    count = len(packed)
    with np.errstate(all="ignore"):  # what is not finite afterwards is refused by whoever called
        means = _unpacked(packed["packed_position"], chunks, "", "xyz", _XYZ_BITS, _SHIFTS)
        scales = np.exp(_unpacked(packed["packed_scale"], chunks, "scale_", "xyz", _XYZ_BITS, _SHIFTS))
        colors = _unpacked(packed["packed_color"], chunks, "", "rgb", (8, 8, 8), _COLOR_SHIFTS[:3])
        means, scales, colors = (torch.from_numpy(a.astype(np.float32)) for a in (means, scales, colors))
    sh = dc_from_color(colors).unsqueeze(1)
    if degree:
        rows = read_rows(file, header, "sh")
        bytes_ = np.stack([rows[f"f_rest_{i}"] for i in range(3 * (coefficient_count(degree) - 1))], axis=1)
        rest = torch.from_numpy(((bytes_ + np.float32(0.5)) / 256 - np.float32(0.5)) * _SH_RANGE)
        sh = torch.cat((sh, rest.float().reshape(count, 3, coefficient_count(degree) - 1).transpose(1, 2)), dim=1)
    return Gaussians(
        means=means,
        quaternions=torch.from_numpy(_unpacked_rotations(packed["packed_rotation"]).astype(np.float32)),
        scales=scales,
        opacities=torch.from_numpy(_share(packed["packed_color"], 8, 0).astype(np.float32)),
        sh=sh.contiguous(),
        color_space=header.color_space,
    )


def _checked_degree(header: PlyHeader) -> int:
    """Return the degree of a file's colours, once its tables are known to fit each other."""
    path, chunk, vertex = header.path, header.elements["chunk"], header.elements["vertex"]
    types = header.types("vertex")
    if missing := [name for name in _PACKED if types.get(name) != np.uint32]:
        raise bad_ply(path, f"no {', '.join(missing)} of the type uint", "packed values of 32 bits")
    known = header.types("chunk")
    places, sizes, colors = (
        [f"{end}_{prefix}{axis}" for end in ("min", "max") for axis in axes] for prefix, axes in _GROUPS
    )
    # Colours of older files lie between 0 and 1: all of their ranges are there, or none.
    ranges = [*places, *sizes, *(colors if any(name in known for name in colors) else ())]
    if missing := [name for name in ranges if name not in known]:
        raise bad_ply(path, f"no property {', '.join(missing)}", "the ranges of every chunk")
    if chunk.count * CHUNK < vertex.count:
        raise bad_ply(
            path, f"{chunk.count:,} chunks for {vertex.count:,} Gaussians", f"{-(-vertex.count // CHUNK):,} chunks"
        )
    if "sh" not in header.elements:
        return 0
    table, types = header.elements["sh"], header.types("sh")
    if len(types) not in _REST_DEGREES or any(types.get(f"f_rest_{i}") != np.uint8 for i in range(len(types))):
        raise bad_ply(path, f"{len(types)} properties in element 'sh'", f"{sorted(_REST_DEGREES)} f_rest_* as uchar")
    if table.count != vertex.count:
        raise bad_ply(path, f"coefficients of {table.count:,} Gaussians", f"of all {vertex.count:,}")
    return _REST_DEGREES[len(types)]


def _degree_in_use(gaussians: Gaussians) -> int:
    """Return the highest degree at which some coefficient is not zero."""
    used = [d for d in range(1, gaussians.sh_degree + 1) if bool(gaussians.sh[:, d * d : (d + 1) ** 2].any())]
    return max(used, default=0)


def _near_each_other(means: np.ndarray) -> np.ndarray:
    """Return an order in which neighbours in space are mostly neighbours in the file (Morton 1966)."""
    if len(means) == 0:
        return np.zeros(0, np.int64)
    values = means.astype(np.float64)
    low, high = values.min(0), values.max(0)
    steps = ((values - low) / np.where(high > low, high - low, 1) * (2**20 - 1)).astype(np.uint64)
    code = np.zeros(len(values), np.uint64)
    for bit in range(20):
        for axis in range(3):
            code |= ((steps[:, axis] >> np.uint64(bit)) & np.uint64(1)) << np.uint64(3 * bit + axis)
    return np.argsort(code, kind="stable")


def _ranges(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the least and the most [chunks, 3] of each chunk, as float32 holds them."""
    starts = np.arange(0, len(values), CHUNK)
    low, high = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
    return low.astype(np.float32).astype(np.float64), high.astype(np.float32).astype(np.float64)


def _spread(per_chunk: np.ndarray, count: int) -> np.ndarray:
    return np.repeat(per_chunk, CHUNK, axis=0)[:count]


def _bits(shares: np.ndarray, bits: tuple[int, ...], shifts: tuple[int, ...]) -> np.ndarray:
    """Return shares [n, k] of 1 as whole numbers of so many bits, shifted to their places."""
    packed = np.zeros(len(shares), np.uint32)
    for column, size, shift in zip(shares.T, bits, shifts, strict=True):
        most = 2**size - 1
        packed |= (column.clip(0, 1) * most + 0.5).astype(np.uint32) << np.uint32(shift)
    return packed


def _share(packed: np.ndarray, bits: int, shift: int) -> np.ndarray:
    most = 2**bits - 1
    return ((packed >> np.uint32(shift)) & np.uint32(most)) / np.float64(most)


def _unpacked(
    packed: np.ndarray, chunks: np.ndarray, prefix: str, axes: str, bits: tuple[int, ...], shifts: tuple[int, ...]
) -> np.ndarray:
    """Return three values [n, 3] of each Gaussian from their places in the ranges of its chunk."""
    columns = []
    for axis, size, shift in zip(axes, bits, shifts, strict=True):
        share = _share(packed, size, shift)
        if f"min_{prefix}{axis}" not in (chunks.dtype.names or ()):
            columns.append(share)  # colours of older files
            continue
        low, high = (chunks[f"{end}_{prefix}{axis}"].astype(np.float64) for end in ("min", "max"))
        low, high = (_spread(bound[:, None], len(packed))[:, 0] for bound in (low, high))
        columns.append(low + (high - low) * share)
    return np.stack(columns, axis=1)


def _packed_rotations(quaternions: np.ndarray) -> np.ndarray:
    """Return unit quaternions wxyz in 32 bits: the largest component follows from the others once it is positive."""
    length = np.linalg.norm(quaternions, axis=1, keepdims=True)
    unit = np.where(length > 0, quaternions / np.where(length > 0, length, 1), (1.0, 0.0, 0.0, 0.0))
    largest = np.abs(unit).argmax(1)
    rows = np.arange(len(unit))
    unit = unit * np.where(unit[rows, largest] < 0, -1, 1)[:, None]
    others = unit[np.arange(4) != largest[:, None]].reshape(-1, 3)
    return _bits(others / _SQRT2 + 0.5, (10, 10, 10), (20, 10, 0)) | (largest.astype(np.uint32) << np.uint32(30))


def _unpacked_rotations(packed: np.ndarray) -> np.ndarray:
    others = np.stack([(_share(packed, 10, shift) - 0.5) * _SQRT2 for shift in (20, 10, 0)], axis=1)
    last = np.sqrt((1 - (others**2).sum(1)).clip(0))
    largest = (packed >> np.uint32(30)).astype(np.int64)
    unit = np.empty((len(packed), 4))
    unit[np.arange(4) != largest[:, None]] = others.reshape(-1)
    unit[np.arange(len(packed)), largest] = last
    return unit


def _packed_coefficients(rest: np.ndarray) -> np.ndarray:
    """Return coefficients as bytes. 0 is no step: it alternates between the two beside it, so that it sums to 0."""
    steps = (rest / _SH_RANGE + 0.5) * 256
    even = (np.arange(len(rest))[:, None] + np.arange(rest.shape[1])) % 2
    return (np.floor(steps) - ((rest == 0) & (even == 1))).clip(0, 255).astype(np.uint8)
