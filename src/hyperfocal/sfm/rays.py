"""Points from their pixels in several photographs with known cameras."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ..camera import Camera, project
from ..distortion import undistort
from ..errors import BadInputError
from ..scene import View
from ..transforms import invert_rigid, nearest_to_lines

_STEPS = 10


@dataclass(frozen=True)
class Intersection:
    """A point with how well its rays agree."""

    point: Float[Tensor, "3"]
    """In scene units, float64."""
    error_px: float
    """Root mean square distance of the pixels from where the point appears."""
    angle_deg: float
    """Largest angle between two rays: with little of it, the depth is uncertain."""


def ray_of(view: View, pixel: tuple[float, float]) -> tuple[Float[Tensor, "3"], Float[Tensor, "3"]]:
    """Return (camera centre, unit direction) of a pixel of the photograph as decoded.

    Raises:
        BadInputError: the lens sees nothing there.
    """
    assert view.camera is not None
    camera = view.camera.to(dtype=torch.float64)
    plane = (torch.tensor(pixel, dtype=torch.float64) - camera.center_px) / camera.focal_px
    if view.distortion is not None:
        ideal, valid = undistort(view.distortion, plane.unsqueeze(0))
        if not bool(valid.all()):
            raise BadInputError(f"The pixel {pixel} of {view.name} lies where its lens shows nothing; choose another.")
        plane = ideal[0]
    camera_to_world = invert_rigid(camera.world_to_camera)
    direction = camera_to_world[:3, :3] @ torch.cat((plane, plane.new_ones(1)))
    return camera_to_world[:3, 3], torch.nn.functional.normalize(direction, dim=0)


def intersect(seen: Sequence[tuple[View, tuple[float, float]]]) -> Intersection:
    """Return the point that posed views see at the given pixels.

    The point nearest to all rays, refined so that the sum of squared distances in the undistorted pictures is least.
    """
    rays = [ray_of(view, pixel) for view, pixel in seen]
    centers, directions = (torch.stack(side) for side in zip(*rays, strict=True))
    point = nearest_to_lines(centers, directions)
    cameras = [view.camera.to(dtype=torch.float64) for view, _ in seen if view.camera is not None]
    # Where the pixels would be without lens distortion.
    targets = torch.cat([project(c, (o + d).unsqueeze(0))[0] for c, (o, d) in zip(cameras, rays, strict=True)])
    for _ in range(_STEPS):
        jacobian, error = torch.func.jacrev(_errors)(point, cameras, targets), _errors(point, cameras, targets)
        step = torch.linalg.lstsq(jacobian, error.unsqueeze(1)).solution[:, 0]
        point = point - step
        if float(step.norm()) < 1e-12 * float(point.norm() + 1):
            break
    cosine = (directions @ directions.T).clamp(-1, 1)
    errors = _errors(point, cameras, targets).reshape(-1, 2)
    return Intersection(
        point, float(errors.square().sum(1).mean().sqrt()), float(torch.rad2deg(torch.arccos(cosine)).max())
    )


def _errors(point: Tensor, cameras: list[Camera], targets: Tensor) -> Tensor:
    """Return [2 v] distances of the projections of a point from their targets."""
    return (torch.cat([project(camera, point.unsqueeze(0))[0] for camera in cameras]) - targets).flatten()
