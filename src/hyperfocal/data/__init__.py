"""Reading scenes: one file per format, each answering "not mine" (None) or a `Scene`.

Only reads: world frame and scale stay the source's, cameras may be unknown, and what was skipped is in `Scene.notes`.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeAlias

from ..errors import BadInputError
from ..progress import Progress, silent
from ..scene import Scene
from .cameras_json import read_cameras_json as read_cameras_json
from .cameras_json import write_cameras_json as write_cameras_json
from .colmap import read_colmap
from .depth_files import load_depth as load_depth
from .depth_files import with_depth_beside
from .focal_stack import as_focal_stack, recognised
from .listed import some_of
from .llff import read_llff
from .metashape import read_metashape
from .nerfstudio import read_nerfstudio
from .photograph import load_photograph as load_photograph
from .photograph import load_pixels as load_pixels
from .photographs import read_photographs
from .polycam import read_polycam
from .projections import read_projections
from .realityscan import read_realityscan
from .record3d import read_record3d
from .rgbd import read_rgbd
from .video import VIDEO_SUFFIXES, read_video
from .zip_files import is_zip, unpacked

__all__ = [
    "SceneKind",
    "load_depth",
    "load_photograph",
    "load_pixels",
    "read_cameras_json",
    "read_scene",
    "write_cameras_json",
]

SceneKind: TypeAlias = Literal["photographs", "focal_stack"]

# In this order; each answers None if the path is not its format.
_POSED: tuple[Callable[[Path], Scene | None], ...] = (
    *(read_colmap, read_nerfstudio, read_cameras_json, read_polycam, read_record3d, read_llff, read_metashape),
    *(read_realityscan, read_projections, read_rgbd),
)


def read_scene(
    path: Path | str,
    *,
    kind: SceneKind | None = None,
    invert_masks: bool = False,
    frames: int | None = None,
    progress: Progress = silent,
) -> Scene:
    """Return the photographs at `path`, with cameras, points and depth where the source has them.

    The guide on importing lists the formats and the order in which they are tried; `Scene.format` says which one it
    was. A zip file is unpacked to a temporary folder, which is removed when Python ends.

    Args:
        path: A folder, a file that describes a scene, a video, one photograph, or a zip file of these.
        kind: "focal_stack" for photographs of one view focused at many distances, "photographs" for anything else; None
            takes a folder for a focal stack only if its photographs leave no doubt. Neither says how cameras are
            stored.
        invert_masks: Masks (not alpha) mark what does not count, in place of what counts.
        frames: Of a video, how many to take at most; None is 60 to 150, by how far the camera moves.
        progress: Told about every photograph.

    Raises:
        BadInputError: nothing there, nothing readable, no photographs in any supported form, or `frames` of something
            that is no video.
        MissingExtraError: reading it needs a package that is not installed.
    """
    if kind not in (None, "photographs", "focal_stack"):
        raise BadInputError(f'kind must be "photographs" or "focal_stack" or left away, got {kind!r}.')
    path = Path(path)
    try:
        if not path.exists():
            raise BadInputError(f"{path} does not exist. Give a folder of photographs or a posed scene.")
        scene = _read(unpacked(path, progress=progress) if is_zip(path) else path, kind, frames, progress)
    except PermissionError as error:
        raise BadInputError(f"{error.filename} may not be read: {error.strerror}. Change its permissions.") from error
    except OSError as error:
        raise BadInputError(f"{str(path)[:200]} cannot be read: {error.strerror or error}.") from error
    if scene is None:
        raise BadInputError(
            f"{path} holds no photographs that can be read.{_videos_in(path)} Supported are a folder of photographs "
            "(JPEG, PNG, TIFF, WebP, HEIC, EXR, camera raw), a video, a COLMAP model (sparse/0 beside images), a "
            "transforms.json of nerfstudio, instant-ngp or Blender, LLFF, Polycam, Record3D, Metashape, RealityScan, "
            "projection matrices, RGB-D folders, a cameras.json named itself, and a zip file of any of these."
        )
    if is_zip(path):
        note = f"{path.name} was unpacked to a temporary folder; unpack it yourself to evaluate the result later."
        scene = replace(scene, source=path, format=f"{scene.format}, in a zip file").with_notes(note)
    if invert_masks:
        scene = _inverted(scene)
    return scene


def _read(path: Path, kind: SceneKind | None, frames: int | None, progress: Progress) -> Scene | None:
    if kind != "focal_stack" and (scene := read_video(path, frames=frames, progress=progress)) is not None:
        return scene
    if frames is not None:
        raise BadInputError(f"{path} is no video, so --frames {frames} has no meaning for it. Leave it out.")
    if kind != "focal_stack":
        for read in _POSED:
            if (scene := read(path)) is not None:
                return with_depth_beside(scene)
    scene = read_photographs(path, progress=progress)
    if scene is None:
        return None
    if kind is None:
        scene = recognised(scene)
    elif kind == "focal_stack":
        scene = as_focal_stack(scene)
    return with_depth_beside(scene)


def _videos_in(path: Path) -> str:
    """Return what to do about the videos of a folder that holds nothing else."""
    videos = sorted(file.name for file in path.glob("*") if file.suffix.lower() in VIDEO_SUFFIXES)
    return f" It holds videos; name one of them: {some_of(videos)}." if videos else ""


def _inverted(scene: Scene) -> Scene:
    views = tuple(replace(v, mask_is_inverted=not v.mask_is_inverted) if v.mask else v for v in scene.views)
    if all(view.mask is None for view in views):
        raise BadInputError(
            f"{scene.source} has no masks to invert. They lie in masks/NAME.png beside the photographs or their folder."
        )
    return replace(scene, views=views)
