"""Shutters and camera motions as values: when each row of a picture is exposed, and where the camera is then.

Time is scene time, in any unit: that of the moving Gaussians, of the shutter and of the path must only be the same one.
"""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from .errors import BadInputError
from .transforms import rigid, rigid_from_twist, twist_from_rigid

_ROUNDING = 1e-9  # of a path's length: how far beyond its ends a time still counts as on it


@dataclass(frozen=True)
class MotionPath:
    """How a camera moves in SE(3): a spline of rigid motions, differentiable in its control poses.

    At time t a camera sees with `path.at(t) @ camera.world_to_camera`: poses are motions in camera axes, and the
    identity is the camera itself. For absolute poses, give a camera whose `world_to_camera` is the identity.

    Degree 1 goes through every pose, with a constant velocity (the exact geodesic) between two of them. Degree 3 is the
    cumulative cubic B-spline (Kim, Kim and Shin 1995; Lovegrove et al. 2013): its velocity and acceleration have no
    jumps, and it goes near the poses, not through them. Neighbours must be less than half a turn apart.

    Raises:
        BadInputError: fewer than 2 poses (degree 1) or 4 (degree 3), another shape, numbers that are not finite,
            times that do not grow.
    """

    poses: Float[Tensor, "*v k 4 4"]
    """Control poses, at even times; for a batch of cameras the same ones, or some for each view."""
    degree: Literal[1, 3] = 1
    """1 is linear, 3 is cubic."""
    begin: float = -0.5
    """Time at which the path begins."""
    end: float = 0.5
    """Time at which it ends."""

    def __post_init__(self) -> None:
        shape = list(self.poses.shape)
        if len(shape) not in (3, 4) or shape[-2:] != [4, 4]:
            raise BadInputError(
                f"A motion path has control poses of shape {shape}; expected [poses, 4, 4], or [views, poses, 4, 4] "
                "for a batch of cameras."
            )
        if shape[-3] <= self.degree:
            raise BadInputError(
                f"A motion path of degree {self.degree} has {shape[-3]} control poses; expected at least "
                f"{self.degree + 1}" + (", or degree 1, which needs 2." if self.degree == 3 else ".")
            )
        if not bool(self.poses.detach().isfinite().all()):
            raise BadInputError("A motion path has control poses that are not finite numbers; expected rigid motions.")
        if not (math.isfinite(self.begin) and math.isfinite(self.end) and self.end > self.begin):
            raise BadInputError(
                f"A motion path goes from time {self.begin:g} to {self.end:g}; expected finite times, the end after "
                "the beginning."
            )

    @classmethod
    def constant_velocity(cls, velocity: Float[Tensor, "*v 6"], *, reach: float = 0.5) -> "MotionPath":
        """Return the motion at a constant velocity that is at the camera itself, exactly, at time 0.

        Args:
            velocity: Twist per unit of time in camera axes: three radians, then three scene units; see
                `transforms.rigid_from_twist`.
            reach: The path goes from `-reach` to `reach`. Within either half it turns by less than half a turn.
        """
        ends = torch.stack((-reach * velocity, torch.zeros_like(velocity), reach * velocity), dim=-2)
        return cls(rigid_from_twist(ends), 1, -reach, reach)

    @property
    def is_batch(self) -> bool:
        """True when each view has a path of its own."""
        return self.poses.dim() == 4

    def at(self, times: Float[Tensor, " t"]) -> Float[Tensor, "*v t 4 4"]:
        """Return the motions at some times, differentiable in the control poses.

        Raises:
            BadInputError: times before the beginning or after the end.
        """
        times = times.detach().to("cpu", torch.float64)
        share = (times - self.begin) / (self.end - self.begin)
        if not bool(((share >= -_ROUNDING) & (share <= 1 + _ROUNDING)).all()):
            raise BadInputError(
                f"A camera's motion was asked for from time {float(times.min()):g} to {float(times.max()):g}, but its "
                f"path goes from {self.begin:g} to {self.end:g}; expected a path over all of the exposure, from the "
                "first row's to the last row's."
            )
        count = self.poses.shape[-3]
        place = share.clamp(0, 1) * (count - self.degree)
        segment = place.floor().clamp(0, count - self.degree - 1).long()
        steps = _steps(self.poses)
        on_device = segment.to(self.poses.device)
        motions = self.poses[..., on_device, :, :]
        for j in range(1, self.degree + 1):
            weights = _cumulative(place - segment + self.degree - j, self.degree).to(steps).unsqueeze(-1)
            motions = rigid_from_twist(weights * steps[..., on_device + (j - 1), :]) @ motions
        return motions


