"""`fit`: Gaussians to photographs, one optimisation step at a time."""

import copy
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from ..camera import Camera
from ..color import ColorSpace
from ..errors import BadInputError, NothingUsableError
from ..gaussians import Gaussians
from ..losses.depth_spread import depth_spread_loss
from ..progress import Progress, silent
from ..rendering import RenderOptions
from ..scene import Photograph, Scene
from . import blur_search, capture, clear_view, optimizer, schedules
from .checkpoint import Checkpoint, recall, remember
from .config import FitConfig
from .densify import Densifier, Observation, densifier_for
from .extent import inverse_depths, scene_extent
from .formation import photographed
from .lens_prior import LensPrior, cost, first_apertures, lens_prior
from .objective import loss_terms, photometric_loss
from .parameters import Parameters, Trainable, activate, parameters_from_gaussians, trainable
from .pyramid import PhotographStore
from .sky import Sky, sky_of, without_size_of
from .threads import torch_on_one_thread

_LEAST_RANGE = 0.01  # of 1 / z, of its median
_LEAST_LOSS = 1e-4
_PROGRESS_EVERY = 10  # steps between two reports: often enough for a smooth bar, rare enough to cost nothing


@dataclass(frozen=True)
class Step:
    """One optimisation step that has been taken."""

    index: int
    """Counts from 0."""
    steps: int
    """Of the whole run."""
    photograph: str
    """Name of the view that was compared."""
    loss_terms: dict[str, float]
    """Weighted terms by name; their sum is the loss."""
    count: int
    """Gaussians after the step."""
    means_rate: float
    """Learning rate of the positions, in scene units."""
    seconds: float
    """Since the fit began."""
    gaussians: Callable[[], Gaussians]
    """Makes a copy of the Gaussians after this step. Ask before the next step is taken: training goes on in place."""
    checkpoint: Callable[[], Checkpoint]
    """Makes a copy of all that `fit(resume=...)` needs to go on after this step; ask in time, as for `gaussians`."""

    @property
    def loss(self) -> float:
        """What the step reduced."""
        return sum(self.loss_terms.values())

    @property
    def is_last(self) -> bool:
        """True for the final step of the run."""
        return self.index + 1 == self.steps


def fit(
    scene: Scene | Sequence[Photograph] | PhotographStore,
    gaussians: Gaussians,
    config: FitConfig | None = None,
    *,
    densifier: Densifier | None = None,
    metres_per_unit: float | None = None,
    resume: Checkpoint | None = None,
    progress: Progress = silent,
) -> Iterator[Step]:
    """Fit `gaussians` to photographs; each step of the returned iterator is one step of the optimiser.

        for step in hf.fit(scene, hf.initialize_gaussians(scene), config):
            pass
        hf.write_ply("scene.ply", step.gaussians())

    Args:
        scene: Its posed views are loaded and used; or photographs that the caller has loaded, or put into a store.
        gaussians: Where to start; `initialize_gaussians` makes them from the scene's points. Not changed.
        config: None is the default.
        densifier: A policy of your own in place of `config.densify`.
        metres_per_unit: Size of a scene unit, which makes more of what EXIF says about lenses; None is the scene's.
        resume: Go on from here, with the same photographs and config: the bits are those of a fit that never stopped.
            `gaussians` is not looked at.
        progress: Told how far the fit is.

    Raises:
        NothingUsableError: no photographs with cameras, or no Gaussians.
        BadInputError: `resume` is of other photographs or another number of steps.
        ValueError: a configuration that does not fit the Gaussians.
    """
    config = config or FitConfig()
    photographs = _photographs(scene, config, progress)
    if len(photographs) == 0:
        raise NothingUsableError("There is no photograph with a known camera to fit to: estimate the poses first.")
    if resume is None:
        if len(gaussians) == 0:
            raise NothingUsableError("There are no Gaussians to start from: `initialize_gaussians` makes some.")
        metres = scene.metres_per_unit if metres_per_unit is None and isinstance(scene, Scene) else metres_per_unit
        resume = _beginning(photographs, gaussians.with_sh_degree(config.sh_degree), config, metres)
    else:
        _check_resumable(resume, photographs, config)
        resume = copy.deepcopy(resume)  # steps change it in place
    run = _Run(
        config=config,
        densifier=densifier or densifier_for(config.densify),
        units=resume.units,
        clear_depths=tuple(resume.clear_depths.tolist()),
        sky=sky_of(photographs.cameras, config.initial),
        lens_prior=lens_prior(photographs.exifs),
        color_space=resume.color_space,
        generator=torch.Generator().set_state(resume.random_state),
    )
    return _steps(photographs, resume, run, progress)


