"""`Result`: a reconstruction with everything that was measured of it, and the folder that holds one."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from .. import __version__
from ..data.cameras_json import read_cameras_json, write_cameras_json
from ..errors import BadInputError
from ..export import read_ply, write_ply
from ..files import read_json_object, write_text
from ..gaussians import Gaussians
from ..progress import Progress, silent
from ..scene import Scene, View
from .config import ReconstructConfig
from .config_file import read_config, write_config
from .folder import RESULT_MARK
from .lens_file import read_lens_json, write_lens_json
from .photographed import PhotographedLens
from .scores import CurvePoint, Table, plain_from_score, score_from_plain

SCENE_FILE, CAMERAS_FILE, CONFIG_FILE, REPORT_FILE = "scene.ply", "cameras.json", "config.yaml", "report.html"
LENS_FILE, SHARP_FOLDER, PAGE_FILE = "lens.json", "sharp", "view.html"


@dataclass(frozen=True)
class Result:
    """What `reconstruct` made of some photographs."""

    gaussians: Gaussians
    scene: Scene
    """The photographs with the cameras that were used."""
    config: ReconstructConfig
    held_out: tuple[str, ...]
    """Names of the views that the fit has not seen."""
    scores: Table
    curve: tuple[CurvePoint, ...] = ()
    """The course of the fit."""
    seconds: Mapping[str, float] | None = None
    """Wall time of each stage."""
    peak_memory_mib: float | None = None
    """Most memory that the process held; None where the system does not say."""
    machine: Mapping[str, str | int | float] | None = None
    """What it ran on."""
    notes: tuple[str, ...] = ()
    """What was skipped, repaired or assumed, a sentence each."""
    lenses: tuple[PhotographedLens, ...] | None = None
    """How each fitted photograph was taken; None where neither a lens nor motion was fitted."""

    @property
    def training(self) -> tuple[str, ...]:
        """Names of the views that were fitted."""
        return tuple(view.name for view in self.scene.posed_views if view.name not in self.held_out)

    @property
    def scored_views(self) -> tuple[View, ...]:
        """The held-out views, or all posed ones if none were held out."""
        posed = self.scene.posed_views
        return tuple(view for view in posed if view.name in self.held_out) if self.held_out else posed


def write_result(folder: Path, result: Result, *, progress: Progress = silent) -> None:
    """Write the result's files into an existing folder; `folder.new_folder` makes the whole of it atomic.

    Of soft photographs that includes the photographs in focus (`sharp`), as far as they can still be read, and unless
    `view_page` is off the page for browsers.

    Raises:
        BadInputError: a file cannot be written.
    """
    from .page import write_result_page
    from .report import write_report
    from .sharp import write_sharp

    if result.lenses is not None:
        capture, metres = result.config.fit.capture, result.scene.metres_per_unit
        write_lens_json(folder / LENS_FILE, result.lenses, metres_per_unit=metres, sub_frames=capture.sub_frames)
        missing = write_sharp(
            folder / SHARP_FOLDER,
            result.gaussians,
            result.scene,
            result.lenses,
            long_side=result.config.long_side,
            match_colors=capture.exposure != "off",
            progress=progress,
        )
        result = replace(result, notes=(*result.notes, *missing))
    write_ply(folder / SCENE_FILE, result.gaussians)
    write_cameras_json(folder / CAMERAS_FILE, result.scene)
    write_config(
        folder / CONFIG_FILE,
        result.config,
        f"hyperfocal {__version__}. Start from these settings: hyperfocal reconstruct PHOTOS --config {CONFIG_FILE}",
    )
    if result.config.view_page:
        missing = write_result_page(folder / PAGE_FILE, result, progress=progress)
        result = replace(result, notes=(*result.notes, *missing))
    write_report(folder / REPORT_FILE, result)
    # Last, since a folder with it counts as a result.
    write_text(folder / RESULT_MARK, json.dumps(_plain(result), indent=1, allow_nan=False) + "\n")


def read_result(folder: Path | str) -> Result:
    """Return the result that a folder holds.

    Raises:
        BadInputError: the folder is no result, or one of its files is damaged.
    """
    folder = Path(folder)
    path = folder / RESULT_MARK
    if not path.is_file():
        raise BadInputError(
            f"{folder} is not a result: it has no {RESULT_MARK}. Expected a folder that `hyperfocal reconstruct` wrote."
        )
    plain = read_json_object(path, remedy="Reconstruct again.")
    try:
        scores = Table(
            views=tuple(score_from_plain(view) for view in plain["views"]),
            held_out=bool(plain["held_out"]),
            lpips_obstacle=plain["lpips_obstacle"],
        )
        curve = tuple(CurvePoint(*point) for point in zip(*plain["curve"].values(), strict=True))
        rest = {name: plain[name] for name in ("seconds", "peak_memory_mib", "machine")}
        held_out, notes = tuple(plain["held_out"]), tuple(plain["notes"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInputError(
            f"{path} is damaged ({type(error).__name__}: {error}); expected what `hyperfocal reconstruct` wrote. "
            "Reconstruct again."
        ) from error
    scene = read_cameras_json(folder / CAMERAS_FILE)
    if scene is None:
        raise BadInputError(f"{folder / CAMERAS_FILE} is missing or holds no cameras. Reconstruct again.")
    return Result(
        gaussians=read_ply(folder / SCENE_FILE),
        scene=scene,
        config=read_config(folder / CONFIG_FILE, ReconstructConfig()),
        held_out=held_out,
        scores=scores,
        curve=curve,
        notes=notes,
        lenses=read_lens_json(folder / LENS_FILE),
        **rest,
    )


def _plain(result: Result) -> dict[str, object]:
    table = result.scores
    return {
        "hyperfocal": __version__,
        "evaluated_on": table.evaluated_on,
        "mean": plain_from_score(table.mean()),
        "views": [plain_from_score(view) for view in table.views],
        "lpips_obstacle": table.lpips_obstacle,
        "held_out": list(result.held_out),
        "gaussians": len(result.gaussians),
        "seconds": result.seconds,
        "peak_memory_mib": result.peak_memory_mib,
        "machine": result.machine,
        "notes": list(result.notes),
        "curve": {name: [getattr(p, name) for p in result.curve] for name in ("step", "loss", "gaussians")},
    }
