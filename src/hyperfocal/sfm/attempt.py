"""One try at structure from motion. Features and matches stay in the folder, so that the next try adds what is new."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..data.gps import read_gps
from ..errors import BadInputError
from ..progress import Progress
from ..protocols import Matcher
from ..scene import Scene, View
from ..shapes import Mask
from .cameras import shared_cameras
from .config import SfmConfig
from .consistency import torn_share
from .custom_matches import match_with
from .database import match_pairs, verified_matches, verify_pairs, write_database
from .features import Features, Searched, find_features
from .gps import local_metres
from .native import pycolmap, run
from .pairs import Pairs, pairs_of_photographs

FEWEST = 3  # photographs that make a model
_FEWEST_OBSERVATIONS = 15  # points that a photograph of a model sees, on average; 30 are asked of each at first


@dataclass(frozen=True)
class Attempt:
    """What a try found."""

    views: list[View]
    """Those that could be decoded."""
    features: list[Features]
    pairs: dict[tuple[int, int], np.ndarray]
    """[m, 2] numbers of features that match and fit one epipolar geometry."""
    models: list[Any]
    """pycolmap models, the largest first."""
    notes: tuple[str, ...]
    """About photographs that could not be decoded."""
    torn: float = 0.0
    """Share of the well-matched pairs that the largest model does not explain; see `consistency`."""

    @property
    def placed(self) -> dict[int, Any]:
        """Positions of the photographs of the largest model, with pycolmap's images."""
        if not self.models:
            return {}
        return {number - 1: image for number, image in self.models[0].images.items() if image.has_pose}

    @property
    def matches(self) -> np.ndarray:
        """[n, n] verified matches between every two photographs."""
        counts = np.zeros((len(self.views), len(self.views)), dtype=int)
        for (i, j), numbers in self.pairs.items():
            counts[i, j] = counts[j, i] = len(numbers)
        return counts


@dataclass
class Workshop:
    """A scene's features and matches, kept between tries."""

    scene: Scene
    masks: Mapping[str, Mask]
    folder: Path
    progress: Progress
    _searched: Searched | None = field(default=None, init=False)
    _searched_with: tuple[object, ...] = field(default=(), init=False)
    _compared: set[tuple[int, int]] = field(default_factory=set, init=False)
    _gathered: list[Features] = field(default_factory=list, init=False)
    _runs: int = field(default=0, init=False)

    def attempt(self, config: SfmConfig, matcher: Matcher | None) -> Attempt:
        """Find features and matches that are not known yet, and place the cameras.

        Raises:
            BadInputError: fewer than 3 photographs can be decoded, or a mask has the wrong size.
        """
        key = (config.max_image_size_px, config.max_features, config.camera_model, config.camera_sharing, matcher)
        found = self._search(config, key)
        database = self.folder / "database.db"
        pairs = pairs_of_photographs(found.features, config, self._places(found.views, config))
        features = found.features
        if not self._compared <= set(pairs):  # others than before: what was left out must not come back
            database.unlink(missing_ok=True)
            self._compared = set()
        if matcher is None:
            if not database.exists():
                write_database(database, features, *shared_cameras(found.views, features, config))
            match_pairs(database, [pair for pair in pairs if pair not in self._compared], config, self.progress)
            self._compared |= set(pairs)
        else:
            if not self._compared >= set(pairs):
                self._gathered = self._match_with(matcher, found, pairs, config, database)
                self._compared = set(pairs)
            features = self._gathered
        self._runs += 1
        models = place(database, self.folder / f"models{self._runs}", len(found.views), config, self.progress)
        matches = verified_matches(database)
        torn = torn_share(models[0], matches) if models else 0.0
        return Attempt(found.views, features, matches, models, found.notes, torn)

    def _search(self, config: SfmConfig, key: tuple[object, ...]) -> Searched:
        """Return the features of the photographs; others than before make a new database."""
        if self._searched is None or self._searched_with != key:
            self._searched = find_features(self.scene.views, config, self.masks, self.progress)
            self._searched_with, self._compared = key, set()
            (self.folder / "database.db").unlink(missing_ok=True)
        if len(self._searched.views) < FEWEST:
            raise BadInputError(
                f"Only {len(self._searched.views)} photographs of {self.scene.source} can be used. "
                f"{' '.join(self._searched.notes)}"
            )
        return self._searched

    def _match_with(
        self, matcher: Matcher, found: Searched, pairs: Pairs, config: SfmConfig, database: Path
    ) -> list[Features]:
        features, correspondences = match_with(matcher, found.views, pairs, config, self.masks, self.progress)
        database.unlink(missing_ok=True)
        write_database(database, features, *shared_cameras(found.views, features, config))
        verify_pairs(database, correspondences, config, self.progress)
        return features

    def _places(self, views: list[View], config: SfmConfig) -> np.ndarray | None:
        """Return the positions of the photographs in metres, where matching needs them and EXIF has them."""
        if config.matching != "nearby":
            return None
        positions = [read_gps(view.image) for view in views]
        return None if all(position is None for position in positions) else local_metres(positions)[:, :2]


def place(database: Path, models: Path, photographs: int, config: SfmConfig, progress: Progress) -> list[Any]:
    """Return the models that incremental mapping finds, the one with the most photographs first."""
    colmap = pycolmap()
    options = colmap.IncrementalPipelineOptions(
        min_model_size=FEWEST,
        max_num_models=10,
        num_threads=config.threads or -1,
        random_seed=config.seed,
        extract_colors=False,  # ours come with the features: pycolmap would decode all photographs again
    )
    if config.thresholds == "relaxed":
        options.mapper.init_min_tri_angle = 4.0
        options.mapper.init_min_num_inliers = 30
        options.mapper.abs_pose_min_num_inliers = 15
        options.mapper.abs_pose_min_inlier_ratio = 0.15
    models.mkdir(parents=True, exist_ok=True)
    placed = 0

    def count() -> None:
        nonlocal placed
        placed += 1

    def start() -> None:
        nonlocal placed
        placed = 2

    found = run(
        lambda token: colmap.incremental_mapping(
            str(database),
            str(models),
            str(models),
            options,
            initial_image_pair_callback=start,
            next_image_callback=count,
            cancellation_token=token,
        ),
        lambda: progress("Placing cameras", min(placed, photographs), photographs),
    )
    progress("Placing cameras", photographs, photographs)
    # Without parallax, photographs are "placed" by two-view geometry alone, with hardly a point between them.
    real = [m for m in found.values() if m.compute_mean_observations_per_reg_image() >= _FEWEST_OBSERVATIONS]
    return sorted(real, key=lambda model: (model.num_reg_images(), model.num_points3D()), reverse=True)
