"""Which photographs are worth comparing. Every function returns pairs of positions (i, j) with i < j, sorted."""

from itertools import combinations

import numpy as np
import torch

from ..camera import Camera
from .config import SfmConfig
from .features import Features

Pairs = list[tuple[int, int]]

# Comparing all pairs of this many photographs takes about a minute on two cores.
_ALL_PAIRS_UP_TO = 60
_SIMILAR = 20
# Partners by likeness where most pairs come from order or place: enough to close loops.
_REVISITED = 5
# Photographs of a drone overlap by 60 to 80 % along and across its lines, so each sees some 20 others.
_NEAREST = 20
_NEIGHBOURS = 3


def pairs_of_photographs(features: list[Features], config: SfmConfig, places: np.ndarray | None = None) -> Pairs:
    """Return the pairs that a configuration asks for.

    Args:
        features: Of the photographs.
        config: `matching` and `sequential_overlap` are used.
        places: [n, 2 or 3] metres, for "nearby"; NaN where unknown.
    """
    count, overlap = len(features), config.sequential_overlap
    match config.matching:
        case "sequential":
            return _neighbours(count, overlap)
        case "revisiting":
            return sorted({*_neighbours(count, overlap), *_similar(features, _REVISITED)})
        case "loop":
            return sorted({*_neighbours(count, overlap), *_closing(count, overlap), *_similar(features, _REVISITED)})
        case "nearby" if places is not None:
            return sorted({*_nearest(places, _NEAREST), *_similar(features, _REVISITED)})
        case "exhaustive":
            return list(combinations(range(count), 2))
        case _ if count <= _ALL_PAIRS_UP_TO:
            return list(combinations(range(count), 2))
        case _:
            return sorted({*_similar(features, _SIMILAR), *_neighbours(count, _NEIGHBOURS)})


def pairs_of_cameras(cameras: list[Camera], partners: int = 10) -> Pairs:
    """Return, for each camera, the `partners` others that most probably see the same things from another place.

    The score falls with the angle between the viewing directions (gone at 75 degrees: SIFT does not match across more)
    and with distance, measured in medians of the distances to the nearest camera.
    """
    centers = torch.stack([camera.centers() for camera in cameras])
    forward = torch.stack([camera.world_to_camera[2, :3] for camera in cameras])
    distance = torch.cdist(centers, centers)
    others = distance + torch.diag(torch.full((len(cameras),), torch.inf))
    spacing = float(others.min(1).values.median()) or 1.0
    angle = torch.rad2deg(torch.arccos((forward @ forward.T).clamp(-1, 1)))
    # A neighbour at the usual spacing and one turned by 10 degrees are equally good; twins at one place show no depth.
    cost = (others / spacing) + angle / 10 + torch.where(distance < 0.05 * spacing, 10.0, 0.0)
    cost = torch.where(angle > 75, torch.inf, cost)
    pairs = set()
    for i, row in enumerate(cost):
        for j in row.argsort()[:partners].tolist():
            if row[j].isfinite():
                pairs.add((min(i, j), max(i, j)))
    return sorted(pairs)


def _neighbours(count: int, overlap: int) -> Pairs:
    """Return pairs up to `overlap` apart, and powers of two further, which bridge short losses of track."""
    steps = sorted({*range(1, overlap + 1), *(overlap * 2**power for power in range(1, 4))})
    return sorted((i, i + step) for step in steps for i in range(count - step))


def _closing(count: int, overlap: int) -> Pairs:
    """Return the pairs across the seam of a closed walk: its last photographs with its first."""
    seam = {(j, i) for i in range(count - overlap, count) for j in range(i + overlap - count + 1) if 0 <= j < i}
    return sorted(seam)


def _nearest(places: np.ndarray, partners: int) -> Pairs:
    """Return each photograph with the `partners` nearest; of unknown places only neighbours by name."""
    pairs = set()
    for i, place in enumerate(places):
        distance = np.linalg.norm(places - place, axis=1)
        distance[i] = np.nan
        order = [int(j) for j in np.argsort(distance)[:partners] if np.isfinite(distance[j])]
        pairs |= {(min(i, j), max(i, j)) for j in order}
    return sorted(pairs | {*_neighbours(len(places), _NEIGHBOURS)})


def _similar(features: list[Features], partners: int) -> Pairs:
    """Return each photograph with the `partners` that share most of its largest features.

    Source: Wu 2013, "Towards linear-time incremental structure from motion", section 4: features of the top scales tell
    whether two photographs overlap at a fraction of the cost of all features.
    """
    tops = []
    for one in features:
        largest = one.keypoints[:, 2].argsort()[::-1][:256].copy()
        vectors = torch.from_numpy(one.descriptors[largest]).float()
        tops.append(torch.nn.functional.normalize(vectors, dim=1))
    shared = torch.zeros(len(features), len(features))
    for i, j in combinations(range(len(features)), 2):
        if min(len(tops[i]), len(tops[j])) < 2:
            continue
        similarity = tops[i] @ tops[j].T
        best, partner = similarity.max(1)
        mutual = similarity.max(0).indices[partner] == torch.arange(len(best))
        shared[i, j] = shared[j, i] = (mutual & (best > 0.85)).sum()
    ranked = shared.argsort(dim=1, descending=True, stable=True)[:, :partners]
    return sorted(
        {(min(i, j), max(i, j)) for i, row in enumerate(ranked.tolist()) for j in row if i != j and shared[i, j] >= 4}
    )
