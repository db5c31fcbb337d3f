"""`fit`: Gaussians to photographs, one optimisation step at a time."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch

from ..color import ColorSpace
from ..errors import NothingUsableError
from ..gaussians import Gaussians
from ..progress import Progress, silent
from ..render import render
from ..rendering import RenderOptions
from ..scene import Photograph, Scene
from . import optimizer, schedules
from .config import FitConfig
from .densify import Densifier, Observation, densifier_for
from .objective import loss_terms
from .parameters import Parameters, activate, parameters_from_gaussians, trainable
from .pyramid import Pyramid
from .threads import torch_on_one_thread

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

    @property
    def loss(self) -> float:
        """What the step reduced."""
        return sum(self.loss_terms.values())

    @property
    def is_last(self) -> bool:
        """True for the final step of the run."""
        return self.index + 1 == self.steps


def fit(
    scene: Scene | tuple[Photograph, ...],
    gaussians: Gaussians,
    config: FitConfig | None = None,
    *,
    densifier: Densifier | None = None,
    progress: Progress = silent,
) -> Iterator[Step]:
    """Fit `gaussians` to photographs; each step of the returned iterator is one step of the optimiser.

        for step in hf.fit(scene, hf.initialize_gaussians(scene), config):
            pass
        hf.write_ply("scene.ply", step.gaussians())

    Args:
        scene: Its posed views are loaded and used; or photographs that the caller has loaded.
        gaussians: Where to start; `initialize_gaussians` makes them from the scene's points. Not changed.
        config: None is the default.
        densifier: A policy of your own in place of `config.densify`.
        progress: Told how far the fit is.

    Raises:
        NothingUsableError: no photographs with cameras, or no Gaussians.
        ValueError: a configuration that does not fit the Gaussians.
    """
    config = config or FitConfig()
    photographs = _photographs(scene, progress)
    if not photographs:
        raise NothingUsableError("There is no photograph with a known camera to fit to: estimate the poses first.")
    if len(gaussians) == 0:
        raise NothingUsableError("There are no Gaussians to start from: `initialize_gaussians` makes some.")
    start = gaussians.with_sh_degree(config.sh_degree)
    run = _Run(
        config=config,
        densifier=densifier or densifier_for(config.densify),
        extent=scene_extent(photographs, start),
        color_space=start.color_space,
        generator=torch.Generator().manual_seed(config.seed),
    )
    return _steps(photographs, start, run, progress)


def scene_extent(photographs: tuple[Photograph, ...], gaussians: Gaussians) -> float:
    """Return the size of the scene, the unit of the positions' learning rate and of density control.

    1.1 times the largest distance of a camera from their mean (Kerbl et al. 2023). Cameras in a short row far from
    their subject would make that far too small: it is at least half the median distance from cameras to Gaussians.
    """
    centers = torch.stack([photograph.camera.centers() for photograph in photographs])
    around = 1.1 * float((centers - centers.mean(0)).norm(dim=1).max())
    away = 0.5 * float((gaussians.means - centers.mean(0)).norm(dim=1).median())
    return max(around, away)


def _photographs(scene: Scene | tuple[Photograph, ...], progress: Progress) -> tuple[Photograph, ...]:
    if not isinstance(scene, Scene):
        return scene
    from ..data import load_photograph

    loaded = []
    for view in scene.posed_views:
        progress("loading photographs", len(loaded), len(scene.posed_views))
        loaded.append(load_photograph(view))
    progress("loading photographs", len(loaded), len(scene.posed_views))
    return tuple(loaded)


@dataclass(frozen=True)
class _Run:
    """What stays the same for all steps."""

    config: FitConfig
    densifier: Densifier
    extent: float
    color_space: ColorSpace
    generator: torch.Generator


def _steps(photographs: tuple[Photograph, ...], start: Gaussians, run: _Run, progress: Progress) -> Iterator[Step]:
    began = time.perf_counter()
    config, steps = run.config, run.config.steps
    pyramid = Pyramid(photographs)
    state = trainable(parameters_from_gaussians(start), getattr(torch, config.moments))
    memory = run.densifier.init(len(state))
    order = _shuffled_epochs(len(photographs), run.generator)
    clock = _Clock()
    for index in range(steps):
        photograph = pyramid.level(schedules.shrink_factor(config, index / steps))[next(order)]
        means_rate = run.extent * schedules.means_rate(config.learning_rates, index / steps)
        with torch_on_one_thread() as threads:
            terms, gradients, seen = _differentiate(state.values, photograph, index, run, threads)
            optimizer.step_(
                state, gradients, step=index, rates=config.learning_rates, means_rate=means_rate, threads=threads
            )
            state, memory = run.densifier.step(state, memory, seen)
        clock.taken = index + 1
        if clock.taken % _PROGRESS_EVERY == 0 or clock.taken == steps:
            progress("fitting", clock.taken, steps)
        yield Step(
            index=index,
            steps=steps,
            photograph=photograph.name,
            loss_terms=terms,
            count=len(state),
            means_rate=means_rate,
            seconds=time.perf_counter() - began,
            gaussians=partial(_snapshot, state.values, run.color_space, clock, index),
        )


@dataclass
class _Clock:
    taken: int = 0
    """Steps taken so far, for all to see."""


def _snapshot(values: Parameters, color_space: ColorSpace, clock: _Clock, index: int) -> Gaussians:
    if clock.taken != index + 1:
        raise RuntimeError(f"Step {index} is over: ask for its Gaussians before taking the next step.")
    copy = Parameters(**{name: tensor.clone() for name, tensor in values.tensors().items()})
    return activate(copy, color_space)


def _differentiate(
    values: Parameters, photograph: Photograph, index: int, run: _Run, threads: int
) -> tuple[dict[str, float], Parameters, Observation]:
    """Return (loss terms, gradients, what density control wants to know) of one photograph."""
    config, share = run.config, index / run.config.steps
    leaves = {name: tensor.detach().requires_grad_() for name, tensor in values.tensors().items()}
    gaussians = activate(Parameters(**leaves), run.color_space, threads)
    offsets = torch.zeros(1, len(values), 2, requires_grad=True) if run.densifier.wants_mean_gradients else None
    rendering = render(
        gaussians,
        photograph.camera,
        background=torch.rand(3, generator=run.generator) if config.background == "random" else None,
        options=RenderOptions(sh_degree=schedules.sh_degree(config, share), mean_offsets_px=offsets, threads=threads),
    )
    terms = loss_terms(rendering, photograph, gaussians, run.extent, config, run.densifier, threads)
    loss = torch.stack(list(terms.values())).sum()
    if not bool(loss.isfinite()):
        raise FloatingPointError(f"The loss of step {index} (photograph {photograph.name}) is {loss.item()}.")
    gradients = torch.autograd.grad(loss, [*leaves.values(), *([] if offsets is None else [offsets])])
    half_size = torch.tensor([photograph.camera.width / 2, photograph.camera.height / 2])
    rates = config.learning_rates
    means_rate = schedules.means_rate(rates, share)
    seen = Observation(
        step=index,
        steps=config.steps,
        extent=run.extent,
        means_rate=means_rate,
        means_rate_share=means_rate / rates.means if rates.means > 0 else 0.0,
        gaussians=gaussians.detach(),
        radii_px=rendering.radii_px,
        mean_gradients=None if offsets is None else gradients[-1][0] * half_size,
        generator=run.generator,
    )
    by_name = Parameters(**dict(zip(leaves, gradients, strict=False)))
    return {name: float(term.detach()) for name, term in terms.items()}, by_name, seen


def _shuffled_epochs(count: int, generator: torch.Generator) -> Iterator[int]:
    """Yield indices for ever: every photograph once in random order, then again in another."""
    while True:
        yield from torch.randperm(count, generator=generator).tolist()
