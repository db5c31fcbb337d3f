"""How good and how fast a lens and a shutter are: against averages over the opening, and a ray tracer."""

import math
import statistics
import time
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import torch

from ..apertures import Aperture
from ..errors import has_package
from ..metrics import psnr
from ..progress import Progress
from ..render import render
from ..rendering import Rendering, RenderOptions
from . import lens_layers, lens_shutter
from .config import BenchConfig
from .evidence import figures_from, keep_view
from .harness import Cell
from .lens_scenes import FOCI, Shot, flat_random_scene, sheet, shot_of, trained
from .rasterizer import torch_threads

# The way that users get and its faster twin; then the controls: other laws, and no lens at all.
# Through a Gaussian opening, so that only the splats err and not their shape.
GAUSSIAN = Aperture("gaussian")
WAYS = {
    "light_kept": RenderOptions(opacity_law="light_kept", aperture=GAUSSIAN),
    "light_kept_fast": RenderOptions(opacity_law="light_kept", aperture=GAUSSIAN, defocus="fast_splat"),
    "energy": RenderOptions(opacity_law="energy", aperture=GAUSSIAN),
    "optical_depth": RenderOptions(opacity_law="optical_depth", aperture=GAUSSIAN),
    "sharp": None,
}
OURS = tuple(WAYS)[:2]
SHEETS = {
    f"sheet_{sigma:g}_{opacity:g}_{circle:g}px": (sigma, opacity, circle)
    for circle in (10.0, 30.0)
    for sigma in (0.5, 0.7, 1.0)
    for opacity in (0.5, 0.8, 0.99)
}
TRAINED = {f"trained_{focus}_{circle:g}px": (focus, circle) for circle in (10.0, 20.0) for focus in FOCI}
POINTS, OTHER_POINTS = 128, 96  # of the opening: the truth, and another one that tells its noise
COST_SIZE = (100_000, 640, 480)
COST_SCENE = "100k_640x480"
CIRCLES_PX = {"cost_10px": 10.0, "cost_30px": 30.0}
COST_WAYS = {
    "pinhole": None,
    "splat": RenderOptions(threads=2),
    "fast_splat": RenderOptions(threads=2, defocus="fast_splat"),
}
PINHOLE = RenderOptions(threads=2)
REPEATS = 15
WARM_UP = 3
SHUTTER_ROWS = {exposure: "shutter_lens" if exposure == "lens" else "shutter" for exposure in lens_shutter.EXPOSURES}
MITSUBA_ABSENT = "layers_vs_mitsuba was left out: Mitsuba is not installed (pip install 'hyperfocal[synthetic]')."


def cells(config: BenchConfig) -> list[Cell]:
    """Return every way of drawing each sheet and the trained scene, the costs, and, with Mitsuba, layers and a shutter.

    One view of the trained scene and of Mitsuba's; two for the table.
    """
    views = range(2 if config.table else 1)
    costs = [Cell(row, COST_SCENE) for row in CIRCLES_PX]
    pictures = [Cell(way, scene) for scene in SHEETS for way in WAYS]
    pictures += [Cell(way, f"{scene}_view{view}") for view in views for scene in TRAINED for way in WAYS]
    layers = [Cell("layers", f"still_life_{focus}_view{view}") for view in views for focus in lens_layers.FOCI]
    exposures = [
        Cell(SHUTTER_ROWS[exposure], f"still_life_{exposure}_view{view}")
        for view in views
        for exposure in lens_shutter.EXPOSURES
    ]
    traced = [*(layers if has_package("mitsuba") else ()), *(() if lens_shutter.obstacle(config) else exposures)]
    return [*costs, *pictures, *traced]


def notes(config: BenchConfig) -> tuple[str, ...]:
    """Return what was left out, with the reason."""
    layers = () if has_package("mitsuba") else (MITSUBA_ABSENT,)
    obstacle = lens_shutter.obstacle(config)
    return layers if obstacle is None else (*layers, f"shutter_vs_mitsuba was left out: {obstacle}")


def measure(cell: Cell, config: BenchConfig, folder: Path, progress: Progress) -> dict[str, float]:
    """Return the figures of one cell."""
    if cell.row in CIRCLES_PX:
        return cost_figures(CIRCLES_PX[cell.row], progress)
    if cell.row == "layers":
        focus, view = cell.scene.removeprefix("still_life_").split("_view")
        samples = lens_layers.SAMPLES * (4 if config.table else 1)
        return lens_layers.figures(folder, focus, int(view), config.scene_seed or 0, progress, samples=samples)
    if cell.row in SHUTTER_ROWS.values():
        exposure, view = cell.scene.removeprefix("still_life_").split("_view")
        return lens_shutter.figures(folder, exposure, int(view), config, progress)
    shot, truth, other, disc = _shot_and_truth(cell.scene, config.data, progress)
    drawn = _drawn(shot, WAYS[cell.row])
    keep_view(folder, cell.scene, rendered=drawn.color, truth=truth.color)
    return figures_from(folder) | {
        "light": _light(drawn, shot) / _light(truth, shot),
        "disc_psnr_db": psnr(_drawn(shot, _through_a_disc(WAYS[cell.row])).color, disc.color),
        "truth_noise_psnr_db": psnr(other.color, truth.color),
    }


