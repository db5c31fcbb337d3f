"""What a reconstruction has done so far, kept in a folder beside its result until that is whole.

    RESULT.unfinished/config.yaml        the settings
                      start.safetensors  cameras and points, so that they need not be found again
                      fit.safetensors    the fit after some step (fit/checkpoint.py)
                      course.json        its course until then

Every file is replaced whole or not at all, so a process may end at any moment.
"""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..camera import Camera
from ..distortion import Distortion
from ..errors import LESS_MEMORY, BadInputError, HyperfocalError, StoppedError, is_out_of_memory, out_of_memory
from ..files import read_json_object, write_text
from ..fit import Checkpoint, read_checkpoint, write_checkpoint
from ..scene import PointCloud, Scene, View
from ..tensor_files import read_tensors, write_tensors
from .config import ReconstructConfig
from .config_file import read_config, write_config
from .folder import remove_leftovers
from .scores import CurvePoint

CONFIG_FILE, START_FILE, FIT_FILE, COURSE_FILE = "config.yaml", "start.safetensors", "fit.safetensors", "course.json"
FORMAT, VERSION = "hyperfocal start", 1


@dataclass(frozen=True)
class Start:
    """What is known before the fit begins."""

    scene: Scene
    """With cameras."""
    seen: Scene
    """The training views, with points."""
    seconds: Mapping[str, float]
    """That it took, by stage."""


