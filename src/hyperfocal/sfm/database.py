"""The database that pycolmap works on: cameras, features and verified matches of photographs."""

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np

from ..progress import Progress
from .config import SfmConfig
from .features import Features
from .native import pycolmap, run
from .pairs import Pairs

# Pairs are committed in blocks, which is how often progress moves; larger blocks would save nothing measurable.
_BLOCK = 16


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
    listing = _listing(path, pairs)
    matching = colmap.FeatureMatchingOptions(use_gpu=False, num_threads=config.threads or -1)
    verification = colmap.TwoViewGeometryOptions()
    verification.ransac.random_seed = config.seed
    pairing = colmap.ImportedPairingOptions(match_list_path=str(listing), block_size=_BLOCK)
    run(
        lambda token: colmap.match_image_pairs(
            str(path), matching, pairing, verification, colmap.Device.cpu, cancellation_token=token
        ),
        lambda: progress("Matching photographs", min(_pairs_done(path), len(pairs)), len(pairs)),
    )
    progress("Matching photographs", len(pairs), len(pairs))


def verify_pairs(path: Path, matches: dict[tuple[int, int], np.ndarray], config: SfmConfig, progress: Progress) -> None:
    """Keep of given matches ([m, 2] feature numbers for each pair) what fits one epipolar geometry."""
    colmap = pycolmap()
    with colmap.Database.open(str(path)) as database:
        for (i, j), numbers in matches.items():
            database.write_matches(i + 1, j + 1, numbers.astype(np.uint32))
    verification = colmap.TwoViewGeometryOptions()
    verification.ransac.random_seed = config.seed
    listing = _listing(path, list(matches))
    run(
        lambda token: colmap.verify_matches(str(path), str(listing), verification, cancellation_token=token),
        lambda: progress("Verifying matches", min(_pairs_done(path), len(matches)), len(matches)),
    )


def verified_matches(path: Path, count: int) -> np.ndarray:
    """Return the number of verified matches between every two of `count` photographs, [count, count]."""
    colmap = pycolmap()
    inliers = np.zeros((count, count), dtype=int)
    with colmap.Database.open(str(path)) as database:
        numbers, geometries = database.read_two_view_geometries()
        for number, geometry in zip(numbers, geometries, strict=True):
            i, j = colmap.pair_id_to_image_pair(number)
            inliers[i - 1, j - 1] = inliers[j - 1, i - 1] = len(geometry.inlier_matches)
    return inliers


def _listing(path: Path, pairs: Pairs) -> Path:
    """Return the file beside the database that names the given pairs."""
    listing = path.with_suffix(".pairs.txt")
    listing.write_text("".join(f"{_name(i)} {_name(j)}\n" for i, j in pairs), encoding="utf-8")
    return listing


def _name(position: int) -> str:
    """Return the name of a photograph in the database: file names may have blanks, which pair lists cannot hold."""
    return f"{position:06d}"


def _pairs_done(path: Path) -> int:
    """Return how many pairs the database holds; 0 while it is locked."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=0.05)) as connection:
            return connection.execute("SELECT COUNT(*) FROM two_view_geometries").fetchone()[0]
    except sqlite3.OperationalError:
        return 0
