"""What depth priors said of photographs, kept on disk: a network takes seconds for each, and photographs stay the same.

One file for each photograph and prior, in `hyperfocal/depth` of the user's cache. The folder may be deleted any time;
what was used longest ago goes by itself when the folder grows too large. A damaged file is computed anew.
"""

import hashlib
import logging
import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor

from ..depth import Depth, DepthAxis, DepthKind
from ..errors import BadInputError
from ..files import cache_folder
from ..protocols import DepthPrior
from ..shapes import Image
from ..tensor_files import read_tensors, write_tensors

KIND = "hyperfocal cached depth"
VERSION = 1  # of the files
MOST_BYTES = 4 << 30

_log = logging.getLogger(__name__)


def depth_cache_folder() -> Path:
    """Return the folder of cached depth: hyperfocal/depth in XDG_CACHE_HOME or in ~/.cache."""
    return cache_folder() / "depth"


@dataclass(frozen=True)
class CachedDepthPrior:
    """A `DepthPrior` that remembers, between runs, too, what another one said."""

    prior: DepthPrior
    identity: str
    """Of the prior, its version and settings: what decides the result beside the photograph."""
    folder: Path = field(default_factory=depth_cache_folder)
    most_bytes: int = MOST_BYTES
    """Of the folder; the newest result is always kept."""

    def __call__(self, image: Image, focal_px: float | None = None) -> Depth:
        """Return the depth of an image, from disk if it has been computed before."""
        key = _key(image, focal_px, self.identity)
        path = self.folder / f"{key}.safetensors"
        if (known := _read(path, key, image)) is not None:
            return known
        depth = self.prior(image, focal_px)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            _write(path, key, depth)
            _prune(self.folder, self.most_bytes, keep=path)
        except (OSError, BadInputError) as error:  # a full or read-only disk is no reason to lose the result
            _log.warning("Depth could not be cached: %s", error)
        return depth


def clear_depth_cache(folder: Path | None = None) -> int:
    """Remove all cached depth, and return how many bytes that freed."""
    files = _files(folder or depth_cache_folder())
    for path, _, _ in files:
        path.unlink(missing_ok=True)
    return sum(size for _, _, size in files)


def _key(image: Image, focal_px: float | None, identity: str) -> str:
    """Return a name that changes with the pixels, the size, the focal length and the prior."""
    digest = hashlib.sha256(f"{VERSION} {tuple(image.shape)} {image.dtype} {focal_px} {identity}\n".encode())
    digest.update(_bytes(image))
    return digest.hexdigest()[:40]


def _bytes(tensor: Tensor) -> Any:
    return tensor.detach().cpu().contiguous().view(torch.uint8).numpy()


def _write(path: Path, key: str, depth: Depth) -> None:
    tensors = {"values": depth.values.detach().cpu()}
    if depth.confidence is not None:
        tensors["confidence"] = depth.confidence.detach().cpu()
    plain = {"key": key, "kind": depth.kind, "axis": depth.axis, "sha256": _checksum(tensors)}
    write_tensors(path, KIND, VERSION, tensors, plain)


def _checksum(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(_bytes(tensors[name]))
    return digest.hexdigest()


def _read(path: Path, key: str, image: Image) -> Depth | None:
    """Return the depth in a file; None if there is none or it is not what it should be in every respect."""
    if not path.is_file():
        return None
    try:
        tensors, plain = read_tensors(path, KIND, VERSION, remedy="It is computed anew.")
    except BadInputError as error:
        _log.warning("%s", error)
        return None
    shape = image.shape[:2]
    right = (
        plain.get("key") == key
        and plain.get("kind") in get_args(DepthKind)
        and plain.get("axis") in get_args(DepthAxis)
        and "values" in tensors
        and tensors.keys() <= {"values", "confidence"}
        and all(tensor.shape == shape and tensor.is_floating_point() for tensor in tensors.values())
        and plain.get("sha256") == _checksum(tensors)
    )
    if not right:
        _log.warning("%s is damaged. It is computed anew.", path)
        return None
    with suppress(OSError):  # of a cache that others may only read
        os.utime(path)  # used last
    there = {name: tensor.to(image.device) for name, tensor in tensors.items()}
    return Depth(there["values"], plain["kind"], plain["axis"], there.get("confidence"))


def _files(folder: Path) -> list[tuple[Path, float, int]]:
    """Return (path, when used, bytes) of what is in a folder, used longest ago first."""
    found = []
    for path in folder.glob("[!.]*.safetensors"):  # those with a dot are just being written
        with suppress(OSError):  # another process may just have removed it
            status = path.stat()
            found.append((path, status.st_mtime, status.st_size))
    return sorted(found, key=lambda file: file[1])


def _prune(folder: Path, most_bytes: int, *, keep: Path) -> None:
    files = _files(folder)
    total = sum(size for _, _, size in files)
    for path, _, size in files:
        if total <= most_bytes:
            return
        if path != keep:
            path.unlink(missing_ok=True)
            total -= size