def _beginning(photographs: PhotographStore, start: Gaussians, config: FitConfig, metres: float | None) -> Checkpoint:
    """Return the state before the first step."""
    cameras, sky = photographs.cameras, sky_of(photographs.cameras, config.initial)
    scene = start if sky is None else start.select(~sky.holds(start.means))
    if len(scene) == 0:
        raise NothingUsableError("There are no Gaussians to start from but those of the sky.")
    clear_depths = clear_view.clear_depths(cameras, scene.means, config.clear_view)
    return Checkpoint(
        taken=0,
        steps=config.steps,
        photographs=photographs.names,
        color_space=start.color_space,
        units=_units(cameras, scene, metres),
        clear_depths=clear_depths,
        gaussians=trainable(parameters_from_gaussians(start), getattr(torch, config.moments)),
        capture=capture.as_captured(len(photographs), config.capture, capture.aperture_groups(photographs.exifs)),
        blur_gains={},
        memory={},
        order=torch.zeros(0, dtype=torch.int64),
        random_state=torch.Generator().manual_seed(config.seed).get_state(),
    )


def _units(cameras: Sequence[Camera], scene: Gaussians, metres: float | None) -> capture.Units:
    low, middle, high = inverse_depths(cameras, scene)
    focal_px = torch.stack([camera.focal_px for camera in cameras]).mean()
    # Of a scene all at one depth a range has to be made up: any focus before or behind it blurs it alike.
    inverse_range = max(high - low, _LEAST_RANGE * middle)
    return capture.Units(scene_extent(cameras, scene), inverse_range, 1 / middle, float(focal_px), metres)


def _check_resumable(checkpoint: Checkpoint, photographs: PhotographStore, config: FitConfig) -> None:
    names = photographs.names
    if checkpoint.photographs != names:
        raise BadInputError(
            f"The fit to go on with is of {len(checkpoint.photographs)} photographs, beginning with "
            f"{checkpoint.photographs[:1]}; got {len(names)}, beginning with {names[:1]}. Give the same ones, or start "
            "anew."
        )
    if checkpoint.steps != config.steps:
        raise BadInputError(
            f"The fit to go on with is one of {checkpoint.steps:,} steps, got a configuration of {config.steps:,}: "
            "rates and schedules depend on it. Use the configuration that it was started with, or start anew."
        )
    nodes, expected = tuple(checkpoint.capture.values.grid.shape[3:]), capture.grid_nodes(config.capture)
    if nodes != expected:
        raise BadInputError(
            f"The fit to go on with has bilateral grids of {nodes} nodes (luma, y, x; 0 is none), got a configuration "
            f"of {expected}. Use the configuration that it was started with, or start anew."
        )


def _photographs(
    scene: Scene | Sequence[Photograph] | PhotographStore, config: FitConfig, progress: Progress
) -> PhotographStore:
    if isinstance(scene, PhotographStore):
        return scene
    if not isinstance(scene, Scene):
        return PhotographStore(scene, bits=config.photographs)
    from ..data import load_photograph

    store = PhotographStore(bits=config.photographs)
    for view in scene.posed_views:
        progress("loading photographs", len(store), len(scene.posed_views))
        store.add(load_photograph(view, depth=False))
    progress("loading photographs", len(store), len(scene.posed_views))
    return store


