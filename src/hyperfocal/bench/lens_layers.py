"""Defocus in layers against a ray tracer's lens: Mitsuba's pinhole picture and depth in, its thin lens the truth."""

from pathlib import Path

import numpy as np
import scipy.ndimage
import torch
from jaxtyping import Bool, Float

from ..color import srgb_from_linear
from ..lens import ThinLens
from ..metrics import psnr
from ..progress import Progress
from ..render.layers import defocus_layers
from ..synthetic.cameras import intrinsics, two_ring_path
from ..synthetic.mitsuba_scene import CaptureLens
from .evidence import figures_from, keep_view
from .ray_tracing import kept, noise_of_mean_db, stage

FOCI = {"near": 0.1, "middle": 0.5, "far": 0.9}  # shares of the pixels that are nearer than the focus
CIRCLE_PX = 10.0  # 95th percentile of the picture's circles
SIZE = (240, 160)
SAMPLES = 256  # light paths a pixel: the noise of the truth is then 44 dB
VIEWS = 12  # on the loop of cameras, of which the first ones are rendered
SEEDS = (0, 1)  # of the truth: their difference is its noise
_FOCAL_35MM = 35.0
_EDGE_PX = 0.5  # difference of the circles of neighbouring pixels from which one is taken to stand before the other


def figures(
    folder: Path, focus: str, view: int, scene_seed: int, progress: Progress, *, samples: int | None = None
) -> dict[str, float]:
    """Return how near defocus in layers comes to the thin lens, where it sees what the pinhole sees and elsewhere.

    What Mitsuba renders is kept beside `folder`, and not rendered again if it is there.

    Args:
        folder: Of the cell.
        focus: One of `FOCI`.
        view: Number of the camera.
        scene_seed: Which still life.
        progress: Told of every pass of the renderer.
        samples: Light paths a pixel; None is `SAMPLES`.
    """
    samples = samples or SAMPLES
    width, height = SIZE
    store = folder.parent / "mitsuba"
    pose, K = two_ring_path(VIEWS)[view], intrinsics(width, height, _FOCAL_35MM)
    focal_px = float(K[0, 0])
    name = f"{scene_seed}_{width}x{height}_{view}"
    depth_z = kept(store / f"{name}_depth.npy", lambda: stage(scene_seed).depth_z(pose, K, SIZE))
    lens = capture_lens(depth_z, FOCI[focus], CIRCLE_PX, focal_px)

    def light(label: str, seed: int, through: CaptureLens | None) -> torch.Tensor:
        def traced() -> np.ndarray:
            return stage(scene_seed).light(
                pose, K, SIZE, lens=through, seed=(seed, view), samples=samples, progress=progress
            )

        return torch.from_numpy(kept(store / f"{name}_{samples}_{label}_{seed}.npy", traced))

    sharp = light("pinhole", len(SEEDS), None)
    truths = [light(f"{focus}_{CIRCLE_PX:g}px", seed, lens).clamp(0, 1) for seed in SEEDS]
    truth = torch.stack(truths).mean(0)
    thin = ThinLens(torch.tensor(2 * lens.aperture_radius), torch.tensor(lens.focus_distance))
    drawn = defocus_layers(sharp, torch.from_numpy(depth_z), thin, focal_px, color_space="linear").color.clamp(0, 1)
    circle_px = signed_circles_px(depth_z, lens, focal_px)
    shown = torch.from_numpy(~perhaps_revealed(circle_px))
    view_name = f"view{view}_{focus}"
    keep_view(folder, view_name, rendered=srgb_from_linear(drawn), truth=srgb_from_linear(truth), valid=shown)
    noise_db = noise_of_mean_db(truths[0], truths[1], shown)
    return figures_from(folder) | {
        "linear_psnr_db": psnr(drawn, truth, shown),
        "revealed_psnr_db": psnr(drawn, truth, ~shown),
        "sharp_psnr_db": psnr(sharp.clamp(0, 1), truth, shown),
        "sharp_revealed_psnr_db": psnr(sharp.clamp(0, 1), truth, ~shown),
        "truth_noise_psnr_db": float(noise_db),
        "shown": float(shown.float().mean()),
    }


def capture_lens(depth_z: Float[np.ndarray, "h w"], share: float, circle_px: float, focal_px: float) -> CaptureLens:
    """Return the lens focused on a share of the pixels by depth whose 95th percentile of circles is `circle_px`."""
    known = depth_z[depth_z > 0].astype(float)
    focus = float(np.quantile(known, share))
    reach = float(np.quantile(focal_px * np.abs(1 / focus - 1 / known), 0.95))
    return CaptureLens(aperture_radius=circle_px / reach / 2, focus_distance=focus)


def signed_circles_px(
    depth_z: Float[np.ndarray, "h w"], lens: CaptureLens, focal_px: float
) -> Float[np.ndarray, "h w"]:
    """Return the circle of every pixel, positive behind the focus; an unknown depth is infinitely far."""
    inverse = np.where(depth_z > 0, 1 / np.where(depth_z > 0, depth_z, 1).astype(float), 0)
    return 2 * lens.aperture_radius * focal_px * (1 / lens.focus_distance - inverse)


def perhaps_revealed(circle_px: Float[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """Return where the lens may see what the sharp picture does not show, by its true depth.

    A ray through the lens passes the nearer of two surfaces within its circle of the pixel, and meets the farther one
    within that one's circle. It sees what the pinhole does not only if the edge lies between the two. So the pixels
    within half of the larger circle of an edge are those, and likewise at the picture's border, beyond which nothing is
    known. More are marked than need be, none too few (but for edges that part circles by less than half a pixel).
    """
    size = np.abs(circle_px)
    reach = np.full(circle_px.shape, -1.0)
    for down, right in ((1, 0), (0, 1), (1, 1), (1, -1)):
        here, there = _neighbours(circle_px.shape, down, right)
        edge = np.abs(circle_px[here] - circle_px[there]) > _EDGE_PX
        half = np.where(edge, np.maximum(size[here], size[there]) / 2, -1)
        for place in (here, there):
            reach[place] = np.maximum(reach[place], half)
    border = np.pad(np.zeros(np.subtract(circle_px.shape, 2), bool), 1, constant_values=True)
    # What lies beyond the border is as blurred as what is at it.
    reach = np.where(border, np.maximum(reach, size / 2), reach)
    marked = np.zeros(circle_px.shape, bool)
    for whole in range(int(np.ceil(reach.max())) + 1):
        with_reach = (reach >= 0) & (np.ceil(reach) == whole)
        if with_reach.any():
            marked |= (
                np.asarray(scipy.ndimage.distance_transform_edt(~with_reach)) <= whole + 1
            )  # from centre to centre
    return marked


def _neighbours(shape: tuple[int, ...], down: int, right: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Return the places of all pixels that have a neighbour so far down and right, and those of their neighbours."""
    height, width = shape
    here = slice(0, height - down), slice(max(0, -right), width - max(0, right))
    return here, (slice(down, height), slice(max(0, right), width + min(0, right)))
