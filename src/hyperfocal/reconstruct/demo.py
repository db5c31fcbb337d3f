"""The soft photographs that come with the package: reconstructed with and without their lens, judged by the truth.

Every photograph is out of focus in places. The truth is three of its views without blur, rendered, and how each
photograph was taken; a reconstruction sees nothing of it.
"""

import math
import statistics
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from PIL import Image as PillowImage

from .. import metrics
from ..color import displayed, to_uint8
from ..data import load_photograph, read_scene
from ..files import read_json_object
from ..progress import Progress, silent
from ..scene import Photograph
from ..shapes import Image
from ..transforms import align_similarity
from .config import DEMO, DEMO_QUICK, changed
from .job import reconstruct
from .looks import rendering_of
from .result import Result

WITHOUT_LENS, COMPARISON = "without_lens", "comparison.png"  # in the result folder
_GAP_PX = 6


@dataclass(frozen=True)
class Truth:
    """How the photographs were taken, in metres."""

    sharp: Path
    """Folder of views without blur, named as their photographs but for the ending."""
    inverse_range: float
    """Range of 1 / z of the scene, from 5 to 95 % of all pixels."""
    photographs: dict[str, dict[str, Any]]
    """By name: world_to_camera, aperture_diameter, focus_distance."""


@dataclass(frozen=True)
class Judged:
    """How near a result comes to the truth."""

    psnr_db: float
    """Mean over held-out views, in focus everywhere."""
    focus_error: float | None
    """Mean of |1 / focus - true 1 / focus|, as a share of the scene's range of 1 / z; None without a lens."""
    focus_error_worst: float | None
    """The largest of them."""
    aperture_error: float | None
    """Mean of A / true A - 1; None without a lens."""


@dataclass(frozen=True)
class Demo:
    """What the demo made and found."""

    result: Result
    """With a lens for each photograph."""
    judged: Judged
    """Of it."""
    without: Judged
    """Of the same fit, to which all photographs are sharp."""


def demo(out: Path, *, quick: bool = False, overwrite: bool = False, progress: Progress = silent) -> Demo:
    """Reconstruct the photographs with their lens into `out`, without into `out`/without_lens, and compare.

    Args:
        out: Of the result; comparison.png in it shows a held-out view.
        quick: A third of the steps.
        overwrite: Replace a result that stands there.
        progress: Told how far each stage is.

    Raises:
        BadInputError: `out` exists or cannot be written.
    """
    config = DEMO_QUICK if quick else DEMO
    with resources.as_file(resources.files("hyperfocal").joinpath("demo")) as folder:
        scene, truth = read_scene(folder / "photographs", progress=progress), read_truth(folder)
        config = changed(config, lens="on")
        result = reconstruct(scene, config, out=out, overwrite=overwrite, progress=progress)
        without = reconstruct(result.scene, changed(config, lens="off"), out=out / WITHOUT_LENS, progress=progress)
        picture = comparison(without, result, truth)
        PillowImage.fromarray(to_uint8(picture).numpy()).save(out / COMPARISON)
        return Demo(result, judge(result, truth), judge(without, truth))


def read_truth(folder: Path) -> Truth:
    """Return how the photographs beside which it lies were taken."""
    plain = read_json_object(folder / "truth.json", remedy="Install hyperfocal again.")
    photographs = {photograph["image"]: photograph for photograph in plain["photographs"]}
    return Truth(folder / "sharp", plain["inverse_range"], photographs)


def judge(result: Result, truth: Truth) -> Judged:
    """Return how near a result comes to how its photographs were taken."""
    sharp = _sharp_views(result, truth)
    psnr_db = statistics.fmean(metrics.psnr(_rendered(result, view), view.image, view.valid) for view in sharp)
    if result.lenses is None:
        return Judged(psnr_db, None, None, None)
    metres = _metres_per_unit(result, truth)
    foci, apertures = [], []
    for lens in result.lenses:
        true = truth.photographs[lens.name]
        inverse = 0.0 if lens.focus_distance in (None, math.inf) else 1 / (lens.focus_distance * metres)
        foci.append(abs(inverse - 1 / true["focus_distance"]) / truth.inverse_range)
        apertures.append(lens.aperture_diameter * metres / true["aperture_diameter"] - 1)
    return Judged(psnr_db, statistics.fmean(foci), max(foci), statistics.fmean(apertures))


def comparison(without: Result, result: Result, truth: Truth) -> Image:
    """Return the first held-out view side by side: photograph, render without a lens, with one, and the truth."""
    view, sharp = result.scored_views[0], _sharp_views(result, truth)[0]
    photograph = load_photograph(view, long_side=result.config.long_side).image
    gap = torch.ones(photograph.shape[0], _GAP_PX, 3)
    shown = (photograph, gap, _rendered(without, sharp), gap, _rendered(result, sharp), gap, sharp.image)
    return torch.cat(shown, dim=1)


def _sharp_views(result: Result, truth: Truth) -> list[Photograph]:
    """Return the held-out views without blur, as their cameras in a result see them."""
    return [
        load_photograph(
            replace(view, image=(truth.sharp / view.name).with_suffix(".png")), long_side=result.config.long_side
        )
        for view in result.scored_views
    ]


def _rendered(result: Result, view: Photograph) -> Image:
    return displayed(rendering_of(result.gaussians, view.camera).color, result.gaussians.color_space).clamp(0, 1)


def _metres_per_unit(result: Result, truth: Truth) -> float:
    """Return the scale that brings the cameras of a result to the true ones."""
    found, true = [], []
    for view in result.scene.posed_views:
        assert view.camera is not None, "it is posed"
        pose = torch.tensor(truth.photographs[view.name]["world_to_camera"], dtype=torch.float64)
        found.append(view.camera.centers().double())
        true.append(-pose[:3, :3].T @ pose[:3, 3])
    return align_similarity(torch.stack(found), torch.stack(true))[0]
