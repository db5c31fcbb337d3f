"""Camera paths as JSON files: our own format, read and written, and nerfstudio's, read.

Ours, in the axes and units of the scene (see the conventions page):

    {"hyperfocal_path": 1, "axes": "opencv", "width": 1280, "height": 720,
     "seconds": 6.0,                  optional, how long the film is; up to the last keyframe if left out
     "closed": false,                 optional, true returns to the first keyframe at the end
     "fps": 30,                       optional
     "keyframes": [
       {"time_s": 0.0,                must grow from keyframe to keyframe
        "world_to_camera": [4 rows of 4],
        "focal_px": 1100.0,           or [x, y], for a picture of width x height
        "center_px": [640, 360],      optional, the middle if left out
        "focus_distance": 2.5,        optional, scene units
        "aperture_diameter": 0.05,    optional, scene units
        "f_number": 2.8}]}            optional, in place of it where the scale of the scene is known

nerfstudio's (`camera_path.json` of its viewer, `_write_json` in nerfstudio/viewer/render_panel.py, read by
`get_path_from_json` in nerfstudio/cameras/camera_paths.py; and `camera_path_blender.json` of its Blender add-on,
`construct_json_obj` in nerfstudio/scripts/blender/nerfstudio_blender.py):

    {"camera_type": "perspective", "render_width": 1920, "render_height": 1080, "fps": 24, "seconds": 4.0,
     "is_cycle": false, "smoothness_value": 0, "keyframes": [...],
     "camera_path": [{"camera_to_world": [16 numbers, row by row], "fov": 50.0, "aspect": 1.78}, ...]}

with one entry of "camera_path" for every frame, OpenGL axes (x right, y up, looking along -z) and the vertical angle of
view in degrees. "keyframes" only serve nerfstudio's editor and are not read: the add-on writes their matrices column by
column, the viewer row by row. The frame of the poses is that of the scene they were made in.
"""

import json
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..camera import Camera
from ..errors import BadInputError
from ..files import read_json, write_text
from ..paths import CameraPath, Keyframe
from ..transforms import quaternion_from_rotation, rigid, rotation_from_quaternion, world_to_camera_from_opengl

_LENS = ("focus_distance", "aperture_diameter", "f_number")
_REPAIRABLE = 1e-3  # largest entry of |R^T R - 1| that is taken for rounding


def read_path(path: Path | str) -> CameraPath:
    """Return the camera path of a JSON file in our format or nerfstudio's.

    Raises:
        BadInputError: the file is missing, is neither, or holds something that is no camera; the message says which.
    """
    path = Path(path)
    content = read_json(path, remedy="Correct it, or write it again.")
    if not isinstance(content, dict) or not ("hyperfocal_path" in content or "camera_path" in content):
        raise BadInputError(
            f'{path} is no camera path: expected a JSON object with "hyperfocal_path" (ours) or "camera_path" '
            "(nerfstudio's viewer or its Blender add-on)."
        )
    try:
        return _ours(content) if "hyperfocal_path" in content else _nerfstudio(content)
    except (KeyError, TypeError, ValueError, IndexError, RuntimeError, OverflowError) as error:
        reason = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise BadInputError(
            f"The camera path {path} cannot be used: {reason} Correct it, or write it again."
        ) from error


def write_path(path: Path | str, camera_path: CameraPath) -> None:
    """Write a camera path in our format.

    Raises:
        BadInputError: the file cannot be written.
    """
    first = camera_path.keyframes[0].camera
    content: dict[str, Any] = {"hyperfocal_path": 1, "axes": "opencv", "width": first.width, "height": first.height}
    content |= {"seconds": camera_path.seconds, "closed": camera_path.closed, "fps": camera_path.fps}
    content["keyframes"] = [
        {
            "time_s": keyframe.time_s,
            "world_to_camera": keyframe.camera.world_to_camera.tolist(),
            "focal_px": keyframe.camera.focal_px.tolist(),
            "center_px": keyframe.camera.center_px.tolist(),
            "focus_distance": keyframe.focus_distance,
            "aperture_diameter": keyframe.aperture_diameter,
            "f_number": keyframe.f_number,
        }
        for keyframe in camera_path.keyframes
    ]
    write_text(Path(path), json.dumps(content, indent=1, allow_nan=False) + "\n")


