"""`hyperfocal info`: what a path holds."""

import math
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from ..data import SceneKind, read_scene
from ..data.photo_size import photo_size
from ..exif_lens import known_lens
from ..export import read_ply
from ..gaussians import Gaussians
from ..progress import Progress
from ..reconstruct.charts import duration
from ..reconstruct.folder import RESULT_MARK
from ..reconstruct.report_lens import aperture_words, focus_words
from ..reconstruct.result import Result, read_result
from ..reconstruct.scores import plain_from_score
from ..scene import Scene
from .display import show_facts, show_next, show_notes


def info(path: Path, *, kind: SceneKind | None = None, console: Console, progress: Progress) -> Mapping[str, object]:
    """Say what the path holds, and what could be done with it."""
    if (path / RESULT_MARK).is_file():
        return _show_result(path, console)
    if path.suffix.lower() == ".ply":
        gaussians = read_ply(path)
        size = f"{path.stat().st_size / 2**20:.1f} MiB"
        show_facts(console, f"{path}: 3D Gaussians", {**_gaussian_facts(gaussians), "file": size})
        return {"path": path, "kind": "gaussians", **_gaussian_record(gaussians)}
    scene = read_scene(path, kind=kind, progress=progress)
    show_facts(console, f"{path}: {scene.format}", _scene_facts(scene))
    show_notes(console, scene.notes)
    if scene.kind != "focal_stack":
        words = "" if kind is None else f" --kind {kind}"
        show_next(console, f"hyperfocal reconstruct {path}{words} --dry-run")
    return {
        "path": path,
        "kind": scene.kind,
        "format": scene.format,
        "photographs": len(scene.views),
        "posed": len(scene.posed_views),
        "metres_per_unit": scene.metres_per_unit,
        "notes": scene.notes,
    }


def _show_result(path: Path, console: Console) -> Mapping[str, object]:
    result = read_result(path)
    mean = result.scores.mean()
    facts = {
        "cameras": len(result.scene.posed_views),
        "held out": ", ".join(result.held_out) or "none",
        **_gaussian_facts(result.gaussians),
        **_blur_facts(result),
        "measured on": result.scores.evaluated_on,
        "PSNR": f"{mean.psnr_db:.2f} dB",
        "SSIM": f"{mean.ssim:.4f}",
        "FLIP": f"{mean.flip:.4f}",
        "time": duration(sum((result.seconds or {}).values())),
    }
    show_facts(console, f"{path}: a result", facts)
    show_notes(console, result.notes)
    show_next(console, f"hyperfocal render {path}")
    return {
        "path": path,
        "kind": "result",
        "posed": len(result.scene.posed_views),
        "held_out": result.held_out,
        **_gaussian_record(result.gaussians),
        "lenses": 0 if result.lenses is None else len(result.lenses),
        "evaluated_on": result.scores.evaluated_on,
        "mean": plain_from_score(mean),
        "seconds": result.seconds,
        "notes": result.notes,
    }


def _blur_facts(result: Result) -> dict[str, object]:
    """Return what is known of how the photographs were taken; nothing where they counted as sharp."""
    lenses, metres = result.lenses or (), result.scene.metres_per_unit
    facts: dict[str, object] = {}
    if focused := [lens for lens in lenses if lens.focus_distance is not None]:
        ends = sorted(focused, key=lambda lens: lens.focus_distance or math.inf)
        span = dict.fromkeys(focus_words(lens, metres) for lens in (ends[0], ends[-1]))
        facts["fitted lens"] = f"{aperture_words(ends[0], metres)}, focused at {' to '.join(span)}"
    if moving := [lens.streak_px.p95 for lens in lenses if lens.moves and lens.streak_px is not None]:
        facts["fitted motion"] = f"streaks up to {max(moving):.1f} px"
    return facts


def _gaussian_record(gaussians: Gaussians) -> dict[str, object]:
    return {"gaussians": len(gaussians), "sh_degree": gaussians.sh_degree, "color_space": gaussians.color_space}


