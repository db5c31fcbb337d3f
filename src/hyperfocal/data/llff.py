"""poses_bounds.npy: the format of LLFF (Mildenhall et al. 2019) and of the forward-facing scenes of NeRF.

Its README ("Using your own poses without running COLMAP") is the reference: one row of 17 numbers a photograph, in the
order of the sorted names: a 3 x 5 matrix [rotation | position | (height, width, focal length)] by rows, the camera's
axes being down, right and backwards, then the nearest and the farthest depth.
"""

from pathlib import Path

import numpy as np
import torch

from ..camera import Camera
from ..errors import BadInputError
from ..scene import Scene
from ..transforms import invert_rigid, rigid
from .listed import Listed, find_mask, found_views, photographs_in
from .npy_files import read_npy
from .poses import nearest_rotation, repair_notes

_FOLDERS = ("images", "images_2", "images_4", "images_8", ".")


def read_llff(path: Path) -> Scene | None:
    """Return the scene of a poses_bounds.npy, or None if there is none. Its nearest and farthest depths are not used.

    Raises:
        BadInputError: the file is damaged, or there are not as many photographs as poses.
    """
    file = path if path.name == "poses_bounds.npy" and path.is_file() else path / "poses_bounds.npy"
    if not file.is_file():
        return None
    rows = read_npy(file)
    if rows.ndim != 2 or rows.shape[1] != 17 or rows.dtype.kind not in "fiu" or len(rows) == 0:
        raise BadInputError(f"{file} should hold 17 numbers a photograph, got {rows.dtype} of shape {rows.shape}.")
    images = _photographs(file, len(rows))
    entries: list[Listed] = []
    errors: dict[str, float] = {}
    for image, row in zip(images, rows.astype(np.float64), strict=True):
        matrix = torch.from_numpy(row[:15].reshape(3, 5))
        down, right, back, position, (height, width, focal) = matrix.unbind(1)
        where = f"the pose of {image.name} in {file}"
        try:
            rotation, errors[image.name] = nearest_rotation(torch.stack((right, down, -back), dim=1))
        except ValueError as reason:
            raise BadInputError(f"{where[0].upper()}{where[1:]} {reason}. Write the poses again.") from reason
        if not bool(matrix.isfinite().all()) or not (min(width, height) >= 1 and max(width, height) < 1 << 20):
            raise BadInputError(f"The size in {where} is {width:g} x {height:g} pixels. Write the poses again.")
        if not 0 < focal < 1e7:
            raise BadInputError(f"The focal length in {where} is {focal:g} pixels; it must be positive.")
        camera = Camera(
            world_to_camera=invert_rigid(rigid(rotation, position)).float(),
            focal_px=torch.full((2,), float(focal)),
            center_px=torch.tensor([float(width) / 2, float(height) / 2]),
            width=round(float(width)),
            height=round(float(height)),
        )
        entries.append(Listed(image.name, image, camera, mask=find_mask(image)))
    views, notes = found_views(entries, file)
    notes += repair_notes(errors)
    return Scene(source=path, views=views, format="LLFF (poses_bounds.npy)", notes=notes)


def _photographs(file: Path, count: int) -> list[Path]:
    """Return the photographs of the first folder that has as many as there are poses, in the order of their names."""
    counts = {}
    for name in _FOLDERS:
        images = photographs_in(file.parent / name)
        if len(images) == count:
            return images
        if images:
            counts[name] = len(images)
    found = ", ".join(f"{n} in {'the folder itself' if name == '.' else name}" for name, n in counts.items()) or "none"
    raise BadInputError(
        f"{file} has {count} poses, which belong to the photographs in the order of their names, but there are "
        f"{found}. Put exactly the photographs that the poses were made from into the folder images."
    )
