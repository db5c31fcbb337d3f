"""`estimate_poses`: cameras and points from photographs alone, by incremental structure from motion."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from ..camera import Camera
from ..data.colmap_cameras import LENSES
from ..errors import BadInputError, NothingUsableError
from ..progress import Progress, silent
from ..protocols import Matcher
from ..scene import Scene, View
from ..shapes import Mask
from .cameras import shared_cameras
from .config import SfmConfig
from .custom_matches import match_with
from .database import match_pairs, verified_matches, verify_pairs, write_database
from .failures import failure_notes
from .features import find_features
from .native import pycolmap, run
from .pairs import pairs_of_photographs
from .points import point_cloud

_FEWEST = 3


def estimate_poses(
    scene: Scene,
    *,
    config: SfmConfig | None = None,
    masks: Mapping[str, Mask] | None = None,
    matcher: Matcher | None = None,
    progress: Progress = silent,
    workspace: Path | None = None,
) -> Scene:
    """Return the scene with cameras, distortion and points found from its photographs; known cameras are not used.

    All views stay in the scene; those that could not be placed have no camera, and the notes say which and why. World
    frame and scale are arbitrary. Photographs are used with their lens distortion, which is estimated too.

    Args:
        scene: At least 3 photographs of one place from different viewpoints.
        config: Settings; None for the defaults.
        masks: By view name: features are taken only where the mask is True (in addition to the views' own masks).
        matcher: Finds correspondences in place of SIFT.
        progress: Told about features, matches and placed photographs.
        workspace: Folder to keep pycolmap's database and models in; None uses a temporary one.

    Raises:
        BadInputError: fewer than 3 photographs, or one's mask has the wrong size.
        NothingUsableError: fewer than 3 photographs could be placed; says why.
    """
    if len(scene.views) < _FEWEST:
        raise BadInputError(
            f"{scene.source} holds {len(scene.views)} photograph{'s' * (len(scene.views) != 1)}; finding camera poses "
            f"needs at least {_FEWEST}, of the same place from different viewpoints."
        )
    with ExitStack() as stack:
        folder = workspace or Path(stack.enter_context(TemporaryDirectory(prefix="hyperfocal-sfm-")))
        folder.mkdir(parents=True, exist_ok=True)
        return _estimate(scene, config or SfmConfig(), masks or {}, matcher, progress, folder)


def _estimate(
    scene: Scene,
    config: SfmConfig,
    masks: Mapping[str, Mask],
    matcher: Matcher | None,
    progress: Progress,
    folder: Path,
) -> Scene:
    """Run features, matching and mapping in a folder."""
    found = find_features(scene.views, config, masks, progress)
    views, features = found.views, found.features
    if len(views) < _FEWEST:
        raise BadInputError(f"Only {len(views)} photographs of {scene.source} can be used. {' '.join(found.notes)}")
    pairs = pairs_of_photographs(features, config)
    database = folder / "database.db"
    database.unlink(missing_ok=True)
    cameras, camera_of = shared_cameras(views, features, config)
    if matcher is None:
        write_database(database, features, cameras, camera_of)
        match_pairs(database, pairs, config, progress)
    else:
        features, correspondences = match_with(matcher, views, pairs, config, masks, progress)
        write_database(database, features, cameras, camera_of)
        verify_pairs(database, correspondences, config, progress)
    matches = verified_matches(database, len(views))
    model = _map(database, folder / "models", len(views), config, progress)
    placed = {} if model is None else {number - 1: image for number, image in model.images.items() if image.has_pose}
    counts = [len(one.keypoints) for one in features]
    notes = (*found.notes, *failure_notes([view.name for view in views], counts, matches, set(placed)))
    if model is None or len(placed) < _FEWEST:
        raise NothingUsableError(
            f"The camera poses of {scene.source} could not be found: {len(placed)} of {len(scene.views)} photographs "
            f"could be placed, at least {_FEWEST} are needed. {' '.join(notes)} Take sharp photographs of one place "
            "with much overlap while moving sideways, not only turning; for frames of a video, try sequential matching."
        )
    known = {views[i].name: _posed(views[i], image, model.cameras[image.camera_id]) for i, image in placed.items()}
    return replace(
        scene,
        views=tuple(known.get(view.name, replace(view, camera=None, distortion=None)) for view in scene.views),
        points=point_cloud(model, features),
        metres_per_unit=None,
        up=None,
        notes=(*scene.notes, *notes),
    )


def _map(database: Path, models: Path, photographs: int, config: SfmConfig, progress: Progress) -> Any | None:
    """Return the model with the most photographs, None if there is none."""
    colmap = pycolmap()
    options = colmap.IncrementalPipelineOptions(
        min_model_size=_FEWEST,
        max_num_models=10,
        num_threads=config.threads or -1,
        random_seed=config.seed,
        extract_colors=False,  # ours come with the features: pycolmap would decode all photographs again
    )
    models.mkdir(exist_ok=True)
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
    models_found: list[Any] = sorted(found.values(), key=lambda model: (model.num_reg_images(), model.num_points3D()))
    return models_found[-1] if models_found else None


def _posed(view: View, image: Any, camera: Any) -> View:
    """Return a view with the camera that pycolmap found."""
    lens = LENSES[camera.model_name](*camera.params.tolist())
    world_to_camera = torch.eye(4, dtype=torch.float64)
    world_to_camera[:3] = torch.from_numpy(image.cam_from_world().matrix())
    return replace(
        view,
        camera=Camera(
            world_to_camera=world_to_camera.float(),
            focal_px=torch.tensor(lens.focal_px, dtype=torch.float32),
            center_px=torch.tensor(lens.center_px, dtype=torch.float32),
            width=camera.width,
            height=camera.height,
        ),
        distortion=lens.distortion,
    )
