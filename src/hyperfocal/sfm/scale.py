"""`with_scale`: how many metres a scene unit has. Coordinates stay as they are."""

from dataclasses import replace

import numpy as np
import torch

from ..data.gps import read_gps
from ..data.listed import some_of
from ..errors import BadInputError, NothingUsableError
from ..progress import Progress, silent
from ..scene import Scene, View
from .gps import local_metres
from .markers import marker_sides
from .positions import Similarity, read_positions, robust_similarity
from .rays import Intersection, intersect
from .scale_spec import Click, Distance, Gps, Markers, Positions, parse_scale

_WORST_CLICK = 0.01  # of the long side
_LEAST_ANGLE_DEG = 1.0
# Positions whose error is more than this share of their spread say little about size.
_WORST_POSITIONS = 0.3
# Positions must spread across by so many times their error to tell which way is up.
_SPREAD_FOR_UP = 5.0
_WORST_MARKERS = 0.1  # spread of the sides of squares that are all alike


def with_scale(scene: Scene, how: str, *, progress: Progress = silent) -> Scene:
    """Return the scene with `metres_per_unit` set as a `--scale` says, and a note on how well it fits.

    World frame and coordinates stay as they are. GPS also sets `up`, where the cameras are spread enough.

    Args:
        scene: With cameras.
        how: See `SfmConfig.scale`.
        progress: Told how far the search for markers is.

    Raises:
        BadInputError: `how` is not understood, or names what is not there.
        NothingUsableError: the photographs hold no GPS or markers, or what they hold is too inexact.
    """
    try:
        scale = parse_scale(how)
    except ValueError as error:
        raise BadInputError(str(error)) from error
    if len(scene.posed_views) < 2:
        raise BadInputError(f"{scene.source} has {len(scene.posed_views)} views with a camera; a scale needs 2.")
    match scale:
        case Distance():
            metres, note, up = *_by_distance(scene, scale), None
        case Markers():
            metres, note, up = *_by_markers(scene, scale, progress), None
        case Positions():
            metres, note, up = *_by_positions(scene, scale), None
        case Gps():
            metres, note, up = _by_gps(scene)
    if scene.metres_per_unit is not None:
        note += f" The source said {scene.metres_per_unit:.4g} m, {metres / scene.metres_per_unit:.3f} times less."
    return replace(scene.with_notes(note), metres_per_unit=metres, up=up or scene.up)


def _by_distance(scene: Scene, scale: Distance) -> tuple[float, str]:
    first, second = (_clicked(scene, clicks) for clicks in (scale.first, scale.second))
    units = float((first.point - second.point).norm())
    if units == 0:
        raise BadInputError("Both ends of the distance in --scale are the same point.")
    return scale.metres / units, (
        f"One unit is {scale.metres / units:.4g} m, by a distance of {scale.metres:g} m; its ends fit their clicks to "
        f"{first.error_px:.1f} and {second.error_px:.1f} px."
    )


def _clicked(scene: Scene, clicks: tuple[Click, ...]) -> Intersection:
    """Return the point that clicks mean.

    Raises:
        BadInputError: unknown photographs, clicks outside, from too close together, or that do not fit one point.
    """
    seen = [(_named(scene, click), (click.x_px, click.y_px)) for click in clicks]
    found = intersect(seen)
    where = ", ".join(f"{click.name}:{click.x_px:g},{click.y_px:g}" for click in clicks)
    if found.angle_deg < _LEAST_ANGLE_DEG:
        raise BadInputError(
            f"The clicks {where} see their point from nearly one direction ({found.angle_deg:.2f} degrees "
            "apart, at least "
            f"{_LEAST_ANGLE_DEG:g} are needed); click it in photographs from further apart."
        )
    camera = seen[0][0].camera
    assert camera is not None
    if found.error_px > _WORST_CLICK * max(camera.width, camera.height):
        raise BadInputError(
            f"The clicks {where} do not fit one point: they are off by {found.error_px:.0f} px. Click the same "
            "detail in "
            "each photograph, in pixels of the photograph in full size."
        )
    return found


def _named(scene: Scene, click: Click) -> View:
    views = [view for view in scene.views if view.name == click.name or view.name.endswith(f"/{click.name}")]
    if len(views) != 1:
        raise BadInputError(
            f"--scale names the photograph {click.name!r}, which "
            f"{'is there several times' if views else 'is not there'}; "
            f"the photographs are {some_of([view.name for view in scene.views])}."
        )
    camera = views[0].camera
    if camera is None:
        raise BadInputError(
            f"--scale names {click.name}, whose camera could not be found; click in another photograph."
        )
    if not (0 <= click.x_px <= camera.width and 0 <= click.y_px <= camera.height):
        raise BadInputError(
            f"--scale names the pixel {click.x_px:g},{click.y_px:g} of {click.name}, which has only {camera.width} x "
            f"{camera.height}."
        )
    return views[0]


