"""A shutter against a ray tracer: Gaussians fitted to sharp photographs, exposed along a path, beside Mitsuba's frames.

The truth knows nothing of ours: its poses are matrix exponentials by scipy, its moments are others and more, and what
each row gathers is cut from its frames by the row's own times.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import scipy.linalg
import torch
from jaxtyping import Float

from ..camera import Camera
from ..color import displayed, linear_from_srgb, srgb_from_linear
from ..errors import has_package
from ..gaussians import Gaussians
from ..lens import ThinLens
from ..metrics import psnr
from ..progress import Progress
from ..reconstruct import reconstruct
from ..render import render
from ..shutter import MotionPath, Shutter
from ..synthetic.mitsuba_scene import CaptureLens
from ..synthetic.softness import Softness, plan_exposures, rigid_motion
from .config import BenchConfig
from .evidence import figures_from, keep_view
from .first_light import SHIPPED, capture_folder, held_out_photograph, read_capture
from .lens_layers import FOCI, capture_lens
from .quality import settings
from .ray_tracing import Stage, kept, noise_of_mean_db, stage

STREAK_PX = 10.0  # median way of a surface point across the picture in one duration
CIRCLE_PX = 10.0  # 95th percentile of the picture's circles
SUB_FRAMES = 16
TRUTH_FRAMES = 24  # in one duration; no multiple of ours, so that neither hides the other's steps
SAMPLES = 16  # light paths a pixel and frame
SEEDS = (0, 1)  # of the truth: their difference is its noise
# What is compared: how the camera moves, and how the sensor is read out. The last is through a lens as well.
EXPOSURES = ("linear", "cubic", "rolling", "lens")


@dataclass(frozen=True)
class Motion:
    """How a camera moves, as ours and by other means."""

    path: MotionPath
    truth: Callable[[float], Float[np.ndarray, "4 4"]]
    """The motion at a scene time, in camera axes."""


def obstacle(config: BenchConfig) -> str | None:
    """Return why nothing can be measured here, or None."""
    if not has_package("mitsuba"):
        return "Mitsuba is not installed (pip install 'hyperfocal[synthetic]')."
    if config.scene_seed is not None and config.out is None:
        return "--scene-seed renders photographs to fit, which needs a folder to keep them: --out."
    if config.scene_seed is None and not (SHIPPED / "cameras.json").is_file():
        return f"there is no {SHIPPED} here. Run the bench in a checkout, or generate photographs with --scene-seed."
    return None


def figures(folder: Path, exposure: str, view: int, config: BenchConfig, progress: Progress) -> dict[str, float]:
    """Return how near `expose` comes to the mean of Mitsuba's frames, and how near the controls do.

    What Mitsuba renders is kept beside `folder`, and not rendered again if it is there.

    Args:
        folder: Of the cell.
        exposure: One of `EXPOSURES`.
        view: Number of the held-out view in the middle of the exposure.
        config: Which still life; with `table`, four times the light paths.
        progress: Told of the fit and of every frame.
    """
    seed, samples = config.scene_seed or 0, SAMPLES * (4 if config.table else 1)
    # In the bench `lens`, --data is another scene's.
    gaussians, camera, photograph = fitted(capture_folder(replace(config, data=None), progress), view, progress)
    pose, size = camera.world_to_camera.double().numpy(), (camera.width, camera.height)
    K = np.diag([*camera.focal_px.tolist(), 1.0])
    K[:2, 2] = camera.center_px.numpy()
    store = folder.parent / "mitsuba"
    name = f"{seed}_{size[0]}x{size[1]}_held_out{view}"
    depth_z = kept(store / f"{name}_depth.npy", lambda: stage(seed).depth_z(pose, K, size))
    twist = plan_exposures(Softness(streak_px=STREAK_PX, seed=view), pose[None], K, [depth_z])[0].twist
    motion = motion_of(twist, cubic=exposure == "cubic", readout=float(exposure == "rolling"))
    opening = capture_lens(depth_z, FOCI["middle"], CIRCLE_PX, K[0, 0]) if exposure == "lens" else None
    shutter = Shutter(sub_frames=SUB_FRAMES, readout=float(exposure == "rolling"))

    truths = []
    for number in SEEDS:
        path = store / f"{name}_{exposure}_{STREAK_PX:g}px_{TRUTH_FRAMES}x{samples}_{number}.npy"

        def light(number: int = number) -> Float[np.ndarray, "h w 3"]:
            frame = _frames(stage(seed), motion, pose, K, size, opening, samples, (number, view))
            return average_exposed(frame, shutter, size[1], TRUTH_FRAMES, progress)

        truths.append(torch.from_numpy(kept(path, light)).clamp(0, 1))
    truth = torch.stack(truths).mean(0)

    lens = None
    if opening is not None:
        lens = ThinLens(torch.tensor(2 * opening.aperture_radius), torch.tensor(opening.focus_distance))
    drawn = linear_from_srgb(_drawn(gaussians, camera, lens, replace(shutter, path=motion.path)))
    keep_view(folder, f"view{view}_{exposure}", rendered=srgb_from_linear(drawn), truth=srgb_from_linear(truth))
    found = figures_from(folder) | {"linear_psnr_db": psnr(drawn, truth)}
    for control, color in _controls(gaussians, camera, lens, motion.path, shutter).items():
        found[f"{control}_psnr_db"] = psnr(color, srgb_from_linear(truth))
        found[f"{control}_linear_psnr_db"] = psnr(linear_from_srgb(color), truth)
    still = _drawn(gaussians, camera, None, None)
    noise_db = noise_of_mean_db(*(srgb_from_linear(light) for light in truths))
    return found | {"fit_psnr_db": psnr(still, photograph), "truth_noise_psnr_db": noise_db}


@lru_cache(maxsize=1)
def _fit(capture: Path, progress: Progress) -> Gaussians:
    return reconstruct(read_capture(capture)[0], settings(0, long_side=None), progress=progress).gaussians


def fitted(capture: Path, view: int, progress: Progress) -> tuple[Gaussians, Camera, Float[torch.Tensor, "h w 3"]]:
    """Return Gaussians fitted to the training views, a held-out view's true camera and its sharp photograph."""
    photograph = held_out_photograph(capture, view)
    return _fit(capture, progress), photograph.camera, photograph.image


