"""A result as a page for a browser: its Gaussians, cameras, photographs and lenses."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from threading import Lock
from typing import Any

from ..data import load_photograph
from ..data.listed import some_of
from ..data.photo_size import reduced_camera
from ..errors import HyperfocalError
from ..export.compressed_ply import compressed_ply
from ..export.page import COMPRESSED_SCENE, Asset, Page, PageCamera, write_page
from ..progress import Progress, silent
from ..scene import View
from .lens_file import focus_words
from .photographed import PhotographedLens, Spread
from .pictures import jpeg
from .report import evenly, name_of
from .result import SCENE_FILE, Result

INSIDE_LONG_SIDE, INSIDE_QUALITY = 640, 80  # of the photographs inside a page: about 60 kB each
SERVED_QUALITY = 90
_JPEG = "image/jpeg"


def write_result_page(path: Path, result: Result, *, progress: Progress = silent) -> tuple[str, ...]:
    """Write the page of a result with all it shows inside, and return a note on photographs that are gone, if any.

    Raises:
        BadInputError: the file cannot be written.
    """
    page, notes = page_with_all_inside(result, photographs=result.config.view_photographs, progress=progress)
    write_page(path, page)
    return notes


def page_with_files(result: Result, folder: Path) -> Page:
    """Return the page of a result whose files stay where they are; photographs are made when they are asked for.

    Photographs whose files are gone are left out.
    """
    making = Lock()  # one at a time: a large photograph takes much memory while it is undistorted
    views = [view for view in result.scene.posed_views if not isinstance(view.image, Path) or view.image.is_file()]
    photographs = {
        view.name: Asset(f"photographs/{i:05}.jpg", _JPEG, _made_once(view, result.config.long_side, making))
        for i, view in enumerate(views)
    }
    scene = Asset(SCENE_FILE, "application/octet-stream", folder / SCENE_FILE)
    return _page(result, scene, photographs)


def page_with_all_inside(
    result: Result, *, photographs: int, progress: Progress = silent
) -> tuple[Page, tuple[str, ...]]:
    """Return (the page of a result with all it shows in memory, a note on photographs that are gone, if any).

    Args:
        result: What it shows.
        photographs: How many of them it shows at most, at even distances; every camera is in it.
        progress: Told of every photograph.
    """
    found: dict[str, Asset] = {}
    missing: list[str] = []
    chosen = evenly(result.scene.posed_views, photographs)
    for i, view in enumerate(chosen):
        try:
            content = _jpeg_of(view, INSIDE_LONG_SIDE, INSIDE_QUALITY)
        except HyperfocalError:
            missing.append(view.name)
            continue
        found[view.name] = Asset(f"photographs/{i:05}.jpg", _JPEG, content)
        progress("making the page", i + 1, len(chosen))
    scene = Asset(COMPRESSED_SCENE, "application/octet-stream", compressed_ply(result.gaussians))
    note = f"Not on the page for browsers, since they could not be read: {some_of(missing)}."
    return _page(result, scene, found), (note,) if missing else ()


def cameras_of(views: Iterable[View], long_side: int | None) -> tuple[PageCamera, ...]:
    """Return the cameras of posed views as they are fitted, without photographs."""
    return tuple(
        PageCamera(view.name, reduced_camera(view.camera, long_side)) for view in views if view.camera is not None
    )


def _page(result: Result, scene: Asset, photographs: Mapping[str, Asset]) -> Page:
    return Page(
        title=name_of(result.scene.source),
        scene=scene,
        gaussians=len(result.gaussians),
        color_space=result.gaussians.color_space,
        cameras=tuple(_cameras(result, photographs)),
        metres_per_unit=result.scene.metres_per_unit,
        up=result.scene.up,
    )


def _cameras(result: Result, photographs: Mapping[str, Asset]) -> Iterator[PageCamera]:
    lenses = {lens.name: lens for lens in result.lenses or ()}
    for view in result.scene.posed_views:
        assert view.camera is not None, "it is posed"
        yield PageCamera(
            name=view.name,
            camera=reduced_camera(view.camera, result.config.long_side),
            held_out=view.name in result.held_out,
            photograph=photographs.get(view.name),
            lens=lens_row(lenses[view.name]) if view.name in lenses else None,
        )


def lens_row(lens: PhotographedLens) -> dict[str, Any]:
    """Return how a photograph was taken, as a page's manifest says it; lengths are scene units."""
    focus, focus_distance = focus_words(lens)
    return {
        "aperture_diameter": lens.aperture_diameter,
        "focus": focus,
        "focus_distance": focus_distance,
        "focus_sigma": lens.focus_sigma,
        "f_number": lens.f_number,
        "circle_px": _spread_row(lens.circle_px),
        "streak_px": _spread_row(lens.streak_px),
    }


def _spread_row(spread: Spread | None) -> dict[str, float] | None:
    return None if spread is None else {"median": spread.median, "p95": spread.p95}


def _jpeg_of(view: View, long_side: int | None, quality: int) -> bytes:
    return jpeg(load_photograph(view, long_side=long_side, depth=False).image, quality=quality)


def _made_once(view: View, long_side: int | None, making: Lock) -> Callable[[], bytes]:
    made: list[bytes] = []

    def content() -> bytes:
        with making:
            if not made:
                made.append(_jpeg_of(view, long_side, SERVED_QUALITY))
        return made[0]

    return content
