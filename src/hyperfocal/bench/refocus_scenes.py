"""What the bench `lens_refocus` looks at: fits of sharp views, and held-out views through Mitsuba's lens."""

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from ..camera import Camera
from ..color import ColorSpace, linear_from_srgb, srgb_from_linear
from ..data import load_photograph
from ..export import read_ply, write_ply
from ..gaussians import Gaussians
from ..lens import ThinLens
from ..progress import Progress
from ..reconstruct import reconstruct
from ..scene import PointCloud, Scene, split_views
from ..sfm import triangulate_points
from ..shapes import Image
from ..synthetic.mitsuba_scene import CaptureLens
from .first_light import held_out_photograph, read_capture
from .lens_layers import FOCI, capture_lens
from .quality import EVAL_EVERY, settings
from .ray_tracing import kept, noise_of_mean_db, stage

CIRCLE_PX = 10.0  # 95th percentile of each picture's circles
SAMPLES = 256  # light paths a pixel, of each of the two pictures whose mean is the truth
TRUTH_SEEDS = (0, 1)
_RANGE = (0.05, 0.95)  # of the pixels by inverse depth: what lies between is the picture's range


@dataclass(frozen=True)
class Shot:
    """A held-out view, and how it looks through a lens."""

    camera: Camera
    lens: ThinLens
    twin: ThinLens
    """As wide open, and focused at the wrong end: far in place of near."""
    truth: Image
    """sRGB in [0, 1]."""
    noise_psnr_db: float
    """Of the truth against one without noise."""
    inverse_depth_range: float
    """Of the view, in 1 / scene units: the focus is searched within a share of it."""


def shot_of(capture: Path, scene_seed: int, focus: str, view: int, store: Path, progress: Progress) -> Shot:
    """Return a held-out view through a lens, rendered by Mitsuba unless `store` has it.

    Args:
        capture: Its folder.
        scene_seed: Which still life it shows.
        focus: One of `FOCI`.
        view: Number of the held-out view.
        store: Folder of what has been rendered.
        progress: Told of every pass of the renderer.
    """
    photograph = held_out_photograph(capture, view)
    depth_z = read_capture(capture)[1][photograph.name].numpy()
    focal_px = float(photograph.camera.focal_px[0])
    lens = capture_lens(depth_z, FOCI[focus], CIRCLE_PX, focal_px)
    other_end = capture_lens(depth_z, 1 - FOCI[focus], CIRCLE_PX, focal_px).focus_distance
    name = f"{capture.name}_{focus}_view{view}_{CIRCLE_PX:g}px_{SAMPLES}"
    lights = [
        soft_light(scene_seed, photograph.camera, lens, (seed, view), store / f"{name}_{seed}.npy", progress)
        for seed in TRUTH_SEEDS
    ]
    one, other = (srgb_from_linear(light.clamp(0, 1)) for light in lights)
    near, far = np.quantile(1 / depth_z[depth_z > 0].astype(float), _RANGE[::-1])
    return Shot(
        camera=photograph.camera,
        lens=_thin(lens.aperture_radius, lens.focus_distance),
        twin=_thin(lens.aperture_radius, other_end),
        truth=srgb_from_linear(((lights[0] + lights[1]) / 2).clamp(0, 1)),
        noise_psnr_db=noise_of_mean_db(one, other),
        inverse_depth_range=float(near - far),
    )


def soft_light(
    scene_seed: int, camera: Camera, lens: CaptureLens, seed: tuple[int, int], path: Path, progress: Progress
) -> Image:
    """Return linear light of a still life through a lens, from the file `path` if it is there."""
    pose, K = camera.world_to_camera.double().numpy(), camera.intrinsics().double().numpy()
    size = (camera.width, camera.height)

    def traced() -> np.ndarray:
        return stage(scene_seed).light(pose, K, size, lens=lens, seed=seed, samples=SAMPLES, progress=progress)

    return torch.from_numpy(kept(path, traced))


@lru_cache(maxsize=2)
def fitted(capture: Path, space: ColorSpace, seed: int, store: Path, reuse: bool, progress: Progress) -> Gaussians:
    """Return Gaussians fitted to the sharp views as `first_light` does, in a colour space of choice.

    Both spaces start from the same points. The Gaussians go through a file, so that all figures are of what it holds.

    Args:
        capture: Its folder.
        space: What the photographs are turned into before the fit, and what the Gaussians are in.
        seed: Of the fit.
        store: Folder of the file.
        reuse: Take the file if it is there.
        progress: Told how far the fit is.
    """
    path = store / f"{capture.name}_{space}_{seed}.ply"
    if not (reuse and path.exists()):
        scene, chosen = read_capture(capture)[0], settings(seed, long_side=None)
        training, _ = split_views(scene.views, EVAL_EVERY)
        points = triangulate_points(replace(scene, views=training), config=chosen.sfm, progress=progress).points
        scene = replace(scene, points=points)
        result = reconstruct(in_linear_light(scene) if space == "linear" else scene, chosen, progress=progress)
        store.mkdir(parents=True, exist_ok=True)
        write_ply(path, replace(result.gaussians, color_space=space))
    return read_ply(path)


def in_linear_light(scene: Scene) -> Scene:
    """Return the scene with the photographs' and the points' numbers turned into linear light.

    The trainer compares numbers with numbers: what it makes of these are Gaussians in linear light.
    """
    views = tuple(replace(view, image=linear_from_srgb(load_photograph(view).image)) for view in scene.views)
    points = scene.points
    if points is not None:
        points = PointCloud(points.positions, linear_from_srgb(points.colors))
    return replace(scene, views=views, points=points)


def _thin(aperture_radius: float, focus_distance: float) -> ThinLens:
    return ThinLens(torch.tensor(2 * aperture_radius), torch.tensor(focus_distance))