@lru_cache(maxsize=1)
def _shot_and_truth(scene: str, data: Path | None, progress: Progress) -> tuple[Shot, Rendering, Rendering, Rendering]:
    """Return what is photographed; its average over the opening from many points, and from others; that of a disc."""
    if scene in SHEETS:
        shot = sheet(*SHEETS[scene])
    else:
        name, view = scene.split("_view")
        shot = shot_of(trained(data, progress), int(view), *TRAINED[name])
    shapes = ((GAUSSIAN, POINTS), (GAUSSIAN, OTHER_POINTS), (Aperture("disc"), POINTS))
    averages = (
        _drawn(shot, RenderOptions(defocus="aperture", aperture=shape, aperture_samples=points))
        for shape, points in shapes
    )
    return shot, *averages  # pyright: ignore[reportReturnType]


def _through_a_disc(options: RenderOptions | None) -> RenderOptions | None:
    return None if options is None else replace(options, aperture=Aperture("disc"))


@torch.no_grad()
def _drawn(shot: Shot, options: RenderOptions | None) -> Rendering:
    """Return the picture through the lens, or without it."""
    if options is None:
        return render(shot.gaussians, shot.camera, background=shot.background)
    return render(shot.gaussians, shot.camera, lens=shot.lens, background=shot.background, options=options)


def _light(drawn: Rendering, shot: Shot) -> float:
    """Return the light of the Gaussians alone, summed over the picture."""
    behind = (1 - drawn.alpha).unsqueeze(-1) * shot.background
    return float((drawn.color - behind).double().sum())


def cost_figures(circle_px: float, progress: Progress) -> dict[str, float]:
    """Return medians of forward and backward of the pinhole and of the lens in both ways, in turns."""
    shot, image_gradient = flat_random_scene(*COST_SIZE, circle_px)
    leaves = [tensor.requires_grad_() for tensor in shot.gaussians.tensors().values()]
    times: dict[str, list[float]] = {}
    colors: dict[str, torch.Tensor] = {}
    with torch_threads(1):  # the renderer has threads of its own
        for repeat in range(WARM_UP + REPEATS):
            for way, options in COST_WAYS.items():
                start = time.perf_counter()
                lens = None if options is None else shot.lens
                color = render(shot.gaussians, shot.camera, lens=lens, options=options or PINHOLE).color
                middle = time.perf_counter()
                torch.autograd.grad(color, leaves, image_gradient)
                end = time.perf_counter()
                if repeat >= WARM_UP:
                    times.setdefault(f"{way}_forward_ms", []).append(1e3 * (middle - start))
                    times.setdefault(f"{way}_backward_ms", []).append(1e3 * (end - middle))
                colors[way] = color.detach()
            progress(f"cost at {circle_px:g} px", repeat + 1, WARM_UP + REPEATS)
    figures = {name: statistics.median(values) for name, values in times.items()}
    return figures | {"fast_vs_splat_psnr_db": psnr(colors["fast_splat"], colors["splat"])}


def headlines(rows: dict[str, float]) -> dict[str, float]:
    """Return the figures that the bars are about, worst cases throughout; those that were not measured are left out."""

    def values(ways: tuple[str, ...], figure: str, start: str = "") -> list[float]:
        ends = tuple(f".{way}.{figure}" for way in ways)
        return [value for key, value in rows.items() if key.startswith(start) and key.endswith(ends)]

    found: dict[str, list[float]] = {"splat_vs_aperture_psnr": values(OURS, "psnr_db")}
    for kind in ("sheet", "trained"):
        for way in WAYS:
            found[f"{kind}_{way}_psnr"] = values((way,), "psnr_db", kind)
    found["splat_vs_disc_psnr"] = values(OURS, "disc_psnr_db")
    found["truth_noise_psnr"] = values(OURS, "truth_noise_psnr_db")
    found["light_kept"] = values(OURS, "light")
    found["light_kept_energy"] = values(("energy",), "light")
    found["layers_vs_mitsuba_psnr"] = values(("layers",), "linear_psnr_db")
    found["layers_revealed_psnr"] = values(("layers",), "revealed_psnr_db")
    found["layers_truth_noise_psnr"] = values(("layers",), "truth_noise_psnr_db")
    for row in dict.fromkeys(SHUTTER_ROWS.values()):
        found[f"{row}_psnr"] = values((row,), "psnr_db")
        found[f"{row}_linear_psnr"] = values((row,), "linear_psnr_db")
        found[f"{row}_truth_noise_psnr"] = values((row,), "truth_noise_psnr_db")
    figures = {name: min(several) for name, several in found.items() if several}
    for row in dict.fromkeys(SHUTTER_ROWS.values()):  # of controls the best is the worst case
        if several := [v for control in ("still", "turned") for v in values((row,), f"{control}_psnr_db")]:
            figures[f"{row}_control_psnr"] = max(several)
    for name, ways in (("light_most", OURS), ("light_most_optical_depth", ("optical_depth",))):
        if lights := values(ways, "light"):
            figures[name] = max(lights)
    for row, circle_px in CIRCLES_PX.items():
        start = f"{COST_SCENE}.{row}."
        forward, both = (
            {way: sum(rows.get(f"{start}{way}_{part}_ms", math.nan) for part in parts) for way in COST_WAYS}
            for parts in (("forward",), ("forward", "backward"))
        )
        if math.isnan(both["pinhole"]):
            continue
        for way in ("splat", "fast_splat"):
            figures[f"{way}_cost_{circle_px:g}px"] = both[way] / both["pinhole"]
            figures[f"{way}_forward_cost_{circle_px:g}px"] = forward[way] / forward["pinhole"]
        figures[f"fast_vs_splat_psnr_{circle_px:g}px"] = rows[f"{start}fast_vs_splat_psnr_db"]
    return figures
