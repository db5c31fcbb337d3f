"""Photographs at the sizes that a fit uses, shrunk once and kept."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from ..camera import Camera
from ..errors import BadInputError
from ..native.memory import empty
from ..scene import Exif, Photograph
from ..shapes import Mask

_LEAST_SIDE = 16  # pixels; SSIM looks through an 11-pixel window


def shrunk(photograph: Photograph, factor: int) -> Photograph:
    """Return the photograph and its camera at 1 / `factor` of the size, each pixel the mean of what it covers.

    A pixel is valid where all it covers is. Photographs are never shrunk below 16 pixels a side. A depth map that came
    with the photograph, which no fit looks at, is left out.
    """
    height, width = photograph.image.shape[:2]
    factor = max(1, min(factor, min(height, width) // _LEAST_SIDE))
    if factor == 1:
        return replace(photograph, depth_z=None)
    size = (height // factor, width // factor)
    image = adaptive_avg_pool2d(photograph.image.permute(2, 0, 1), size).permute(1, 2, 0).contiguous()
    share_valid = adaptive_avg_pool2d(photograph.valid.to(torch.float32).unsqueeze(0), size).squeeze(0)
    camera = photograph.camera.resized(size[1], size[0])
    return Photograph(photograph.name, image, share_valid > 1 - 1e-4, camera, exif=photograph.exif)


class PhotographStore:
    """The photographs of a fit at the sizes that it uses; each size is made when it is first asked for.

    Pixels are kept in 8 bits unless asked otherwise (a quarter of the memory; photographs have no more), and in files
    in `folder` if that is given, which are read as they are needed: they are no memory of this process.
    """

    def __init__(
        self,
        photographs: Iterable[Photograph] = (),
        *,
        bits: Literal["uint8", "float32"] = "uint8",
        folder: Path | None = None,
    ) -> None:
        self._dtype = torch.uint8 if bits == "uint8" else torch.float32
        self._folder = folder
        self._kept: list[dict[int, _Kept]] = []
        for photograph in photographs:
            self.add(photograph)

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, photograph: Photograph) -> None:
        """Keep one more; the caller may then forget it."""
        self._kept.append({1: self._packed(photograph, f"{len(self._kept)}")})

    def __iter__(self) -> Iterator[Photograph]:
        return (self.photograph(i) for i in range(len(self)))

    @property
    def names(self) -> tuple[str, ...]:
        """Of the photographs, in their order."""
        return tuple(kept[1].name for kept in self._kept)

    @property
    def cameras(self) -> tuple[Camera, ...]:
        """Of the photographs at full size."""
        return tuple(kept[1].camera for kept in self._kept)

    @property
    def exifs(self) -> tuple[Exif, ...]:
        """What the cameras wrote."""
        return tuple(kept[1].exif for kept in self._kept)

    def photograph(self, i: int, factor: int = 1) -> Photograph:
        """Return photograph `i` shrunk by `factor`."""
        kept = self._kept[i]
        if factor not in kept:
            kept[factor] = self._packed(shrunk(self.photograph(i), factor), f"{i}-{factor}")
        return kept[factor].unpacked()

    def _packed(self, photograph: Photograph, name: str) -> "_Kept":
        image = photograph.image
        if self._dtype == torch.uint8:
            if not bool(image.isfinite().all()):
                raise BadInputError(
                    f"The photograph {photograph.name} has pixels that are no numbers: repair the file."
                )
            image = (255 * image).round().clamp(0, 255).to(torch.uint8)
        if self._folder is not None:
            image = _OnDisk.written(image, self._folder / name)
        # Most photographs are valid everywhere: nothing needs to be kept to say so.
        valid = None if bool(photograph.valid.all()) else photograph.valid
        return _Kept(photograph.name, image, valid, photograph.camera, photograph.exif)


@dataclass(frozen=True)
class _OnDisk:
    """Pixels in a file, which is mapped only while somebody looks: pages that stay mapped count as the process's."""

    path: Path
    shape: tuple[int, ...]
    dtype: torch.dtype

    @classmethod
    def written(cls, image: Tensor, path: Path) -> "_OnDisk":
        try:
            image.contiguous().numpy().tofile(path)
        except OSError as error:
            raise BadInputError(
                f"The photographs of the fit could not be kept in {path.parent}: {error.strerror or error}. Free some "
                "space, choose another --out, or allow more --memory."
            ) from error
        return cls(path, tuple(image.shape), image.dtype)

    def read(self) -> Tensor:
        """Return the pixels; the file stays mapped as long as they are in use. Not to be written to."""
        size = math.prod(self.shape)
        return torch.from_file(str(self.path), shared=False, size=size, dtype=self.dtype).view(self.shape)


@dataclass(frozen=True)
class _Kept:
    name: str
    image: Tensor | _OnDisk
    valid: Mask | None
    camera: Camera
    exif: Exif

    def unpacked(self) -> Photograph:
        image = self.image if isinstance(self.image, Tensor) else self.image.read()
        if image.dtype == torch.uint8:
            image = empty(*image.shape).copy_(image).div_(255)
        valid = torch.ones(image.shape[:2], dtype=torch.bool) if self.valid is None else self.valid
        return Photograph(self.name, image, valid, self.camera, exif=self.exif)
