"""Films of a result: which cameras a film has, and its frames, rendered one at a time."""

import math
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image as PillowImage
from torch import Tensor

from ..camera import Camera, stack
from ..color import to_uint8
from ..data.photo_size import reduced_camera
from ..errors import BadInputError, NothingUsableError
from ..export.path_json import read_path, write_path
from ..export.video import film_writer
from ..gaussians import Gaussians
from ..lens import ThinLens
from ..path_lens import lens_along
from ..paths import (
    CameraPath,
    Keyframe,
    circle_of,
    framed,
    orbit,
    sample,
    smoothed,
    spiral,
    swing,
    through,
    up_direction,
)
from ..progress import Progress, silent
from ..scene import Scene
from ..shapes import Image, Map
from .lens_choice import SENSOR_WIDTH_MM
from .looks import picture_of, rendering_of
from .pictures import DepthRange, depth_picture

FRAMES_MARK = "path.json"  # a folder of frames has one: the camera of every frame
SECONDS, FPS = 8.0, 30.0
SMOOTH_S = 0.4  # in film time: shaking hands are gone, and a round in eight seconds shrinks by 0.2 %
PATHS = ("orbit", "swing", "spiral", "interpolate")
WIDEST_GAP_DEG = 120.0  # of an orbit without photographs, beyond which a note says so
_LOOKS = 12  # frames that are rendered small to find the depths that a film shows
_LOOK_SIDE = 160  # their longer side in pixels


@dataclass(frozen=True)
class Film:
    """What to film, frame by frame."""

    cameras: Camera
    """One view a frame."""
    fps: float
    notes: tuple[str, ...] = ()
    """What a viewer of the film should know, a sentence each."""
    lens: ThinLens | None = None
    """One a frame; None is the pinhole, whose depth is shown in any case."""


def plan_film(
    scene: Scene,
    gaussians: Gaussians,
    path: str,
    *,
    long_side: int | None = None,
    size: tuple[int, int] | None = None,
    seconds: float | None = None,
    fps: float | None = None,
    smooth: float | None = None,
    progress: Progress = silent,
) -> Film:
    """Return the cameras of a film.

    Args:
        scene: The photographs' cameras.
        gaussians: What is filmed; tells how far away the subject of a spiral is.
        path: One of `PATHS`, or a JSON file that `export.path_json` reads.
        long_side: Of the photographs as they were fitted, in pixels: the size of the film unless `size` says otherwise.
        size: Width and height in pixels, even.
        seconds: Duration; None is what the file says, else 8.
        fps: Frames a second; None is what the file says, else 30.
        smooth: Seconds of film over which jitter of the photographs' cameras is smoothed, for "interpolate"; 0 meets
            every camera, None is 0.4.
        progress: Told of the views that are looked at, for a spiral.

    Raises:
        BadInputError: the path is no such file, or the cameras do not allow such a path.
        NothingUsableError: there are no cameras.
    """
    for name, value in (("seconds", seconds), ("fps", fps)):
        if value is not None and not value > 0:
            raise BadInputError(f"--{name} is {value:g}; a film needs more than 0.")
    if smooth is not None and not (path == "interpolate" and 0 <= smooth < math.inf):
        raise BadInputError(f"--smooth is {smooth:g}; it belongs to --path interpolate, in seconds, 0 or more.")
    if path not in PATHS:
        return _from_file(Path(path), scene, size, seconds, fps)
    views = scene.posed_views
    if not views:
        raise NothingUsableError(f"{scene.source} has no cameras, which a film of the path {path} starts from.")
    seconds, fps = seconds or SECONDS, fps or FPS
    photographs = [reduced_camera(view.camera, long_side) for view in views if view.camera is not None]
    width, height = size or _even(photographs[0].width, photographs[0].height)
    cameras = stack([framed(camera, width, height) for camera in photographs])
    count = _count(seconds, fps)
    up = up_direction(cameras) if scene.up is None else torch.tensor(scene.up)
    try:
        if path == "interpolate":
            sigma = (SMOOTH_S if smooth is None else smooth) * (len(photographs) - 1) / seconds
            return Film(through(smoothed(cameras, sigma), count), fps)
        if path == "spiral":
            depth = _subject_depth(gaussians, cameras, progress)
            return Film(spiral(cameras, count, focus_depth=depth, up=up), fps)
        if path == "swing":
            return Film(swing(cameras, count, up=up), fps)
        return Film(orbit(cameras, count, up=up), fps, _orbit_notes(cameras, up))
    except ValueError as error:
        raise BadInputError(f"The path {path} does not suit {scene.source}: {error} Choose another --path.") from error


