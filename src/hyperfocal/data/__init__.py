"""Reading scenes: one file per format, each answering "not mine" (None) or a `Scene`.

Only reads: world frame and scale stay the source's, cameras may be unknown, and what was skipped is in `Scene.notes`.
"""

from pathlib import Path

from ..errors import BadInputError
from ..progress import Progress, silent
from ..scene import Scene
from .cameras_json import read_cameras_json as read_cameras_json
from .cameras_json import write_cameras_json as write_cameras_json
from .colmap import read_colmap
from .nerfstudio import read_nerfstudio
from .photograph import load_photograph as load_photograph
from .photograph import load_pixels as load_pixels
from .photographs import read_photographs
from .video import read_video

__all__ = ["load_photograph", "load_pixels", "read_cameras_json", "read_scene", "write_cameras_json"]


def read_scene(path: Path | str, *, progress: Progress = silent) -> Scene:
    """Return the photographs at `path`, with cameras and points where the source has them.

    Tried in this order: a COLMAP model (`sparse/0`, ...), transforms.json of nerfstudio, instant-ngp or Blender, a
    cameras.json if that file itself is named, and photographs without poses (a folder, its `images`, or one file).

    Raises:
        BadInputError: nothing there, nothing readable, or no photographs in any supported form.
    """
    path = Path(path)
    try:
        if not path.exists():
            raise BadInputError(f"{path} does not exist. Give a folder of photographs or a posed scene.")
        scene = (
            read_colmap(path)
            or read_nerfstudio(path)
            or read_cameras_json(path)
            or read_video(path, progress=progress)
            or read_photographs(path, progress=progress)
        )
    except PermissionError as error:
        raise BadInputError(f"{error.filename} may not be read: {error.strerror}. Change its permissions.") from error
    if scene is None:
        raise BadInputError(
            f"{path} holds no photographs that can be read. Supported are a folder of photographs (JPEG, PNG, TIFF, "
            "WebP, HEIC), a COLMAP model (sparse/0 beside images), a transforms.json of nerfstudio, instant-ngp or "
            "Blender, and a cameras.json named itself."
        )
    return scene
