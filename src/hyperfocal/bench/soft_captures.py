"""Soft captures for the bench `soft`: photographs blurred by Mitsuba, their truth, and sharp twins to judge by."""

import json
import math
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image

from ..color import linear_from_srgb, srgb_from_linear
from ..data import load_depth, load_photograph, read_scene
from ..errors import BadInputError, NothingUsableError
from ..files import write_text
from ..fit import FitConfig, initialize_gaussians
from ..gaussians import Gaussians
from ..metrics import psnr
from ..progress import Progress, silent
from ..reconstruct import ReconstructConfig
from ..scene import DepthFile, Photograph, Scene, View, split_views
from ..sfm import estimate_poses, triangulate_points
from ..sh import color_from_dc, dc_from_color
from ..synthetic.cameras import intrinsics, two_ring_path
from ..synthetic.mitsuba_capture import DEPTH_UNIT, render_capture
from ..synthetic.softness import Softness
from ..transforms import align_similarity, twist_from_rigid
from .fountain import camera_errors_cm
from .quality import EVAL_EVERY
from .ray_tracing import stage, vectorised_mitsuba

KINDS = {"defocus": (True, False), "motion": (False, True), "both": (True, True), "sharp": (False, False)}
"""Whether there is a lens, and whether the camera moves."""
OWN = {"defocus": "lens", "motion": "motion", "both": "both"}
"""The row of the bench that fits what blurred the photographs."""
AMOUNTS = {"half": 0.5, "normal": 1.0, "double": 2.0}
# Fixed before anything was tuned: medians in pictures of 480 x 320, in smaller ones in proportion.
CIRCLE_PX, STREAK_PX = 5.0, 6.0
FULL, REDUCED = (480, 320), (240, 160)
VIEWS = 24
SAMPLES, SAMPLES_OF_TRUTH = 64, 128  # light paths a pixel
_MOMENTS_PER_PX = 4  # of the median streak: the longest streaks are some times as long
_LEAST_MOMENTS = 12
_FOCAL_35MM = 35.0
NOISE_FILE = "noise.json"


@dataclass(frozen=True)
class Setting:
    """Which photographs are fitted, and with which cameras. Its name is that of a scene of the bench."""

    kind: str
    """One of `KINDS`."""
    scene_seed: int
    """Of the still life, the way of the camera, and the blur."""
    amount: str = "normal"
    """One of `AMOUNTS`."""
    full: bool = False
    """Pictures of `FULL` size, not `REDUCED`."""
    sfm: bool = False
    """Cameras found from the photographs themselves, not the true ones."""

    @property
    def name(self) -> str:
        """Kind and seed, then whatever is not usual."""
        return "_".join((self.capture_name, *(("sfm",) if self.sfm else ())))

    @property
    def capture_name(self) -> str:
        """That of the folder of its photographs."""
        unusual = (self.amount if self.amount != "normal" else "", "full" if self.full else "")
        return "_".join((self.kind, str(self.scene_seed), *filter(None, unusual)))

    @property
    def sharp(self) -> "Setting":
        """The same views without blur."""
        return Setting("sharp", self.scene_seed, full=self.full)

    @property
    def softness(self) -> Softness | None:
        """What the photographs are rendered with."""
        lens, moves = KINDS[self.kind]
        scale = AMOUNTS[self.amount] * (FULL if self.full else REDUCED)[0] / FULL[0]
        if not (lens or moves):
            return None
        streak_px = scale * STREAK_PX * moves
        moments = max(_LEAST_MOMENTS, math.ceil(_MOMENTS_PER_PX * streak_px))
        return Softness(scale * CIRCLE_PX * lens, streak_px, moments, self.scene_seed)


def setting_of(name: str) -> Setting:
    """Return the setting of this name."""
    kind, seed, *rest = name.split("_")
    amount = next((word for word in rest if word in AMOUNTS), "normal")
    return Setting(kind, int(seed), amount, full="full" in rest, sfm="sfm" in rest)


@dataclass(frozen=True)
class Truth:
    """How one photograph was taken, in metres and the terms of its true camera."""

    K: Float[np.ndarray, "3 3"]
    depth_z: Float[np.ndarray, "h w"]
    """Camera z; 0 where unknown."""
    aperture: float
    """Diameter; 0 is the pinhole."""
    focus_distance: float | None
    twist: Float[np.ndarray, "6"]
    """Of the camera from shutter open to closed, in camera axes: radians, then metres."""


@dataclass(frozen=True)
class Shots:
    """What a fit is given, and what it is judged by."""

    training: tuple[Photograph, ...]
    """Soft, without depth."""
    held_out: tuple[Photograph, ...]
    """Sharp, with true depth, from cameras of the same source as those of the training photographs."""
    start: Gaussians
    """At points triangulated from the training photographs."""
    truth: dict[str, Truth]
    """By the names of the training photographs."""
    metres_per_unit: float
    figures: dict[str, float]
    """Of the cameras."""