def _gaussian_facts(gaussians: Gaussians) -> dict[str, object]:
    facts: dict[str, object] = {
        "Gaussians": f"{len(gaussians):,}",
        "colours": f"{gaussians.color_space}, spherical harmonics of degree {gaussians.sh_degree}",
    }
    if len(gaussians) == 0:
        return facts
    # Percentiles, since a handful of far Gaussians would stretch the box to the horizon.
    ordered = gaussians.means.sort(dim=0).values
    low, high = (ordered[round(share * (len(gaussians) - 1))].tolist() for share in (0.01, 0.99))
    box = " x ".join(f"{b - a:.3g}" for a, b in zip(low, high, strict=True))
    return {
        **facts,
        "extent": f"{box} scene units (98 % of the centres)",
        "median size": f"{float(gaussians.scales.median()):.3g} scene units",
        "median opacity": f"{float(gaussians.opacities.median()):.2f}",
    }


def _scene_facts(scene: Scene) -> dict[str, object]:
    sizes = sorted({photo_size(view) for view in scene.views})
    size = (
        " x ".join(map(str, sizes[0])) if len(sizes) == 1 else "{} sizes up to {} x {}".format(len(sizes), *sizes[-1])
    )
    scale = "unknown" if scene.metres_per_unit is None else f"one unit is {scene.metres_per_unit:g} m"
    posed = len(scene.posed_views)
    return {
        "photographs": len(scene.views),
        **({} if scene.kind == "photographs" else {"kind": scene.kind.replace("_", " ")}),
        "size": f"{size} px",
        "cameras": "unknown" if posed == 0 else f"{posed} of {len(scene.views)} known",
        "lens distortion": _distortions(scene),
        "masks": sum(view.mask is not None for view in scene.views) or "none",
        "depth maps": sum(view.depth is not None for view in scene.views) or "none",
        "points": "none" if scene.points is None else f"{len(scene.points):,}",
        "scale": scale,
        "taken with": _makers(scene),
        **_lens_facts(scene),
    }


def _distortions(scene: Scene) -> str:
    models = sorted({v.distortion.model for v in scene.views if v.distortion is not None and not v.distortion.is_none})
    if models:
        return ", ".join(models)
    return "none" if scene.posed_views else "unknown"


def _makers(scene: Scene) -> str:
    names = sorted({" ".join(filter(None, (view.exif.make, view.exif.model))) for view in scene.views} - {""})
    return ", ".join(names) or "unknown"


def _lens_facts(scene: Scene) -> dict[str, object]:
    """Return what EXIF tells about the lenses; nothing where no photograph says an f-number or a focal length."""
    lenses = [known_lens(view.exif, *photo_size(view)) for view in scene.views]
    f_numbers = [lens.f_number for lens in lenses if lens.f_number is not None]
    focal_mm = [1e3 * lens.focal_length_m for lens in lenses if lens.focal_length_m is not None]
    focus = [lens.focus_distance_m for lens in lenses if lens.focus_distance_m is not None]
    hyperfocal = [lens.hyperfocal_m for lens in lenses if lens.hyperfocal_m is not None]
    if not f_numbers and not focal_mm:
        return {}
    circle = "; circle of 1/1500 of the diagonal"
    return {
        "aperture": _span(f_numbers, "f/{}", len(lenses)),
        "focal length": _span(focal_mm, "{} mm", len(lenses)),
        "focused at": _span(focus, "{} m", len(lenses)),
        "hyperfocal distance": _span(hyperfocal, "{} m", len(lenses)) + (circle if hyperfocal else ""),
    }


def _span(values: list[float], form: str, photographs: int) -> str:
    """Return the least and the most of numbers as words, and of how many photographs they are if not of all."""
    if not values:
        return "unknown"
    ends = ["infinity" if value == math.inf else form.format(f"{value:.3g}") for value in (min(values), max(values))]
    words = " to ".join(dict.fromkeys(ends))
    return words if len(values) == photographs else f"{words} ({len(values)} of {photographs} photographs)"
