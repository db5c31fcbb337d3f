"""`triangulate_points`: points for a scene whose cameras are known."""

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from ..data.colmap_cameras import colmap_parameters
from ..errors import BadInputError, NothingUsableError
from ..progress import Progress, silent
from ..scene import Scene, View
from .config import SfmConfig
from .database import match_pairs, write_database
from .features import Features, find_features
from .native import pycolmap, run
from .pairs import pairs_of_cameras
from .points import point_cloud


def triangulate_points(
    scene: Scene, *, config: SfmConfig | None = None, progress: Progress = silent, workspace: Path | None = None
) -> Scene:
    """Return the scene with points that its posed views see in common; cameras and world frame stay as they are.

    Only the posed views given are looked at: leave held-out views out of the scene to keep them unseen. Pairs to match
    are chosen by the cameras' positions and directions.

    Args:
        scene: At least 2 posed views.
        config: Settings of the feature search, None for the defaults (matching and camera fields do not apply).
        progress: Told about features and matches.
        workspace: Folder to keep pycolmap's database in; None uses a temporary one.

    Raises:
        BadInputError: fewer than 2 posed views can be read.
        NothingUsableError: no two views share points that fit the given cameras.
    """
    config = config or SfmConfig()
    posed = scene.posed_views
    if len(posed) < 2:
        raise BadInputError(
            f"{scene.source} has {len(posed)} views with a known camera; points need at least 2. Estimate poses first."
        )
    with ExitStack() as stack:
        folder = workspace or Path(stack.enter_context(TemporaryDirectory(prefix="hyperfocal-points-")))
        folder.mkdir(parents=True, exist_ok=True)
        found = find_features(posed, config, {}, progress)
        if len(found.views) < 2:
            raise BadInputError(f"Points need 2 photographs that can be decoded. {' '.join(found.notes)}")
        model = _triangulated(found.views, found.features, config, progress, folder)
    if model.num_points3D() == 0:
        raise NothingUsableError(
            f"The {len(found.views)} photographs of {scene.source} share no points that fit their cameras. Check that "
            "poses and photographs belong together, or estimate the poses again from the photographs alone."
        )
    return replace(scene.with_notes(*found.notes), points=point_cloud(model, found.features))


def _triangulated(
    views: list[View], features: list[Features], config: SfmConfig, progress: Progress, folder: Path
) -> Any:
    """Return a pycolmap model with fixed cameras and new points."""
    colmap = pycolmap()
    database = folder / "database.db"
    database.unlink(missing_ok=True)
    cameras = [_known_camera(view) for view in views]
    write_database(database, features, cameras, list(range(len(views))))
    match_pairs(database, pairs_of_cameras([v.camera for v in views if v.camera is not None]), config, progress)
    model = colmap.Reconstruction()
    with colmap.Database.open(str(database)) as stored:
        for camera in stored.read_all_cameras():
            model.add_camera_with_trivial_rig(camera)
        for image in stored.read_all_images():
            camera = views[image.image_id - 1].camera
            assert camera is not None
            pose = colmap.Rigid3d(camera.world_to_camera[:3].double().numpy())
            model.add_image_with_trivial_frame(image, pose)
    options = colmap.IncrementalPipelineOptions(
        num_threads=config.threads or -1, random_seed=config.seed, extract_colors=False
    )
    return run(
        lambda token: colmap.triangulate_points(
            model, str(database), str(folder), str(folder), options=options, cancellation_token=token
        ),
        lambda: progress("Triangulating points", 0, 1),
    )


def _known_camera(view: View) -> Any:
    """Return the pycolmap camera of a posed view."""
    assert view.camera is not None
    model, parameters = colmap_parameters(view.camera, view.distortion)
    camera = pycolmap().Camera.create_from_model_name(0, model, 1.0, view.camera.width, view.camera.height)
    camera.params = np.array(parameters)
    camera.has_prior_focal_length = True
    return camera