def write_film(
    path: Path, gaussians: Gaussians, film: Film, *, depth_path: Path | None = None, progress: Progress = silent
) -> None:
    """Write a film as MP4, and one of its depth in colours of one scale; each is there whole or not at all.

    Raises:
        BadInputError: a file cannot be written.
        MissingExtraError: PyAV is not installed.
    """
    width, height = film.cameras.width, film.cameras.height
    span = None if depth_path is None else film_depths(gaussians, film.cameras, progress)
    with ExitStack() as files:
        append = files.enter_context(film_writer(path, width, height, film.fps))
        append_depth = (
            None if depth_path is None else files.enter_context(film_writer(depth_path, width, height, film.fps))
        )
        for color, depth_z in _each_frame(gaussians, film, progress, depth=span is not None):
            append(color)
            if append_depth is not None and span is not None and depth_z is not None:
                append_depth(depth_picture(depth_z, span))


def write_frames(
    folder: Path, gaussians: Gaussians, film: Film, *, depth: bool = False, progress: Progress = silent
) -> None:
    """Write the frames of a film into an existing folder: 00000.png, 00000.depth.png in colours, and path.json."""
    span = film_depths(gaussians, film.cameras, progress) if depth else None
    for i, (color, depth_z) in enumerate(_each_frame(gaussians, film, progress, depth=depth)):
        _save(folder / f"{i:05}.png", color)
        if span is not None and depth_z is not None:
            _save(folder / f"{i:05}.depth.png", depth_picture(depth_z, span))
    count = len(film.cameras.world_to_camera)
    keyframes = tuple(Keyframe(i / film.fps, film.cameras[i]) for i in range(count))
    if film.lens is not None and bool(film.lens.focus_distance.isfinite().all()):  # the file has no word for infinity
        lens = zip(film.lens.focus_distance.tolist(), film.lens.aperture_diameter.tolist(), strict=True)
        told = zip(keyframes, lens, strict=True)
        keyframes = tuple(replace(k, focus_distance=focus, aperture_diameter=aperture) for k, (focus, aperture) in told)
    write_path(folder / FRAMES_MARK, CameraPath(keyframes, count / film.fps, fps=film.fps))


def film_depths(gaussians: Gaussians, cameras: Camera, progress: Progress = silent) -> DepthRange:
    """Return the depths that one scale for a whole film goes from and to, from some of its frames, rendered small.

    The nearest 5 % and the farthest 1 % are beyond its ends: a single thing close to the path would darken all others.
    """
    known = _some_depths(gaussians, cameras, progress).numpy()
    near, far = (float(depth) for depth in np.quantile(known, (0.05, 0.99))) if len(known) else (1.0, 2.0)
    return DepthRange(near, max(far, 1.001 * near))  # an empty range would divide by zero


def _each_frame(
    gaussians: Gaussians, film: Film, progress: Progress, *, depth: bool
) -> Iterator[tuple[Image, Map | None]]:
    """Yield colour in sRGB and median depth of the frames one at a time, so that memory stays flat."""
    count, z_range = len(film.cameras.world_to_camera), None
    if film.lens is not None:
        span = film_depths(gaussians, film.cameras, progress)
        z_range = (span.near, span.far)  # layers that stand still do not flicker
    for i in range(count):
        camera = film.cameras[i]
        sharp = rendering_of(gaussians, camera)
        lens = None if film.lens is None else film.lens[i]
        yield picture_of(sharp, gaussians, camera, lens, z_range=z_range), sharp.depth_median if depth else None
        progress("rendering", i + 1, count)


