"""A capture in the format of hyperfocal.synthetic whose photographs are renders of known Gaussians."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from hyperfocal.camera import Camera
from hyperfocal.color import to_uint8
from hyperfocal.gaussians import Gaussians
from hyperfocal.render import render


def write_toy_capture(folder: Path, gaussians: Gaussians, cameras: Camera) -> None:
    """Write photographs, their depth, and their cameras in both of the formats that captures have."""
    rendering = render(gaussians, cameras)
    frames, views = [], []
    for kind in ("images", "depth"):
        (folder / kind).mkdir()
    for i in range(len(cameras.world_to_camera)):
        name, depth_name = f"images/{i:04}.png", f"depth/{i:04}.png"
        Image.fromarray(to_uint8(rendering.color[i]).numpy()).save(folder / name)
        depth = (rendering.depth_median[i] * 1e4).round().clamp(0, 65535).numpy().astype(np.uint16)
        Image.fromarray(depth).save(folder / depth_name)
        K, pose = cameras.intrinsics()[i].tolist(), cameras.world_to_camera[i].double().numpy()
        to_world = np.linalg.inv(pose) @ np.diag([1.0, -1, -1, 1])
        frames.append({"file_path": name, "depth_file_path": depth_name, "transform_matrix": to_world.tolist()})
        frames[-1] |= {"fl_x": K[0][0], "fl_y": K[1][1], "cx": K[0][2], "cy": K[1][2]}
        frames[-1] |= {"w": cameras.width, "h": cameras.height}
        views.append({"image": name, "width": cameras.width, "height": cameras.height, "K": K})
        views[-1] |= {"world_to_camera": pose.tolist(), "depth": {"file": depth_name, "units_per_step": 1e-4}}
    unit = {"depth_unit_scale_factor": 1e-4}
    (folder / "transforms.json").write_text(json.dumps(unit | {"frames": frames}))
    (folder / "cameras.json").write_text(json.dumps({"axes": "opencv", "units": "metres", "views": views}))