def _ours(content: dict[str, Any]) -> CameraPath:
    """Return a path in our format; wrong types and values raise what Python raises for them."""
    if content["hyperfocal_path"] != 1:
        raise ValueError(f'"hyperfocal_path" is {content["hyperfocal_path"]!r}; this version reads format 1.')
    if content.get("axes") != "opencv":
        raise ValueError(f'"axes" is {content.get("axes")!r}; only "opencv" (x right, y down, z forward) is read.')
    width, height = _size(content["width"], content["height"])
    keyframes = []
    for index, entry in enumerate(_entries(content, "keyframes")):
        where = f"keyframe {index}"
        pose = _matrix(entry["world_to_camera"], where)
        middle = entry.get("center_px") or [width / 2, height / 2]
        camera = _camera(pose, entry["focal_px"], middle, width, height)
        lens = {name: _positive(entry.get(name), name, where) for name in _LENS}
        keyframes.append(Keyframe(_number(entry["time_s"], f"time_s of {where}"), camera, **lens))
    closed = content.get("closed", False)
    if not isinstance(closed, bool):
        raise ValueError(f'"closed" is {closed!r}, expected true or false.')
    last = keyframes[-1].time_s - keyframes[0].time_s
    if content.get("seconds") is None and (closed or last <= 0):
        raise ValueError('It needs "seconds", since its keyframes do not say how long the film is.')
    seconds = _number(content["seconds"], '"seconds"') if content.get("seconds") is not None else last
    return CameraPath(tuple(keyframes), seconds, closed, _positive(content.get("fps"), "fps", "the path"))


def _nerfstudio(content: dict[str, Any]) -> CameraPath:
    """Return the frames of nerfstudio's viewer or Blender add-on, each as a keyframe."""
    kind = content.get("camera_type", "perspective")
    if kind != "perspective":
        raise ValueError(f'Its "camera_type" is {kind!r}; only "perspective" can be rendered.')
    width, height = _size(content["render_width"], content["render_height"])
    frames = _entries(content, "camera_path")
    fps = _positive(content.get("fps"), "fps", "the path") or len(frames) / _number(content["seconds"], '"seconds"')
    keyframes = []
    for index, entry in enumerate(frames):
        where = f"frame {index}"
        flat = torch.tensor(entry["camera_to_world"], dtype=torch.float64)
        if flat.numel() not in (12, 16):
            raise ValueError(f"The camera_to_world of {where} has {flat.numel()} numbers, expected 16.")
        turned = _matrix(flat.reshape(-1, 4), where, may_scale=True)
        pose = world_to_camera_from_opengl(turned[:3, :3], turned[:3, 3])
        fov = _number(entry["fov"], f"fov of {where}")
        if not 0 < fov < 180:
            raise ValueError(f"The fov of {where} is {fov:g} degrees, expected more than 0 and less than 180.")
        focal = height / 2 / math.tan(math.radians(fov) / 2)
        keyframes.append(Keyframe(index / fps, _camera(pose, focal, [width / 2, height / 2], width, height)))
    return CameraPath(tuple(keyframes), len(keyframes) / fps, fps=fps)


def _entries(content: dict[str, Any], key: str) -> list[dict[str, Any]]:
    entries = content[key]
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError(f'"{key}" should be a list of at least one object.')
    return entries


def _camera(pose: Tensor, focal: Any, middle: Any, width: int, height: int) -> Camera:
    focal_px = torch.tensor(focal, dtype=torch.float32).expand(2).clone()
    center_px = torch.tensor(middle, dtype=torch.float32)
    if center_px.shape != (2,) or not bool(torch.cat((focal_px, center_px)).isfinite().all()):
        raise ValueError(f"A camera has the focal length {focal} and the centre {middle}; expected finite pixels.")
    return Camera(pose.float(), focal_px, center_px, width, height)


def _matrix(values: Any, where: str, *, may_scale: bool = False) -> Tensor:
    """Return a rigid transform, float64, of 3 or 4 rows of 4 numbers; rounding and, on request, a scale are removed."""
    matrix = torch.as_tensor(values, dtype=torch.float64)
    if matrix.shape not in {(3, 4), (4, 4)} or not bool(matrix.isfinite().all()):
        raise ValueError(f"The matrix of {where} should be 4 x 4 finite numbers, got the shape {tuple(matrix.shape)}.")
    rotation = matrix[:3, :3]
    determinant = float(torch.linalg.det(rotation))
    if may_scale and determinant > 0:  # Blender's matrices carry the scale of the scene's representation
        rotation = rotation / determinant ** (1 / 3)
    error = float((rotation.T @ rotation - torch.eye(3, dtype=torch.float64)).abs().max())
    if error > _REPAIRABLE or determinant <= 0:
        raise ValueError(f"The matrix of {where} is no rotation with a position (off by {error:.3g}).")
    return rigid(rotation_from_quaternion(quaternion_from_rotation(rotation)), matrix[:3, 3])


def _size(width: Any, height: Any) -> tuple[int, int]:
    for value in (width, height):
        if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value < 1 << 20:
            raise ValueError(f"Its size is {width!r} x {height!r}, expected pixels.")
    return round(width), round(height)


def _number(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"The {name} is {value!r}, expected a finite number.")
    return float(value)


def _positive(value: Any, name: str, where: str) -> float | None:
    if value is None:
        return None
    number = _number(value, f"{name} of {where}")
    if number <= 0:
        raise ValueError(f"The {name} of {where} is {number:g}, expected more than 0.")
    return number
