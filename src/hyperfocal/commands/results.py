"""`hyperfocal render` and `hyperfocal evaluate`: what can be done with a result."""

import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image as PillowImage
from rich.console import Console
from rich.table import Table

from ..camera import Camera
from ..color import to_uint8
from ..data import read_scene
from ..errors import BadInputError, NothingUsableError
from ..files import write_text
from ..gaussians import Gaussians
from ..progress import Progress
from ..reconstruct.evaluation import evaluate as evaluate_result
from ..reconstruct.folder import new_folder
from ..reconstruct.photo_size import reduced_camera
from ..reconstruct.result import read_result
from ..reconstruct.scores import Table as Scores
from ..reconstruct.scores import ViewScore, plain_from_score
from ..render import render as render_view
from ..rendering import Rendering
from .display import say, show_next

DEPTH_MARK = "depth.json"  # beside the renders: what the numbers in the depth pictures mean
DEPTH_STEPS = 65535  # of a 16-bit PNG


def render(
    result: Path, out: Path, *, long_side: int | None, overwrite: bool, console: Console, progress: Progress
) -> int:
    """Render every camera of a result: NAME.png in colour, NAME.depth.png in 16 bits, their unit in depth.json."""
    with new_folder(out, mark=DEPTH_MARK, overwrite=overwrite) as folder:
        loaded = read_result(result)
        views = loaded.scene.posed_views
        if not views:
            raise NothingUsableError(f"{result} has no cameras to render from.")
        names = _file_names([view.name for view in views])
        cameras = [reduced_camera(view.camera, long_side or loaded.config.long_side) for view in views if view.camera]
        # One scale for all depth pictures, so that they compare; for that, the largest depth must be known first.
        farthest = max(float(_rendered(loaded.gaussians, camera).depth_median.max()) for camera in cameras) or 1.0
        for i, (camera, name) in enumerate(zip(cameras, names, strict=True)):
            rendering = _rendered(loaded.gaussians, camera)
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            PillowImage.fromarray(to_uint8(rendering.color).numpy()).save(f"{path}.png")
            steps = rendering.depth_median / farthest * DEPTH_STEPS
            PillowImage.fromarray(steps.round().numpy().astype(np.uint16)).save(f"{path}.depth.png")
            progress("rendering", i + 1, len(views))
        unit = {"units_per_step": farthest / DEPTH_STEPS, "metres_per_unit": loaded.scene.metres_per_unit}
        about = "camera z of each pixel is its value times units_per_step, in scene units; 0 is unknown"
        write_text(folder / DEPTH_MARK, json.dumps({"depth": about, **unit}, indent=1) + "\n")
    say(console, f"{len(views)} views rendered into {out}")
    show_next(console, f"hyperfocal evaluate {result}")
    return 0


def evaluate(result: Path, data: Path | None, *, as_json: bool, console: Console, progress: Progress) -> int:
    """Measure a result on its photographs, and print the scores."""
    loaded = read_result(result)
    table = evaluate_result(loaded, None if data is None else read_scene(data, progress=progress), progress=progress)
    if as_json:
        plain = {
            "evaluated_on": table.evaluated_on,
            "mean": plain_from_score(table.mean()),
            "views": [plain_from_score(view) for view in table.views],
            "lpips_obstacle": table.lpips_obstacle,
        }
        say(console, json.dumps(plain, allow_nan=False))
    else:
        _show_scores(table, console)
    return 0


def _show_scores(table: Scores, console: Console) -> None:
    learned = table.lpips_obstacle is None
    shown = Table(title=f"Scores on {table.evaluated_on}", title_justify="left")
    shown.add_column("view", overflow="fold")
    for name in ("PSNR dB", "SSIM", "FLIP", *(["LPIPS"] if learned else [])):
        shown.add_column(name, justify="right")

    def add(view: ViewScore, style: str = "") -> None:
        lpips = [f"{view.lpips:.4f}"] if learned and view.lpips is not None else []
        shown.add_row(view.name, f"{view.psnr_db:.2f}", f"{view.ssim:.4f}", f"{view.flip:.4f}", *lpips, style=style)

    for view in table.views:
        add(view)
    shown.add_section()
    add(table.mean(), "bold")
    console.print(shown, markup=False)
    if table.lpips_obstacle is not None:
        say(console, table.lpips_obstacle, "dim")


def _rendered(gaussians: Gaussians, camera: Camera) -> Rendering:
    with torch.no_grad():
        return render_view(gaussians, camera)


def _file_names(views: list[str]) -> list[str]:
    """Return file names without ending for views; two views that differ only in their ending keep it."""
    for name in views:
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise BadInputError(
                f"The result names a view {name!r}, which would be written outside the folder of renders."
            )
    stems = [Path(name).with_suffix("").as_posix() for name in views]
    return [stem if stems.count(stem) == 1 else name for stem, name in zip(stems, views, strict=True)]
