"""The main job: photographs in, a measured 3D Gaussian scene out."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ..data import load_photograph
from ..data.listed import some_of
from ..errors import NothingUsableError
from ..fit import Step, fit, initialize_gaussians, with_random_points
from ..gaussians import Gaussians
from ..progress import Progress, silent
from ..scene import Photograph, Scene, View, split_views
from ..sfm import estimate_poses, triangulate_points
from .config import ReconstructConfig
from .evaluation import score
from .folder import SPARE_BYTES, new_folder
from .machine import describe_machine, peak_memory_mib
from .result import Result, write_result
from .scores import CurvePoint

FEWEST = 3  # photographs, as structure from motion needs
CURVE_POINTS = 200  # as many as a chart can show
BYTES_PER_GAUSSIAN = 62 * 4  # in scene.ply, at the highest degree of colour


def reconstruct(
    scene: Scene,
    config: ReconstructConfig | None = None,
    *,
    out: Path | str | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
) -> Result:
    """Return the Gaussians that photographs show, with scores on photographs that the fit has not seen.

    Cameras that are not known are estimated; cameras without points are given some by triangulation.

    Args:
        scene: What `read_scene` read.
        config: None is the default.
        out: Also write a result folder here, whole or not at all.
        overwrite: Replace a result that stands at `out`.
        progress: Told how far each stage is.

    Raises:
        BadInputError: `out` exists or cannot be written, or a photograph cannot be read.
        NothingUsableError: fewer than three photographs, or no cameras could be found for them.
    """
    config = config or ReconstructConfig()
    if len(scene.views) < FEWEST:
        raise NothingUsableError(
            f"{scene.source} holds too few photographs: {len(scene.views)}. A reconstruction needs at least {FEWEST}, "
            "better 20 to 200, taken while walking around the subject."
        )
    if out is None:
        return _reconstructed(scene, config, progress)
    needed = config.fit.densify.cap * BYTES_PER_GAUSSIAN + SPARE_BYTES
    with new_folder(Path(out), overwrite=overwrite, needed_bytes=needed) as folder:
        result = _reconstructed(scene, config, progress)
        progress("writing the result", 0, 1)
        write_result(folder, result)
        progress("writing the result", 1, 1)
    return result


def _reconstructed(scene: Scene, config: ReconstructConfig, progress: Progress) -> Result:
    seconds: dict[str, float] = {}
    with _timed(seconds, "Cameras"):
        scene = _with_cameras(scene, config, progress)
    training, held_out = split_views(scene.posed_views, config.eval_every)
    if not training:
        raise NothingUsableError(
            f"Only {len(scene.posed_views)} photograph of {scene.source} has a known camera, and --eval would hold it "
            "out. Leave --eval away, or add photographs."
        )
    with _timed(seconds, "Points"):
        seen = _with_points(replace(scene, views=training), config, progress)
    with _timed(seconds, "Photographs"):
        photographs = tuple(_loaded(training, config.long_side, progress))
    with _timed(seconds, "Fit"):
        gaussians, curve = _fitted(photographs, seen, config, progress)
    with _timed(seconds, "Evaluation"):
        # Training photographs are in memory already; held-out ones come one at a time.
        judged = (load_photograph(view, long_side=config.long_side) for view in held_out) if held_out else photographs
        count = len(held_out) or len(photographs)
        scores = score(gaussians, judged, count, held_out=bool(held_out), progress=progress)
    return Result(
        gaussians=gaussians,
        scene=replace(scene, points=seen.points),
        config=config,
        held_out=tuple(view.name for view in held_out),
        scores=scores,
        curve=curve,
        seconds=seconds,
        peak_memory_mib=peak_memory_mib(),
        machine=describe_machine(),
        notes=seen.notes,
    )


def _with_cameras(scene: Scene, config: ReconstructConfig, progress: Progress) -> Scene:
    """Return the scene with cameras for as many views as possible; notes say what is missing."""
    if not scene.posed_views:
        scene = estimate_poses(scene, config=config.sfm, progress=progress)
        if not config.eval_every:
            return scene
        return scene.with_notes(
            "Cameras and starting points were estimated from all photographs, the held-out ones included, as is "
            "customary; the fit itself has not seen the held-out ones."
        )
    lost = [view.name for view in scene.views if view.camera is None]
    return scene.with_notes(f"Not used, since the camera is unknown: {some_of(lost)}.") if lost else scene


def _with_points(training: Scene, config: ReconstructConfig, progress: Progress) -> Scene:
    """Return the training views with points to start from; what held-out photographs show stays unseen."""
    if training.points is not None and len(training.points) > 0:
        return training
    try:
        return triangulate_points(training, config=config.sfm, progress=progress)
    except NothingUsableError as error:
        start = config.fit.initial.random_points
        return with_random_points(training, start, config.fit.seed).with_notes(f"No points were triangulated: {error}")


def _loaded(views: tuple[View, ...], long_side: int | None, progress: Progress) -> Iterator[Photograph]:
    for i, view in enumerate(views):
        yield load_photograph(view, long_side=long_side)
        progress("loading photographs", i + 1, len(views))


def _fitted(
    photographs: tuple[Photograph, ...], scene: Scene, config: ReconstructConfig, progress: Progress
) -> tuple[Gaussians, tuple[CurvePoint, ...]]:
    """Return the fitted Gaussians and the course of the fit."""
    every = max(1, config.fit.steps // CURVE_POINTS)
    losses: list[float] = []
    curve: list[CurvePoint] = []
    step: Step | None = None
    for step in fit(photographs, initialize_gaussians(scene, config.fit), config.fit, progress=progress):
        losses.append(step.loss)
        if len(losses) == every or step.is_last:
            curve.append(CurvePoint(step.index + 1, sum(losses) / len(losses), step.count))
            losses.clear()
    assert step is not None, "a fit has at least one step"
    return step.gaussians(), tuple(curve)


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    seconds[stage] = time.perf_counter() - began