def _by_markers(scene: Scene, scale: Markers, progress: Progress) -> tuple[float, str]:
    found = marker_sides(scene.posed_views, scale.dictionary, progress)
    if found.markers == 0:
        raise NothingUsableError(
            f"No ArUco marker of the dictionary {scale.dictionary} is seen by two photographs of {scene.source} that "
            f"agree on it ({found.photographs} photographs show any). Check the dictionary, print larger, keep it flat."
        )
    side = float(np.median(found.lengths))
    spread = float(np.median(np.abs(found.lengths - side)) / side)
    if spread > _WORST_MARKERS:
        raise NothingUsableError(
            f"The sides of the {found.markers} markers in {scene.source} differ by {spread:.0%}, so they are "
            "not squares of "
            "one size; print them in one size, each number once, and keep them flat."
        )
    return scale.side_m / side, (
        f"One unit is {scale.side_m / side:.4g} m, by {found.markers} markers of {scale.side_m:g} m in "
        f"{found.photographs} photographs; their sides agree to {spread:.1%}, their corners to {found.error_px:.2f} px."
    )


def _by_positions(scene: Scene, scale: Positions) -> tuple[float, str]:
    rows = read_positions(scale.path)
    views = [view for view in scene.posed_views if view.name in rows]
    if len(views) < 2:
        raise BadInputError(
            f"{scale.path} has positions of {len(rows)} photographs, of which {len(views)} have a camera here; a scale "
            f"needs 2. It names {some_of(list(rows))}; the photographs are {some_of([v.name for v in scene.views])}."
        )
    metres = np.array([rows[view.name] for view in views])
    fitted = _similarity(views, metres, str(scale.path))
    return fitted.metres_per_unit, _positions_note(fitted, f"positions in {scale.path.name}")


def _by_gps(scene: Scene) -> tuple[float, str, tuple[float, float, float] | None]:
    known = [(view, position) for view in scene.posed_views if (position := read_gps(view.image)) is not None]
    if len(known) < 3:
        raise NothingUsableError(
            f"{len(known)} of {len(scene.posed_views)} photographs of {scene.source} have GPS positions in their EXIF; "
            "--scale gps needs 3. Turn on the location of the camera, or give a measured distance instead."
        )
    metres = local_metres([position for _, position in known])
    fitted = _similarity([view for view, _ in known], metres, f"GPS of {scene.source}")
    spread = np.linalg.svd(metres[fitted.used] - metres[fitted.used].mean(0), compute_uv=False)
    across = spread[1] / np.sqrt(fitted.used.sum())
    note, up = _positions_note(fitted, "GPS"), None
    if fitted.used.sum() > 3 and across > _SPREAD_FOR_UP * fitted.residual_m:
        x, y, z = (float(value) for value in fitted.rotation[2])
        up = (x, y, z)
        note += " Up is that of GPS."
    return fitted.metres_per_unit, note, up


def _similarity(views: list[View], metres: np.ndarray, what: str) -> Similarity:
    """Return the similarity from the cameras to their positions.

    Raises:
        NothingUsableError: the positions are too close together, or do not fit.
    """
    centers = torch.stack([view.camera.centers() for view in views if view.camera is not None]).double().numpy()
    spread = float(np.sqrt(np.var(metres, axis=0).sum()))
    if spread == 0 or np.var(centers, axis=0).sum() == 0:
        raise NothingUsableError(f"The camera positions by {what} are all the same, so they say nothing about size.")
    fitted = robust_similarity(centers, metres)
    if len(views) > 2 and fitted.residual_m > _WORST_POSITIONS * spread:
        raise NothingUsableError(
            f"The {what} does not fit the cameras: {fitted.residual_m:.2g} m of error for positions that spread by "
            f"{spread:.2g} m. GPS is good to some metres, so it needs a scene of tens of metres; measure a "
            "distance instead."
        )
    return fitted


def _positions_note(fitted: Similarity, what: str) -> str:
    outliers = int((~fitted.used).sum())
    note = f"One unit is {fitted.metres_per_unit:.4g} m, by {what} of {int(fitted.used.sum())} photographs"
    note += f" ({outliers} more are outliers)" if outliers else ""
    if fitted.used.sum() < 3:
        return f"{note}; two positions cannot be checked against each other."
    return f"{note}, which fit to {fitted.residual_m:.2g} m (root mean square)."
