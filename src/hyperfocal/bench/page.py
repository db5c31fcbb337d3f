"""How true the page in the browser is: its pictures against `render`, its blur against the thin lens, depth and time.

The browser draws in software, so that the figures are those of any machine. Controls draw the same page through the
lens that other viewers' rules amount to, with the same f-number: Spark's own example has the aperture angle
2 atan(A / (2 focus)), a blur whose standard deviation is half of the circle, and splat-transform takes the whole circle
for the standard deviation. That of a disc is a quarter.
"""

import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from ..apertures import Aperture
from ..camera import Camera
from ..export.page import bundle
from ..files import write_text
from ..gaussians import Gaussians
from ..lens import PhysicalLens, ThinLens
from ..progress import Progress
from ..render import render
from ..rendering import RenderOptions
from ..sh import dc_from_color
from .config import BenchConfig
from .evidence import figures_from, keep_view
from .harness import Cell
from .lens_scenes import Shot, shot_of, trained
from .page_browser import Shown, browser, shown
from .random_scene import random_scene

SIZE = (20_000, 640, 480)
# What the browser draws: footprints that grow by a Gaussian of variance c^2 / 16, at opacities that keep energy.
LIKE_THE_PAGE = RenderOptions(opacity_law="energy", aperture=Aperture("gaussian"))
LENS = ThinLens(torch.tensor(0.1), torch.tensor(3.0))  # circles of up to 12 px
WIDER = {"spark_rule": 2.0, "splat_transform_rule": 4.0}
"""How much wider the lens is that a rule of another viewer draws in place of the one it was asked for."""
PICTURES = ("pinhole", "defocus", "off_centre", *WIDER)
FIRST_PICTURES = {"20k": 20_000, "500k": 500_000}
F_NUMBERS = (1.4, 2.0, 2.8, 4.0, 5.6, 8.0, 11.0, 16.0)
DEPTHS_M = (1.0, 1.5, 3.0, 4.0, 8.0)
CONTROLS_M = 4.0  # the depth at which the controls are drawn as well
FOCUS_M, FOCAL_LENGTH_M, SENSOR_M, SENSOR_PX = 2.0, 0.05, 0.036, 1920
ALONE_PX = 481  # side of the picture of one Gaussian; odd, so that one pixel's centre is the middle
ALONE_SIGMA_PX = 4.0
BLUR_FILE = "blur.json"
_PROFILE = 1 / 50  # of the peak: the part of a footprint to which a Gaussian is fitted
_DEPTHS_ASKED = 40


def cells(config: BenchConfig) -> list[Cell]:
    """Return pictures of the random scene, one Gaussian's blur, depths, times and the page's size.

    A trained scene too: of --data RESULT, or with --table a quick fit of the photographs of a checkout.
    """
    pictures = [Cell(way, sh) for sh in ("sh0", "sh3") for way in PICTURES]
    if config.data is not None or config.table:
        pictures += [Cell(way, "trained") for way in PICTURES]
    others = [Cell("blur", "one_gaussian"), Cell("depth", "sh3"), Cell("bundle", "page")]
    return [*pictures, *others, *(Cell("first_picture", count) for count in FIRST_PICTURES)]


def measure(cell: Cell, config: BenchConfig, folder: Path, progress: Progress) -> dict[str, float]:
    """Return the figures of one cell."""
    if cell.row == "bundle":
        page = bundle()
        return {"mb": len(page) / 1e6, "gzipped_mb": len(gzip.compress(page, 9, mtime=0)) / 1e6}
    if cell.row == "first_picture":
        gaussians, camera, _ = random_scene(FIRST_PICTURES[cell.scene], 800, 600)
        with _page(gaussians, camera) as page:
            return {"seconds": page.first_picture_s}
    if cell.row == "blur":
        table = measured_blur()
        write_text(folder / BLUR_FILE, json.dumps(table, indent=1) + "\n")
        return recompute(cell, folder)
    shot = _shot(cell.scene, config, progress)
    with _page(shot.gaussians, shot.camera) as page:
        return depth_figures(page, shot) if cell.row == "depth" else picture_figures(page, shot, cell, folder)


def recompute(cell: Cell, folder: Path) -> dict[str, float]:
    """Return the figures that follow from a cell's files."""
    if cell.row != "blur":
        return figures_from(folder)
    table = json.loads((folder / BLUR_FILE).read_text(encoding="utf-8"))
    return {f"{rule}_variance_error": _worst_error(table, rule) for rule in ("page", *WIDER)}


def headlines(rows: dict[str, float]) -> dict[str, float]:
    """Return the figures that bars are about; what was not measured is left out."""
    names = {
        **{
            f"{way}_{sh}_psnr_db": f"{sh}.{way}.psnr_db"
            for sh in ("sh0", "sh3", "trained")
            for way in ("pinhole", "defocus", "off_centre")
        },
        "variance_error": "one_gaussian.blur.page_variance_error",
        "depth_error": "sh3.depth.worst",
        "gzipped_mb": "page.bundle.gzipped_mb",
        **{f"first_picture_{count}_s": f"{count}.first_picture.seconds" for count in FIRST_PICTURES},
    }
    return {headline: rows[row] for headline, row in names.items() if row in rows}


