"""`Depth`: a depth map that says what kind of depth it is."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from .camera import Camera, pixel_centers, unproject

DepthKind: TypeAlias = Literal[
    "metric",  # metres
    "scene",  # the units of the scene it was made from
    "scale_free",  # right up to one unknown factor
    "affine_disparity",  # a * (1 / depth) + b with unknown a > 0 and b
]
DepthAxis: TypeAlias = Literal[
    "z",  # along the camera's viewing axis
    "ray",  # along each pixel's ray
]


@dataclass(frozen=True)
class Depth:
    """A depth map with its kind; nothing in the library compares depths of different kinds."""

    values: Float[Tensor, "h w"]
    """Depth or disparity, as `kind` says; 0 where unknown."""
    kind: DepthKind
    axis: DepthAxis = "z"
    confidence: Float[Tensor, "h w"] | None = None
    """In [0, 1], if the source knows it."""

    @property
    def valid(self) -> Bool[Tensor, "h w"]:
        """True where the depth is known."""
        return (self.values > 0) & torch.isfinite(self.values)


def z_from_ray_distance(camera: Camera, ray_distance: Float[Tensor, "h w"]) -> Float[Tensor, "h w"]:
    """Return camera z of distances measured along each pixel's ray."""
    plane = (pixel_centers(camera.width, camera.height, ray_distance.device) - camera.center_px) / camera.focal_px
    return ray_distance / (1 + plane.square().sum(-1)).sqrt().to(ray_distance.dtype)


def normals_from_depth(camera: Camera, depth_z: Float[Tensor, "h w"]) -> Float[Tensor, "h w 3"]:
    """Return unit world normals facing the camera from central differences of a z-depth map.

    Zero where the depth is unknown (0) at the pixel or at one of the four neighbours used, and at the border.
    """
    points = unproject(camera, depth_z)
    normals = torch.zeros_like(points)
    if min(depth_z.shape) < 3:
        return normals
    along_x = points[1:-1, 2:] - points[1:-1, :-2]
    along_y = points[2:, 1:-1] - points[:-2, 1:-1]
    # y is down and x right, so y cross x points back at the camera.
    across = torch.linalg.cross(along_y, along_x)
    known = depth_z > 0
    inner = known[1:-1, 1:-1] & known[1:-1, 2:] & known[1:-1, :-2] & known[2:, 1:-1] & known[:-2, 1:-1]
    unit = across / across.norm(dim=-1, keepdim=True).clamp_min(torch.finfo(across.dtype).tiny)
    normals[1:-1, 1:-1] = torch.where(inner.unsqueeze(-1), unit, 0)
    return normals