@dataclass(frozen=True)
class _Run:
    """What stays the same for all steps."""

    config: FitConfig
    densifier: Densifier
    units: capture.Units
    clear_depths: tuple[float, ...]
    """Of each photograph."""
    sky: Sky | None
    lens_prior: LensPrior
    color_space: ColorSpace
    generator: torch.Generator


def _steps(photographs: PhotographStore, start: Checkpoint, run: _Run, progress: Progress) -> Iterator[Step]:
    began = time.perf_counter()
    config, steps = run.config, run.config.steps
    state, captured, gains = start.gaussians, start.capture, start.blur_gains
    memory = recall(run.densifier.init(len(state)), start.memory)
    order = start.order.tolist()
    clock = _Clock()
    for index in range(start.taken, steps):
        # Every photograph once in random order, then again in another.
        order = order or torch.randperm(len(photographs), generator=run.generator).tolist()
        which = order.pop(0)
        if config.capture.wants_blur:
            search = partial(_search, photographs, state, captured, run, progress)
            if index == math.ceil(config.capture.blur_start * steps):
                captured = replace(captured, values=blur_search.found(captured.values, search()))
            if index == math.ceil(config.capture.blur_check * steps):
                values, gains = blur_search.checked(captured.values, search())
                captured = replace(captured, values=values)
        means_rate = run.units.extent * schedules.means_rate(config.learning_rates, index / steps)
        with torch_on_one_thread() as threads:
            photograph = photographs.photograph(which, schedules.shrink_factor(config, index / steps))
            terms, gradients, seen = _differentiate(state.values, captured, which, photograph, index, run, threads)
            optimizer.step_(
                state,
                gradients.gaussians,
                step=index,
                rates=config.learning_rates,
                means_rate=means_rate,
                threads=threads,
            )
            share, rates = index / steps, config.capture
            capture.step_(captured, which, gradients.capture, rates, share=share, units=run.units, threads=threads)
            state, memory = run.densifier.step(state, memory, seen)
        clock.taken = index + 1
        if clock.taken % _PROGRESS_EVERY == 0 or clock.taken == steps:
            progress("fitting", clock.taken, steps)
        now = replace(start, taken=index + 1, gaussians=state, capture=captured, blur_gains=gains)
        yield Step(
            index=index,
            steps=steps,
            photograph=photograph.name,
            loss_terms=terms,
            count=len(state),
            means_rate=means_rate,
            seconds=time.perf_counter() - began,
            gaussians=partial(_snapshot, state.values, run.color_space, clock, index),
            checkpoint=partial(_checkpoint, now, memory, order, run.generator, clock),
        )


def _search(
    photographs: PhotographStore,
    state: Trainable,
    captured: capture.TrainableCapture,
    run: _Run,
    progress: Progress,
) -> blur_search.Search:
    """Return what blur is looked for in."""
    config = run.config.capture
    with torch_on_one_thread() as threads:
        gaussians = activate(state.values, run.color_space, threads)

    def loss(photograph: Photograph, row: dict[str, Tensor]) -> float:
        with torch_on_one_thread() as threads:
            seen = photographed(gaussians, photograph, row, config, RenderOptions(threads=threads))
            found = float(photometric_loss(seen, photograph, run.config, threads))
        if "aperture" in row and run.units.metres is not None:
            number = photographs.names.index(photograph.name)
            found += config.exif_weight * float(cost(run.lens_prior, number, row, captured.values, run.units))
        return found

    usual = config.circle_px / (run.units.focal_px * run.units.inverse_range)
    apertures = first_apertures(run.lens_prior, usual, run.units)
    return blur_search.Search(photographs, gaussians, config, run.units, captured.groups, apertures, loss, progress)


@dataclass
class _Clock:
    taken: int = 0
    """Steps taken so far, for all to see."""


def _snapshot(values: Parameters, color_space: ColorSpace, clock: _Clock, index: int) -> Gaussians:
    _check_in_time(clock, index)
    return activate(copy.deepcopy(values), color_space)


