"""Projection matrices: a text file of 3 x 4 numbers beside each photograph, as AliceVision's data sets have them."""

from pathlib import Path

import numpy as np
import torch
from scipy.linalg import rq

from ..camera import Camera
from ..errors import BadInputError
from ..scene import Scene
from ..transforms import rigid
from .images import read_header
from .listed import Listed, find_mask, found_views, photographs_in, some_of

_MOST_SKEW = 1e-3  # of the focal length: a pixel at the border of a wide picture


def read_projections(path: Path) -> Scene | None:
    """Return the scene of a folder whose photographs NAME.jpg have NAME_P.txt, NAME.P or NAME.jpg.P; None without any.

    Such a matrix takes world points to pixels of the stored picture, counted from its upper left corner.

    Raises:
        BadInputError: a matrix is damaged or is no camera with upright, rectangular pixels.
    """
    for folder in (path, path / "images"):
        photographs = photographs_in(folder)
        matrices = {image: file for image in photographs if (file := _matrix_file(image)) is not None}
        if matrices:
            break
    else:
        return None
    entries = [
        Listed(image.name, image, _camera(image, file), mask=find_mask(image)) for image, file in matrices.items()
    ]
    views, notes = found_views(entries, folder)
    if lost := [image.name for image in photographs if image not in matrices]:
        notes += (f"{len(lost)} photographs have no projection matrix and were left out: {some_of(lost)}.",)
    return Scene(source=path, views=views, format="projection matrices beside photographs", notes=notes)


def _matrix_file(image: Path) -> Path | None:
    names = (f"{image.stem}_P.txt", f"{image.stem}.P", f"{image.name}.P")
    return next((file for name in names if (file := image.with_name(name)).is_file()), None)


def _camera(image: Path, file: Path) -> Camera:
    try:
        numbers = [float(word) for word in file.read_text(encoding="utf-8").split()]
        P = np.array(numbers).reshape(3, 4)
    except (OSError, ValueError) as error:
        raise BadInputError(f"{file} should hold the 3 x 4 numbers of a projection matrix: {error}.") from error
    if not np.isfinite(P).all() or abs(np.linalg.det(P[:, :3])) < 1e-12 * np.abs(P[:, :3]).max() ** 3:
        raise BadInputError(f"{file} is not the projection matrix of a camera: {P.tolist()}. Leave the photograph out.")
    P = P * np.sign(np.linalg.det(P[:, :3]))  # a matrix is defined up to a factor; so R below does not mirror
    K, R = rq(P[:, :3])
    signs = np.sign(np.diag(K))
    K, R = K * signs, signs[:, None] * R
    translation = np.linalg.solve(K, P[:, 3])
    K = K / K[2, 2]
    if abs(K[0, 1]) > _MOST_SKEW * K[0, 0]:
        raise BadInputError(
            f"The pixels of the camera in {file} are skewed ({K[0, 1]:.3g} beside a focal length of {K[0, 0]:.5g} px), "
            "which cannot be represented. Undistort the photographs with the tool that made the file."
        )
    header = read_header(image)
    return Camera(
        world_to_camera=rigid(torch.from_numpy(R), torch.from_numpy(translation)).float(),
        focal_px=torch.tensor([K[0, 0], K[1, 1]], dtype=torch.float32),
        center_px=torch.tensor([K[0, 2], K[1, 2]], dtype=torch.float32),
        width=header.width,
        height=header.height,
    )
