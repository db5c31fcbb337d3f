"""The user's own photographs, all in focus, with their cameras: a folder that other trainers open.

    sharp/images/NAME.png    the photograph where it is sharp, the render elsewhere
          transforms.json    for nerfstudio, gsplat's loaders and others
          cameras.json       the same cameras in our form
          points.ply         centres of opaque Gaussians, to start from

A pixel is the photograph's where the blur that its lens and its motion gave it is at most a pixel, the render's where
it is twice that or more, and a mixture in between, of sRGB values: the two show the same thing, so this is a cross-fade
and no sum of light. A pixel in focus within the reach of blur that lies before it is not sharp either.
"""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from jaxtyping import Float
from PIL import Image as PillowImage

from ..camera import Camera
from ..color import displayed, to_uint8
from ..data import load_photograph
from ..data.cameras_json import write_cameras_json
from ..errors import HyperfocalError
from ..files import write_bytes, write_text
from ..gaussians import Gaussians
from ..progress import Progress, silent
from ..scene import Photograph, Scene, View
from ..sh import color_from_dc
from ..shapes import Image, Map
from ..transforms import invert_rigid
from .looks import rendering_of
from .names import file_names
from .photographed import PhotographedLens, signed_circles_px, streaks_px

SHARP_PX, SOFT_PX = 1.0, 2.0  # blur up to which a pixel is the photograph's, and from which on it is the render's
MOST_POINTS = 100_000
_SEAM_PX = 1.0  # standard deviation by which seams are softened
_OPAQUE = 0.5  # least opacity of a Gaussian whose centre is a point
_ENOUGH = 500.0  # pixels' worth of a photograph that say how its colours differ from the render's


def write_sharp(
    folder: Path,
    gaussians: Gaussians,
    scene: Scene,
    lenses: tuple[PhotographedLens, ...],
    *,
    long_side: int | None,
    match_colors: bool = False,
    progress: Progress = silent,
) -> tuple[str, ...]:
    """Write all fitted photographs in focus, and return a sentence for each that could not be.

    Args:
        folder: Is made.
        gaussians: What the photographs show.
        scene: With the photographs' cameras, in the middle of their exposures.
        lenses: How they were taken. Photographs that are not among them are left out.
        long_side: Of the pictures in pixels, as fitted.
        match_colors: Give renders the colours of each photograph, where exposures were fitted and so differ.
        progress: Told of every photograph.

    Raises:
        BadInputError: a file cannot be written, or a view's name leads out of the folder.
    """
    own = {lens.name: lens for lens in lenses}
    views = [view for view in scene.posed_views if view.name in own]
    written: list[View] = []
    notes = []
    for i, (view, name) in enumerate(zip(views, file_names([view.name for view in views]), strict=True)):
        try:
            photograph = load_photograph(view, long_side=long_side, depth=False)
        except HyperfocalError as error:
            notes.append(f"{view.name} is not among the photographs in focus: {error}")
            continue
        picture = in_focus(gaussians, photograph, own[view.name], match_colors=match_colors)
        path = folder / "images" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        PillowImage.fromarray(to_uint8(picture).numpy()).save(path)
        # Without its file: the folder will be moved, and pictures below "images" are found without being named.
        pixels = torch.zeros(()).expand(picture.shape)
        written.append(View(f"{name}.png", pixels, photograph.camera))
        progress("focusing photographs", i + 1, len(views))
    if written:
        described = Scene(folder, tuple(written), metres_per_unit=scene.metres_per_unit, up=scene.up)
        write_cameras_json(folder / "cameras.json", described)
        write_text(folder / "transforms.json", json.dumps(_transforms(written), indent=1) + "\n")
        write_bytes(folder / "points.ply", _points(gaussians))
    return tuple(notes)


def in_focus(
    gaussians: Gaussians, photograph: Photograph, how: PhotographedLens, *, match_colors: bool = False
) -> Image:
    """Return a photograph in sRGB with what is blurred in it replaced by a render."""
    rendering = rendering_of(gaussians, photograph.camera)
    weight = sharp_weight(rendering.depth_median, photograph.camera, how) * photograph.valid
    render = displayed(rendering.color, gaussians.color_space).clamp(0, 1)
    if match_colors:
        render = _in_the_colors(render, photograph.image, weight)
    share = weight.unsqueeze(-1)
    return share * photograph.image + (1 - share) * render