class Unfinished:
    """The folder of one reconstruction."""

    def __init__(self, result: Path) -> None:
        self.folder = result.with_name(f"{result.name}.unfinished")

    @property
    def can_go_on(self) -> bool:
        """Whether the cameras, at least, are there."""
        return (self.folder / START_FILE).is_file()

    def begin(self, start: Start, config: ReconstructConfig) -> None:
        """Keep what was found before the fit.

        Raises:
            BadInputError: the place is read-only or full.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInputError(
                f"{self.folder}, where an unfinished reconstruction is kept, could not be made: {error.strerror}. "
                "Choose another --out."
            ) from error
        write_config(self.folder / CONFIG_FILE, config, "Settings of an unfinished reconstruction.")
        _write(self.folder / START_FILE, start)

    def save(self, checkpoint: Checkpoint, curve: list[CurvePoint], seconds: float) -> None:
        """Keep the fit after some step, and what it took so far.

        Raises:
            BadInputError: the place is read-only or full.
        """
        course = {"curve": [asdict(point) for point in curve], "seconds": seconds}
        write_text(self.folder / COURSE_FILE, json.dumps(course) + "\n")
        write_checkpoint(self.folder / FIT_FILE, checkpoint)  # last: without it the course is of no use

    def start(self, scene: Scene, config: ReconstructConfig) -> Start:
        """Return the kept start for the same photographs and settings.

        Raises:
            BadInputError: others are asked for, or a file is damaged.
        """
        kept = read_config(self.folder / CONFIG_FILE, config)
        was, now = _deciding(kept), _deciding(config)
        if was != now:
            raise BadInputError(
                f"The unfinished reconstruction in {self.folder} was started with other settings "
                f"({_first_difference(was, now)}). Repeat the command that it was started with and add --resume, "
                "or start anew with --overwrite."
            )
        return _read(self.folder / START_FILE, scene)

    def fit(self) -> tuple[Checkpoint | None, list[CurvePoint], float]:
        """Return (the last saved step of the fit, its course, seconds), None if the fit had not been saved yet.

        Raises:
            BadInputError: a file is damaged.
        """
        if not (self.folder / FIT_FILE).is_file():
            return None, [], 0.0
        checkpoint = read_checkpoint(self.folder / FIT_FILE)
        remedy = "Start anew with --overwrite."
        course = read_json_object(self.folder / COURSE_FILE, remedy=remedy)
        try:
            curve = [CurvePoint(**point) for point in course["curve"]]
            seconds = float(course["seconds"])
        except (ValueError, KeyError, TypeError) as error:
            raise BadInputError(f"{self.folder / COURSE_FILE} is damaged ({error}). {remedy}") from error
        # The course may have been written for a step that the process did not live to save.
        return checkpoint, [point for point in curve if point.step <= checkpoint.taken], seconds

    def remove(self) -> None:
        """Delete the folder, if it is there."""
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def unfinished(result: Path, *, resume: bool, overwrite: bool) -> Iterator[Unfinished]:
    """Yield the folder of work for a result; it is gone afterwards unless something stopped the work.

    Raises:
        BadInputError: there is one already, and neither to go on with it nor to drop it was asked for.
    """
    work = Unfinished(result)
    if work.can_go_on and not resume:
        if not overwrite:
            raise BadInputError(
                f"{work.folder} holds an unfinished reconstruction. Go on with it with --resume, or start anew with "
                "--overwrite."
            )
        work.remove()
    remove_leftovers(work.folder, ".*.part*")
    try:
        yield work
    except Exception as error:
        found = is_out_of_memory(error) and not isinstance(error, HyperfocalError)
        told = out_of_memory(error, LESS_MEMORY) if found else error
        has_fit = (work.folder / FIT_FILE).is_file()
        if has_fit and isinstance(told, HyperfocalError) and not isinstance(told, StoppedError):
            told.args = (f"{told} The fit is kept in {work.folder}: repeat the command with --resume.",)
        if told is error:
            raise
        raise told from error
    finally:
        if not work.can_go_on:
            work.remove()  # of no use
    work.remove()


def _write(path: Path, start: Start) -> None:
    posed = start.scene.posed_views
    cameras = [view.camera for view in posed if view.camera is not None]
    tensors: dict[str, Tensor] = {
        "world_to_camera": torch.stack([camera.world_to_camera for camera in cameras]),
        "focal_px": torch.stack([camera.focal_px for camera in cameras]),
        "center_px": torch.stack([camera.center_px for camera in cameras]),
        "size_px": torch.tensor([[camera.width, camera.height] for camera in cameras]),
    }
    if start.seen.points is not None:
        tensors |= {"positions": start.seen.points.positions, "colors": start.seen.points.colors}
    plain = {
        "names": [view.name for view in posed],
        "distortions": [None if view.distortion is None else asdict(view.distortion) for view in posed],
        "training": [view.name for view in start.seen.views],
        "notes": [start.scene.notes, start.seen.notes],
        "metres_per_unit": start.scene.metres_per_unit,
        "up": start.scene.up,
        "seconds": dict(start.seconds),
    }
    write_tensors(path, FORMAT, VERSION, tensors, plain)


def _read(path: Path, scene: Scene) -> Start:
    """Return a start with the photographs of `scene`, which was read again.

    Raises:
        BadInputError: the file is damaged, or photographs have gone.
    """
    remedy = "Start anew with --overwrite."
    tensors, plain = read_tensors(path, FORMAT, VERSION, remedy=remedy)
    try:
        cameras = {name: _camera(tensors, i) for i, name in enumerate(plain["names"])}
        distortions = dict(zip(plain["names"], map(_distortion, plain["distortions"]), strict=True))
        points = PointCloud(tensors["positions"], tensors["colors"]) if "positions" in tensors else None
        notes, seen_notes = (tuple(map(str, part)) for part in plain["notes"])
        up = None if plain["up"] is None else tuple(map(float, plain["up"]))
        training, seconds = set(plain["training"]), dict(plain["seconds"])
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise BadInputError(f"{path} is damaged ({type(error).__name__}: {error}). {remedy}") from error
    gone = sorted(set(cameras) - {view.name for view in scene.views})
    if gone:
        raise BadInputError(
            f"{scene.source} has no photograph {gone[0]!r} any more, with which the unfinished reconstruction in "
            f"{path.parent} was started. Put it back, or start anew with --overwrite."
        )

    def with_camera(view: View) -> View:
        return replace(view, camera=cameras.get(view.name), distortion=distortions.get(view.name))

    whole = replace(
        scene,
        views=tuple(map(with_camera, scene.views)),
        metres_per_unit=plain["metres_per_unit"],
        up=up,
        notes=notes,
    )
    views = tuple(view for view in whole.views if view.name in training)
    seen = replace(whole, views=tuple(sorted(views, key=lambda view: view.name)), points=points, notes=seen_notes)
    return Start(whole, seen, seconds)


def _camera(tensors: dict[str, Tensor], i: int) -> Camera:
    width, height = tensors["size_px"][i].tolist()
    return Camera(tensors["world_to_camera"][i], tensors["focal_px"][i], tensors["center_px"][i], width, height)


def _distortion(plain: dict[str, Any] | None) -> Distortion | None:
    return None if plain is None else Distortion(plain["model"], tuple(map(float, plain["coefficients"])))


def _deciding(config: ReconstructConfig) -> ReconstructConfig:
    """Return the settings without those of memory and of what is shown: a fit may go on with others of these."""
    fit = replace(config.fit, photographs="float32", moments="float32")
    sfm = replace(config.sfm, threads=None)
    shown = {"report_views": 1, "view_page": True, "view_photographs": 0}
    return replace(config, memory=None, photographs_on_disk=False, fit=fit, sfm=sfm, **shown)


def _first_difference(kept: object, asked: object, key: str = "") -> str:
    """Return the first setting in which two configs differ, for people."""
    for name, value in vars(asked).items():
        other = vars(kept).get(name)
        if other != value:
            inner = hasattr(value, "__dict__") and type(value) is type(other)
            return _first_difference(other, value, f"{key}{name}.") if inner else f"{key}{name}: {other}, now {value}"
    return "none is known"
