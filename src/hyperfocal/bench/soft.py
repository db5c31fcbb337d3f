"""Soft photographs: what a fit gains that learns their lens and motion, and how near it comes to the true ones.

All photographs that are fitted are blurred, by Mitsuba; held-out views are judged without blur, against sharp
photographs of the same still life. `base` is the same fit without a lens, from the same points. The base of the sharp
photographs, on the scenes `sharp`, is what no row should surpass.
"""

import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from ..fit import CaptureConfig, FitConfig, McmcConfig, Step, fit
from ..fit.config import Blur
from ..progress import Progress
from ..reconstruct.config import PRESETS
from . import soft_headlines
from .config import BenchConfig
from .harness import Cell
from .quality import SEEDS, judge
from .soft_captures import AMOUNTS, KINDS, OWN, Setting, in_linear_light, setting_of, shots_of
from .soft_control import deblurred
from .soft_figures import blur_figures

SCENE_SEED = 11  # nothing was tuned on the still lifes from here on
STILL_LIFES = 3  # of the table
DECISIONS = {"sharp": 6} | dict.fromkeys(OWN, 2)  # still lifes of the table on which `auto` decides: 6 sharp, 6 soft
ROWS: dict[str, tuple[Blur, Blur]] = {
    "base": ("off", "off"),
    "lens": ("on", "off"),
    "motion": ("off", "on"),
    "both": ("on", "on"),
}
"""Lens and motion. More rows are these with `_linear`, Gaussians of light in place of sRGB; `auto`, which only decides;
and `deblurred`, the base of photographs that were sharpened before."""
FULL = PRESETS["default"].fit
REDUCED = replace(FULL, steps=3_000, densify=McmcConfig(cap=30_000))

headlines = soft_headlines.headlines


def cells(config: BenchConfig) -> list[Cell]:
    """Return the bars at reduced size on one still life; for the table on several, at full size, and all else."""
    first = SCENE_SEED if config.scene_seed is None else config.scene_seed
    usual = {kind: Setting(kind, first) for kind in KINDS}
    found: dict[Cell, None] = {}

    def add(setting: Setting, rows: Iterable[str], seeds: Iterable[int] = (0,)) -> None:
        found.update((Cell(row, setting.name, seed), None) for seed in seeds for row in rows)

    add(usual["defocus"], ("base", "lens"), SEEDS)
    add(usual["sharp"], ("base", "lens"), SEEDS)
    for kind in OWN:
        add(usual[kind], ("base", OWN[kind], "deblurred"))
    for kind in KINDS:
        add(usual[kind], ("auto",))
    add(usual["defocus"], ("base_linear", "lens_linear"))
    add(replace(usual["defocus"], sfm=True), ("base", "lens"))
    if not config.table:
        return list(found)
    for scene_seed in range(first, first + STILL_LIFES):
        for kind, row in OWN.items():
            add(Setting(kind, scene_seed), ("base", row), SEEDS)
            add(Setting(kind, scene_seed, sfm=True), ("base", row))
        add(Setting("sharp", scene_seed), ("base", "lens"), SEEDS)
    for kind, count in DECISIONS.items():
        for scene_seed in range(first, first + count):
            add(Setting(kind, scene_seed), ("auto",))
    for kind, row in OWN.items():
        for amount in AMOUNTS:
            add(Setting(kind, first, amount), ("base", row, "auto"))
        for sfm in (False, True):
            add(Setting(kind, first, full=True, sfm=sfm), ("base", row, f"{row}_linear"))
    add(Setting("sharp", first, full=True), ("base", "lens"))
    for kind in KINDS:
        add(usual[kind], (name + space for space in ("", "_linear") for name in ROWS))
    return list(found)


def measure(cell: Cell, config: BenchConfig, folder: Path, progress: Progress) -> dict[str, float]:
    """Return the figures of a fit: held-out views, and the blur that it found; of `auto`, what it decided."""
    setting = setting_of(cell.scene)
    shots = shots_of(setting, config.data or folder.parent / "captures", config.data is None, progress)
    if shots is None:
        return {"placed": 0.0}
    lens, motion = ROWS.get(cell.row.removesuffix("_linear"), ("off", "off"))
    if cell.row == "auto":
        lens, motion = "auto", "auto"
    usual = FULL if setting.full else REDUCED
    chosen = replace(usual, seed=cell.seed, capture=CaptureConfig(lens=lens, motion=motion))
    training = shots.training
    if cell.row == "deblurred":
        training = tuple(deblurred(photograph, shots.truth[photograph.name]) for photograph in training)
    start = in_linear_light(shots.start) if cell.row.endswith("_linear") else shots.start
    steps = fit(training, start, chosen, progress=progress)
    if cell.row == "auto":
        return _decision(steps, chosen, setting.kind)
    end = deque(steps, maxlen=1).pop()
    depth_truth = {photograph.name: photograph.depth_z for photograph in shots.held_out}
    figures = judge(end.gaussians(), shots.held_out, folder, {k: z for k, z in depth_truth.items() if z is not None})
    figures |= {"held_out_views": float(len(shots.held_out)), "gaussians": float(end.count), "seconds_fit": end.seconds}
    return figures | shots.figures | blur_figures(end.checkpoint(), training, shots, chosen.capture)


def _decision(steps: Iterator[Step], config: FitConfig, kind: str) -> dict[str, float]:
    """Return what a fit finds worth it, and whether that is right; it stops when it has decided."""
    decided = math.ceil(config.capture.blur_check * config.steps)
    step = next(step for step in steps if step.index == decided)
    checkpoint = step.checkpoint()
    values = checkpoint.capture.values
    return {
        "lens_found": float(values.has_lens),
        "motion_found": float(values.has_motion),
        **{f"{name}_gain": gain for name, gain in checkpoint.blur_gains.items()},
        "right": float((values.has_lens, values.has_motion) == KINDS[kind]),
        "seconds_fit": step.seconds,
    }
