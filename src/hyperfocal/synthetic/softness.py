"""How soft the photographs of a capture are: a lens for each, and a camera that moves while the shutter is open.

Amounts are in the picture's terms, pixels measured from the true depth: the median circle of confusion, and the median
streak, over all pixels of all photographs. No renderer is needed here.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.linalg
from jaxtyping import Float

from ..errors import BadInputError
from .mitsuba_scene import CaptureLens

_FOCUS_SHARES = (0.1, 0.9)  # of a photograph's pixels, by depth, between which the focus lies
_MOST_SUB_FRAMES = 1024


@dataclasses.dataclass(frozen=True)
class Softness:
    """How soft photographs are to be. Zeros are sharp ones."""

    circle_px: float = 0.0  # median of the circle of confusion
    streak_px: float = 0.0  # median way of a pixel's surface point across the picture while the shutter is open
    sub_frames: int = 16  # moments of an exposure that are rendered and averaged, if the camera moves
    seed: int = 0  # of the focus distances and of the motion

    def __post_init__(self) -> None:
        for name in ("circle_px", "streak_px"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise BadInputError(f"`Softness({name}=...)` must be a finite number of at least 0 px, got {value}.")
        if not 1 <= self.sub_frames <= _MOST_SUB_FRAMES:
            raise BadInputError(
                f"`Softness(sub_frames=...)` must be 1 to {_MOST_SUB_FRAMES} moments of an exposure, got "
                f"{self.sub_frames}; as many as streaks are pixels long look smooth."
            )


@dataclasses.dataclass(frozen=True)
class Exposure:
    """How one photograph is taken: the truth that is written beside it."""

    lens: CaptureLens | None  # None is the pinhole
    twist: Float[np.ndarray, "6"]  # rotation (radians), translation (metres) in camera axes from shutter open to closed
    world_to_camera: Float[np.ndarray, "4 4"]  # in the middle of the exposure

    def pose(self, time: float) -> Float[np.ndarray, "4 4"]:
        """Return world_to_camera at a time from 0 (the shutter opens) to 1 (it is closed), at constant velocity."""
        return rigid_motion((time - 0.5) * self.twist) @ self.world_to_camera

    @property
    def moves(self) -> bool:
        """Whether the camera moves while the shutter is open."""
        return bool(np.any(self.twist != 0))


def rigid_motion(twist: Float[np.ndarray, "6"]) -> Float[np.ndarray, "4 4"]:
    """Return the rigid transform of a twist, the exponential of SE(3): three radians, then three metres."""
    x, y, z = twist[:3]
    generator = np.zeros((4, 4))
    generator[:3, :3] = [[0, -z, y], [z, 0, -x], [-y, x, 0]]
    generator[:3, 3] = twist[3:]
    return scipy.linalg.expm(generator)


def aperture_for_circle(
    median_circle_px: float,
    depths: Sequence[Float[np.ndarray, "h w"]],
    focus_distances: Sequence[float],
    focal_px: float,
) -> float:
    """Return the diameter in metres of the aperture whose circles of confusion have this median over all pixels.

    Exact: circles grow in proportion to the aperture.

    Args:
        median_circle_px: Wanted, at least 0.
        depths: Camera z of each photograph, metres; 0 where unknown, which does not count.
        focus_distances: Of each photograph, metres.
        focal_px: Focal length, pixels.

    Raises:
        BadInputError: more than half of the pixels are in focus whatever the aperture, or no depth is known.
    """
    per_metre = np.concatenate(
        [circles_px(z, 1.0, focus, focal_px) for z, focus in zip(depths, focus_distances, strict=True)]
    )
    median = float(np.median(per_metre)) if len(per_metre) else 0.0
    if not median > 0:
        raise BadInputError(
            f"No aperture gives a median circle of {median_circle_px:g} px: half of the pixels or more are in focus, "
            "or nothing is known of their depth. Expected depths that differ from the focus distances."
        )
    return median_circle_px / median


def circles_px(
    z: Float[np.ndarray, "h w"], aperture_diameter: float, focus_distance: float, focal_px: float
) -> Float[np.ndarray, "p"]:
    """Return the unsigned circles of confusion of all pixels whose camera z is known (not 0)."""
    known = z[z > 0].astype(float)
    return aperture_diameter * focal_px * np.abs(1 / focus_distance - 1 / known)


def streaks_px(z: Float[np.ndarray, "h w"], K: Float[np.ndarray, "3 3"], exposure: Exposure) -> Float[np.ndarray, "p"]:
    """Return how far the surface point of each pixel of known depth moves across the picture during an exposure."""
    return np.linalg.norm(streak_vectors_px(z, K, exposure.twist), axis=0)


def streak_vectors_px(
    z: Float[np.ndarray, "h w"], K: Float[np.ndarray, "3 3"], twist: Float[np.ndarray, "6"]
) -> Float[np.ndarray, "2 p"]:
    """Return the way across the picture (right, down) of each pixel of known depth during an exposure.

    Args:
        z: Camera z, metres; 0 where unknown.
        K: Pixels.
        twist: Of the camera from shutter open to closed, as of `Exposure`.
    """
    rows, columns = np.nonzero(z > 0)
    rays = np.stack((columns + 0.5, rows + 0.5, np.ones(len(rows)))) * z[rows, columns].astype(float)
    points = np.linalg.solve(K, rays)
    ends = []
    for time in (0.0, 1.0):
        motion = rigid_motion((time - 0.5) * twist)
        moved = K @ (motion[:3, :3] @ points + motion[:3, 3:])
        ends.append(moved[:2] / moved[2])
    return ends[1] - ends[0]


def plan_exposures(
    softness: Softness,
    poses: Float[np.ndarray, "v 4 4"],
    K: Float[np.ndarray, "3 3"],
    depths: Sequence[Float[np.ndarray, "h w"]],
) -> tuple[Exposure, ...]:
    """Return how each photograph is taken so that all together have the wanted medians.

    The aperture is shared. Focus distances are quantiles of each photograph's own depth, between its 10 and 90 %, one
    from each of as many equal parts as there are photographs, so that near, middle and far are all in focus somewhere.
    Motions are random in all six directions, shifts by 0.3 of the depth a radian: turning makes most of a streak,
    and parallax shows in the rest.

    Args:
        softness: Wanted.
        poses: world_to_camera in the middle of each exposure.
        K: Pixels.
        depths: Camera z of each photograph, metres; 0 where unknown.

    Raises:
        BadInputError: a median that cannot be had, as nothing is known of the depth.
    """
    rng = np.random.default_rng([softness.seed, 11])
    known = [z[z > 0] for z in depths]
    if not all(len(z) for z in known):
        raise BadInputError("Soft photographs need the depth of every photograph, and one sees nothing at all.")
    order = rng.permutation(len(poses))
    shares = np.interp((order + rng.random(len(poses))) / len(poses), (0, 1), _FOCUS_SHARES)
    focus = [float(np.quantile(z, share)) for z, share in zip(known, shares, strict=True)]
    lenses: list[CaptureLens | None] = [None] * len(poses)
    if softness.circle_px > 0:
        radius = aperture_for_circle(softness.circle_px, depths, focus, float(K[0, 0])) / 2
        lenses = [CaptureLens(radius, distance) for distance in focus]
    turns = rng.normal(size=(len(poses), 6))
    turns[:, 3:] *= 0.3 * np.array([float(np.median(z)) for z in known])[:, None]
    twists = turns * _motion_for_streak(softness.streak_px, turns, poses, K, depths)
    return tuple(Exposure(lens, twist, pose) for lens, twist, pose in zip(lenses, twists, poses, strict=True))


def _motion_for_streak(
    median_streak_px: float,
    twists: Float[np.ndarray, "v 6"],
    poses: Float[np.ndarray, "v 4 4"],
    K: Float[np.ndarray, "3 3"],
    depths: Sequence[Float[np.ndarray, "h w"]],
) -> float:
    """Return the factor on twists with which streaks have this median. They grow nearly in proportion to it."""
    if median_streak_px == 0:
        return 0.0
    factor = median_streak_px / float(K[0, 0])
    for _ in range(20):
        found = [
            streaks_px(z, K, Exposure(None, factor * twist, pose))
            for z, twist, pose in zip(depths, twists, poses, strict=True)
        ]
        share = median_streak_px / float(np.median(np.concatenate(found)))
        factor *= share
        if abs(share - 1) < 1e-6:
            return factor
    raise BadInputError(
        f"No camera motion gives a median streak of {median_streak_px:g} px; expected a short one, of a few percent of "
        "the picture's width."
    )


def lens_json(
    names: Sequence[str],
    exposures: Sequence[Exposure],
    K: Float[np.ndarray, "3 3"],
    depths: Sequence[Float[np.ndarray, "h w"]],
    *,
    sub_frames: int,
) -> dict[str, Any]:
    """Return the truth about lenses and motion, as lens.json holds it: metres, OpenCV axes.

    Circles and streaks are given by their median and 95th percentile, of all photographs and of each.
    """
    circles, streaks, photographs = [], [], []
    for name, exposure, z in zip(names, exposures, depths, strict=True):
        lens = exposure.lens
        aperture, focus = (2 * lens.aperture_radius, lens.focus_distance) if lens else (0.0, None)
        circles.append(circles_px(z, aperture, 1.0 if focus is None else focus, float(K[0, 0])))
        streaks.append(streaks_px(z, K, exposure))
        photographs.append(
            {
                "image": name,
                "aperture_diameter": aperture,
                "focus_distance": focus,
                "circle_px": _spread(circles[-1]),
                "world_to_camera_start": exposure.pose(0.0).tolist(),
                "world_to_camera_end": exposure.pose(1.0).tolist(),
                "streak_px": _spread(streaks[-1]),
            }
        )
    return {
        "axes": "opencv",
        "units": "metres",
        "focal_px": float(K[0, 0]),
        "circle_px": _spread(np.concatenate(circles)),
        "streak_px": _spread(np.concatenate(streaks)),
        "sub_frames": sub_frames,
        "photographs": photographs,
    }


def _spread(values: Float[np.ndarray, "p"]) -> dict[str, float | None]:
    """Return the median and the 95th percentile; None of nothing."""
    if not len(values):
        return {"median": None, "p95": None}
    return {"median": float(np.median(values)), "p95": float(np.percentile(values, 95))}
