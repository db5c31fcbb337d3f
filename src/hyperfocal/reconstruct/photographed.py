"""How the photographs were taken: the lens and the motion of each that a fit found, and what they did to it."""

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ..camera import Camera, pixel_centers
from ..color import displayed
from ..data.photo_size import photo_size, reduced_camera
from ..exif_lens import known_lens
from ..fit import Checkpoint
from ..fit.capture import FARTHEST
from ..fit.formation import LAW
from ..gaussians import Gaussians
from ..lens import ThinLens
from ..progress import Progress, silent
from ..render import render
from ..rendering import RenderOptions
from ..scene import Scene, View
from ..shapes import Image, Map
from ..shutter import MotionPath, Shutter
from ..transforms import apply_rigid, rigid_from_twist
from .looks import rendering_of

Matrix: TypeAlias = tuple[tuple[float, ...], ...]

_AS_FITTED = RenderOptions(opacity_law=LAW)


@dataclass(frozen=True)
class Spread:
    """Two numbers about the values of a photograph's pixels."""

    median: float
    p95: float
    """95th percentile."""


@dataclass(frozen=True)
class PhotographedLens:
    """How one photograph was taken. Pixels are those of the photograph as it was fitted."""

    name: str
    focal_px: float
    aperture_diameter: float
    """In scene units; 0 where no lens was fitted."""
    focus_distance: float | None
    """Camera z in focus in scene units; `math.inf` is infinity, None is everything (the pinhole)."""
    circle_px: Spread | None
    """Circles of confusion where the scene has a depth; None where it has none."""
    twist: tuple[float, ...]
    """Motion of the camera from shutter open to closed, in camera axes: three radians, three scene units. Zeros where
    it stood still, or no motion was fitted."""
    world_to_camera_start: Matrix
    """When the shutter opened."""
    world_to_camera_end: Matrix
    """When it was closed. The camera of the scene is the one in the middle."""
    streak_px: Spread | None
    """How far surface points moved across the picture meanwhile; None where the scene has no depth."""
    f_number: float | None = None
    """None unless the focal length is known in millimetres and the scale of the scene in metres."""
    focus_sigma: float | None = None
    """Standard deviation of 1 / focus distance, in 1 / scene units; None is not known."""

    @property
    def moves(self) -> bool:
        """Whether the camera moved while the shutter was open."""
        return any(self.twist)

    def lens(self) -> ThinLens | None:
        """Return the lens; None is the pinhole."""
        if self.focus_distance is None:
            return None
        return ThinLens(torch.tensor(self.aperture_diameter), torch.tensor(self.focus_distance))

    def shutter(self, sub_frames: int) -> Shutter | None:
        """Return the shutter; None is the still frame."""
        if not self.moves:
            return None
        return Shutter(sub_frames=sub_frames, path=MotionPath.constant_velocity(torch.tensor(self.twist)))


