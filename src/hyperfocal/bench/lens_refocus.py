"""Gaussians fitted to sharp views, photographed again through a lens: against Mitsuba's thin lens at held-out poses.

At the true lens, with controls; and over assumed f-numbers and focus distances, which should be best where they are
true. Colours are fitted as they are (sRGB) and as linear light.
"""

import json
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from ..camera import Camera
from ..color import ColorSpace, displayed, to_uint8
from ..errors import BadInputError, has_package, missing_extra
from ..files import write_text
from ..gaussians import Gaussians
from ..lens import ThinLens
from ..metrics import psnr
from ..progress import Progress
from ..reconstruct.looks import rendering_of
from ..render import render
from ..render.layers import defocus_layers
from ..rendering import RenderOptions
from ..shapes import Image
from . import refocus_scenes
from .config import BenchConfig
from .evidence import figures_from, keep_view, read_picture, write_picture
from .first_light import capture_folder, held_out_photograph
from .harness import Cell
from .lens_layers import FOCI
from .quality import SEEDS
from .refocus_scenes import Shot

HELD_OUT_VIEWS = 3
STEPS = 8  # of a sweep, to either side of the truth
F_NUMBER_STEP = 1 / 16  # in powers of 2: from 0.71 to 1.41 times the true one
FOCUS_STEP = 0.3 / STEPS  # of the view's range of inverse depths: from -0.3 to 0.3 of it
SHARP = "sharp"
_SWEEP_FILE = "sweep.json"
_DISC = RenderOptions(defocus="aperture")


def _splats(gaussians: Gaussians, camera: Camera, lens: ThinLens | None, options: RenderOptions | None = None) -> Image:
    """Return the sRGB picture of Gaussians through a lens."""
    with torch.no_grad():
        color = render(gaussians, camera, lens=lens, options=options or RenderOptions()).color
    return displayed(color, gaussians.color_space)


def _layers(gaussians: Gaussians, camera: Camera, lens: ThinLens | None) -> Image:
    """Return the sharp picture and its depth through a lens, light spread in linear space."""
    assert lens is not None, "a picture without a lens needs no layers"
    sharp = rendering_of(gaussians, camera)
    color = displayed(sharp.color, gaussians.color_space).clamp(0, 1)
    return defocus_layers(color, sharp.depth_median, lens, camera.focal_px[0]).color


@dataclass(frozen=True)
class Way:
    """How a picture through a lens is made of Gaussians."""

    space: ColorSpace
    draw: Callable[[Gaussians, Camera, ThinLens | None], Image] = _splats
    lens: Callable[[Shot], ThinLens | None] = lambda shot: shot.lens


WAYS = {
    "splat": Way("srgb"),
    "linear": Way("linear"),
    "layers": Way("srgb", _layers),
    # The average over a disc, as Mitsuba's opening is one: is it the Gaussian, or the splats, or the fit?
    "disc": Way("srgb", lambda gaussians, camera, lens: _splats(gaussians, camera, lens, _DISC)),
    "linear_disc": Way("linear", lambda gaussians, camera, lens: _splats(gaussians, camera, lens, _DISC)),
    "no_lens": Way("srgb", lens=lambda shot: None),
    "twin": Way("srgb", lens=lambda shot: shot.twin),
}
SHARP_WAYS = ("splat", "linear")  # one for each fit
SWEPT_WAYS = ("splat", "linear", "layers")
SWEEPS = ("f_number", "focus")


