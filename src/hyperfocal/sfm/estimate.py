"""`estimate_poses`: cameras and points from photographs alone, by incremental structure from motion."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from ..camera import Camera
from ..data.colmap_cameras import LENSES
from ..data.listed import some_of
from ..errors import BadInputError, NothingUsableError
from ..progress import Progress, silent
from ..protocols import Matcher
from ..scene import Scene, View
from ..shapes import Mask
from .attempt import FEWEST, Attempt, Workshop
from .capture import with_capture
from .config import SfmConfig
from .depth_scale import scaled_to_depth
from .failures import failure_notes
from .points import point_cloud, points_seen
from .reasons import STILL, reason, without_parallax
from .tries import TORN, is_good, tries


def estimate_poses(
    scene: Scene,
    *,
    config: SfmConfig | None = None,
    masks: Mapping[str, Mask] | None = None,
    matcher: Matcher | None = None,
    learned: Callable[[], Matcher] | None = None,
    progress: Progress = silent,
    workspace: Path | None = None,
) -> Scene:
    """Return the scene with cameras, distortion and points found from its photographs; known cameras are not used.

    All views stay in the scene; those that could not be placed have no camera, and the notes say which and why. The
    world frame is arbitrary. Depth maps that came with the photographs give the scene their unit, if they fit the
    cameras; else they are left out. Without them the scale is arbitrary too. Photographs are used with their lens
    distortion, which is estimated as well.

    Where too few can be placed, it is tried again (see `SfmConfig.retry`); the first good result counts, else the best.

    Args:
        scene: At least 3 photographs of one place from different viewpoints.
        config: Settings; None for the defaults.
        masks: By view name: features are taken only where the mask is True (in addition to the views' own masks).
        matcher: Finds correspondences in place of SIFT.
        learned: Loads what finds correspondences in the last try, where SIFT placed too few; called only then.
        progress: Told about features, matches and placed photographs.
        workspace: Folder to keep pycolmap's database and models in; None uses a temporary one.

    Raises:
        BadInputError: fewer than 3 photographs, or one's mask has the wrong size.
        NothingUsableError: fewer than 3 photographs could be placed, or all were taken from one place; says why.
    """
    if scene.kind == "focal_stack":
        raise NothingUsableError(f"The camera poses of {scene.source} could not be found: {STILL}")
    if len(scene.views) < FEWEST:
        raise BadInputError(
            f"{scene.source} holds {len(scene.views)} photograph{'s' * (len(scene.views) != 1)}; finding camera poses "
            f"needs at least {FEWEST}, of the same place from different viewpoints."
        )
    config, notes = with_capture(scene, config or SfmConfig())
    with ExitStack() as stack:
        folder = workspace or Path(stack.enter_context(TemporaryDirectory(prefix="hyperfocal-sfm-")))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "database.db").unlink(missing_ok=True)
        workshop = Workshop(scene, masks or {}, folder, progress)
        attempt, tried = _best(workshop, config, matcher, learned)
    return _placed(scene, attempt, (*notes, *tried))


def _best(
    workshop: Workshop, config: SfmConfig, matcher: Matcher | None, learned: Callable[[], Matcher] | None
) -> tuple[Attempt, tuple[str, ...]]:
    """Return the first good attempt, else the one that places most, and a note on what was tried."""
    ways = tries(config, len(workshop.scene.views), sift=matcher is None, learned=learned is not None)
    best: Attempt | None = None
    outcomes = []
    for number, way in enumerate(ways):
        if way.mends and best is not None and best.torn <= TORN:
            continue
        if number > 0:
            what = "The cameras do not fit together" if best is not None and best.torn > TORN else "Few were placed"
            workshop.progress(f"{what}. Trying {way.name}", number, len(ways))
        attempt = workshop.attempt(way.config, learned() if way.learned and learned is not None else matcher)
        if (why := without_parallax(attempt)) is not None:
            raise NothingUsableError(f"The camera poses of {workshop.scene.source} could not be found. {why}")
        outcomes.append(f"{way.name}: {len(attempt.placed)}" + (" that do not fit together" * (attempt.torn > TORN)))
        if best is None or _rank(attempt) > _rank(best):
            best = attempt
        if is_good(set(attempt.placed), attempt.matches, attempt.torn):
            break
    assert best is not None, "the configured way is always tried"
    notes = []
    if len(outcomes) > 1:
        notes.append(f"Photographs placed, of {len(best.views)}, by {'; '.join(outcomes)}. The best is used.")
        if learned is None and not is_good(set(best.placed), best.matches, best.torn):
            notes[0] += " Learned features were not tried: no matcher with weights is at hand."
    if best.torn > TORN:
        notes.append(
            f"The cameras do not explain {best.torn:.0%} of the pairs of photographs that match well: part of the "
            "scene is probably displaced. Photographs between the parts would hold them together."
        )
    return best, tuple(notes)


def _rank(attempt: Attempt) -> tuple[bool, int]:
    """Return what makes an attempt better than another: a model in one piece, then the most photographs."""
    return attempt.torn <= TORN and len(attempt.placed) >= FEWEST, len(attempt.placed)


def _placed(scene: Scene, attempt: Attempt, notes: tuple[str, ...]) -> Scene:
    """Return the scene with what an attempt found.

    Raises:
        NothingUsableError: that is less than 3 photographs.
    """
    views, placed = attempt.views, attempt.placed
    counts = [len(one.keypoints) for one in attempt.features]
    missing = failure_notes([view.name for view in views], counts, attempt.matches, set(placed))
    notes = (*attempt.notes, *notes, *missing, *_other_models(attempt))
    if len(placed) < FEWEST:
        raise NothingUsableError(
            f"The camera poses of {scene.source} could not be found: {len(placed)} of {len(scene.views)} photographs "
            f"could be placed, at least {FEWEST} are needed. {reason(attempt)} {' '.join(notes)}"
        )
    model = attempt.models[0]
    known = {views[i].name: _posed(views[i], image, model.cameras[image.camera_id]) for i, image in placed.items()}
    placed_scene = replace(
        scene,
        views=tuple(known.get(view.name, replace(view, camera=None, distortion=None)) for view in scene.views),
        points=point_cloud(model, attempt.features),
        metres_per_unit=None,
        up=None,
        notes=(*scene.notes, *notes),
    )
    seen = {views[i].name: points_seen(model, image) for i, image in placed.items() if views[i].depth is not None}
    return scaled_to_depth(placed_scene, seen, scene.metres_per_unit)


def _other_models(attempt: Attempt) -> tuple[str, ...]:
    """Return a note about groups of photographs that fit together but not with the largest."""
    others = []
    for model in attempt.models[1:]:
        names = [
            attempt.views[number - 1].name
            for number, image in sorted(model.images.items())
            if image.has_pose and number - 1 not in attempt.placed
        ]
        if len(names) >= FEWEST:
            others.append(f"{len(names)} ({some_of(names)})")
    if not others:
        return ()
    return (
        f"The photographs fall into separate groups; the largest, of {len(attempt.placed)}, is used. Others that fit "
        f"together: {'; '.join(others)}. Photographs that show two groups at once would join them.",
    )


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
