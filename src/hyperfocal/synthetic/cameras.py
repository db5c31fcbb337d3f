"""Camera paths around a still life, as matrices. OpenCV axes (x right, y down, z forward), metres, world z up."""

import dataclasses

import numpy as np
from jaxtyping import Float

from ..errors import BadInputError


@dataclasses.dataclass(frozen=True)
class CameraPath:
    """Poses along a path, all with one pinhole."""

    world_to_camera: Float[np.ndarray, "v 4 4"]
    K: Float[np.ndarray, "3 3"]  # pixels; pixel centres lie at +0.5
    width: int  # pixels
    height: int  # pixels


def intrinsics(width: int, height: int, focal_length_35mm: float) -> Float[np.ndarray, "3 3"]:
    """Return K for a focal length (mm) stated for a frame 36 mm wide, with the principal point in the middle."""
    focal_px = focal_length_35mm / 36.0 * width
    return np.array([[focal_px, 0, width / 2], [0, focal_px, height / 2], [0, 0, 1]])


def look_at(
    position: Float[np.ndarray, "3"], target: Float[np.ndarray, "3"], *, roll: float = 0.0
) -> Float[np.ndarray, "4 4"]:
    """Return world_to_camera of a camera at `position` that sees `target` in its middle.

    Args:
        position: Metres.
        target: Metres; not straight above or below the camera.
        roll: Radians by which the camera is turned clockwise about its axis.
    """
    forward = (target - position) / np.linalg.norm(target - position)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right = right / np.linalg.norm(right)
    down = np.cross(forward, right)
    c, s = np.cos(roll), np.sin(roll)
    rotation = np.stack([c * right + s * down, c * down - s * right, forward])
    pose = np.eye(4)
    pose[:3, :3] = rotation
    pose[:3, 3] = -rotation @ position
    return pose


def two_ring_path(
    views: int,
    *,
    radius: float = 0.95,
    target: tuple[float, float, float] = (0.0, 0.03, 0.10),
    arc_degrees: float = 72.0,
    elevation_degrees: tuple[float, float] = (17.0, 33.0),
    jitter: float = 0.02,
    seed: int = 0,
) -> Float[np.ndarray, "v 4 4"]:
    """Return world_to_camera along a closed loop: a lower ring to the right, an upper ring back to the left.

    It starts in the middle of the lower ring, so that the views 0, 8, 16 ... all have neighbours on both sides.
    Positions, aims and rolls are a little uneven, as those of a person with a camera.

    Args:
        views: How many, at least 2; the lower ring gets the odd one.
        radius: Metres from the target.
        target: Metres, what the cameras look at.
        arc_degrees: Between the ends of a ring, as seen from the target; the middle is towards -y.
        elevation_degrees: Of the lower and the upper ring.
        jitter: Unevenness, as a share of the radius.
        seed: Of the unevenness.
    """
    if views < 2:
        raise BadInputError(f"`two_ring_path(views=...)` must be at least 2, got {views}.")
    rng = np.random.default_rng([seed, 7])
    low = views - views // 2
    steps = [(0, i, low) for i in range(low // 2, low)]
    steps += [(1, i, views // 2) for i in reversed(range(views // 2))]
    steps += [(0, i, low) for i in range(low // 2)]
    poses = []
    centre = np.asarray(target)
    for ring, number, count in steps:
        share = (number + 0.5) / count - 0.5 + (0.25 / count if ring else -0.25 / count)
        azimuth = np.radians(arc_degrees * share - 90)
        elevation = np.radians(elevation_degrees[ring]) + rng.normal(0, 1.5 * jitter)
        distance = radius * (1 + rng.normal(0, 1.5 * jitter))
        around = np.array([np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation)])
        aim = centre + radius * jitter * rng.normal(0, 0.7, 3)
        poses.append(look_at(centre + distance * around, aim, roll=float(rng.normal(0, jitter))))
    return np.stack(poses)