def cells(config: BenchConfig) -> list[Cell]:
    """Return every way of every held-out view and focus, what the fits are without a lens, and the sweeps.

    With one seed of the fit; with three for the table.

    Raises:
        BadInputError: --data, of which nobody knows how it looks through another lens.
        MissingExtraError: Mitsuba is not installed.
    """
    if config.data is not None:
        raise BadInputError(
            "The bench lens_refocus photographs its scene again through Mitsuba's lens, so it cannot take --data; "
            "expected --scene-seed N --out FOLDER, or neither for the shipped still life."
        )
    if not has_package("mitsuba"):
        raise missing_extra("mitsuba", "synthetic")
    scene = capture_folder(config, None).name
    views = range(HELD_OUT_VIEWS)
    found = []
    for seed in SEEDS if config.table else SEEDS[:1]:
        for way in WAYS:
            # From the middle, the other end is the same place.
            foci = [focus for focus, share in FOCI.items() if way != "twin" or share != 0.5]
            found += [Cell(way, f"{scene}_{focus}_view{view}", seed) for view in views for focus in foci]
        found += [Cell(way, f"{scene}_{SHARP}_view{view}", seed) for way in SHARP_WAYS for view in views]
        found += [Cell(f"{sweep}_{way}", scene, seed) for way in SWEPT_WAYS for sweep in SWEEPS]
    return found


def measure(cell: Cell, config: BenchConfig, folder: Path, progress: Progress) -> dict[str, float]:
    """Return the figures of one cell. Fits and what Mitsuba renders are kept beside its folder."""
    capture = capture_folder(config, progress)
    sweep = next((name for name in SWEEPS if cell.row.startswith(f"{name}_")), None)
    way = WAYS[cell.row.removeprefix(f"{sweep}_")]
    gaussians = refocus_scenes.fitted(
        capture, way.space, cell.seed, folder.parent / "fits", reuse=config.resume, progress=progress
    )

    def shot_of(focus: str, view: int) -> Shot:
        store = folder.parent / "mitsuba"
        return refocus_scenes.shot_of(capture, config.scene_seed or 0, focus, view, store, progress)

    if sweep is not None:
        shots = {f"{focus}_view{view}": shot_of(focus, view) for focus in FOCI for view in range(HELD_OUT_VIEWS)}
        _keep_sweep(folder, sweep, way, gaussians, shots, progress)
        return recompute(cell, folder)
    focus, view = cell.scene.removeprefix(f"{capture.name}_").split("_view")
    if focus == SHARP:
        photograph = held_out_photograph(capture, int(view))
        drawn = _splats(gaussians, photograph.camera, None)
        keep_view(folder, cell.scene, rendered=drawn, truth=photograph.image)
        return recompute(cell, folder) | {"gaussians": len(gaussians)}
    shot = shot_of(focus, int(view))
    drawn = way.draw(gaussians, shot.camera, way.lens(shot))
    keep_view(folder, cell.scene, rendered=drawn, truth=shot.truth)
    return recompute(cell, folder) | {"truth_noise_psnr_db": shot.noise_psnr_db}


def assumed(sweep: str, step: int, shot: Shot) -> ThinLens:
    """Return the lens that is assumed at one step of a sweep; step 0 is the true one."""
    aperture, focus = shot.lens.aperture_diameter, shot.lens.focus_distance
    if sweep == "f_number":
        return ThinLens(aperture / 2 ** (step * F_NUMBER_STEP), focus)
    return ThinLens(aperture, 1 / (1 / focus + step * FOCUS_STEP * shot.inverse_depth_range))


def _keep_sweep(
    folder: Path, sweep: str, way: Way, gaussians: Gaussians, shots: dict[str, Shot], progress: Progress
) -> None:
    """Write the pictures of every shot with every lens that is assumed, and what to make of them."""
    done, steps = 0, range(-STEPS, STEPS + 1)
    for name, shot in shots.items():
        write_picture(folder / "truth" / f"{name}.png", to_uint8(shot.truth).numpy())
        for step in steps:
            drawn = way.draw(gaussians, shot.camera, assumed(sweep, step, shot))
            write_picture(folder / "rendered" / f"{name}_{step:+d}.png", to_uint8(drawn).numpy())
            done += 1
            progress(f"sweep of {sweep}", done, len(shots) * len(steps))
    # By how much a step changes 1 / focus, as a share of it.
    focus_steps = {
        name: FOCUS_STEP * shot.inverse_depth_range * float(shot.lens.focus_distance) for name, shot in shots.items()
    }
    write_text(folder / _SWEEP_FILE, json.dumps({"steps": list(steps), "focus_steps": focus_steps}, indent=1) + "\n")


