"""cameras.json: posed cameras with their photographs' names, the file that result folders carry.

    {"axes": "opencv", "units": "metres" | "scene",
     "kind": "photographs",                optional: "photographs", "video" or "focal_stack"
     "metres_per_unit": number | null,        optional
     "up": [x, y, z] | null,                  optional, unit vector against gravity
     "photographs": "folder",                 optional, relative to the file or absolute; default "images", then "."
     "views": [{"image": "name below that folder", "width": 1536, "height": 1024,
                "K": [[fx, 0, cx], [0, fy, cy], [0, 0, 1]],
                "world_to_camera": [4 rows of 4],
                "distortion": {"model": "opencv" | "full_opencv" | "fisheye", "coefficients": [...]},   optional
                "orientation": 1,             optional, EXIF orientation in which the pixels are meant
                "mask": "file",               optional, relative to the JSON file or absolute
                "mask_is_inverted": false,    optional, true if the mask marks what does not count
                "depth": {"file": "file", "units_per_step": 0.001, "kind": "z" | "ray_distance"},   optional, as mask
                "time_s": 0.5}]}              optional, of a frame of a video

`read_scene` reads it only when it is named itself: a folder of photographs stays a folder of photographs.
"""

import json
import math
from pathlib import Path
from typing import Any

import torch

from ..camera import Camera
from ..distortion import Distortion
from ..errors import BadInputError
from ..files import read_json, write_text
from ..scene import DepthFile, Scene, View
from ..transforms import rigid
from .listed import path_inside, some_of
from .poses import nearest_rotation

_KINDS = ("photographs", "video", "focal_stack")


def read_cameras_json(path: Path) -> Scene | None:
    """Return the scene of a cameras.json; None if `path` is not a JSON file with "views".

    Every view is kept, also those whose photograph does not exist: their cameras can still be rendered from.

    Raises:
        BadInputError: the file is damaged, lacks a key, or names files outside the photograph folder.
    """
    if not path.is_file() or path.suffix.lower() != ".json":
        return None
    content = read_json(path, remedy="Write the file again.")
    if not isinstance(content, dict) or not isinstance(content.get("views"), list):
        return None
    if content.get("axes") != "opencv":
        raise BadInputError(
            f'{path} has "axes": {content.get("axes")!r}; only "opencv" (x right, y down, z forward) is read.'
        )
    folder = _photograph_folder(path, content)
    views = []
    for index, entry in enumerate(content["views"]):
        try:
            views.append(_view(entry, folder, path))
        except BadInputError:
            raise
        except (KeyError, TypeError, ValueError, IndexError, RuntimeError) as error:
            reason = f"has no {error}" if isinstance(error, KeyError) else str(error)
            raise BadInputError(f"View {index} of {path}: {reason}. Write the file again.") from error
    missing = [view.name for view in views if isinstance(view.image, Path) and not view.image.is_file()]
    notes = (f"{len(missing)} of {len(views)} photographs are not in {folder}: {some_of(missing)}.",) if missing else ()
    metres = 1.0 if content.get("units") == "metres" else content.get("metres_per_unit")
    up = content.get("up")
    kind = content.get("kind", "photographs")
    if kind not in _KINDS:
        raise BadInputError(f'{path} has "kind": {kind!r}; expected one of {", ".join(_KINDS)}.')
    try:
        return Scene(
            source=path,
            views=tuple(sorted(views, key=lambda view: view.name)),
            metres_per_unit=None if metres is None else float(metres),
            up=None if up is None else (float(up[0]), float(up[1]), float(up[2])),
            kind=kind,
            format="cameras.json",
            notes=notes,
        )
    except (TypeError, ValueError, IndexError) as error:
        raise BadInputError(f"{path} cannot be understood: {error}. Write the file again.") from error


def write_cameras_json(path: Path, scene: Scene) -> None:
    """Write the posed views of a scene; photographs are named relative to the folder they share.

    Raises:
        BadInputError: the file cannot be written.
    """
    views = scene.posed_views
    folders = [_root(view) for view in views if isinstance(view.image, Path)]
    content: dict[str, Any] = {
        "axes": "opencv",
        "units": "metres" if scene.metres_per_unit == 1 else "scene",
        "metres_per_unit": scene.metres_per_unit,
        "up": scene.up,
    }
    if scene.kind != "photographs":
        content["kind"] = scene.kind
    if folders and folders[0] is not None and all(folder == folders[0] for folder in folders):
        content["photographs"] = str(folders[0])
    content["views"] = [_entry(view) for view in views]
    write_text(path, json.dumps(content, indent=1) + "\n")


