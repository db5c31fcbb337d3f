"""A scene for tests of the page: three chequered walls at known depths, three cameras, photographs, one lens."""

import io
import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

import hyperfocal as hf
from hyperfocal.camera import Camera
from hyperfocal.export.page import Asset, Page, PageCamera
from hyperfocal.export.ply import write_ply
from hyperfocal.gaussians import Gaussians
from hyperfocal.sh import dc_from_color
from hyperfocal.transforms import look_at

WIDTH, HEIGHT, FOCAL_PX = 240, 160, 240.0
DEPTHS = (2.0, 3.0, 5.0)  # of the left, the middle and the right wall, from the first camera
SIDE = 30  # Gaussians along a wall's sides
APERTURE, FOCUS = 0.15, 3.0  # of the second photograph


def walls() -> Gaussians:
    """3 x 30 x 30 flat Gaussians. From the first camera each wall fills a third of the picture's width."""
    grid = torch.linspace(-0.5, 0.5, SIDE)
    v, u = torch.meshgrid(grid, grid, indexing="ij")
    squares = ((u * 8 + 0.1).floor() + (v * 8 + 0.1).floor()) % 2
    parts = []
    for i, depth in enumerate(DEPTHS):
        size = depth * WIDTH / 3 / FOCAL_PX * 0.9
        middle = (i - 1) * depth * WIDTH / 3 / FOCAL_PX
        z = depth * (1 + 0.002 * torch.randn(SIDE, SIDE))  # of two at one depth either may be before the other
        means = torch.stack((u * size + middle, v * size, z), dim=-1).reshape(-1, 3)
        light = 0.2 + 0.6 * squares.reshape(-1, 1) * torch.eye(3)[i] + 0.1 * torch.rand(SIDE * SIDE, 1)
        scales = torch.tensor([0.6 * size / SIDE, 0.6 * size / SIDE, 0.002 * depth]).expand(SIDE * SIDE, 3)
        parts.append((means, scales, light))
    means, scales, light = (torch.cat(columns) for columns in zip(*parts, strict=True))
    count = len(means)
    return Gaussians(
        means=means,
        quaternions=torch.tensor([1.0, 0, 0, 0]).expand(count, 4),
        scales=scales,
        opacities=torch.full((count,), 0.98),
        sh=dc_from_color(light).unsqueeze(1),
    )


def cameras() -> list[Camera]:
    """Three cameras level with the walls, the first at the origin looking along z."""
    target, up = torch.tensor([0.0, 0.0, 3.0]), torch.tensor([0.0, -1.0, 0.0])
    eyes = ([0.0, 0.0, 0.0], [-0.4, -0.2, 0.0], [0.5, -0.3, 0.2])
    poses = [look_at(torch.tensor(eye), target, up) for eye in eyes]
    focal, middle = torch.full((2,), FOCAL_PX), torch.tensor([WIDTH / 2, HEIGHT / 2])
    return [Camera(pose, focal, middle, WIDTH, HEIGHT) for pose in poses]


def jpeg(color: Tensor) -> bytes:
    """Return a picture as a file."""
    buffer = io.BytesIO()
    Image.fromarray((color.clamp(0, 1) * 255).round().byte().numpy()).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def ply(gaussians: Gaussians) -> bytes:
    """Return Gaussians as a file, not compressed: nothing is rounded."""
    with tempfile.TemporaryDirectory() as folder:
        write_ply(Path(folder, "scene.ply"), gaussians)
        return Path(folder, "scene.ply").read_bytes()


def toy_page(gaussians: Gaussians, metres_per_unit: float | None) -> Page:
    """The page of the scene; the second photograph was taken with a lens, the others are sharp."""
    lens = {
        "aperture_diameter": APERTURE, "focus": "distance", "focus_distance": FOCUS, "focus_sigma": 0.01,
        "f_number": None, "circle_px": {"median": 2.0, "p95": 6.0}, "streak_px": None,
    }  # fmt: skip
    shown = []
    for i, camera in enumerate(cameras()):
        thin = hf.ThinLens(torch.tensor(APERTURE), torch.tensor(FOCUS)) if i == 1 else None
        photograph = Asset(f"photographs/{i}.jpg", "image/jpeg", jpeg(hf.render(gaussians, camera, lens=thin).color))
        shown.append(PageCamera(f"{i}.jpg", camera, i == 2, photograph, lens if i == 1 else None))
    scene = Asset("scene.ply", "application/octet-stream", ply(gaussians))
    return replace(
        Page("toy", scene, len(gaussians), gaussians.color_space),
        cameras=tuple(shown), metres_per_unit=metres_per_unit, up=(0.0, -1.0, 0.0),
    )  # fmt: skip


def aperture_at(f_number: float, metres_per_unit: float, sensor_mm: float = 36) -> float:
    """Opening in scene units of the lens that shows as much as the toy cameras: the textbook's focal length over N."""
    return FOCAL_PX / WIDTH * sensor_mm / 1000 / f_number / metres_per_unit


def in_window(camera: Camera, width: int, height: int) -> Camera:
    """Return the camera of a window that shows all of what a camera shows, in its middle, and more on two sides."""
    ratio = min(width / camera.width, height / camera.height)
    rest = torch.tensor([width - ratio * camera.width, height - ratio * camera.height]) / 2
    return replace(
        camera, focal_px=camera.focal_px * ratio, center_px=camera.center_px * ratio + rest, width=width, height=height
    )
