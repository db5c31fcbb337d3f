"""Renders of every camera of a result as picture files: colour, depth, normals."""

import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image as PillowImage

from ..camera import Camera
from ..color import to_uint8
from ..data.photo_size import reduced_camera
from ..errors import NothingUsableError
from ..export.exr import require_openexr, write_depth_exr
from ..files import write_text
from ..gaussians import Gaussians
from ..progress import Progress, silent
from ..rendering import Rendering, RenderOptions
from ..shapes import Image
from ..transforms import rotation_from_quaternion
from .lens_choice import LensChoice, lens_for
from .looks import picture_of, rendering_of
from .names import file_names
from .result import Result

DEPTH_MARK = "depth.json"  # beside the renders: what the numbers in the depth pictures mean
DEPTH_STEPS = 65535  # of a 16-bit PNG
_OPAQUE = 0.5  # least coverage of a pixel whose normal is told


def write_stills(
    folder: Path,
    result: Result,
    *,
    long_side: int | None = None,
    exr: bool = False,
    normals: bool = False,
    lens: LensChoice | None = None,
    progress: Progress = silent,
) -> int:
    """Write NAME.png in colour and NAME.depth.png in 16 bits of every camera, and depth.json; return how many views.

    Args:
        folder: An existing folder.
        result: The Gaussians and cameras.
        long_side: Of the pictures in pixels; None is that of the fit.
        exr: Also NAME.exr: depth in 32-bit floats, in metres where the result knows its scale, else in scene units.
        normals: Also NAME.normals.png (world axes, -1 to 1 as 0 to 255), and normals in the EXR files.
        lens: Of the colour pictures; None is the pinhole, whose depth and normals are in any case.
        progress: Told of every view.

    Raises:
        BadInputError: a file cannot be written, a view's name leads out of the folder, or there is no such lens.
        MissingExtraError: EXR files are wanted and OpenEXR is not installed.
        NothingUsableError: the result has no cameras.
    """
    if exr:
        require_openexr()
    views = result.scene.posed_views
    if not views:
        raise NothingUsableError(f"{result.scene.source} has no cameras to render from.")
    names = file_names([view.name for view in views])
    cameras = [reduced_camera(view.camera, long_side or result.config.long_side) for view in views if view.camera]
    gaussians, metres = result.gaussians, result.scene.metres_per_unit
    lenses = None if lens is None else lens_for(lens, result, cameras, long_side=long_side)
    # One scale for all depth pictures, so that they compare; for that, the largest depth must be known first.
    farthest = 0.0
    for i, camera in enumerate(cameras):
        farthest = max(farthest, float(rendering_of(gaussians, camera).depth_median.max()))
        progress("measuring depth", i + 1, len(views))
    farthest = farthest or 1.0
    for i, (camera, name) in enumerate(zip(cameras, names, strict=True)):
        rendering, directions = (
            blended_normals(gaussians, camera) if normals else (rendering_of(gaussians, camera), None)
        )
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = picture_of(rendering, gaussians, camera, None if lenses is None else lenses[i])
        PillowImage.fromarray(to_uint8(picture).numpy()).save(f"{path}.png")
        steps = rendering.depth_median / farthest * DEPTH_STEPS
        PillowImage.fromarray(steps.round().numpy().astype(np.uint16)).save(f"{path}.depth.png")
        if directions is not None:
            PillowImage.fromarray(to_uint8((directions + 1) / 2).numpy()).save(f"{path}.normals.png")
        if exr:
            depth = rendering.depth_median * (metres or 1.0)
            unit = "scene" if metres is None else "metres"
            write_depth_exr(Path(f"{path}.exr"), depth, unit=unit, normals=directions)
        progress("rendering", i + 1, len(views))
    unit = {"units_per_step": farthest / DEPTH_STEPS, "metres_per_unit": metres}
    about = "camera z of each pixel is its value times units_per_step, in scene units; 0 is unknown"
    write_text(folder / DEPTH_MARK, json.dumps({"depth": about, **unit}, indent=1) + "\n")
    return len(views)


def blended_normals(gaussians: Gaussians, camera: Camera) -> tuple[Rendering, Image]:
    """Return (the rendering, unit world normals facing the camera); 0 where less than half of a pixel is covered.

    The normal of a Gaussian is its shortest axis, and a pixel's is the mean of those it sees. Normals of a depth map
    are differences of neighbouring depths, and show the noise between Gaussians rather than the surface.
    """
    count = torch.arange(len(gaussians), device=gaussians.device)
    shortest = rotation_from_quaternion(gaussians.quaternions)[count, :, gaussians.scales.argmin(1)]
    away = ((gaussians.means - camera.centers()) * shortest).sum(1, keepdim=True) > 0
    rendering = rendering_of(gaussians, camera, RenderOptions(features=torch.where(away, -shortest, shortest)))
    assert rendering.features is not None
    unit = torch.nn.functional.normalize(rendering.features, dim=-1)
    return rendering, torch.where((rendering.alpha >= _OPAQUE).unsqueeze(-1), unit, 0)