@torch.no_grad()
def picture_figures(page: Shown, shot: Shot, cell: Cell, folder: Path) -> dict[str, float]:
    """Return how near the browser's picture is to ours, both rounded to 8 bits."""
    camera = off_centre(shot.camera) if cell.row == "off_centre" else shot.camera
    lens = None if cell.row == "pinhole" else shot.lens
    drawn_lens = lens
    if lens is not None and cell.row in WIDER:
        drawn_lens = replace(lens, aperture_diameter=lens.aperture_diameter * WIDER[cell.row])
    options = RenderOptions() if lens is None else LIKE_THE_PAGE
    truth = render(shot.gaussians, camera, lens=lens, options=options)  # before black, as the page
    keep_view(folder, cell.scene, rendered=page.picture(camera, drawn_lens), truth=truth.color.clamp(0, 1))
    return figures_from(folder)


@torch.no_grad()
def depth_figures(page: Shown, shot: Shot) -> dict[str, float]:
    """Return errors of the depths under the cursor, as shares of `depth_expected`."""
    truth = render(shot.gaussians, shot.camera).depth_expected
    page.picture(shot.camera)
    random = np.random.default_rng(0)
    errors = []
    for x, y in random.integers((shot.camera.width, shot.camera.height), size=(_DEPTHS_ASKED, 2)):
        found = page.depth_at(x + 0.5, y + 0.5)
        if found is not None:
            errors.append(abs(found / float(truth[y, x]) - 1))
    return {"worst": max(errors), "median": float(np.median(errors)), "known": len(errors) / _DEPTHS_ASKED}


def measured_blur() -> list[dict[str, float]]:
    """Return a row for every depth and f-number: the thin lens's circle, and what the page and the rules blur by.

    One white Gaussian is looked at in light that is not rounded: by how much does its variance grow, in pixels^2?
    """
    rows = []
    camera = _camera_of_one()
    with _page(_one_gaussian(FOCUS_M), camera) as page:
        for depth_m in DEPTHS_M:
            page.load(_one_gaussian(depth_m))
            sharp = variance_px2(page.light(camera))
            for f_number in F_NUMBERS:
                physical = PhysicalLens(FOCAL_LENGTH_M, f_number, FOCUS_M, SENSOR_M)
                lens = physical.thin_lens()
                circle = float(lens.coc_diameter_px(torch.tensor(depth_m), camera.focal_px[0]))
                row = {"depth_m": depth_m, "f_number": f_number, "circle_px": circle}
                rules = {"page": 1.0} | (WIDER if depth_m == CONTROLS_M else {})
                for rule, wider in rules.items():
                    drawn = replace(lens, aperture_diameter=lens.aperture_diameter * wider)
                    row[f"{rule}_px2"] = variance_px2(page.light(camera, drawn)) - sharp
                rows.append(row)
    return rows


def variance_px2(light: np.ndarray) -> float:
    """Return the variance along an axis of the Gaussian that a footprint is, from the slope of its logarithm.

    Its second moment would also tell where it was cut off, which is not what a lens does.
    """
    alpha = light[..., 3].astype(np.float64)
    y, x = np.nonzero(alpha > _PROFILE * alpha.max())
    terms = np.stack((x**2 + y**2, x, y, np.ones_like(x)), axis=1)
    slope = np.linalg.lstsq(terms, np.log(alpha[y, x]), rcond=None)[0][0]
    return float(-0.5 / slope)


def off_centre(camera: Camera) -> Camera:
    """Return a camera whose principal point is far from the middle, and whose pixels are not square."""
    size = camera.center_px.new_tensor([camera.width, camera.height])
    stretched = camera.focal_px * camera.focal_px.new_tensor([1.05, 0.92])
    return replace(camera, center_px=size * size.new_tensor([0.38, 0.63]), focal_px=stretched)


def random_shot(sh_degree: int) -> Shot:
    """Return the random scene of the speed benches through a lens."""
    gaussians, camera, _ = random_scene(*SIZE)
    return Shot(gaussians.with_sh_degree(sh_degree), camera, LENS, torch.zeros(3))


def _shot(scene: str, config: BenchConfig, progress: Progress) -> Shot:
    if scene == "trained":
        return shot_of(trained(config.data, progress), 0, "middle", 20.0)
    return random_shot(int(scene.removeprefix("sh")))


def _worst_error(table: list[dict[str, float]], rule: str) -> float:
    """Return the largest error of the variance, as a share of a disc's, c^2 / 16."""
    key = f"{rule}_px2"
    return max(abs(row[key] / (row["circle_px"] ** 2 / 16) - 1) for row in table if key in row)


def _one_gaussian(depth_z: float) -> Gaussians:
    focal_px = FOCAL_LENGTH_M / SENSOR_M * SENSOR_PX
    return Gaussians(
        means=torch.tensor([[0.0, 0.0, depth_z]]),
        quaternions=torch.tensor([[1.0, 0, 0, 0]]),
        scales=torch.full((1, 3), ALONE_SIGMA_PX * depth_z / focal_px),
        opacities=torch.tensor([0.9]),
        sh=dc_from_color(torch.ones(1, 1, 3)),
    )


def _camera_of_one() -> Camera:
    """Return a window of the middle of the picture: circles are those of all of it."""
    focal_px = PhysicalLens(FOCAL_LENGTH_M, 2.0, FOCUS_M, SENSOR_M).focal_px(SENSOR_PX)
    middle = torch.full((2,), ALONE_PX / 2)
    return Camera(torch.eye(4), torch.full((2,), focal_px), middle, ALONE_PX, ALONE_PX)


@contextmanager
def _page(gaussians: Gaussians, camera: Camera) -> Iterator[Shown]:
    with browser() as chromium, shown(chromium, gaussians, camera) as page:
        yield page
