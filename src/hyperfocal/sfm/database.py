"""The database that pycolmap works on: cameras, features and verified matches of photographs."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..progress import Progress
from .config import SfmConfig
from .features import Features
from .native import pycolmap, run
from .pairs import Pairs

# Pairs are matched in blocks, after which progress moves. A block prepares its photographs' features for search anew,
# which costs as much as half a comparison each: 64 pairs of 8 x 8 photographs share 16 such costs.
_TILE = 8
_SMALLEST_BLOCK = 32


def write_database(path: Path, features: list[Features], cameras: list, camera_of: list[int]) -> None:
    """Write photographs with their features; photograph i gets the image number i + 1 and a name without blanks.

    Args:
        path: The file, which must not exist.
        features: Of the photographs.
        cameras: pycolmap cameras.
        camera_of: Position in `cameras` for each photograph.
    """
    colmap = pycolmap()
    with colmap.Database.open(str(path)) as database:
        numbers = [database.write_camera(camera) for camera in cameras]
        for position, (found, camera) in enumerate(zip(features, camera_of, strict=True)):
            number = database.write_image(colmap.Image(name=_name(position), camera_id=numbers[camera]))
            assert number == position + 1
            database.write_keypoints(number, found.keypoints)
            descriptors = colmap.FeatureDescriptors(type=colmap.FeatureExtractorType.SIFT, data=found.descriptors)
            database.write_descriptors(number, descriptors)


def match_pairs(path: Path, pairs: Pairs, config: SfmConfig, progress: Progress) -> None:
    """Match the features of the given pairs and keep what fits one epipolar geometry."""
    colmap = pycolmap()
    matching = colmap.FeatureMatchingOptions(use_gpu=False, num_threads=config.threads or -1)
    verification = _verification(config)

    def match(listing: Path, token: Any) -> None:
        pairing = colmap.ImportedPairingOptions(match_list_path=str(listing))
        colmap.match_image_pairs(
            str(path), matching, pairing, verification, colmap.Device.cpu, cancellation_token=token
        )

    _in_blocks(match, path, pairs, "Matching photographs", progress)


def verify_pairs(path: Path, matches: dict[tuple[int, int], np.ndarray], config: SfmConfig, progress: Progress) -> None:
    """Keep of given matches ([m, 2] feature numbers for each pair) what fits one epipolar geometry."""
    colmap = pycolmap()
    with colmap.Database.open(str(path)) as database:
        for (i, j), numbers in matches.items():
            database.write_matches(i + 1, j + 1, numbers.astype(np.uint32))
    verification = _verification(config)

    def verify(listing: Path, token: Any) -> None:
        colmap.verify_matches(str(path), str(listing), verification, cancellation_token=token)

    _in_blocks(verify, path, list(matches), "Verifying matches", progress)


def _verification(config: SfmConfig) -> Any:
    """Return the options of the geometric verification of pairs."""
    options = pycolmap().TwoViewGeometryOptions()
    options.ransac.random_seed = config.seed
    return options


def _in_blocks(call: Callable[[Path, Any], None], path: Path, pairs: Pairs, stage: str, progress: Progress) -> None:
    """Call with a file that lists some of the pairs, until all are done, and report after each.

    Asking the database while pycolmap works on it would tell more, but Python's SQLite and the one inside pycolmap drop
    each other's locks within one process, and the database breaks (sqlite.org/howtocorrupt.html, 2.2.1).
    """
    listing = path.with_suffix(".pairs.txt")
    done = 0
    for block in _blocks(pairs):
        progress(stage, done, len(pairs))
        listing.write_text("".join(f"{_name(i)} {_name(j)}\n" for i, j in block), encoding="utf-8")
        run(lambda token: call(listing, token))
        done += len(block)
    progress(stage, len(pairs), len(pairs))


def _blocks(pairs: Pairs) -> Iterator[Pairs]:
    """Yield the pairs in blocks of few different photographs."""
    block: Pairs = []
    tile = None
    for pair in sorted(pairs, key=lambda pair: (pair[0] // _TILE, pair[1] // _TILE, pair)):
        previous, tile = tile, (pair[0] // _TILE, pair[1] // _TILE)
        if tile != previous and len(block) >= _SMALLEST_BLOCK:
            yield block
            block = []
        block.append(pair)
    if block:
        yield block


def verified_matches(path: Path) -> dict[tuple[int, int], np.ndarray]:
    """Return the [m, 2] numbers of matching features of every pair of photographs (i < j) that has verified matches."""
    colmap = pycolmap()
    found = {}
    with colmap.Database.open(str(path)) as database:
        numbers, geometries = database.read_two_view_geometries()
        for number, geometry in zip(numbers, geometries, strict=True):
            i, j = colmap.pair_id_to_image_pair(number)
            inliers = np.asarray(geometry.inlier_matches).reshape(-1, 2)
            if len(inliers):
                found[min(i, j) - 1, max(i, j) - 1] = inliers if i < j else inliers[:, ::-1]
    return found


def _name(position: int) -> str:
    """Return the name of a photograph in the database: file names may have blanks, which pair lists cannot hold."""
    return f"{position:06d}"
