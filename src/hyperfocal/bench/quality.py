"""What the quality benches share: photographs in, held-out views kept as files, figures from those files."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from ..color import displayed
from ..data import load_photograph
from ..errors import BadInputError
from ..fit import LearningRates
from ..gaussians import Gaussians
from ..progress import Progress
from ..reconstruct import ReconstructConfig, Result, reconstruct
from ..reconstruct.looks import rendering_of
from ..scene import Photograph, Scene
from ..shapes import Map
from .config import BenchConfig
from .evidence import figures_from, keep_view

EVAL_EVERY = 8  # the customary split of the field: every eighth photograph is held out
SEEDS = (0, 1, 2)
# Steps with these leave every Gaussian where and as it was.
STANDSTILL = LearningRates(**dict.fromkeys(vars(LearningRates()), 0.0))


def data_folder(config: BenchConfig, name: str, holds: str) -> Path:
    """Return the folder of --data.

    Raises:
        BadInputError: it was not given or does not exist.
    """
    if config.data is None:
        raise BadInputError(f"The bench {name} needs --data DIR, a folder with {holds}.")
    if not config.data.is_dir():
        raise BadInputError(f"--data {config.data} is not a folder; expected one with {holds}.")
    return config.data


def settings(seed: int, *, long_side: int | None) -> ReconstructConfig:
    """Return the default preset with every eighth photograph held out."""
    config = ReconstructConfig(eval_every=EVAL_EVERY, long_side=long_side)
    return replace(config, fit=replace(config.fit, seed=seed))


def reconstruct_and_judge(
    scene: Scene, config: ReconstructConfig, folder: Path, progress: Progress, depth_truth: dict[str, Map] | None = None
) -> tuple[Result, dict[str, float]]:
    """Return a reconstruction with its figures: held-out views, Gaussians, seconds by stage, memory."""
    result = reconstruct(scene, config, progress=progress)
    photographs = held_out_photographs(result)
    figures = judge(result.gaussians, photographs, folder, depth_truth or {})
    figures["held_out_views"] = len(result.held_out)
    figures["gaussians"] = len(result.gaussians)
    stages = result.seconds or {}
    figures["seconds"] = sum(stages.values())
    figures |= {f"seconds_{stage.lower().replace(' ', '_')}": value for stage, value in stages.items()}
    if result.peak_memory_mib is not None:
        figures["peak_memory_mib"] = result.peak_memory_mib
    return result, figures


def held_out_photographs(result: Result) -> Iterable[Photograph]:
    """Yield the photographs that the fit has not seen, as large as the fit saw the others; without measured depth."""
    return (load_photograph(view, long_side=result.config.long_side, depth=False) for view in result.scored_views)


def judge(
    gaussians: Gaussians, photographs: Iterable[Photograph], folder: Path, depth_truth: dict[str, Map]
) -> dict[str, float]:
    """Return the figures of Gaussians on photographs whose renders and median depth are kept in `folder`."""
    for photograph in photographs:
        rendering = rendering_of(gaussians, photograph.camera)
        keep_view(
            folder,
            photograph.name,
            rendered=displayed(rendering.color, gaussians.color_space),
            truth=photograph.image,
            valid=photograph.valid,
            depth_z=rendering.depth_median,
            depth_truth_z=depth_truth.get(photograph.name),
        )
    return figures_from(folder)