@lru_cache(maxsize=2)
def shots_of(setting: Setting, root: Path, may_render: bool, progress: Progress) -> Shots | None:
    """Return the photographs of a setting; None if too few cameras could be found from them.

    Args:
        setting: Which.
        root: Folder of the captures.
        may_render: Render captures that are missing there.
        progress: Told of rendering and of the search for cameras.

    Raises:
        BadInputError: captures are missing, or damaged.
    """
    capture, twin = (_present(which, root, may_render, progress) for which in (setting, setting.sharp))
    true_scene, scale = read_scene(capture), 1.0
    scene = replace(true_scene, views=tuple(replace(view, depth=None) for view in true_scene.views))
    truth = _truth(true_scene, capture)
    figures = {}
    if setting.sfm:
        blind = replace(scene, views=tuple(replace(view, camera=None) for view in scene.views), metres_per_unit=None)
        try:
            scene = estimate_poses(blind, config=ReconstructConfig().sfm, progress=progress)
        except NothingUsableError:
            return None
        scale = _metres_per_unit(scene, true_scene)
        figures = camera_errors_cm(scene, true_scene)
    training, held_out = split_views(scene.views, EVAL_EVERY)
    training, held_out = (tuple(v for v in views if v.camera is not None) for views in (training, held_out))
    figures["placed"] = float(len(training) + len(held_out))
    seen = triangulate_points(replace(scene, views=training), config=ReconstructConfig().sfm, progress=progress)
    sharp = (_judging(view, twin, DEPTH_UNIT / scale) for view in held_out)
    return Shots(
        training=tuple(load_photograph(view, depth=False) for view in training),
        held_out=tuple(load_photograph(view) for view in sharp),
        start=initialize_gaussians(seen, FitConfig()),
        truth={view.name: truth[view.name] for view in training},
        metres_per_unit=scale,
        figures=figures | _noise(twin),
    )


def _metres_per_unit(found: Scene, true_scene: Scene) -> float:
    known = {view.name: view.camera.centers() for view in true_scene.views if view.camera is not None}
    pairs = [(view.camera.centers(), known[view.name]) for view in found.views if view.camera is not None]
    return align_similarity(*(torch.stack(centers) for centers in zip(*pairs, strict=True)))[0]


def _judging(view: View, twin: Path, units_per_step: float) -> View:
    """Return the sharp photograph of a held-out view, with its true depth, as its camera sees it."""
    name = Path(view.name).name
    return replace(view, image=twin / "images" / name, depth=DepthFile(twin / "depth" / name, units_per_step))


def _truth(scene: Scene, capture: Path) -> dict[str, Truth]:
    """Return how each photograph was taken."""
    record = capture / "lens.json"
    photographs = json.loads(record.read_text(encoding="utf-8"))["photographs"] if record.exists() else []
    taken = {Path(photograph["image"]).name: photograph for photograph in photographs}
    truth = {}
    for view in scene.views:
        assert view.camera is not None and view.depth is not None
        name, aperture, focus, twist = Path(view.name).name, 0.0, None, np.zeros(6)
        if name in taken:
            aperture, focus = taken[name]["aperture_diameter"], taken[name]["focus_distance"]
            start, end = (torch.tensor(taken[name][f"world_to_camera_{w}"]).double() for w in ("start", "end"))
            twist = twist_from_rigid(end @ torch.linalg.inv(start)).numpy()
        depth = load_depth(view)
        assert depth is not None
        K = view.camera.intrinsics().double().numpy()
        truth[view.name] = Truth(K, depth.values.numpy(), aperture, focus, twist)
    return truth


def _present(setting: Setting, root: Path, may_render: bool, progress: Progress) -> Path:
    """Return the folder of a capture, rendered first if it is not there."""
    capture = root / setting.capture_name
    last = "cameras.json" if setting.softness is None else "lens.json"  # what `render_capture` writes last
    if (capture / last).is_file():
        return capture
    if not may_render:
        raise BadInputError(
            f"{capture} holds no finished capture (no {last}). Give --data a folder with such captures, or leave "
            "--data away to have them rendered."
        )
    mitsuba = vectorised_mitsuba()
    width, height = FULL if setting.full else REDUCED
    render_capture(
        capture,
        scene_seed=setting.scene_seed,
        path_seed=setting.scene_seed,
        views=VIEWS,
        width=width,
        height=height,
        samples=SAMPLES if setting.softness else SAMPLES_OF_TRUTH,
        softness=setting.softness,
        focal_length_35mm=_FOCAL_35MM,
        variant=mitsuba.variant(),
        on_progress=lambda done, total: progress(f"rendering {setting.capture_name}", done, total),
    )
    if setting.softness is None:
        write_text(capture / NOISE_FILE, json.dumps({"truth_noise_psnr_db": _noise_db(setting, capture)}) + "\n")
    return capture


def _noise(twin: Path) -> dict[str, float]:
    """Return how noisy the sharp photographs are, where it was measured."""
    path = twin / NOISE_FILE
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _noise_db(setting: Setting, capture: Path) -> float:
    """Return the PSNR of the first sharp photograph: its noise is half of the difference to another one's, in power."""
    size = FULL if setting.full else REDUCED
    light = stage(setting.scene_seed).light(
        two_ring_path(VIEWS, seed=setting.scene_seed)[0],
        intrinsics(*size, _FOCAL_35MM),
        size,
        lens=None,
        seed=(1, 0),
        samples=SAMPLES_OF_TRUTH,
        progress=silent,
    )
    first = torch.from_numpy(np.asarray(Image.open(capture / "images" / "0000.png")).astype(np.float32) / 255)
    other = srgb_from_linear(torch.from_numpy(light).clamp(0, 1))
    return psnr(first, other) + 10 * math.log10(2)


def in_linear_light(start: Gaussians) -> Gaussians:
    """Return Gaussians of sRGB colours, the same from everywhere, as Gaussians of light."""
    sh = torch.zeros_like(start.sh)
    sh[:, 0] = dc_from_color(linear_from_srgb(color_from_dc(start.sh[:, 0]).clamp(0, 1)))
    return replace(start, sh=sh, color_space="linear")