@dataclass(frozen=True)
class Shutter:
    """When the rows of a picture are exposed, and in how many sub-frames that is computed.

    A row is open for `duration`. All of them together are a global shutter; `readout` makes it a rolling one.

    Raises:
        BadInputError: a setting outside its range.
    """

    duration: float = 1.0
    """How long each row is exposed, in scene time; 0 is the still frame at `time`."""
    sub_frames: int = 16
    """Moments of each exposure that are rendered and averaged, all with the same weight, each in the middle of its part
    of the duration. As many as streaks are pixels long look smooth."""
    readout: float = 0.0
    """Scene time between the exposures of the first row and of the last; 0 is the global shutter. Negative is a sensor
    that begins with the last row."""
    bands: int | None = None
    """Bands of rows that are exposed together, of a rolling shutter. None is as many as make the time from one band to
    the next that from one sub-frame to the next, `sub_frames` of them if the duration is 0, at most one a row."""
    time: float = 0.0
    """Scene time of the middle of the exposure; of a rolling shutter, of the middle of the picture."""
    path: MotionPath | None = None
    """How the camera moves meanwhile, for `render`; `expose` takes it by itself. None is a camera that stands still."""
    linear_light: bool = True
    """Average in linear light what sRGB Gaussians show, as a sensor does; False averages sRGB values as they are. Of no
    effect on linear Gaussians, whose pictures are light."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.duration) and self.duration >= 0):
            raise BadInputError(
                f"A shutter is open for {self.duration:g} units of scene time; expected a finite number of at least 0, "
                "where 0 is the still frame."
            )
        for name in ("sub_frames", "bands"):
            value = getattr(self, name)
            if value is not None and not value >= 1:
                raise BadInputError(
                    f"`Shutter({name}=...)` was given as {value}; expected at least 1. A shutter of duration 0 is the "
                    "still frame."
                )
        for name in ("readout", "time"):
            value = getattr(self, name)
            if not math.isfinite(value):
                raise BadInputError(f"`Shutter({name}=...)` was given as {value}; expected a finite scene time.")

    def row_bands(self, height: int) -> list[tuple[int, int]]:
        """Return rows [first, last) that are exposed together, from the top of a picture `height` rows high."""
        if self.readout == 0:
            return [(0, height)]
        wanted = self.bands
        if wanted is None:
            wanted = math.ceil(self.sub_frames * abs(self.readout) / (self.duration or abs(self.readout)))
        count = min(wanted, height)
        edges = [i * height // count for i in range(count + 1)]
        return list(pairwise(edges))

    def moments(self, rows: tuple[int, int], height: int) -> Float[Tensor, " t"]:
        """Return the scene times, in float64, at which rows [first, last) of a picture are rendered; see `sub_frames`.

        They are those of the middle of the rows. There is one if the duration is 0.
        """
        middle = (rows[0] + rows[1] - 1) / 2
        delay = self.readout * (middle / (height - 1) - 0.5) if height > 1 else 0.0
        count = self.sub_frames if self.duration > 0 else 1
        shares = (torch.arange(count, dtype=torch.float64) + 0.5) / count - 0.5
        return self.time + delay + self.duration * shares


def _steps(poses: Float[Tensor, "*v k 4 4"]) -> Float[Tensor, "*v s 6"]:
    """Return the twist from each control pose to the next."""
    before, after = poses[..., :-1, :, :], poses[..., 1:, :, :]
    # By differences, not products: equal poses then have a step of exactly zero, and near ones keep their digits.
    change = (after - before)[..., :3, :3] @ before[..., :3, :3].mT
    shift = after[..., :3, 3] - before[..., :3, 3] - (change @ before[..., :3, 3:]).squeeze(-1)
    identity = torch.eye(3, dtype=poses.dtype, device=poses.device)
    return twist_from_rigid(rigid(identity + change, shift))


def _cumulative(x: Float[Tensor, " t"], degree: int) -> Float[Tensor, " t"]:
    """Return the sum of all uniform B-splines of a degree that begin at 0, 1, 2, ...: it rises from 0 to 1 at `degree`.

    By truncated powers, whose rounding is exact at both ends.
    """
    x = x.clamp(0, degree)
    terms = [(-1) ** i * math.comb(degree, i) * (x - i).clamp_min(0) ** degree for i in range(degree + 1)]
    return torch.stack(terms).sum(0) / math.factorial(degree)