def motion_of(twist: Float[np.ndarray, "6"], *, cubic: bool, readout: float) -> Motion:
    """Return the motion over a duration of 1 and a readout, at time 0 near the camera itself.

    Args:
        twist: Radians and scene units in camera axes, of one duration.
        cubic: A spline that sways to both sides of the way of `twist`, by a third of it; else constant velocity.
        readout: Of the sensor, in durations.
    """
    reach = (1 + readout) / 2
    if not cubic:
        velocity = torch.from_numpy(twist)
        return Motion(MotionPath.constant_velocity(velocity, reach=reach), lambda time: rigid_motion(time * twist))
    along, across = np.linspace(-0.75, 0.75, 6), np.array([0, 1, -1, 1, -1, 0])
    poses = np.stack([rigid_motion(u * twist + v * turned(twist)) for u, v in zip(along, across, strict=True)])

    def at(time: float) -> Float[np.ndarray, "4 4"]:
        segments = len(poses) - 3
        place = (time + reach) / (2 * reach) * segments
        first = min(int(place), segments - 1)
        s = place - first
        shares = ((5 + 3 * s - 3 * s**2 + s**3) / 6, (1 + 3 * s + 3 * s**2 - 2 * s**3) / 6, s**3 / 6)  # equation 27
        pose = poses[first]
        for k, share in enumerate(shares, first):
            step = np.real(scipy.linalg.logm(poses[k + 1] @ np.linalg.inv(poses[k])))
            pose = scipy.linalg.expm(share * step) @ pose
        return pose

    return Motion(MotionPath(torch.from_numpy(poses), 3, -reach, reach), at)


