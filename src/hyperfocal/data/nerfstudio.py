"""transforms.json: the format of instant-ngp, nerfstudio and the Blender scenes of NeRF."""

import math
from os.path import commonpath
from pathlib import Path, PurePosixPath
from typing import Any

import torch

from ..camera import Camera
from ..distortion import Distortion
from ..errors import BadInputError
from ..files import read_json_object
from ..scene import DepthFile, Scene
from ..transforms import world_to_camera_from_opengl
from .depth_files import MILLIMETRES
from .images import read_header
from .listed import Listed, found_views, path_inside
from .ply_points import read_ply_points
from .poses import nearest_rotation, repair_notes
from .published_splits import with_test_split

_DISTORTED_MODELS = {"OPENCV", "PINHOLE", "SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", "PERSPECTIVE"}
_INTRINSIC_KEYS = ("w", "h", "fl_x", "fl_y", "cx", "cy", "k1", "k2", "k3", "k4", "p1", "p2", "camera_angle_x",
                   "camera_angle_y", "camera_model")  # fmt: skip


def read_nerfstudio(path: Path) -> Scene | None:
    """Return the scene of a transforms.json (or transforms_train.json), or None if there is none.

    Of a folder of a Blender scene with splits the test split (or where there is none, that for validation) is read too,
    its views marked: what is published for testing must not be fitted.

    Poses are turned from OpenGL to OpenCV axes; the world stays the file's: with `applied_transform`, that is the frame
    after it. Scenes without `applied_transform` have z upwards by the convention of the tools that write them.

    Raises:
        BadInputError: the file is not JSON, lacks a key, has a bad pose or camera, or names files outside its folder.
    """
    file = _transforms_file(path)
    if file is None:
        return None
    content = _load(file)
    frames = content.get("frames")
    if not isinstance(frames, list) or not all(isinstance(frame, dict) for frame in frames) or not frames:
        raise BadInputError(f'{file} has no list "frames" with at least one photograph; is it a transforms.json?')
    entries: list[Listed] = []
    errors: dict[str, float] = {}
    images = [_image_path(file, frame, index) for index, frame in enumerate(frames)]
    common = Path(commonpath([image.parent for image in images]))
    for frame, image in zip(frames, images, strict=True):
        name = image.relative_to(common).as_posix()
        if not image.is_file():
            entries.append(Listed(name, image, camera=None))
            continue
        where = f"frame {name} of {file}"
        world_to_camera, errors[name] = _pose(frame, where)
        values = {key: frame.get(key, content.get(key)) for key in _INTRINSIC_KEYS}
        camera = _camera(values, world_to_camera, image, where)
        mask = path_inside(file.parent, frame["mask_path"], file) if isinstance(frame.get("mask_path"), str) else None
        depth = _depth(frame, content, file)
        entries.append(Listed(name, image, camera, _distortion(values, where), mask, depth))
    views, notes = found_views(entries, file)
    notes += repair_notes(errors)
    points = None
    if isinstance(ply := content.get("ply_file_path"), str):
        ply_path = path_inside(file.parent, ply, file)
        points = read_ply_points(ply_path) if ply_path.is_file() else None
        if points is None:
            notes += (f"The points file {ply} named in {file.name} does not exist; the scene has no points.",)
    up = None if "applied_transform" in content else (0.0, 0.0, 1.0)
    is_blender = file.name == "transforms_train.json"
    kind = "a Blender scene (transforms_train.json)" if is_blender else "transforms.json of nerfstudio or instant-ngp"
    scene = Scene(source=path, views=views, points=points, up=up, format=kind, notes=notes)
    splits = [_beside(file, split) for split in ("test", "val") if is_blender and _beside(file, split).is_file()]
    read = splits[:1] if path.is_dir() else []  # a file that is named is meant alone
    if others := [other.name for other in splits if other not in read]:
        are = "were" if len(others) > 1 else "was"
        note = f"{' and '.join(others)} beside {file.name} {are} not read; name one of them to read its photographs."
        scene = scene.with_notes(note)
    for test_file in read:
        test = read_nerfstudio(test_file)
        scene = scene if test is None else with_test_split(scene, test)
    return scene


def _beside(file: Path, split: str) -> Path:
    return file.with_name(f"transforms_{split}.json")


def _depth(frame: dict[str, Any], content: dict[str, Any], file: Path) -> DepthFile | None:
    """Return the depth map of a frame: nerfstudio's depth_file_path or instant-ngp's depth_path, None without.

    Pictures hold thousandths of a unit, unless the file says otherwise: by "depth_unit_scale_factor", as nerfstudio
    calls it, or "integer_depth_scale" of instant-ngp. .npy and .exr hold units.
    """
    name = frame.get("depth_file_path", frame.get("depth_path"))
    if not isinstance(name, str):
        return None
    depth = path_inside(file.parent, name, file)
    if not depth.is_file():
        return None
    if depth.suffix.lower() in {".npy", ".exr"}:
        return DepthFile(depth, 1.0)
    key = "depth_unit_scale_factor" if "depth_file_path" in frame else "integer_depth_scale"
    if content.get(key) is None:
        return DepthFile(depth, MILLIMETRES)
    step = _number(content, key, str(file))
    if step <= 0:
        raise BadInputError(f"The {key} of {file} is {step:g}; it must be positive.")
    # Along the axis, instant-ngp's too: it multiplies it by a ray whose z is 1.
    return DepthFile(depth, step)


