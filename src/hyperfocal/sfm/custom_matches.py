"""Matches of a user's `Matcher` as features that many pairs share, which structure from motion needs."""

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
import torch

from ..data.photograph import load_pixels
from ..progress import Progress
from ..protocols import Matcher
from ..scene import View
from ..shapes import Image, Mask
from .config import SfmConfig
from .features import Features, at_pixels, counting, searched_size
from .pairs import Pairs

# A matcher finds a point anew in every pair, a little elsewhere each time. Finds in one square of this many pixels of
# the searched photograph become one feature at their mean, so that points are seen by more than two photographs.
_CELL_PX = 2.0
_PHOTOGRAPHS_IN_MEMORY = 64


def match_with(
    matcher: Matcher,
    views: list[View],
    pairs: Pairs,
    config: SfmConfig,
    masks: Mapping[str, Mask],
    progress: Progress,
) -> tuple[list[Features], dict[tuple[int, int], np.ndarray]]:
    """Return (features of the views, for each pair [m, 2] numbers of matching features)."""

    @lru_cache(_PHOTOGRAPHS_IN_MEMORY)
    def photograph(index: int) -> tuple[Image, Image, Mask]:
        """Return (picture, the same as the matcher sees it: one object for all its pairs, where it counts)."""
        image, opaque = load_pixels(views[index])
        mask = counting(views[index], image, opaque, masks.get(views[index].name))
        return image, searched_size(image, config.max_image_size_px), mask

    gathered = [_Gathered() for _ in views]
    matches = {}
    for done, (i, j) in enumerate(pairs, start=1):
        (first, first_searched, first_valid), (second, second_searched, second_valid) = photograph(i), photograph(j)
        searched = first_searched, second_searched
        found = matcher(*searched)
        order = torch.argsort(found.confidence, descending=True)
        shrunk = first.shape[1] / searched[0].shape[1], second.shape[1] / searched[1].shape[1]
        a = found.first_px[order].detach().cpu().double().numpy() * shrunk[0]
        b = found.second_px[order].detach().cpu().double().numpy() * shrunk[1]
        keep = at_pixels(first_valid.numpy(), a) & at_pixels(second_valid.numpy(), b)
        a, b = a[keep], b[keep]
        # The most confident come first, and np.unique keeps the first of several for one feature.
        numbers = np.stack(
            (gathered[i].add(a, first, shrunk[0] * _CELL_PX), gathered[j].add(b, second, shrunk[1] * _CELL_PX)), axis=1
        )
        for side in (0, 1):
            numbers = numbers[np.sort(np.unique(numbers[:, side], return_index=True)[1])]
        matches[i, j] = numbers
        progress("Matching photographs", done, len(pairs))
    sizes = [photograph(index)[0].shape for index in range(len(views))]
    return [one.features(*size[:2]) for one, size in zip(gathered, sizes, strict=True)], matches


class _Gathered:
    """The finds in one photograph, cell by cell."""

    def __init__(self) -> None:
        self._number_of_cell: dict[tuple[int, int], int] = {}
        self._sums: list[np.ndarray] = []

    def add(self, pixels: np.ndarray, photograph: Image, cell_px: float) -> np.ndarray:
        """Return the feature number of each find [m, 2]."""
        colors = at_pixels(photograph.numpy(), pixels)
        cells = np.floor(pixels / cell_px).astype(int)
        numbers = np.empty(len(pixels), dtype=int)
        for index, (cell, pixel, color) in enumerate(zip(cells, pixels, colors, strict=True)):
            number = self._number_of_cell.setdefault((int(cell[0]), int(cell[1])), len(self._sums))
            if number == len(self._sums):
                self._sums.append(np.zeros(6))
            self._sums[number] += (1, *pixel, *color)
            numbers[index] = number
        return numbers

    def features(self, height: int, width: int) -> Features:
        """Return one feature for each cell, at the mean of its finds."""
        sums = np.array(self._sums).reshape(-1, 6)
        means = sums[:, 1:] / sums[:, :1]
        keypoints = np.concatenate((means[:, :2], np.ones((len(sums), 1)), np.zeros((len(sums), 1))), axis=1)
        colors = (means[:, 2:] * 255 + 0.5).astype(np.uint8)
        return Features(width, height, keypoints.astype(np.float32), np.zeros((len(sums), 128), np.uint8), colors)