def _checkpoint(
    now: Checkpoint, memory: object, order: list[int], generator: torch.Generator, clock: _Clock
) -> Checkpoint:
    _check_in_time(clock, now.taken - 1)
    return replace(
        now,
        gaussians=copy.deepcopy(now.gaussians),
        capture=copy.deepcopy(now.capture),
        memory=remember(memory),
        order=torch.tensor(order, dtype=torch.int64),
        random_state=generator.get_state(),
    )


def _check_in_time(clock: _Clock, index: int) -> None:
    if clock.taken != index + 1:
        raise RuntimeError(f"Step {index} is over: ask for its Gaussians before taking the next step.")


@dataclass(frozen=True)
class _Gradients:
    gaussians: Parameters
    capture: dict[str, Tensor]
    """Of one photograph's row, by the fields that are fitted."""


def _differentiate(
    values: Parameters,
    captured: capture.TrainableCapture,
    which: int,
    photograph: Photograph,
    index: int,
    run: _Run,
    threads: int,
) -> tuple[dict[str, float], _Gradients, Observation]:
    """Return (loss terms, gradients, what density control wants to know) of one photograph."""
    config, share = run.config, index / run.config.steps
    leaves = {name: tensor.detach().requires_grad_() for name, tensor in values.tensors().items()}
    fitted = capture.fitted(config.capture, captured.values)
    row = {name: value.clone().requires_grad_() for name, value in captured.values.row(which, fitted).items()}
    gaussians = activate(Parameters(**leaves), run.color_space, threads)
    offsets = torch.zeros(1, len(values), 2, requires_grad=True) if run.densifier.wants_mean_gradients else None
    clear_z = run.clear_depths[which]
    near, degree = max(RenderOptions.near, clear_z), schedules.sh_degree(config, share)
    options = RenderOptions(sh_degree=degree, near=near, mean_offsets_px=offsets, threads=threads)
    rendering = photographed(
        gaussians,
        photograph,
        row,
        config.capture,
        options,
        background=torch.rand(3, generator=run.generator) if config.background == "random" else None,
    )
    terms = loss_terms(
        rendering,
        photograph,
        without_size_of(run.sky, gaussians),
        run.units.extent,
        config,
        run.densifier,
        threads,
        share,
    )
    if clear_z > 0:
        terms["clear_view"] = clear_view.fading(gaussians, photograph.camera, clear_z)
    terms |= capture.regularizers(row, config.capture)
    if schedules.has_spread(config, index):
        camera = capture.camera_of(photograph.camera, row)
        spread = depth_spread_loss(gaussians, camera, run.units.inverse_range, options)
        terms["spread"] = schedules.SPREAD_EVERY * config.spread_weight * spread
    if "aperture" in row:
        terms["exif"] = config.capture.exif_weight * cost(run.lens_prior, which, row, captured.values, run.units)
    loss = torch.stack(list(terms.values())).sum()
    if not bool(loss.isfinite()):
        raise FloatingPointError(f"The loss of step {index} (photograph {photograph.name}) is {loss.item()}.")
    wanted = {**leaves, **row} | ({} if offsets is None else {"offsets": offsets})
    gradients = dict(zip(wanted, torch.autograd.grad(loss, list(wanted.values())), strict=True))
    half_size = torch.tensor([photograph.camera.width / 2, photograph.camera.height / 2])
    rates = config.learning_rates
    means_rate = schedules.means_rate(rates, share)
    seen = Observation(
        step=index,
        steps=config.steps,
        extent=run.units.extent,
        means_rate=means_rate,
        means_rate_share=means_rate / rates.means if rates.means > 0 else 0.0,
        gaussians=gaussians.detach(),
        radii_px=rendering.radii_px,
        mean_gradients=None if offsets is None else gradients["offsets"][0] * half_size,
        generator=run.generator,
        sky=run.sky,
    )
    if "aperture" in row:
        # What photographs share is fitted to the product of their losses, of which none outweighs the others.
        gradients["aperture"] /= terms["photometric"].detach().clamp_min(_LEAST_LOSS)
    found = _Gradients(
        Parameters(**{name: gradients[name] for name in leaves}), {name: gradients[name] for name in row}
    )
    return {name: float(term.detach()) for name, term in terms.items()}, found, seen
