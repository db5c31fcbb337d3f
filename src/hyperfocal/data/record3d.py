"""Exports of Record3D: `metadata.json` (or `metadata`, in an unpacked .r3d) beside the photographs of a recording.

The reference is what the app writes, as its demos and nerfstudio's process_data/record3d_utils.py read it: "K", the 3 x
3 calibration by columns, for photographs of "w" x "h" pixels; "perFrameIntrinsicCoeffs", if there, fx, fy, cx, cy of
each frame; "poses", rows of qx qy qz qw tx ty tz, camera-to-world in ARKit's axes (camera: y up, looking along -z;
world: metres, y up); "fps". Photographs are `rgb/N.jpg` or `rgbd/N.jpg`, N the row of "poses"; depth is `depth/N.exr`,
metres.
"""

from pathlib import Path
from typing import Any

import torch

from ..camera import Camera
from ..errors import BadInputError
from ..files import read_bytes, read_json
from ..scene import DepthFile, Scene
from ..transforms import rotation_from_quaternion, world_to_camera_from_opengl
from .listed import Listed, find_mask, found_views, photographs_in, some_of


def read_record3d(path: Path) -> Scene | None:
    """Return the scene of a Record3D export, or None if `path` is none.

    Raises:
        BadInputError: the metadata are damaged, or no photograph belongs to them.
    """
    file = next((path / name for name in ("metadata.json", "metadata") if (path / name).is_file()), None)
    if file is None:
        return None
    data = read_bytes(file)
    if b'"poses"' not in data or b'"K"' not in data:
        return None  # many programs call a file that
    content = read_json(file, remedy="Export the recording again.")
    if not isinstance(content, dict) or not isinstance(content.get("poses"), list):
        raise BadInputError(f'{file} should hold "poses" as a list. Export the recording again.')
    photographs = next(filter(None, (photographs_in(path / name) for name in ("rgb", "rgbd"))), [])
    entries, lost = [], []
    for image in photographs:
        if not image.stem.isdecimal() or int(image.stem) >= len(content["poses"]):
            lost.append(image.name)
            continue
        camera = _camera(content, int(image.stem), file)
        depth = path / "depth" / f"{image.stem}.exr"
        measured = DepthFile(depth, 1.0) if depth.is_file() else None
        entries.append(Listed(image.name, image, camera, mask=find_mask(image), depth=measured))
    if not entries:
        raise BadInputError(
            f"{file} has {len(content['poses'])} poses, but no photographs are in rgb or rgbd beside it, such as "
            f"{path / 'rgb' / '0.jpg'}. Export the recording with its photographs."
        )
    views, notes = found_views(entries, file)
    if lost:
        notes += (f"{len(lost)} photographs have no pose in {file.name} and were left out: {some_of(lost)}.",)
    if any((path / "rgbd").glob("*.depth")):
        notes += ("The depth of an .r3d file is packed in Apple's LZFSE and was not read; export as EXR for that.",)
    return Scene(
        source=path,
        views=views,
        metres_per_unit=1.0,
        up=(0.0, 1.0, 0.0),
        format="an export of Record3D",
        notes=notes,
    )


def _camera(content: dict[str, Any], row: int, file: Path) -> Camera:
    try:
        width, height = (round(float(content.get(key, "nan"))) for key in ("w", "h"))
        coefficients = content.get("perFrameIntrinsicCoeffs")
        if coefficients:
            fx, fy, cx, cy = (float(value) for value in coefficients[row])
        else:
            K = torch.tensor(content.get("K"), dtype=torch.float64).reshape(3, 3).T
            fx, fy, cx, cy = K[0, 0].item(), K[1, 1].item(), K[0, 2].item(), K[1, 2].item()
        pose = torch.tensor(content["poses"][row], dtype=torch.float64)
        if pose.shape != (7,) or not bool(pose.isfinite().all()) or float(pose[:4].norm()) < 1e-6:
            raise ValueError(f"the pose {content['poses'][row]} is not qx qy qz qw tx ty tz")
        rotation = rotation_from_quaternion(pose[[3, 0, 1, 2]])
        return Camera(
            world_to_camera=world_to_camera_from_opengl(rotation, pose[4:]).float(),
            focal_px=torch.tensor([fx, fy]),
            center_px=torch.tensor([cx, cy]),
            width=width,
            height=height,
        )
    except (TypeError, ValueError, IndexError, RuntimeError) as error:
        raise BadInputError(f"Frame {row} of {file}: {error}. Export the recording again.") from error
