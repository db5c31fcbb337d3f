"""The main job: photographs in, a measured 3D Gaussian scene out."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from ..camera import reduced_size
from ..data import load_photograph
from ..data.depth_points import with_points_of_depth
from ..data.listed import some_of
from ..errors import NothingUsableError, StoppedError
from ..export.compressed_ply import MOST_COMPRESSED_BYTES
from ..export.page import page_size
from ..fit import Checkpoint, Step, fit, initialize_gaussians, with_fewer_points, with_random_points
from ..fit.capture import corrected_camera
from ..fit.parameters import activate
from ..fit.pyramid import PhotographStore
from ..fit.uncertainty import focus_sigma
from ..native import release_memory
from ..priors.xfeat import learned_matcher
from ..progress import Progress, silent
from ..scene import Photograph, Scene, View, split_views
from ..sfm import estimate_poses, triangulate_points, with_scale, with_up
from .blur_notes import blur_notes
from .config import ReconstructConfig
from .evaluation import score
from .folder import SPARE_BYTES, new_folder, refuse_to_replace
from .interrupt import noticing_interrupts
from .listeners import Log, heard
from .live import LiveView, watched
from .machine import describe_machine, peak_memory_mib
from .memory import PAGE_PHOTOGRAPH_BYTES
from .memory_limit import largest_size, within_memory
from .page import cameras_of
from .photograph_folder import photograph_folder
from .photographed import how_photographed
from .result import Result, write_result
from .scores import CurvePoint
from .softly import Softly
from .unfinished import Start, Unfinished, unfinished

FEWEST = 3  # photographs, as structure from motion needs
CURVE_POINTS = 200  # as many as a chart can show
BYTES_PER_GAUSSIAN = 62 * 4  # in scene.ply, at the highest degree of colour
LOGGED_VIEWS = 4  # of which a log gets pictures
CHECKPOINT_COPIES = 6  # values and two moments; the old file and the new
PNG_BYTES = 2  # a pixel, about, of the photographs in focus


def reconstruct(
    scene: Scene,
    config: ReconstructConfig | None = None,
    *,
    out: Path | str | None = None,
    overwrite: bool = False,
    resume: bool = False,
    log: Log | None = None,
    live: LiveView | None = None,
    progress: Progress = silent,
) -> Result:
    """Return the Gaussians that photographs show, with scores on photographs that the fit has not seen.

    Cameras that are not known are estimated; cameras without points are given some by triangulation.

    Args:
        scene: What `read_scene` read.
        config: None is the default.
        out: Also write a result folder here, whole or not at all.
        overwrite: Replace a result that stands at `out`.
        resume: Go on with what an interrupted run left beside `out`, for the same photographs and config; a new start
            if there is nothing.
        log: Told about the fit as it goes on, with renders of some photographs.
        live: Shows the scene while it is fitted.
        progress: Told how far each stage is.

    Raises:
        BadInputError: `out` exists or cannot be written, a photograph cannot be read, or an interrupted run of other
            settings is there.
        StoppedError: Ctrl-C during the fit; what was done is kept beside `out`.
        NothingUsableError: fewer than three photographs, or no cameras could be found for them.
    """
    config = config or ReconstructConfig()
    refuse_unsuitable(scene)
    config, notes = within_memory(scene, config)
    scene = scene.with_notes(*notes)
    if out is None:
        with photograph_folder(config, None) as kept:
            return _reconstructed(scene, config, None, kept, log, live, progress)
    refuse_to_replace(Path(out), overwrite=overwrite)  # before an unfinished one is dropped
    gaussians = config.fit.densify.cap * BYTES_PER_GAUSSIAN
    needed = gaussians * (1 + (CHECKPOINT_COPIES if config.checkpoint_every else 0)) + SPARE_BYTES
    if config.view_page:
        photographs = min(config.view_photographs, len(scene.views)) * PAGE_PHOTOGRAPH_BYTES
        needed += page_size(config.fit.densify.cap * MOST_COMPRESSED_BYTES, photographs)
    if config.fit.capture.wants_blur:
        needed += len(scene.views) * math.prod(reduced_size(largest_size(scene), config.long_side)) * PNG_BYTES
    with (
        unfinished(Path(out), resume=resume, overwrite=overwrite) as work,
        new_folder(Path(out), overwrite=overwrite, needed_bytes=needed) as folder,
    ):
        with photograph_folder(config, Path(out)) as kept:
            result = _reconstructed(scene, config, work, kept, log, live, progress)
        progress("writing the result", 0, 1)
        write_result(folder, result, progress=progress)
        progress("writing the result", 1, 1)
    return result


def refuse_unsuitable(scene: Scene) -> None:
    """Raise if nothing can be reconstructed from these photographs, before any work.

    Raises:
        NothingUsableError: a focal stack, or too few photographs.
    """
    if scene.kind == "focal_stack":
        raise NothingUsableError(
            f"{scene.source} is a focal stack: one view, in which there are no cameras to find and no scene to walk "
            "around. If the camera did move, say --kind photographs."
        )
    if len(scene.views) < FEWEST:
        raise NothingUsableError(
            f"{scene.source} holds too few photographs: {len(scene.views)}. A reconstruction needs at least {FEWEST}, "
            "better 20 to 200, taken while walking around the subject."
        )


def _reconstructed(
    scene: Scene,
    config: ReconstructConfig,
    work: Unfinished | None,
    kept: Path | None,
    log: Log | None,
    live: LiveView | None,
    progress: Progress,
) -> Result:
    if work is not None and work.can_go_on:
        start = work.start(scene, config)
    else:
        start = _started(scene, config, progress)
        if work is not None and config.checkpoint_every:
            work.begin(start, config)
    scene, seen, seconds = start.scene, start.seen, dict(start.seconds)
    training, held_out = split_views(scene.posed_views, config.eval_every)
    with _timed(seconds, "Photographs"):
        bits = "uint8" if config.photographs_on_disk else config.fit.photographs
        photographs = PhotographStore(_loaded(training, config.long_side, progress), bits=bits, folder=kept)
        release_memory()  # decoding leaves holes in the heap, of several times what is kept
    shown = [] if log is None else _loaded((held_out or training)[:LOGGED_VIEWS], config.long_side, progress)
    see = partial(watched, live=live, cameras=cameras_of(training, config.long_side), up=scene.up)
    hear = partial(heard, log=log, views=tuple(shown))
    fitted, curve, seconds["Fit"] = _fitted(photographs, seen, config, work, lambda steps: hear(see(steps)), progress)
    gaussians = activate(fitted.gaussians.values, fitted.color_space)
    if config.fit.capture.pose:
        scene = _with_corrected_poses(scene, fitted)
        training, held_out = split_views(scene.posed_views, config.eval_every)
    with _timed(seconds, "Evaluation"):
        values, sigmas = fitted.capture.values, None
        if values.has_lens:
            sigmas = focus_sigma(gaussians, photographs, values, config.fit.capture, fitted.units)
        lenses = how_photographed(
            fitted, gaussians, scene, sigmas=sigmas, long_side=config.long_side, progress=progress
        )
        views = held_out or training
        judged = (load_photograph(view, long_side=config.long_side) for view in views)
        softly = Softly.of(lenses, config.fit)
        scores = score(gaussians, judged, len(views), held_out=bool(held_out), softly=softly, progress=progress)
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
        notes=(*seen.notes, *blur_notes(config.fit, fitted.blur_gains, lenses, held_out=bool(held_out))),
        lenses=lenses,
    )


def _started(scene: Scene, config: ReconstructConfig, progress: Progress) -> Start:
    """Return the scene with cameras, and its training views with points.

    Views published for testing are in the scene only if they are to be measured on.
    """
    if not config.eval_every:
        scene = replace(scene, views=tuple(view for view in scene.views if not view.is_test))
    seconds: dict[str, float] = {}
    with _timed(seconds, "Cameras"):
        scene = _with_cameras(scene, config, progress)
    training, _ = split_views(scene.posed_views, config.eval_every)
    if not training:
        raise NothingUsableError(
            f"Only {len(scene.posed_views)} photograph of {scene.source} has a known camera, and --eval would hold it "
            "out. Leave --eval away, or add photographs."
        )
    with _timed(seconds, "Points"):
        seen = _with_points(replace(scene, views=training), config, progress)
    return Start(scene, seen, seconds)


def _with_cameras(scene: Scene, config: ReconstructConfig, progress: Progress) -> Scene:
    """Return the scene with cameras for as many views as possible, and size and up as far as they can be told.

    Notes say what is missing.
    """
    if not scene.posed_views:
        scene = estimate_poses(scene, config=config.sfm, learned=learned_matcher(), progress=progress)
        if config.eval_every:
            scene = scene.with_notes(
                "Cameras and starting points were estimated from all photographs, the held-out ones included, as is "
                "customary; the fit itself has not seen the held-out ones."
            )
    elif lost := [view.name for view in scene.views if view.camera is None]:
        scene = scene.with_notes(f"Not used, since the camera is unknown: {some_of(lost)}.")
    if config.sfm.scale is not None:
        scene = with_scale(scene, config.sfm.scale, progress=progress)
    return with_up(scene)


def _with_points(training: Scene, config: ReconstructConfig, progress: Progress) -> Scene:
    """Return the training views with points to start from; what held-out photographs show stays unseen."""
    initial, seed = config.fit.initial, config.fit.seed
    if training.points is None or len(training.points) == 0:
        try:
            training = triangulate_points(training, config=config.sfm, progress=progress)
        except NothingUsableError as error:
            training = training.with_notes(f"No points were triangulated: {error}")
    training = with_points_of_depth(training, initial.depth_points, seed=seed, long_side=config.long_side)
    if training.points is None:
        training = with_random_points(training, initial.random_points, seed)
    return with_fewer_points(training, config.fit)


def _loaded(views: tuple[View, ...], long_side: int | None, progress: Progress) -> Iterator[Photograph]:
    for i, view in enumerate(views):
        yield load_photograph(view, long_side=long_side, depth=False)
        progress("loading photographs", i + 1, len(views))


def _fitted(
    photographs: PhotographStore,
    scene: Scene,
    config: ReconstructConfig,
    work: Unfinished | None,
    hear: Callable[[Iterator[Step]], Iterator[Step]],
    progress: Progress,
) -> tuple[Checkpoint, tuple[CurvePoint, ...], float]:
    """Return (the fit after its last step, its course, its seconds), those before an interruption included."""
    checkpoint, curve, before_s = (None, [], 0.0) if work is None else work.fit()
    began = time.perf_counter()
    every = max(1, config.fit.steps // CURVE_POINTS)
    losses: list[float] = []
    step: Step | None = None
    if checkpoint is None:
        start = initialize_gaussians(scene, config.fit, photographs)
    else:
        start = activate(checkpoint.gaussians.values, checkpoint.color_space)
    with noticing_interrupts() as interrupted:
        for step in hear(
            fit(
                photographs,
                start,
                config.fit,
                metres_per_unit=scene.metres_per_unit,
                resume=checkpoint,
                progress=progress,
            )
        ):
            taken = step.index + 1
            losses.append(step.loss)
            if taken % every == 0 or step.is_last:
                curve.append(CurvePoint(taken, sum(losses) / len(losses), step.count))
                losses.clear()
            stop = interrupted() and not step.is_last
            due = config.checkpoint_every and (taken % config.checkpoint_every == 0 or step.is_last or stop)
            if work is not None and due:
                work.save(step.checkpoint(), curve, before_s + time.perf_counter() - began)
            if stop:
                raise _stopped(step, work if due else None)
    seconds = before_s + time.perf_counter() - began
    end = checkpoint if step is None else step.checkpoint()  # None: the interruption came after the last step
    assert end is not None, "a fit has at least one step"
    return end, tuple(curve), seconds


def _with_corrected_poses(scene: Scene, fitted: Checkpoint) -> Scene:
    """Return the scene with the cameras of the fitted photographs where the fit found them to be."""
    poses = dict(zip(fitted.photographs, fitted.capture.values.pose, strict=True))

    def corrected(view: View) -> View:
        if view.camera is None or view.name not in poses:
            return view
        return replace(view, camera=corrected_camera(view.camera, poses[view.name]))

    return replace(scene, views=tuple(map(corrected, scene.views)))


def _stopped(step: Step, work: Unfinished | None) -> StoppedError:
    where = f"Stopped after step {step.index + 1:,} of {step.steps:,}."
    if work is None:
        return StoppedError(f"{where} Nothing was kept, as no checkpoints were asked for.")
    return StoppedError(f"{where} What was done is kept in {work.folder}: repeat the command with --resume to go on.")


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    seconds[stage] = time.perf_counter() - began
