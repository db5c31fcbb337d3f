"""How large a photograph is, without decoding it."""

from pathlib import Path

from ..camera import Camera, reduced_size
from ..scene import View
from .images import read_header


def photo_size(view: View) -> tuple[int, int]:
    """Return (width, height) of a view's photograph in pixels, as it is decoded.

    Raises:
        BadInputError: the file cannot be read.
    """
    if view.camera is not None:
        return view.camera.width, view.camera.height
    if isinstance(view.image, Path):
        return read_header(view.image).size(view.orientation)
    return view.image.shape[1], view.image.shape[0]


def reduced_camera(camera: Camera, long_side: int | None) -> Camera:
    """Return the camera of the photograph reduced to `long_side`."""
    return camera.resized(*reduced_size((camera.width, camera.height), long_side))
