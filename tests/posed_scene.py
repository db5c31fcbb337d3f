"""A tiny scene on disk with known cameras: Gaussians rendered by the library itself, transforms.json and points."""

import json
from pathlib import Path

import torch
from PIL import Image

from hyperfocal.color import to_uint8
from hyperfocal.gaussians import Gaussians
from hyperfocal.render import render
from hyperfocal.sh import color_from_dc
from hyperfocal.transforms import invert_rigid
from scenes import random_gaussians, ring_of_cameras


def write_posed_scene(folder: Path, *, views: int = 10, width: int = 96, height: int = 72) -> Gaussians:
    """Write photographs of 200 Gaussians with their cameras and centres, and return the Gaussians."""
    gaussians = random_gaussians(200, sh_degree=0, size=0.12)
    cameras = ring_of_cameras(views, width, height)
    frames = []
    (folder / "images").mkdir(parents=True)
    for i in range(views):
        camera, name = cameras[i], f"images/view_{i:02}.png"
        Image.fromarray(to_uint8(render(gaussians, camera).color).numpy()).save(folder / name)
        camera_to_world = invert_rigid(camera.world_to_camera) @ torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0]))
        (fl_x, fl_y), (cx, cy) = camera.focal_px.tolist(), camera.center_px.tolist()
        intrinsics = {"w": width, "h": height, "fl_x": fl_x, "fl_y": fl_y, "cx": cx, "cy": cy}
        frames.append({"file_path": name, "transform_matrix": camera_to_world.tolist(), **intrinsics})
    (folder / "transforms.json").write_text(json.dumps({"ply_file_path": "points.ply", "frames": frames}))
    colors = to_uint8(color_from_dc(gaussians.sh[:, 0]).clamp(0, 1)).tolist()
    header = ["ply", "format ascii 1.0", f"element vertex {len(gaussians)}"]
    header += [f"property float {axis}" for axis in "xyz"] + [f"property uchar {c}" for c in ("red", "green", "blue")]
    rows = [" ".join(map(str, [*p, *c])) for p, c in zip(gaussians.means.tolist(), colors, strict=True)]
    (folder / "points.ply").write_text("\n".join([*header, "end_header", *rows]) + "\n")
    return gaussians
