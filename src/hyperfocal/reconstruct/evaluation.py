"""How close the renders are to the photographs, view by view."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from .. import metrics
from ..data import load_photograph
from ..errors import BadInputError, NothingUsableError
from ..gaussians import Gaussians
from ..progress import Progress, silent
from ..rendering import Rendering
from ..scene import Photograph, Scene, View
from ..shapes import Image, Map
from .looks import rendering_of
from .result import Result
from .scores import Table, ViewScore
from .softly import Softly


def evaluate(result: Result, scene: Scene | None = None, *, progress: Progress = silent) -> Table:
    """Return the scores of a result on its held-out photographs, or on the training ones if none were held out.

    Args:
        result: The Gaussians, with the cameras that were found.
        scene: Where the photographs are now, matched by name; None looks where they were.
        progress: Told of every view.

    Raises:
        BadInputError: `scene` lacks one of the photographs, or a file cannot be read.
    """
    views = result.scored_views
    if scene is not None:
        shared = Counter(_file_name(view) for view in result.scene.posed_views)
        views = [_moved(view, scene, alone=shared[_file_name(view)] == 1) for view in views]
    photographs = (load_photograph(view, long_side=result.config.long_side) for view in views)
    return score(
        result.gaussians,
        photographs,
        len(views),
        held_out=bool(result.held_out),
        softly=Softly.of(result.lenses, result.config.fit),
        progress=progress,
    )


def score(
    gaussians: Gaussians,
    photographs: Iterable[Photograph],
    count: int,
    *,
    held_out: bool,
    softly: Softly | None = None,
    progress: Progress = silent,
) -> Table:
    """Return the scores of Gaussians on `count` photographs, which are taken one at a time.

    Args:
        gaussians: To render.
        photographs: To compare with.
        count: Of the photographs.
        held_out: Whether the fit has not seen them.
        softly: Also compares renders that are as soft as the photographs.
        progress: Told of every view.

    Raises:
        NothingUsableError: there are none.
    """
    scores = []
    for i, photograph in enumerate(photographs):
        found = score_rendering(rendering_of(gaussians, photograph.camera), photograph)
        soft = None if softly is None else softly.picture(gaussians, photograph)
        scores.append(found if soft is None else replace(found, as_taken_psnr_db=_psnr_db(soft, photograph)))
        progress("evaluating", i + 1, count)
    if not scores:
        raise NothingUsableError("No photograph has a known camera, so there is nothing to evaluate on.")
    return Table(tuple(scores), held_out, metrics.lpips_obstacle())


def _psnr_db(picture: Image, photograph: Photograph) -> float | None:
    """Return the PSNR of a picture as of `score_rendering`; None of equal pictures."""
    valid = None if bool(photograph.valid.all()) else photograph.valid
    found = metrics.psnr(metrics.as_photograph(picture), metrics.as_photograph(photograph.image), valid)
    return found if math.isfinite(found) else None


def score_rendering(rendering: Rendering, photograph: Photograph) -> ViewScore:
    """Return the scores of one view, as a comparison of the two written 8-bit files would give them."""
    rendered = metrics.as_photograph(rendering.color)
    truth = metrics.as_photograph(photograph.image)
    valid = None if bool(photograph.valid.all()) else photograph.valid
    return ViewScore(
        name=photograph.name,
        psnr_db=metrics.psnr(rendered, truth, valid),
        ssim=metrics.ssim(rendered, truth, valid),
        flip=metrics.flip(rendered, truth, valid),
        lpips=metrics.lpips(rendered, truth),
        **_depth_scores(rendering.depth_median, photograph),
    )


def _depth_scores(depth_z: Map, photograph: Photograph) -> dict[str, float]:
    """Return how well a depth fits the depth map of a photograph; nothing without one."""
    if photograph.depth_z is None:
        return {}
    known = (photograph.depth_z > 0) & photograph.valid
    both = known & (depth_z > 0)
    if not bool(both.any()):
        return {}
    errors = metrics.depth_errors(depth_z, photograph.depth_z, both)
    return {"depth_abs_rel": errors.abs_rel, "depth_known": float(both.sum() / known.sum())}


def _moved(view: View, scene: Scene, *, alone: bool) -> View:
    """Return the view with its photograph and mask taken from another place, by name or, failing that, file name.

    Unless it is `alone` of its file name in the result, as train/r_0.png beside test/r_0.png is not, the other place
    must tell them apart by its folders.
    """
    same_name = [other for other in scene.views if other.name == view.name]
    same_file = [other for other in scene.views if _file_name(other) == _file_name(view)]
    if not alone:
        same_file = [other for other in same_file if _lies_at(other, view.name)]
    for found in (same_name, same_file):
        if len(found) == 1:
            return replace(view, image=found[0].image, mask=found[0].mask)
    raise BadInputError(
        f"{scene.source} has no photograph {view.name}, which the result was measured on. Give the folder that holds "
        "the same photographs under the same names."
    )


def _file_name(view: View) -> str:
    return view.name.rsplit("/", 1)[-1]


def _lies_at(view: View, name: str) -> bool:
    return isinstance(view.image, Path) and view.image.as_posix().endswith(f"/{name}")