def _transforms_file(path: Path) -> Path | None:
    """Return the file to read: `path` itself if it is JSON with frames, or the one in the folder."""
    if path.is_file():
        return path if path.suffix.lower() == ".json" and "frames" in _load(path) else None
    for name in ("transforms.json", "transforms_train.json"):
        if (path / name).is_file():
            return path / name
    return None


def _load(file: Path) -> dict[str, Any]:
    return read_json_object(file, remedy="Write it again with the tool that made it.")


def _image_path(file: Path, frame: dict[str, Any], index: int) -> Path:
    """Return the photograph of a frame; Blender scenes leave the extension out."""
    name = frame.get("file_path")
    if not isinstance(name, str):
        raise BadInputError(f'Frame {index} of {file} has no "file_path".')
    image = path_inside(file.parent, name, file)
    if image.is_file() or PurePosixPath(name).suffix.lower() in {".png", ".jpg", ".jpeg"}:
        return image
    candidates = (image.with_name(image.name + suffix) for suffix in (".png", ".jpg", ".jpeg", ".JPG", ".PNG", ".webp"))
    return next((candidate for candidate in candidates if candidate.is_file()), image)


def _pose(frame: dict[str, Any], where: str) -> tuple[torch.Tensor, float]:
    """Return (world_to_camera [4, 4] with OpenCV axes, how far the rotation was from one)."""
    try:
        matrix = torch.tensor(frame.get("transform_matrix"), dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise BadInputError(f'The "transform_matrix" of {where} is not a matrix of numbers: {error}.') from error
    if matrix.shape not in {(4, 4), (3, 4)}:
        raise BadInputError(f'The "transform_matrix" of {where} should be 4 x 4, got the shape {tuple(matrix.shape)}.')
    try:
        rotation, error = nearest_rotation(matrix[:3, :3])
    except ValueError as reason:
        raise BadInputError(f"The pose of {where} {reason}. Correct the frame or take it out.") from reason
    if not bool(matrix[:3, 3].isfinite().all()):
        raise BadInputError(f"The position of {where} has entries that are not finite. Correct it or take it out.")
    return world_to_camera_from_opengl(rotation, matrix[:3, 3]).float(), error


def _camera(values: dict[str, Any], world_to_camera: torch.Tensor, image: Path, where: str) -> Camera:
    """Return the pinhole of a frame. Sizes may be missing (the photograph's are used) or written as 1080.0."""
    header = read_header(image) if values["w"] is None or values["h"] is None else None
    width, height = (
        (header.width, header.height)
        if header
        else (round(_number(values, "w", where)), round(_number(values, "h", where)))
    )
    if not (1 <= width < 1 << 20 and 1 <= height < 1 << 20):
        raise BadInputError(f"The size of {where} is {width} x {height}; expected positive pixels.")
    fx = _focal(values, "fl_x", "camera_angle_x", width, where)
    fy = _focal(values, "fl_y", "camera_angle_y", height, where)
    if fx is None and fy is None:
        raise BadInputError(f'{where} has no focal length: expected "fl_x" in pixels or "camera_angle_x" in radians.')
    cx = width / 2 if values["cx"] is None else _number(values, "cx", where)
    cy = height / 2 if values["cy"] is None else _number(values, "cy", where)
    return Camera(
        world_to_camera=world_to_camera,
        # One focal length alone means square pixels.
        focal_px=torch.tensor([fx or fy, fy or fx], dtype=torch.float32),
        center_px=torch.tensor([cx, cy], dtype=torch.float32),
        width=width,
        height=height,
    )


def _focal(values: dict[str, Any], length: str, angle: str, size: int, where: str) -> float | None:
    """Return a focal length in pixels from the length or the full angle of view, None if neither is given."""
    if values[length] is None and values[angle] is None:
        return None
    if values[length] is not None:
        focal = _number(values, length, where)
    else:
        focal = size / 2 / max(math.tan(_number(values, angle, where) / 2), 1e-12)
    if not 0 < focal < 1e7:
        raise BadInputError(f"The focal length {length} of {where} is {focal:g} pixels; it must be positive.")
    return focal


def _distortion(values: dict[str, Any], where: str) -> Distortion | None:
    """Return the distortion of a frame from camera_model, k1 to k4, p1 and p2."""
    model = values["camera_model"] or "OPENCV"
    k1, k2, k3, k4, p1, p2 = (
        0.0 if values[key] is None else _number(values, key, where) for key in ("k1", "k2", "k3", "k4", "p1", "p2")
    )
    if model == "OPENCV_FISHEYE":
        return Distortion("fisheye", (k1, k2, k3, k4))
    if model not in _DISTORTED_MODELS:
        raise BadInputError(
            f"The camera model of {where} is {model}; OPENCV, OPENCV_FISHEYE and PINHOLE can be read. "
            "Undistort the photographs with the tool that made the file, and use its undistorted export."
        )
    if k4:
        raise BadInputError(f"{where} has k4 = {k4:g}, which the model {model} does not have; is it OPENCV_FISHEYE?")
    found = Distortion("opencv", (k1, k2, p1, p2, k3) if k3 else (k1, k2, p1, p2))
    return None if found.is_none else found


def _number(values: dict[str, Any], key: str, where: str) -> float:
    value = values[key]
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise BadInputError(f"The value of {key} of {where} should be a finite number, got {value!r}.")
    return float(value)
