"""Files of tensors and plain values that say what they are: safetensors, the values as JSON in its header.

Reading one runs no code of the file's.
"""

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from .errors import BadInputError
from .files import replacing


def write_tensors(path: Path, kind: str, version: int, tensors: dict[str, Tensor], plain: dict[str, Any]) -> None:
    """Write a file of some `kind` and `version`, whole or not at all.

    Args:
        path: The file.
        kind: Of file, for people, too.
        version: Of the kind.
        tensors: On the CPU, of any types and shapes.
        plain: What JSON can hold.

    Raises:
        BadInputError: the folder is missing, read-only or full.
    """
    header = {"format": kind, "version": str(version), "plain": json.dumps(plain)}
    with replacing(path) as temporary:  # straight to the file: as bytes first, all would be in memory twice more
        try:
            save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, temporary, header)
        except SafetensorError as error:  # how it says that the disk is full
            raise OSError(str(error)) from error


def read_tensors(path: Path, kind: str, version: int, *, remedy: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return (tensors, plain values) of a file of `write_tensors`.

    Raises:
        BadInputError: no such file, damaged, or of another kind or version; ends with the sentence `remedy`.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
        if (header.get("format"), header.get("version")) == (kind, str(version)):
            return tensors, dict(json.loads(header["plain"]))
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise BadInputError(f"{path} cannot be read ({type(error).__name__}: {error}). {remedy}") from error
    raise BadInputError(
        f"{path} is a {header.get('format', 'file')!r} of version {header.get('version', 'none')}; expected {kind!r} "
        f"of version {version}. {remedy}"
    )
