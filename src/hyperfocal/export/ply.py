"""PLY files of 3D Gaussians, in the layout that every viewer reads (Kerbl et al. 2023).

A file holds float32 logs of scales and logits of opacities; `Gaussians` hold activated values. `activations` makes the
two agree: Gaussians that came from `fit` or from `read_ply` are the same to the last bit after writing and reading;
of others the scales and opacities move to the nearest values that a float32 log or logit can name.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..activations import logits_from_opacities, logs_from_scales, opacities_from_logits, scales_from_logs
from ..errors import BadInputError
from ..files import replacing
from ..gaussians import Gaussians
from ..sh import coefficient_count
from .compressed_ply import gaussians_of_compressed, is_compressed
from .ply_header import PlyHeader, bad_ply, color_space_comment, read_header, read_rows

_REST_COUNTS = {3 * (coefficient_count(degree) - 1): degree for degree in range(4)}  # f_rest_* -> degree


def write_ply(path: Path | str, gaussians: Gaussians) -> None:
    """Write `gaussians` to a binary little-endian PLY file, whole or not at all.

    Normals (`nx ny nz`) are zero: viewers expect the properties and ignore them. Colours are written as they are; a
    comment says which colour space that is.

    Raises:
        BadInputError: the file cannot be written.
    """
    names = _property_names(gaussians.sh_degree)
    color = color_space_comment(gaussians.color_space)
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
    """Return the Gaussians of a binary little-endian PLY file, compressed (`write_compressed_ply`) or not.

    Properties may come in any order and as any scalar type; others are ignored, and so are elements other than `vertex`
    (if they come before it, their rows must have a fixed length). The colour space is sRGB unless a comment says
    otherwise.

    Raises:
        BadInputError: the file is missing, is no such PLY, is cut short, or holds values that are no Gaussians.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            header = read_header(path, file)
            if is_compressed(header):
                gaussians = gaussians_of_compressed(file, header)
            else:
                degree = _degree(header)
                gaussians = _gaussians_from_rows(read_rows(file, header, "vertex"), degree, header)
    except OSError as error:
        raise BadInputError(f"Could not read {path}: {error.strerror or error}.") from error
    # Infinite logits are fine (some converters write them for opacity 1); infinite or undefined values are not.
    for name, tensor in gaussians.tensors().items():
        bad = int((~tensor.isfinite()).reshape(len(tensor), -1).any(1).sum()) if len(tensor) else 0
        if bad:
            raise bad_ply(
                path, f"{bad:,} of its {len(gaussians):,} Gaussians have {name} that are not finite", "numbers"
            )
    return gaussians


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


def _degree(header: PlyHeader) -> int:
    """Return the degree of the colours of a file whose properties are complete."""
    names = header.types("vertex")
    rest = sum(name.startswith("f_rest_") for name in names)
    if rest not in _REST_COUNTS:
        raise bad_ply(header.path, f"{rest} properties f_rest_*", f"one of {sorted(_REST_COUNTS)}")
    degree = _REST_COUNTS[rest]
    missing = [name for name in _property_names(degree) if name not in names and name not in ("nx", "ny", "nz")]
    if missing:
        raise bad_ply(
            header.path, f"no property {', '.join(missing)}", "position, f_dc, opacity, scale and rot properties"
        )
    return degree


def _gaussians_from_rows(rows: np.ndarray, degree: int, header: PlyHeader) -> Gaussians:
    def columns(*names: str) -> Tensor:
        with np.errstate(over="ignore"):  # a double beyond float32 becomes infinite and is refused afterwards
            return torch.from_numpy(np.stack([rows[name].astype(np.float32) for name in names], axis=1))

    k = coefficient_count(degree)
    dc = columns("f_dc_0", "f_dc_1", "f_dc_2").unsqueeze(1)
    if k > 1:
        rest = columns(*(f"f_rest_{i}" for i in range(3 * (k - 1)))).unflatten(1, (3, k - 1)).transpose(1, 2)
        dc = torch.cat((dc, rest), dim=1)
    return Gaussians(
        means=columns("x", "y", "z"),
        quaternions=columns("rot_0", "rot_1", "rot_2", "rot_3"),
        scales=scales_from_logs(columns("scale_0", "scale_1", "scale_2")),
        opacities=opacities_from_logits(columns("opacity").squeeze(1)),
        sh=dc.contiguous(),
        color_space=header.color_space,
    )
