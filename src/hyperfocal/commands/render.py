"""`hyperfocal render`: stills of every camera of a result, or a film along a path."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from ..errors import BadInputError
from ..export.video import require_av
from ..progress import Progress
from ..reconstruct.films import FRAMES_MARK, Film, plan_film, write_film, write_frames
from ..reconstruct.folder import new_folder, refuse_to_replace
from ..reconstruct.lens_choice import LensChoice, lens_choice, lens_for
from ..reconstruct.result import Result, read_result
from ..reconstruct.stills import DEPTH_MARK, write_stills
from .arguments import Render
from .display import say, show_next, show_notes


def render(arguments: Render, *, console: Console, progress: Progress) -> Mapping[str, object]:
    """Render pictures, or a film where a path is given.

    Raises:
        BadInputError: words about pictures and about films together.
    """
    films = {
        "--fps": arguments.fps,
        "--seconds": arguments.seconds,
        "--size": arguments.size,
        "--smooth": arguments.smooth,
        "--depth-film": arguments.depth_film,
        "--frames": arguments.frames,
    }
    pictures = {"--long-side": arguments.long_side, "--exr": arguments.exr, "--normals": arguments.normals}
    lens = lens_choice(
        f_number=arguments.f_number,
        focal_length_mm=arguments.focal_length,
        sensor_width_mm=arguments.sensor_width,
        aperture=arguments.aperture,
        focus=arguments.focus,
        focus_at=arguments.focus_at,
    )
    if arguments.path is None:
        if lens is not None and len(lens.focus) > 1:
            raise BadInputError(
                f"--focus {arguments.focus} moves the focus, which pictures cannot: add --path for a film."
            )
        _refuse(films, "belongs to films; add --path orbit, swing, spiral, interpolate or a file")
        return stills(
            arguments.result,
            arguments.out or arguments.result / "renders",
            long_side=arguments.long_side,
            exr=arguments.exr,
            normals=arguments.normals,
            lens=lens,
            overwrite=arguments.overwrite,
            console=console,
            progress=progress,
        )
    _refuse(pictures, "belongs to pictures from the photographs' cameras; leave it or --path away")
    settings = FilmSettings(
        path=arguments.path,
        fps=arguments.fps,
        seconds=arguments.seconds,
        size=parse_size(arguments.size),
        frames=arguments.frames,
        depth=arguments.depth_film,
        smooth=arguments.smooth,
        lens=lens,
    )
    return film(
        arguments.result,
        arguments.out,
        settings,
        overwrite=arguments.overwrite,
        console=console,
        progress=progress,
    )


def _refuse(words: Mapping[str, object], reason: str) -> None:
    given = [name for name, value in words.items() if value is not None and value is not False]
    if given:
        raise BadInputError(f"{given[0]} {reason}.")


@dataclass(frozen=True)
class FilmSettings:
    """What a film should be like, as the command line says it; None is left to the path."""

    path: str
    fps: float | None = None
    seconds: float | None = None
    size: tuple[int, int] | None = None
    frames: bool = False
    """Pictures in place of a film."""
    depth: bool = False
    """Depth as well."""
    smooth: float | None = None
    """Seconds."""
    lens: LensChoice | None = None
    """None is the pinhole."""


def parse_size(text: str | None) -> tuple[int, int] | None:
    """Return (width, height) of words like 1280x720.

    Raises:
        BadInputError: the words are no size.
    """
    if text is None:
        return None
    width, cross, height = text.lower().partition("x")
    if not (cross and width.isdecimal() and height.isdecimal() and int(width) > 0 and int(height) > 0):
        raise BadInputError(f"--size {text} is no size; expected WIDTHxHEIGHT in pixels, such as 1280x720.")
    return int(width), int(height)


def stills(
    result: Path,
    out: Path,
    *,
    long_side: int | None,
    exr: bool,
    normals: bool,
    lens: LensChoice | None,
    overwrite: bool,
    console: Console,
    progress: Progress,
) -> Mapping[str, object]:
    """Render every camera of a result into a folder."""
    with new_folder(out, mark=DEPTH_MARK, overwrite=overwrite) as folder:
        loaded = read_result(result)
        count = write_stills(
            folder, loaded, long_side=long_side, exr=exr, normals=normals, lens=lens, progress=progress
        )
    say(console, f"{count} views rendered into {out}")
    show_next(console, f"hyperfocal evaluate {result}")
    return {"result": result, "out": out, "views": count}


def film(
    result: Path, out: Path | None, settings: FilmSettings, *, overwrite: bool, console: Console, progress: Progress
) -> Mapping[str, object]:
    """Render a film of a result, or its frames as pictures."""
    name = Path(settings.path).stem
    out = out or result / (f"{name}_frames" if settings.frames else f"{name}.mp4")
    if settings.frames:
        refuse_to_replace(out, mark=FRAMES_MARK, overwrite=overwrite)
        loaded = read_result(result)
        planned = _planned(loaded, settings, progress)
        with new_folder(out, mark=FRAMES_MARK, overwrite=overwrite) as folder:
            write_frames(folder, loaded.gaussians, planned, depth=settings.depth, progress=progress)
        files = [out]
    else:
        require_av()
        if out.suffix.lower() != ".mp4":
            raise BadInputError(f"--out {out} is no name for a film; expected one that ends in .mp4, or add --frames.")
        files = [out, *([out.with_suffix(".depth.mp4")] if settings.depth else [])]
        _refuse_to_replace_files(files, overwrite=overwrite)
        loaded = read_result(result)
        planned = _planned(loaded, settings, progress)
        depth_path = files[1] if settings.depth else None
        write_film(out, loaded.gaussians, planned, depth_path=depth_path, progress=progress)
    count = len(planned.cameras.world_to_camera)
    width, height = planned.cameras.width, planned.cameras.height
    what = f"{count} frames of {width} x {height} pixels, {count / planned.fps:.1f} s at {planned.fps:g} a second"
    say(console, f"{' and '.join(map(str, files))}: {what}")
    show_notes(console, planned.notes)
    return {
        "result": result,
        "out": files,
        "path": settings.path,
        "frames": count,
        "fps": planned.fps,
        "size": [width, height],
        "notes": planned.notes,
    }


def _planned(result: Result, settings: FilmSettings, progress: Progress) -> Film:
    planned = plan_film(
        result.scene,
        result.gaussians,
        settings.path,
        long_side=result.config.long_side,
        size=settings.size,
        seconds=settings.seconds,
        fps=settings.fps,
        smooth=settings.smooth,
        progress=progress,
    )
    if settings.lens is None:
        return planned
    cameras = [planned.cameras[i] for i in range(len(planned.cameras.world_to_camera))]
    return replace(planned, lens=lens_for(settings.lens, result, cameras))


def _refuse_to_replace_files(files: list[Path], *, overwrite: bool) -> None:
    for path in files:
        if path.is_dir():
            raise BadInputError(f"{path} is a folder; expected the name of a file. Choose another --out.")
        if path.exists() and not overwrite:
            raise BadInputError(f"{path} already exists. Choose another name with --out, or add --overwrite.")
