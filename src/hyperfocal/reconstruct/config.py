"""Settings of a reconstruction, as plain values. This module loads no torch."""

from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from ..fit.config import Blur, CaptureConfig, Exposure, FitConfig, McmcConfig
from ..sfm.config import Capture, SfmConfig
from .memory import parse_memory

Preset: TypeAlias = Literal[
    "default",  # for keeping: about four minutes on two cores
    "quick",  # a first look: less than a minute
    "best",  # photographs of up to 1600 pixels: about half an hour on two cores
]


@dataclass(frozen=True)
class ReconstructConfig:
    """Everything that decides a reconstruction."""

    eval_every: int = 0
    """Hold out every n-th photograph, by name, and measure on it; 0 fits all photographs and measures on them. Of
    scenes with a test split that one is held out, whatever n; it is never fitted."""
    long_side: int | None = 800
    """Photographs are reduced until their longer side has at most this many pixels; None keeps them as they are."""
    checkpoint_every: int = 500
    """Steps between two saves of the fit, from which --resume goes on after an interruption; 0 saves none."""
    report_views: int = 8
    """Most views that the report shows in pictures."""
    view_page: bool = True
    """Also write view.html, the result for a browser: one file with the scene and photographs in it."""
    view_photographs: int = 24
    """Most photographs in view.html, each at most 640 pixels long; 0 leaves them out."""
    memory: str | None = None
    """Most memory for the whole job, such as 4GB or 800MiB: what costs least time is chosen to stay below, or it is
    said at once what would."""
    photographs_on_disk: bool = False
    """Keep the photographs of the fit in files, in 8 bits, and read them as they are needed."""
    sfm: SfmConfig = field(default_factory=SfmConfig)
    """How the cameras are found."""
    fit: FitConfig = FitConfig(capture=CaptureConfig(lens="auto"))  # noqa: RUF009
    """How the Gaussians are fitted; with a lens, if the photographs prove to be out of focus in places."""

    def __post_init__(self) -> None:
        if self.eval_every < 0 or self.eval_every == 1:
            raise ValueError(f"`eval_every` must be 0 (hold nothing out) or at least 2, got {self.eval_every}.")
        if self.long_side is not None and self.long_side < 16:
            raise ValueError(f"`long_side` must be at least 16 pixels, got {self.long_side}.")
        if self.checkpoint_every < 0:
            raise ValueError(f"`checkpoint_every` must not be negative, got {self.checkpoint_every}.")
        if self.memory is not None:
            parse_memory(self.memory)
        if self.report_views < 1:
            raise ValueError(f"`report_views` must be at least 1, got {self.report_views}.")
        if self.view_photographs < 0:
            raise ValueError(f"`view_photographs` must not be negative, got {self.view_photographs}.")


_USUAL = ReconstructConfig()
PRESETS: dict[Preset, ReconstructConfig] = {
    "default": _USUAL,
    "quick": replace(_USUAL, long_side=480, fit=replace(_USUAL.fit, steps=2_000, densify=McmcConfig(cap=40_000))),
    "best": replace(_USUAL, long_side=1600, fit=replace(_USUAL.fit, steps=12_000, densify=McmcConfig(cap=250_000))),
}

CLEAR_VIEW = 0.5  # --no-floaters
SKY_GAUSSIANS = 4_000  # --sky: three degrees apart, each as wide as it is far from the next

# For the photographs that come with the package: less than two minutes on two cores.
DEMO = ReconstructConfig(eval_every=8, long_side=480, fit=FitConfig(steps=3_000, densify=McmcConfig(cap=40_000)))
DEMO_QUICK = replace(DEMO, fit=replace(DEMO.fit, steps=1_000))


def changed(
    config: ReconstructConfig,
    *,
    steps: int | None = None,
    max_gaussians: int | None = None,
    long_side: int | None = None,
    seed: int | None = None,
    capture: Capture | None = None,
    scale: str | None = None,
    eval_every: int | None = None,
    exposure: Exposure | None = None,
    refine_poses: bool | None = None,
    lens: Blur | None = None,
    motion: Blur | None = None,
    no_floaters: bool | None = None,
    sky: bool | None = None,
) -> ReconstructConfig:
    """Return the config with the everyday settings that are not None put in their places."""
    fit, sfm = config.fit, config.sfm
    if steps is not None:
        fit = replace(fit, steps=steps)
    if max_gaussians is not None:
        fit = replace(fit, densify=replace(fit.densify, cap=max_gaussians))
    if seed is not None:
        fit, sfm = replace(fit, seed=seed), replace(sfm, seed=seed)
    if capture is not None:
        sfm = replace(sfm, capture=capture)
    if exposure is not None:
        fit = replace(fit, capture=replace(fit.capture, exposure=exposure))
    if refine_poses is not None:
        fit = replace(fit, capture=replace(fit.capture, pose=refine_poses))
    if lens is not None:
        fit = replace(fit, capture=replace(fit.capture, lens=lens))
    if motion is not None:
        fit = replace(fit, capture=replace(fit.capture, motion=motion))
    if no_floaters is not None:
        fit = replace(fit, clear_view=CLEAR_VIEW if no_floaters else 0.0)
    if sky is not None:
        fit = replace(fit, initial=replace(fit.initial, sky=SKY_GAUSSIANS if sky else 0))
    if scale is not None:
        sfm = replace(sfm, scale=scale)
    return replace(
        config,
        sfm=sfm,
        fit=fit,
        long_side=config.long_side if long_side is None else long_side,
        eval_every=config.eval_every if eval_every is None else eval_every,
    )
