"""Listeners of a fit: its course as numbers and pictures, into TensorBoard or rerun.

    with open_log("tensorboard", Path("my_log")) as log:
        for step in heard(fit(photographs, gaussians, config), log, views=held_out):
            ...

`heard` yields the steps it is given, so a loop over a fit stays as it is. Another program joins by a class of its own
that meets `Log`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

import torch

from ..color import displayed, to_uint8
from ..errors import BadInputError, missing_extra
from ..fit import Step
from ..gaussians import Gaussians
from ..metrics import psnr
from ..scene import Photograph
from ..sh import color_from_dc
from ..shapes import Image
from .looks import rendering_of
from .pictures import depth_picture, depth_range

LogKind: TypeAlias = Literal[
    "tensorboard",  # a folder for `tensorboard --logdir`
    "rerun",  # fit.rrd for the rerun viewer
]


@runtime_checkable
class Log(Protocol):
    """Takes what happens in a fit; `step` counts from 1."""

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        """Take named values."""
        ...

    def picture(self, step: int, name: str, picture: Image) -> None:
        """Take an sRGB picture."""
        ...

    def gaussians(self, step: int, gaussians: Gaussians) -> None:
        """Take the state of the scene."""
        ...


def heard(
    steps: Iterable[Step],
    log: Log | None,
    *,
    views: Sequence[Photograph] = (),
    numbers_every: int = 10,
    pictures_every: int = 500,
) -> Iterator[Step]:
    """Yield the steps of a fit as they come, and tell a log about them first; None tells nobody.

    Args:
        steps: What `fit` returns.
        log: Who listens.
        views: Photographs to render now and then, beside their renders and depth; best such that the fit has not seen.
        numbers_every: Steps between two records of the loss, its terms, the Gaussians' number and learning rate.
        pictures_every: Steps between two looks at `views` and at the scene; the last step is always looked at.
    """
    for step in steps:
        if log is not None:
            taken = step.index + 1
            if taken % numbers_every == 0 or step.is_last:
                terms = {f"loss/{name}": value for name, value in step.loss_terms.items()}
                rest = {"gaussians": float(step.count), "means_rate": step.means_rate, "seconds": step.seconds}
                log.numbers(taken, {"loss/sum": step.loss, **terms, **rest})
            if taken % pictures_every == 0 or step.is_last:
                _look(step, log, views)
        yield step


def _look(step: Step, log: Log, views: Sequence[Photograph]) -> None:
    """Tell a log how the scene looks after a step."""
    gaussians, taken = step.gaussians(), step.index + 1
    log.gaussians(taken, gaussians)
    for view in views:
        rendering = rendering_of(gaussians, view.camera)
        shown = displayed(rendering.color, gaussians.color_space)
        valid = None if bool(view.valid.all()) else view.valid
        log.numbers(taken, {f"psnr_db/{view.name}": psnr(shown.clamp(0, 1), view.image, valid)})
        log.picture(taken, f"{view.name}/render", torch.cat((view.image, shown), dim=1))
        span = depth_range([rendering.depth_median])
        if span is not None:
            log.picture(taken, f"{view.name}/depth", depth_picture(rendering.depth_median, span))


@contextmanager
def open_log(kind: LogKind, folder: Path) -> Iterator[Log]:
    """Yield a log that writes into a folder, which is made; it can be watched while it grows.

    Raises:
        BadInputError: the folder cannot be made.
        MissingExtraError: the package of that kind is not installed.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInputError(f"Could not make the folder {folder} for the log: {error.strerror or error}.") from error
    if kind == "tensorboard":
        with _tensorboard(folder) as log:
            yield log
    else:
        with _rerun(folder / "fit.rrd") as log:
            yield log


@contextmanager
def _tensorboard(folder: Path) -> Iterator[Log]:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise missing_extra("tensorboard", "train") from error
    writer = SummaryWriter(str(folder))
    try:
        yield _TensorBoard(writer)
    finally:
        writer.close()


class _TensorBoard:
    def __init__(self, writer: Any) -> None:
        self._writer = writer

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def picture(self, step: int, name: str, picture: Image) -> None:
        self._writer.add_image(name, to_uint8(picture).numpy(), step, dataformats="HWC")

    def gaussians(self, step: int, gaussians: Gaussians) -> None:
        opacities, sizes = gaussians.opacities, gaussians.scales.amax(1)
        self._writer.add_histogram("opacity", opacities.numpy(), step)
        self._writer.add_histogram("log10 of size", sizes.clamp_min(1e-12).log10().numpy(), step)


@contextmanager
def _rerun(path: Path) -> Iterator[Log]:
    try:
        import rerun  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise missing_extra("rerun-sdk", "view") from error
    stream = rerun.RecordingStream("hyperfocal")
    stream.save(str(path))
    try:
        yield _Rerun(rerun, stream)
    finally:
        stream.flush()
        stream.disconnect()


class _Rerun:
    def __init__(self, rerun: Any, stream: Any) -> None:
        self._rerun, self._stream = rerun, stream

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        self._stream.set_time("step", sequence=step)
        for name, value in values.items():
            self._stream.log(name, self._rerun.Scalars(value))

    def picture(self, step: int, name: str, picture: Image) -> None:
        self._stream.set_time("step", sequence=step)
        self._stream.log(f"views/{name}", self._rerun.Image(to_uint8(picture).numpy()))

    def gaussians(self, step: int, gaussians: Gaussians) -> None:
        colors = to_uint8(displayed(color_from_dc(gaussians.sh[:, 0]).clamp(0, 1), gaussians.color_space))
        radii = gaussians.scales.amax(1).numpy()
        points = self._rerun.Points3D(gaussians.means.numpy(), colors=colors.numpy(), radii=radii)
        self._stream.set_time("step", sequence=step)
        self._stream.log("scene", points)
