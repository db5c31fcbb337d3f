"""`with_up`: which way is up, by how photographs are usually held."""

import math
from dataclasses import replace

import torch

from ..camera import Camera
from ..paths import up_direction
from ..scene import Scene

# Cameras rolled by more on average were not held level: tipped phones, a drone looking down.
_LEAST_AGREEMENT = 0.5
# Headings that spread by less (root mean square sine) leave the tilt to a guess.
_LEAST_SPREAD = 0.1
_UNSURE_DEG = 10.0


def with_up(scene: Scene) -> Scene:
    """Return the scene with `up` estimated from its cameras, and a note on how sure that is; a known `up` stays.

    Photographs are mostly held level: their horizontal axes lie across gravity, whichever way they look. The direction
    most orthogonal to all of them is taken (`paths.up_direction`). Nothing is turned.
    """
    posed = scene.posed_views
    if scene.up is not None or len(posed) < 3:
        return scene
    poses = torch.stack([view.camera.world_to_camera for view in posed if view.camera is not None]).double()
    ones = torch.ones(len(poses), 2, dtype=torch.float64)
    up = up_direction(Camera(poses, ones, ones, 1, 1)).double()
    right, own = poses[:, 0, :3], -poses[:, 1, :3]
    if float((own @ up).mean()) < _LEAST_AGREEMENT:
        return scene.with_notes(
            "Which way is up could not be told: the cameras were held in too different ways. It stays unknown."
        )
    roll = math.degrees(math.asin(min(1.0, float((right @ up).square().mean().sqrt()))))
    # How far the horizontal axes spread around the vertical: without it, the tilt cannot be told from them.
    spread = float(torch.linalg.eigvalsh(right.T @ right / len(right))[1].clamp_min(0).sqrt())
    x, y, z = up.tolist()
    if spread < _LEAST_SPREAD:
        how = (
            "All cameras look in about one direction, so it is taken as upright in the pictures: it may be off by as "
            "much as they look up or down."
        )
    else:
        error = roll / (math.sqrt(len(right)) * spread)
        sure = "Probably right" if error < _UNSURE_DEG else "A guess"
        how = f"{sure} to about {max(error, 0.1):.1f} degrees (the cameras roll by {roll:.1f} about it)."
    return replace(scene.with_notes(f"Up was estimated from how the cameras were held. {how}"), up=(x, y, z))