def how_photographed(
    fitted: Checkpoint,
    gaussians: Gaussians,
    scene: Scene,
    *,
    sigmas: Float[Tensor, " v"] | None = None,
    long_side: int | None = None,
    progress: Progress = silent,
) -> tuple[PhotographedLens, ...] | None:
    """Return how each fitted photograph was taken; None if neither a lens nor motion was found.

    Args:
        fitted: After its last step.
        gaussians: What it found, for the depth.
        scene: With the cameras of the photographs in the middle of their exposures.
        sigmas: Of each focus, see `fit.uncertainty.focus_sigma`; None is not known.
        long_side: Of the photographs as fitted, in pixels.
        progress: Told of every photograph.
    """
    values = fitted.capture.values
    if not (values.has_lens or values.has_motion):
        return None
    views = {view.name: view for view in scene.posed_views}
    found = []
    for i, name in enumerate(fitted.photographs):
        view = views[name]
        assert view.camera is not None, "it is posed"
        camera = reduced_camera(view.camera, long_side)
        inverse = float(values.focus[i, 0])
        aperture, focus = 0.0, None
        if values.has_lens and inverse > 0:
            aperture = math.exp(float(values.aperture[i, 0]))
            # So far away that the fit does not tell it from infinity: where it stops.
            focus = math.inf if inverse <= 1.001 * FARTHEST * fitted.units.inverse_range else 1 / inverse
        twist = values.motion[i].detach()
        depth_z = rendering_of(gaussians, camera).depth_median
        found.append(
            PhotographedLens(
                name=name,
                focal_px=float(camera.round_focal_px),
                aperture_diameter=aperture,
                focus_distance=focus,
                circle_px=_spread(signed_circles_px(depth_z, camera, aperture, focus).abs()[depth_z > 0]),
                twist=tuple(twist.tolist()),
                world_to_camera_start=_matrix(rigid_from_twist(-0.5 * twist) @ camera.world_to_camera),
                world_to_camera_end=_matrix(rigid_from_twist(0.5 * twist) @ camera.world_to_camera),
                streak_px=_spread(streaks_px(depth_z, camera, twist)[depth_z > 0]),
                f_number=_f_number(view, aperture, scene.metres_per_unit),
                # Where the focus makes no difference there is no number.
                focus_sigma=None if sigmas is None or not sigmas[i].isfinite() else float(sigmas[i]),
            )
        )
        progress("measuring blur", i + 1, len(fitted.photographs))
    return tuple(found)


def as_taken(gaussians: Gaussians, camera: Camera, how: PhotographedLens, *, sub_frames: int) -> Image:
    """Return the sRGB picture of Gaussians through the lens and the shutter of a photograph."""
    with torch.no_grad():
        rendering = render(gaussians, camera, lens=how.lens(), shutter=how.shutter(sub_frames), options=_AS_FITTED)
    return displayed(rendering.color, gaussians.color_space)


def signed_circles_px(depth_z: Map, camera: Camera, aperture_diameter: float, focus_distance: float | None) -> Map:
    """Return the circles of confusion at some camera z: positive behind the focus; 0 where the depth (0) is unknown."""
    if focus_distance is None:
        return torch.zeros_like(depth_z)
    lens = ThinLens(torch.tensor(aperture_diameter), torch.tensor(focus_distance))
    known = depth_z > 0
    circles = lens.coc_diameter_px(torch.where(known, depth_z, 1), camera.round_focal_px)
    return torch.where(known, circles, 0)


def streaks_px(depth_z: Map, camera: Camera, twist: Float[Tensor, "6"]) -> Map:
    """Return how far the surface point of each pixel moves across the picture during an exposure.

    0 where the depth (0) is unknown, or the point is behind the camera at one end.
    """
    plane = (pixel_centers(camera.width, camera.height) - camera.center_px) / camera.focal_px
    points = torch.cat((plane, torch.ones_like(plane[..., :1])), dim=-1) * depth_z.unsqueeze(-1)
    ends, seen = [], depth_z > 0
    for time in (-0.5, 0.5):
        moved = apply_rigid(rigid_from_twist(time * twist), points)
        seen = seen & (moved[..., 2] > 0)
        ends.append(camera.focal_px * moved[..., :2] / torch.where(moved[..., 2:] > 0, moved[..., 2:], 1))
    return torch.where(seen, (ends[1] - ends[0]).norm(dim=-1), 0)


def _f_number(view: View, aperture_diameter: float, metres_per_unit: float | None) -> float | None:
    """Return the f-number of an aperture in scene units; None where a length that it takes is unknown."""
    focal_m = known_lens(view.exif, *photo_size(view)).focal_length_m
    if focal_m is None or metres_per_unit is None or aperture_diameter == 0:
        return None
    return focal_m / (aperture_diameter * metres_per_unit)


def _spread(values: Float[Tensor, " p"]) -> Spread | None:
    if values.numel() == 0:
        return None
    median, p95 = np.quantile(values.numpy(), (0.5, 0.95))
    return Spread(float(median), float(p95))


def _matrix(transform: Float[Tensor, "4 4"]) -> Matrix:
    return tuple(map(tuple, transform.tolist()))