def _root(view: View) -> Path | None:
    """Return the folder that a view's name is relative to, None if its file has another name."""
    assert isinstance(view.image, Path)
    image = view.image.absolute()
    depth = len(Path(view.name).parts)
    root = image.parents[depth - 1]
    return root if root / view.name == image else None


def _entry(view: View) -> dict[str, Any]:
    camera = view.camera
    assert camera is not None
    entry: dict[str, Any] = {
        "image": view.name,
        "width": camera.width,
        "height": camera.height,
        "K": camera.intrinsics().tolist(),
        "world_to_camera": camera.world_to_camera.tolist(),
    }
    if view.distortion is not None:
        entry["distortion"] = {"model": view.distortion.model, "coefficients": list(view.distortion.coefficients)}
    if isinstance(view.mask, Path):
        entry["mask"] = str(view.mask.absolute())
        if view.mask_is_inverted:
            entry["mask_is_inverted"] = True
    if view.orientation != 1:
        entry["orientation"] = view.orientation
    if view.depth is not None:
        depth = view.depth
        entry["depth"] = {
            "file": str(depth.path.absolute()),
            "units_per_step": depth.units_per_step,
            "kind": depth.kind,
        }
    if view.time_s is not None:
        entry["time_s"] = view.time_s
    return entry


def _photograph_folder(path: Path, content: dict[str, Any]) -> Path:
    """Return where the photographs are."""
    named = content.get("photographs")
    if isinstance(named, str):
        return path.parent / named
    return path.parent / "images" if (path.parent / "images").is_dir() else path.parent


def _view(entry: dict[str, Any], folder: Path, path: Path) -> View:
    """Return one view; wrong types and values raise what Python raises for them."""
    K = torch.tensor(entry["K"], dtype=torch.float64)
    pose = torch.tensor(entry["world_to_camera"], dtype=torch.float64)
    if K.shape != (3, 3) or pose.shape != (4, 4):
        raise ValueError(f"K should be 3 x 3 and world_to_camera 4 x 4, got {tuple(K.shape)} and {tuple(pose.shape)}")
    try:
        rotation, _ = nearest_rotation(pose[:3, :3])
    except ValueError as error:
        raise ValueError(f"world_to_camera {error}") from error
    if not bool(K.isfinite().all() & pose.isfinite().all()):
        raise ValueError("K and world_to_camera must be finite numbers")
    orientation = int(entry.get("orientation", 1))
    if not 1 <= orientation <= 8:
        raise ValueError(f"orientation must be 1 to 8, got {orientation}")
    distortion = entry.get("distortion")
    if distortion is not None:
        coefficients = tuple(float(value) for value in distortion["coefficients"])
        if distortion["model"] not in {"opencv", "full_opencv", "fisheye"} or not all(map(math.isfinite, coefficients)):
            raise ValueError(f"the distortion {distortion} is not one of opencv, full_opencv and fisheye")
        distortion = Distortion(distortion["model"], coefficients)
    camera = Camera(
        world_to_camera=rigid(rotation, pose[:3, 3]).float(),
        focal_px=K.diagonal()[:2].float(),
        center_px=K[:2, 2].float(),
        width=int(entry["width"]),
        height=int(entry["height"]),
    )
    name = str(entry["image"])
    image = path_inside(folder, name, path)
    mask, time_s = entry.get("mask"), entry.get("time_s")
    return View(
        name,
        image,
        camera,
        distortion,
        None if mask is None else path.parent / str(mask),
        orientation=orientation,
        depth=_depth(entry["depth"], path) if entry.get("depth") is not None else None,
        time_s=None if time_s is None else float(time_s),
        mask_is_inverted=bool(entry.get("mask_is_inverted", False)),
    )


def _depth(entry: dict[str, Any], path: Path) -> DepthFile:
    units, kind = float(entry["units_per_step"]), entry.get("kind", "z")
    if not (math.isfinite(units) and units > 0) or kind not in ("z", "ray_distance"):
        raise ValueError(f"depth needs positive units_per_step and the kind z or ray_distance, got {entry}")
    return DepthFile(path.parent / str(entry["file"]), units, kind)