def turned(twist: Float[np.ndarray, "6"]) -> Float[np.ndarray, "6"]:
    """Return the motion turned by a quarter of a turn about the optical axis: as fast, at right angles."""
    quarter = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    return np.concatenate((quarter @ twist[:3], quarter @ twist[3:]))


def average_exposed(
    frame: Callable[[float], Float[np.ndarray, "h w 3"]], shutter: Shutter, height: int, count: int, progress: Progress
) -> Float[np.ndarray, "h w 3"]:
    """Return the light that each row gathers while it is open, from frames in the middle of even parts of all the time.

    Args:
        frame: The light at a scene time.
        shutter: Only its times are used: duration, readout and middle.
        height: Rows.
        count: Frames in one duration.
        progress: Told of every frame.
    """
    opens = shutter.time - shutter.duration / 2 + shutter.readout * (np.arange(height) / (height - 1) - 0.5)
    begin, end = float(opens.min()), float(opens.max()) + shutter.duration
    edges = np.linspace(begin, end, int(np.ceil((end - begin) / shutter.duration * count - 1e-9)) + 1)
    total = 0.0
    for i, (before, after) in enumerate(pairwise(edges)):
        open_for = np.minimum(after, opens + shutter.duration) - np.maximum(before, opens)
        share = np.clip(open_for, 0, None) / shutter.duration
        total = total + share[:, None, None] * frame(float(before + after) / 2)
        progress("ray tracing", i + 1, len(edges) - 1)
    return np.asarray(total, np.float32)


def _controls(
    gaussians: Gaussians, camera: Camera, lens: ThinLens | None, path: MotionPath, shutter: Shutter
) -> dict[str, Float[torch.Tensor, "h w 3"]]:
    """Return what must be worse: no motion, motion at right angles, sRGB averaged, and each without its specialty."""
    quarter = torch.eye(4, dtype=path.poses.dtype)
    quarter[:2, :2] = quarter.new_tensor([[0.0, -1], [1, 0]])
    others = {
        "still": None,
        "turned": replace(shutter, path=replace(path, poses=quarter @ path.poses @ quarter.mT)),
        "srgb_mean": replace(shutter, path=path, linear_light=False),
    }
    if path.degree == 3:
        ends = path.at(torch.tensor([path.begin, path.end]))
        others["straight"] = replace(shutter, path=MotionPath(ends, 1, path.begin, path.end))
    if shutter.readout:
        others["global"] = replace(shutter, path=path, readout=0.0)
    drawn = {name: _drawn(gaussians, camera, lens, other) for name, other in others.items()}
    return drawn if lens is None else drawn | {"no_lens": _drawn(gaussians, camera, None, replace(shutter, path=path))}


@torch.no_grad()
def _drawn(
    gaussians: Gaussians, camera: Camera, lens: ThinLens | None, shutter: Shutter | None
) -> Float[torch.Tensor, "h w 3"]:
    """Return what is shown, in sRGB."""
    return displayed(render(gaussians, camera, lens=lens, shutter=shutter).color, gaussians.color_space).clamp(0, 1)


def _frames(
    traced: Stage,
    motion: Motion,
    pose: Float[np.ndarray, "4 4"],
    K: Float[np.ndarray, "3 3"],
    size: tuple[int, int],
    lens: CaptureLens | None,
    samples: int,
    seed: tuple[int, int],
) -> Callable[[float], Float[np.ndarray, "h w 3"]]:
    """Return Mitsuba's light at a scene time; every frame has noise of its own."""
    sequence = np.random.SeedSequence(seed)

    def frame(time: float) -> Float[np.ndarray, "h w 3"]:
        own = int(sequence.spawn(1)[0].generate_state(1)[0] >> 1)
        return traced.frame(motion.truth(time) @ pose, K, size, samples=samples, seed=own, lens=lens)

    return frame
