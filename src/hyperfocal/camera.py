"""`Camera`: a pinhole camera, or a batch of them of one size. See the conventions page for axes and pixel centres."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from .transforms import invert_rigid


@dataclass(frozen=True)
class Camera:
    """A pinhole camera: x right, y down, z forward; the centre of the top-left pixel is at (0.5, 0.5).

    Lens distortion is not part of it: photographs are undistorted when they are loaded (`data.load_photograph`).

    Raises:
        ValueError: sizes or focal lengths that are not positive.
    """

    world_to_camera: Float[Tensor, "*v 4 4"]
    """Rigid transform from scene units to camera axes."""
    focal_px: Float[Tensor, "*v 2"]
    """Focal lengths along x and y in pixels."""
    center_px: Float[Tensor, "*v 2"]
    """Principal point (x, y) in pixels."""
    width: int
    """Columns of the image."""
    height: int
    """Rows of the image."""

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise ValueError(f"A camera needs at least one pixel, got {self.width} x {self.height}.")
        if not bool((self.focal_px > 0).all()):
            raise ValueError(
                f"Focal lengths must be positive pixels, got {self.focal_px.detach().cpu().flatten().tolist()}."
            )

    def __repr__(self) -> str:
        count = "" if not self.is_batch else f"{len(self.world_to_camera)} views, "
        return f"Camera({count}{self.width} x {self.height} px)"

    def __getitem__(self, index: int | slice | Tensor) -> "Camera":
        """Return one view, or some views, of a batch."""
        if not self.is_batch:
            raise TypeError("This camera is a single view; only a batch of cameras can be indexed.")
        return replace(
            self,
            world_to_camera=self.world_to_camera[index],
            focal_px=self.focal_px[index],
            center_px=self.center_px[index],
        )

    @property
    def is_batch(self) -> bool:
        """True when the tensors have a leading view dimension."""
        return self.world_to_camera.dim() == 3

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> "Camera":
        """Return the same camera on another device or in another floating-point type."""
        return replace(
            self,
            world_to_camera=self.world_to_camera.to(device=device, dtype=dtype),
            focal_px=self.focal_px.to(device=device, dtype=dtype),
            center_px=self.center_px.to(device=device, dtype=dtype),
        )

    def as_batch(self) -> "Camera":
        """Return the camera with a leading view dimension (of 1 if it had none)."""
        if self.is_batch:
            return self
        return replace(
            self,
            world_to_camera=self.world_to_camera.unsqueeze(0),
            focal_px=self.focal_px.unsqueeze(0),
            center_px=self.center_px.unsqueeze(0),
        )

    def resized(self, width: int, height: int) -> "Camera":
        """Return the camera of the same photograph resampled to `width` x `height` (pixel corners stay corners)."""
        ratio = self.focal_px.new_tensor([width / self.width, height / self.height])
        return replace(
            self, focal_px=self.focal_px * ratio, center_px=self.center_px * ratio, width=width, height=height
        )

    def centers(self) -> Float[Tensor, "*v 3"]:
        """Return the camera centres in world coordinates."""
        return invert_rigid(self.world_to_camera)[..., :3, 3]

    @property
    def round_focal_px(self) -> Float[Tensor, "*v"]:
        """The geometric mean of both focal lengths: that of circles of confusion, which stay round."""
        return self.focal_px.prod(-1).sqrt()

    def intrinsics(self) -> Float[Tensor, "*v 3 3"]:
        """Return the calibration matrices K."""
        K = self.focal_px.new_zeros(*self.focal_px.shape[:-1], 3, 3)
        K[..., 0, 0], K[..., 1, 1], K[..., 2, 2] = self.focal_px[..., 0], self.focal_px[..., 1], 1
        K[..., :2, 2] = self.center_px
        return K


def reduced_size(size: tuple[int, int], long_side: int | None) -> tuple[int, int]:
    """Return (width, height) reduced until the longer one is at most `long_side` pixels; nothing is enlarged."""
    if long_side is None or max(size) <= long_side:
        return size
    width, height = (max(1, round(side * long_side / max(size))) for side in size)
    return width, height


def stack(cameras: list[Camera]) -> Camera:
    """Return single cameras of one size as a batch.

    Raises:
        ValueError: no cameras, or cameras of different sizes.
    """
    sizes = {(c.width, c.height) for c in cameras}
    if len(sizes) != 1:
        raise ValueError(f"Only cameras of one size make a batch, got sizes {sorted(sizes)}.")
    (width, height) = sizes.pop()
    return Camera(
        world_to_camera=torch.stack([c.world_to_camera for c in cameras]),
        focal_px=torch.stack([c.focal_px for c in cameras]),
        center_px=torch.stack([c.center_px for c in cameras]),
        width=width,
        height=height,
    )


def pixel_centers(width: int, height: int, device: torch.device | None = None) -> Float[Tensor, "h w 2"]:
    """Return the (x, y) position of every pixel centre; the top-left one is (0.5, 0.5)."""
    y, x = torch.meshgrid(
        torch.arange(height, device=device) + 0.5, torch.arange(width, device=device) + 0.5, indexing="ij"
    )
    return torch.stack((x, y), dim=-1)


def project(camera: Camera, points: Float[Tensor, "p 3"]) -> tuple[Float[Tensor, "p 2"], Float[Tensor, " p"]]:
    """Return (pixel positions, camera z) of world points in a single camera; positions mean nothing where z <= 0."""
    inside = points @ camera.world_to_camera[:3, :3].T + camera.world_to_camera[:3, 3]
    depth_z = inside[:, 2]
    return camera.focal_px * inside[:, :2] / depth_z.unsqueeze(1) + camera.center_px, depth_z


def in_picture(camera: Camera, pixels: Float[Tensor, "p 2"], depth_z: Float[Tensor, " p"]) -> Bool[Tensor, " p"]:
    """Return which of the points of `project` are in front of the camera and on one of its pixels."""
    size = pixels.new_tensor([camera.width, camera.height])
    return (depth_z > 0) & ((pixels >= 0) & (pixels < size)).all(1)


def relative_pose(first: Camera, second: Camera) -> tuple[Float64[Tensor, "3 3"], Float64[Tensor, "3"]]:
    """Return (R, t) from the axes of the first single camera to those of the second."""
    moved = second.world_to_camera.double() @ invert_rigid(first.world_to_camera.double())
    return moved[:3, :3], moved[:3, 3]


def unproject(camera: Camera, depth_z: Float[Tensor, "h w"]) -> Float[Tensor, "h w 3"]:
    """Return the world points that a single camera sees at `depth_z`."""
    pixels = pixel_centers(camera.width, camera.height, depth_z.device).to(depth_z.dtype)
    return unproject_places(camera, pixels, depth_z)


def unproject_places(
    camera: Camera, pixels: Float[Tensor, "*p 2"], depth_z: Float[Tensor, "*p"]
) -> Float[Tensor, "*p 3"]:
    """Return the world points that a single camera sees at places of its picture, at `depth_z`."""
    plane = (pixels - camera.center_px) / camera.focal_px
    inside = torch.cat((plane, torch.ones_like(plane[..., :1])), dim=-1) * depth_z.unsqueeze(-1)
    camera_to_world = invert_rigid(camera.world_to_camera)
    return inside @ camera_to_world[:3, :3].T + camera_to_world[:3, 3]
