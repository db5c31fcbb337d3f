"""The first Gaussians of a fit: at the points of the scene, or scattered in the cameras' view."""

import math
from dataclasses import replace

import torch
from jaxtyping import Float
from scipy.spatial import KDTree
from torch import Tensor

from ..errors import NothingUsableError
from ..gaussians import Gaussians, concatenate, from_points
from ..scene import PointCloud, Scene
from .config import FitConfig
from .extent import distance_to_subject
from .pyramid import PhotographStore
from .schedules import shrink_factor
from .sky import dome, sky_of

_NEIGHBOURS = 3


def initialize_gaussians(
    scene: Scene, config: FitConfig | None = None, photographs: PhotographStore | None = None
) -> Gaussians:
    """Return one round Gaussian for each point of the scene (Kerbl et al. 2023, section 5.1).

    Its standard deviation is the mean distance to the three nearest points. A scene without points gets random ones
    first (`with_random_points`), one with more than there may be Gaussians loses some (`with_fewer_points`; call them
    yourself to have the notes for the user). With `config.initial.sky` a dome of
    far Gaussians follows them, in the colours of `photographs`, which are those of the posed views; grey without.

    Raises:
        NothingUsableError: no points or a sky, and no view with a known camera.
    """
    config = config or FitConfig()
    if scene.points is None or len(scene.points) == 0:
        scene = with_random_points(scene, config.initial.random_points, config.seed)
    points = with_fewer_points(scene, config).points
    assert points is not None
    near = from_points(
        points.positions.to(torch.float32).contiguous(),
        points.colors.to(torch.float32),
        config.initial.scale_factor * neighbour_distances(points.positions),
        opacity=config.initial.opacity,
        sh_degree=config.sh_degree,
    )
    return concatenate([near, _dome(scene, near.means, config, photographs)]) if config.initial.sky > 0 else near


def _dome(
    scene: Scene, points: Float[Tensor, "p 3"], config: FitConfig, photographs: PhotographStore | None
) -> Gaussians:
    cameras = [view.camera for view in scene.posed_views if view.camera is not None]
    cameras = cameras if photographs is None else photographs.cameras
    sky = sky_of(cameras, config.initial) if cameras else None
    if sky is None:
        raise NothingUsableError(f"{scene.source} has no view with a known camera: there is no telling where a sky is.")
    return dome(
        sky,
        config.initial.sky,
        cameras,
        points,
        photographs=photographs,
        shrink=shrink_factor(config, 0.0),  # a size that the fit needs anyway
        opacity=config.initial.opacity,
        sh_degree=config.sh_degree,
    )


def neighbour_distances(positions: Float[Tensor, "p 3"]) -> Float[Tensor, " p"]:
    """Return the mean distance of each point to its three nearest, within [1/100, 10] times the median of all.

    The bounds keep duplicates from vanishing and outliers from covering the scene. Points all at one place get 1.
    """
    count = min(_NEIGHBOURS, len(positions) - 1)
    points = positions.double().numpy()
    distances, _ = KDTree(points).query(points, k=max(count, 1) + 1)
    mean = torch.from_numpy(distances[:, 1 : count + 1]).mean(1).to(torch.float32)
    if not bool((mean > 0).any()):
        return torch.ones(len(positions))
    usual = mean[mean > 0].median()
    return mean.clamp(0.01 * usual, 10 * usual)


def with_fewer_points(scene: Scene, config: FitConfig) -> Scene:
    """Return the scene with no more points than a fit may have Gaussians, and a note about it.

    Room is left for a sky, but no more than half.
    """
    cap, points = config.densify.cap, scene.points
    most = max(cap - config.initial.sky, (cap + 1) // 2)
    if points is None or len(points) <= most:
        return scene
    generator = torch.Generator().manual_seed(config.seed)
    kept = torch.randperm(len(points), generator=generator)[:most].sort().values
    note = f"Of {len(points):,} points {most:,}, chosen at random, start the fit: it may have no more Gaussians."
    fewer = PointCloud(points.positions[kept], points.colors[kept])
    return replace(scene, points=fewer).with_notes(note)


def with_random_points(scene: Scene, count: int, seed: int = 0) -> Scene:
    """Return the scene with `count` random grey points that its cameras see, and a note about it.

    Directions are uniform over the pictures; distances are uniform in 1 / distance between a quarter and four times the
    distance to where the cameras look.

    Raises:
        NothingUsableError: no view has a known camera.
    """
    cameras = [view.camera for view in scene.posed_views if view.camera is not None]
    if not cameras:
        raise NothingUsableError(f"{scene.source} has neither points nor a view with a known camera to start from.")
    generator = torch.Generator().manual_seed(seed)
    subject = distance_to_subject(cameras)
    per_camera = math.ceil(count / len(cameras))
    parts = []
    for camera in cameras:
        u, v, inverse = torch.rand(3, per_camera, generator=generator)
        depth_z = subject / (0.25 + (4 - 0.25) * inverse)
        pixels = torch.stack((u * camera.width, v * camera.height), dim=1)
        inside = torch.cat(((pixels - camera.center_px) / camera.focal_px, torch.ones(per_camera, 1)), dim=1)
        rotation, translation = camera.world_to_camera[:3, :3], camera.world_to_camera[:3, 3]
        parts.append((inside * depth_z.unsqueeze(1) - translation) @ rotation)
    positions = torch.cat(parts)[:count]
    note = f"The scene has no points: the fit starts from {count:,} random ones in the cameras' view."
    points = PointCloud(positions, torch.full((len(positions), 3), 0.5))
    return replace(scene, points=points).with_notes(note)
