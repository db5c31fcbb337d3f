"""Tiny synthetic scenes that tests share."""

from dataclasses import replace

import torch
from torch import Tensor

from hyperfocal.camera import Camera, stack
from hyperfocal.gaussians import Gaussians
from hyperfocal.transforms import look_at


def pinhole(width: int = 32, height: int = 24, focal_px: float = 30.0, dtype: torch.dtype = torch.float32) -> Camera:
    """A camera at the origin that looks along +z, principal point in the middle."""
    return Camera(
        world_to_camera=torch.eye(4, dtype=dtype),
        focal_px=torch.full((2,), focal_px, dtype=dtype),
        center_px=torch.tensor([width / 2, height / 2], dtype=dtype),
        width=width,
        height=height,
    )


def ring_of_cameras(v: int, width: int = 40, height: int = 30, dtype: torch.dtype = torch.float32) -> Camera:
    """A batch of cameras on an arc around the origin, slightly different focal lengths and centres."""
    cameras = []
    for i in range(v):
        angle = torch.tensor(0.35 * (i - (v - 1) / 2), dtype=torch.float64)
        eye = torch.stack((4 * angle.sin(), torch.tensor(-0.3 + 0.1 * i, dtype=torch.float64), -4 * angle.cos()))
        up = torch.tensor([0.0, -1.0, 0.0], dtype=torch.float64)
        base = pinhole(width, height, 0.9 * width + i, torch.float64)
        pose = look_at(eye, torch.zeros(3, dtype=torch.float64), up)
        cameras.append(replace(base, world_to_camera=pose, center_px=base.center_px + 0.3 * i).to(dtype=dtype))
    return stack(cameras)


def random_gaussians(
    n: int, *, seed: int = 0, sh_degree: int = 3, size: float = 0.15, dtype: torch.dtype = torch.float32
) -> Gaussians:
    """Gaussians of all shapes in a ball of radius one around the origin."""
    g = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=g, dtype=torch.float64)

    sh = 0.15 * normal(n, (sh_degree + 1) ** 2, 3)
    sh[:, 0] = 0.8 * normal(n, 3)
    return Gaussians(
        means=0.6 * normal(n, 3),
        quaternions=normal(n, 4),
        scales=size * torch.exp(0.5 * normal(n, 3)),
        opacities=torch.sigmoid(normal(n)),
        sh=sh,
    ).to(dtype=dtype)