def _from_file(
    path: Path, scene: Scene, size: tuple[int, int] | None, seconds: float | None, fps: float | None
) -> Film:
    if not path.exists() and path.suffix.lower() != ".json":
        raise BadInputError(f"--path {path} is none of {', '.join(PATHS)}, nor an existing JSON file of a camera path.")
    camera_path = read_path(path)
    fps = fps or camera_path.fps or FPS
    first = camera_path.keyframes[0].camera
    count = _count(seconds or camera_path.seconds, fps)
    keyframes = tuple(_with_aperture(keyframe, scene.metres_per_unit) for keyframe in camera_path.keyframes)
    lens, notes = lens_along(replace(camera_path, keyframes=keyframes), count), ()
    if lens is None and any(k.focus_distance or k.aperture_diameter or k.f_number for k in keyframes):
        notes = (
            f"{path} does not tell all of a lens (a focus_distance and an aperture_diameter, or an f_number where the "
            "scale of the scene is known): without --aperture and --focus the film is sharp everywhere.",
        )
    return Film(framed(sample(camera_path, count), *(size or _even(first.width, first.height))), fps, notes, lens)


def _with_aperture(keyframe: Keyframe, metres_per_unit: float | None) -> Keyframe:
    """Return the keyframe with the aperture of its f-number, of a lens that shows as much on film of 36 mm."""
    if keyframe.aperture_diameter is not None or keyframe.f_number is None or metres_per_unit is None:
        return keyframe
    camera = keyframe.camera
    focal_m = 1e-3 * SENSOR_WIDTH_MM * float(camera.round_focal_px) / max(camera.width, camera.height)
    return replace(keyframe, aperture_diameter=focal_m / keyframe.f_number / metres_per_unit)


def _orbit_notes(cameras: Camera, up: Tensor) -> tuple[str, ...]:
    gap = 360 - math.degrees(circle_of(cameras, up).covered)
    if gap <= WIDEST_GAP_DEG:
        return ()
    return (
        f"The orbit passes {gap:.0f} degrees that no photograph was taken from, where the scene was not seen; "
        "--path swing stays where the photographs were taken.",
    )


def _subject_depth(gaussians: Gaussians, cameras: Camera, progress: Progress) -> float:
    """Return the median depth of what some of the cameras see."""
    seen = _some_depths(gaussians, cameras, progress)
    if len(seen) == 0:
        raise ValueError("The cameras see nothing of the Gaussians.")
    return float(seen.median())


def _some_depths(gaussians: Gaussians, cameras: Camera, progress: Progress) -> Float[Tensor, " p"]:
    """Return the known depths of some views of a batch at even distances, rendered small."""
    count = len(cameras.world_to_camera)
    small = reduced_camera(cameras[torch.linspace(0, count - 1, min(count, _LOOKS)).round().long()], _LOOK_SIDE)
    looks = []
    for i in range(len(small.world_to_camera)):
        looks.append(rendering_of(gaussians, small[i]).depth_median.flatten())
        progress("measuring depth", i + 1, len(small.world_to_camera))
    depths = torch.cat(looks)
    return depths[depths > 0]


def _even(width: int, height: int) -> tuple[int, int]:
    """Return the largest size that a film can have within a picture's: encoders want even sides."""
    return max(2, width // 2 * 2), max(2, height // 2 * 2)


def _count(seconds: float, fps: float) -> int:
    return max(1, round(seconds * fps))


def _save(path: Path, picture: Image) -> None:
    PillowImage.fromarray(to_uint8(picture).numpy()).save(path)
