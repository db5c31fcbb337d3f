"""COLMAP models: cameras, poses and points beside a folder of photographs."""

from pathlib import Path

import torch

from ..camera import Camera
from ..errors import BadInputError
from ..scene import PointCloud, Scene
from ..transforms import rigid, rotation_from_quaternion
from .colmap_cameras import LENSES, Lens
from .colmap_files import CameraRecord, ImageRecord, read_cameras, read_images, read_points
from .listed import Listed, find_mask, found_views, path_inside

_MODEL_FOLDERS = ("sparse/0", "sparse", "colmap/sparse/0", "colmap/sparse", ".")


def read_colmap(path: Path) -> Scene | None:
    """Return the scene of a COLMAP model, or None if `path` holds none.

    Finds the model in `sparse/0`, `sparse`, `colmap/sparse/0`, `colmap/sparse` or `path` itself, binary or text, and
    the photographs in `images` (or directly) in the folders from there upwards. Masks as for plain photographs.

    Raises:
        BadInputError: a file of the model is damaged, a camera model is not supported, or no photograph is found.
    """
    model = next((path / name for name in _MODEL_FOLDERS if _is_model(path / name)), None)
    if model is None:
        return None
    cameras = {number: _lens(number, record, model) for number, record in read_cameras(model).items()}
    records = read_images(model)
    if not records:
        raise BadInputError(
            f"The COLMAP model {model} has no images. Run the mapper again, or start from the photographs."
        )
    folder = _photograph_folder(model, path, records)
    entries = [_listed(record, cameras, folder, model) for record in records]
    views, notes = found_views(entries, model / "images")
    others = sorted(other.name for other in model.parent.iterdir() if other != model and _is_model(other))
    if others and model.name == "0":
        notes += (f"Read the model {model.name}; {', '.join(others)} beside it are other, unconnected models.",)
    points = None
    if (read := read_points(model)) is not None and len(read[0]):
        positions, colors = torch.from_numpy(read[0]).float(), torch.from_numpy(read[1]).float() / 255
        finite = positions.isfinite().all(1)
        points = PointCloud(positions[finite], colors[finite])
    return Scene(source=path, views=views, points=points, format="a COLMAP model", notes=notes)


def _is_model(folder: Path) -> bool:
    return any(
        (folder / f"cameras.{ending}").is_file() and (folder / f"images.{ending}").is_file()
        for ending in ("bin", "txt")
    )


def _photograph_folder(model: Path, path: Path, records: list[ImageRecord]) -> Path:
    """Return the folder below which most of the photographs are found; `path / images` if none is."""
    upwards = [model, *model.parents[:3]] if model != path else [path, *path.parents[:3]]
    candidates = [folder / name for folder in upwards for name in ("images", ".")]
    sample = [record.name for record in records[:: max(1, len(records) // 20)]]

    def found(folder: Path) -> int:
        return sum(path_inside(folder, name, model).is_file() for name in sample)

    best = max(candidates, key=found)
    return best if found(best) else path / "images"


def _listed(record: ImageRecord, cameras: dict[int, tuple[CameraRecord, Lens]], folder: Path, model: Path) -> Listed:
    """Return the entry of one image."""
    if record.camera not in cameras:
        raise BadInputError(
            f"The image {record.name} of the COLMAP model {model} has camera {record.camera}, which is missing."
        )
    size, lens = cameras[record.camera]
    pose = torch.tensor([*record.quaternion, *record.translation], dtype=torch.float64)
    if not bool(pose.isfinite().all()) or float(pose[:4].norm()) < 1e-6:
        raise BadInputError(
            f"The pose of {record.name} in the COLMAP model {model} is not one: {pose.tolist()}. Leave the image out."
        )
    camera = Camera(
        world_to_camera=rigid(rotation_from_quaternion(pose[:4]), pose[4:]).float(),
        focal_px=torch.tensor(lens.focal_px),
        center_px=torch.tensor(lens.center_px),
        width=size.width,
        height=size.height,
    )
    image = path_inside(folder, record.name, model)
    return Listed(record.name.replace("\\", "/"), image, camera, lens.distortion, find_mask(image))


def _lens(number: int, record: CameraRecord, model: Path) -> tuple[CameraRecord, Lens]:
    """Return a camera record with what its parameters mean."""
    if record.model not in LENSES:
        raise BadInputError(
            f"Camera {number} of the COLMAP model {model} has the camera model {record.model}, which cannot be read "
            f"(these can: {', '.join(LENSES)}). Run COLMAP's image_undistorter and use its output folder."
        )
    try:
        lens = LENSES[record.model](*record.parameters)
    except ValueError as error:
        raise BadInputError(f"Camera {number} of the COLMAP model {model}: {error}") from error
    values = torch.tensor([*lens.focal_px, *lens.center_px])
    sizes = (record.width, record.height)
    if not (bool(values.isfinite().all()) and min(lens.focal_px) > 0 and 1 <= min(sizes) <= max(sizes) < 1 << 20):
        raise BadInputError(
            f"Camera {number} of the COLMAP model {model} has the focal lengths {lens.focal_px} px and the size "
            f"{record.width} x {record.height}; expected positive numbers. Export the model again with COLMAP."
        )
    return record, lens
