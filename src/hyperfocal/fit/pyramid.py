"""Photographs at the sizes that a fit uses, shrunk once and kept."""

from dataclasses import replace

import torch
from torch.nn.functional import adaptive_avg_pool2d

from ..scene import Photograph

_LEAST_SIDE = 16  # pixels; SSIM looks through an 11-pixel window


def shrunk(photograph: Photograph, factor: int) -> Photograph:
    """Return the photograph and its camera at 1 / `factor` of the size, each pixel the mean of what it covers.

    A pixel is valid where all it covers is. Photographs are never shrunk below 16 pixels a side.
    """
    height, width = photograph.image.shape[:2]
    factor = max(1, min(factor, min(height, width) // _LEAST_SIDE))
    if factor == 1:
        return photograph
    size = (height // factor, width // factor)
    image = adaptive_avg_pool2d(photograph.image.permute(2, 0, 1), size).permute(1, 2, 0).contiguous()
    share_valid = adaptive_avg_pool2d(photograph.valid.to(torch.float32).unsqueeze(0), size).squeeze(0)
    camera = photograph.camera.resized(size[1], size[0])
    return replace(photograph, image=image, valid=share_valid > 1 - 1e-4, camera=camera)


class Pyramid:
    """The photographs of a fit by size; each size is made when it is first asked for."""

    def __init__(self, photographs: tuple[Photograph, ...]) -> None:
        self._levels = {1: photographs}

    def __len__(self) -> int:
        return len(self._levels[1])

    def level(self, factor: int) -> tuple[Photograph, ...]:
        """Return all photographs shrunk by `factor`."""
        if factor not in self._levels:
            self._levels[factor] = tuple(shrunk(photograph, factor) for photograph in self._levels[1])
        return self._levels[factor]
