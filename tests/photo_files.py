"""Photographs on disk with known truth, for tests of readers and of structure from motion."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from hyperfocal.camera import Camera, pixel_centers
from hyperfocal.distortion import Distortion, undistort
from hyperfocal.progress import Progress
from hyperfocal.scene import View
from hyperfocal.transforms import invert_rigid, look_at


def camera_at(eye: tuple[float, float, float], width: int = 320, height: int = 240, focal_px: float = 300.0) -> Camera:
    """A camera that looks at the world's origin with -y upwards."""
    pose = look_at(torch.tensor(eye, dtype=torch.float32), torch.zeros(3), torch.tensor([0.0, -1.0, 0.0]))
    center = torch.tensor([width / 2 + 3.0, height / 2 - 2.0])
    return Camera(pose, torch.full((2,), focal_px), center, width, height)


_WALLS = ((0, 0.0, 4.0), (1, -0.8, 0.7))  # (seed of the texture, z, half of the side) of the relief, far one first


def picture_of_relief(camera: Camera, distortion: Distortion | None = None) -> Tensor:
    """The picture [h, w, 3] of a flat textured wall at z = 0 and a smaller one before it at z = -0.8, by ray casting.

    Each wall carries its own smooth random texture, so that features are plenty and their places exact.
    """
    eye, rays = _rays(camera, distortion)
    image = torch.zeros(camera.height, camera.width, 3)
    for seed, z, half in _WALLS:
        uv, inside = _met(eye + rays * ((z - eye[2]) / rays[..., 2:]), half)
        size = 900 if z == 0 else 260
        wall = texture(seed, size)
        at = (uv * size - 0.5).numpy().astype(np.float32)
        colors = cv2.remap(wall, at[..., 0].copy(), at[..., 1].copy(), cv2.INTER_CUBIC)
        image[inside] = torch.from_numpy(colors).clamp(0, 1)[inside]
    return image


def depth_of_relief(camera: Camera, distortion: Distortion | None = None) -> Tensor:
    """Camera z [h, w] of the same, 0 where there is no wall."""
    eye, rays = _rays(camera, distortion)
    depth_z = torch.zeros(camera.height, camera.width)
    for _, z, half in _WALLS:
        along = (z - eye[2]) / rays[..., 2:]  # rays are 1 long along the camera's axis
        _, inside = _met(eye + rays * along, half)
        depth_z[inside] = along[..., 0][inside]
    return depth_z


def _rays(camera: Camera, distortion: Distortion | None) -> tuple[Tensor, Tensor]:
    plane = (pixel_centers(camera.width, camera.height) - camera.center_px) / camera.focal_px
    if distortion is not None:
        plane, _ = undistort(distortion, plane)
    camera_to_world = invert_rigid(camera.world_to_camera)
    rays = torch.cat((plane, torch.ones_like(plane[..., :1])), -1) @ camera_to_world[:3, :3].T
    return camera_to_world[:3, 3], rays


def _met(hit: Tensor, half: float) -> tuple[Tensor, Tensor]:
    uv = hit[..., :2] / (2 * half) + 0.5
    return uv, ((uv > 0) & (uv < 1)).all(-1)


def texture(seed: int, size: int) -> np.ndarray:
    """Noise of several scales, [size, size, 3] in [0, 1]."""
    generator = np.random.default_rng(seed)
    total = np.zeros((size, size, 3), np.float32)
    for sigma in (1.5, 4.0, 12.0):
        noise = cv2.GaussianBlur(generator.normal(size=(size, size, 3)).astype(np.float32), (0, 0), sigma)
        total += noise / noise.std()
    return np.clip(0.5 + 0.13 * total, 0, 1).astype(np.float32)


def save_picture(image: Tensor, path: Path, **options: Any) -> None:
    """Write an image in [0, 1] as 8 bits in the format of the suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((image * 255).round().to(torch.uint8).numpy()).save(path, **options)


def relief_views(folder: Path, count: int = 6, distortion: Distortion | None = None, **camera: Any) -> list[View]:
    """Posed views of the relief from an arc of `count` places, photographs written to `folder` as PNG."""
    views = []
    for i in range(count):
        across = -1.2 + 2.4 * i / (count - 1)
        posed = camera_at((across, 0.25 * (i % 3 - 1), -3.2), **camera)
        path = folder / f"{i:02d}.png"
        save_picture(picture_of_relief(posed, distortion), path)
        views.append(View(path.name, path, posed, distortion))
    return views


def transforms_json(views: list[View], folder: Path, **extra: Any) -> Path:
    """Write transforms.json for views in `folder / images`, converting to OpenGL axes by hand."""
    frames = []
    for view in views:
        assert view.camera is not None
        camera_to_world = torch.linalg.inv(view.camera.world_to_camera.double())
        camera_to_world[:, 1:3] *= -1
        frames.append({"file_path": f"images/{view.name}", "transform_matrix": camera_to_world.tolist()})
    first = views[0].camera
    assert first is not None
    (fx, fy), (cx, cy) = first.focal_px.tolist(), first.center_px.tolist()
    content = {"fl_x": fx, "fl_y": fy, "cx": cx, "cy": cy, "w": float(first.width), "h": float(first.height)}
    path = folder / "transforms.json"
    path.write_text(json.dumps({**content, **extra, "frames": frames}))
    return path


def recorder() -> tuple[list[tuple[str, int, int]], Progress]:
    """A list and a progress function that appends to it."""
    steps = []

    def record(stage: str, done: int, total: int) -> None:
        steps.append((stage, done, total))

    return steps, record


def unposed(views: list[View]) -> tuple[View, ...]:
    """The views as a folder of photographs gives them."""
    return tuple(replace(view, camera=None, distortion=None) for view in views)