def sharp_weight(depth_z: Map, camera: Camera, how: PhotographedLens) -> Map:
    """Return how much of each pixel is the photograph's: 1 where it is sharp, 0 where it is blurred or has no depth.

    Args:
        depth_z: Of what is seen; 0 is unknown.
        camera: Of the photograph.
        how: How it was taken.
    """
    circles = signed_circles_px(depth_z, camera, how.aperture_diameter, how.focus_distance)
    streaks = streaks_px(depth_z, camera, torch.tensor(how.twist))
    blur = (circles.square() + streaks.square()).sqrt()
    ramp = ((SOFT_PX - blur) / (SOFT_PX - SHARP_PX)).clamp(0, 1)
    allowed = ramp * ramp * (3 - 2 * ramp) * (depth_z > 0)
    # What is blurred and nearer than the focus lies before what is in focus, and what moves passes over it.
    reach = torch.where(blur > SOFT_PX, torch.maximum((-circles).clamp_min(0), streaks) / 2, 0)
    inside = torch.from_numpy(np.where(_within_reach(reach.numpy()), 0, allowed.numpy()).astype(np.float32))
    smooth = _softened(inside)
    return torch.minimum(smooth, inside)


def _within_reach(radii: Float[np.ndarray, "h w"]) -> np.ndarray:
    """Return the pixels within the radius of some pixel; radii are rounded up, above 4 by a quarter at most."""
    covered = radii > 0
    smaller, radius = 0.0, 1
    while smaller < radii.max(initial=0.0):
        some = ((radii > smaller) & (radii <= radius)).astype(np.uint8)
        if some.any():
            disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
            covered = covered | (cv2.dilate(some, disc) > 0)
        smaller, radius = radius, max(radius + 1, 5 * radius // 4)
    return covered


def _softened(weight: Map) -> Map:
    """Return a weight whose steps fall off inwards, so that no seam shows."""
    side = 2 * math.ceil(2 * _SEAM_PX) + 1
    shrunk = cv2.erode(weight.numpy(), np.ones((side, side), np.uint8))
    return torch.from_numpy(cv2.GaussianBlur(shrunk, (0, 0), _SEAM_PX))


def _in_the_colors(render: Image, photograph: Image, weight: Map) -> Image:
    """Return a render with the affine change of colour that makes it most like a photograph where that is sharp."""
    root = weight.sqrt().reshape(-1, 1).double()
    known = torch.cat((render.reshape(-1, 3), torch.ones(weight.numel(), 1)), 1).double()
    # What few pixels say is not believed: as many as `_ENOUGH` of them hold the colours as they are.
    left = torch.cat((root * known, _ENOUGH**0.5 * torch.eye(4, dtype=torch.float64)))
    change = (photograph - render).reshape(-1, 3).double()
    right = torch.cat((root * change, torch.zeros(4, 3, dtype=torch.float64)))
    found = torch.linalg.lstsq(left, right).solution
    return (render + (known @ found).reshape(render.shape).to(render)).clamp(0, 1)


def _transforms(views: list[View]) -> dict[str, Any]:
    """Return what transforms.json holds: nerfstudio's pinholes, camera-to-world in OpenGL's axes."""
    frames = []
    for view in views:
        camera = view.camera
        assert camera is not None, "the pictures were rendered from it"
        to_world = invert_rigid(camera.world_to_camera) @ torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0]))
        (fl_x, fl_y), (cx, cy) = camera.focal_px.tolist(), camera.center_px.tolist()
        frames.append(
            {"file_path": f"images/{view.name}", "transform_matrix": to_world.tolist()}
            | {"w": camera.width, "h": camera.height, "fl_x": fl_x, "fl_y": fl_y, "cx": cx, "cy": cy}
        )
    # The identity says that the world is that of the frames, and that nobody promises where up is.
    applied = torch.eye(4)[:3].tolist()
    return {
        "camera_model": "PINHOLE",
        "applied_transform": applied,
        "ply_file_path": "points.ply",
        "frames": frames,
    }


def _points(gaussians: Gaussians) -> bytes:
    """Return a PLY of the centres of the most opaque Gaussians, coloured as seen from everywhere."""
    order = gaussians.opacities.argsort(descending=True)[:MOST_POINTS]
    order = order[gaussians.opacities[order] >= _OPAQUE]
    colors = to_uint8(displayed(color_from_dc(gaussians.sh[order, 0]).clamp(0, 1), gaussians.color_space)).numpy()
    kinds = [(axis, "<f4") for axis in "xyz"] + [(name, "u1") for name in ("red", "green", "blue")]
    rows = np.empty(len(order), dtype=kinds)
    for i, axis in enumerate("xyz"):
        rows[axis] = gaussians.means[order, i].numpy()
    for i, name in enumerate(("red", "green", "blue")):
        rows[name] = colors[:, i]
    return "\n".join(_header(len(rows))).encode("ascii") + rows.tobytes()


def _header(count: int) -> Iterator[str]:
    yield from ("ply", "format binary_little_endian 1.0", f"element vertex {count}")
    yield from (f"property float {axis}" for axis in "xyz")
    yield from (f"property uchar {name}" for name in ("red", "green", "blue"))
    yield from ("end_header", "")