def recompute(cell: Cell, folder: Path) -> dict[str, float]:
    """Return the figures that follow from a cell's files; of a sweep, where its best is and how far from the truth.

    `error` is the f-number's, or the focus distance's, relative to the true one; `error_of_range` that of the focus
    relative to the view's range of inverse depths. Each is of the best of the mean over all pictures, and, `worst_...`,
    the largest of those of the means over pictures with one focus.
    """
    if not (folder / _SWEEP_FILE).exists():
        return figures_from(folder)
    kept = json.loads((folder / _SWEEP_FILE).read_text(encoding="utf-8"))
    steps: list[int] = kept["steps"]
    curves: dict[str, list[float]] = {}
    for name in kept["focus_steps"]:
        truth = read_picture(folder / "truth" / f"{name}.png")
        curves[name] = [psnr(read_picture(folder / "rendered" / f"{name}_{step:+d}.png"), truth) for step in steps]
    write_text(folder / "curves.json", json.dumps(curves, indent=1) + "\n")

    def found(names: list[str]) -> dict[str, float]:
        mean = [statistics.fmean(curves[name][i] for name in names) for i in range(len(steps))]
        step = peak(steps, mean)
        if cell.row.startswith("f_number"):
            factor = 2 ** (step * F_NUMBER_STEP)
            return {"best_factor": factor, "error": abs(factor - 1)}
        errors = [abs(1 / (1 + step * kept["focus_steps"][name]) - 1) for name in names]
        shift = step * FOCUS_STEP
        return {"best_shift": shift, "error": statistics.fmean(errors), "error_of_range": abs(shift)}

    names = list(curves)
    figures = found(names)
    by_focus = [found(chosen) for focus in FOCI if (chosen := [name for name in names if name.startswith(focus)])]
    figures |= {f"worst_{key}": max(one[key] for one in by_focus) for key in figures if key.startswith("error")}
    return figures | {"psnr_db_at_truth": statistics.fmean(curves[name][steps.index(0)] for name in names)}


def peak(steps: list[int], values: list[float]) -> float:
    """Return where values at evenly spaced steps are largest, by the parabola through the best and its neighbours.

    A best at either end is returned as it is: the sweep does not hold the peak.
    """
    i = values.index(max(values))
    if i in (0, len(values) - 1):
        return float(steps[i])
    before, best, after = values[i - 1 : i + 2]
    bend = before - 2 * best + after
    return steps[i] + ((before - after) / bend / 2 if bend < 0 else 0.0)


def headlines(rows: dict[str, float]) -> dict[str, float]:
    """Return means over views and foci of every way, the worst beside them, and how far off the sweeps' best are."""
    found: dict[str, list[float]] = {}
    noise: list[float] = []
    errors: dict[str, float] = {}
    for key, value in rows.items():
        scene, row, figure = key.split(".", 2)
        if figure == "psnr_db":
            kind = SHARP if f"_{SHARP}_view" in scene else "refocus"
            found.setdefault(f"{kind}{_named(row)}_psnr", []).append(value)
        elif figure == "truth_noise_psnr_db":
            noise.append(value)
        elif figure in ("error", "worst_error", "error_of_range", "worst_error_of_range"):
            sweep = next(name for name in SWEEPS if row.startswith(name))
            errors[f"peak_{sweep.replace('_', '')}{_named(row.removeprefix(f'{sweep}_'))}_{figure}"] = value
    means = {name: statistics.fmean(several) for name, several in found.items()}
    worst = {f"{name}_worst": min(several) for name, several in found.items()}
    return means | worst | errors | ({"truth_noise_psnr": min(noise)} if noise else {})


def _named(way: str) -> str:
    """Return what a way adds to the name of a headline: nothing, if it is the default."""
    return "" if way == "splat" else f"_{way}"
