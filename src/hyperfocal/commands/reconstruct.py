"""`hyperfocal reconstruct`."""

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path

from rich.console import Console

from ..data import SceneKind, read_scene
from ..progress import Progress
from ..reconstruct.charts import duration
from ..reconstruct.config import ReconstructConfig
from ..reconstruct.estimate import estimate_costs
from ..reconstruct.folder import refuse_to_replace
from ..reconstruct.job import reconstruct as reconstruct_scene
from ..reconstruct.job import refuse_unsuitable
from ..reconstruct.listeners import LogKind, open_log
from ..reconstruct.live import open_live_view
from ..reconstruct.memory_limit import within_memory
from ..reconstruct.report import name_of
from ..reconstruct.report_lens import aperture_words
from ..reconstruct.result import LENS_FILE, PAGE_FILE, REPORT_FILE, SCENE_FILE, SHARP_FOLDER, Result
from ..reconstruct.scores import plain_from_score
from ..scene import Scene
from .display import say, show_facts, show_next, show_notes
from .view import offer


def reconstruct(
    path: Path,
    config: ReconstructConfig,
    *,
    out: Path,
    overwrite: bool,
    resume: bool,
    log: LogKind | None,
    live: bool,
    dry_run: bool,
    kind: SceneKind | None,
    frames: int | None,
    invert_masks: bool,
    console: Console,
    progress: Progress,
) -> Mapping[str, object]:
    """Reconstruct the photographs at `path` into the folder `out`, or only say what that would take."""
    refuse_to_replace(out, overwrite=overwrite)  # before reading what may be thousands of photographs
    scene = read_scene(path, kind=kind, frames=frames, invert_masks=invert_masks, progress=progress)
    refuse_unsuitable(scene)
    if dry_run:
        config, notes = within_memory(scene, config)
        scene = scene.with_notes(*notes)
        plan = _show_plan(scene, config, console)
        show_next(console, f"hyperfocal reconstruct {path} --out {out}")
        return plan
    with (
        nullcontext() if log is None else open_log(log, out.with_name(f"{out.name}_log")) as listener,
        open_live_view(title=name_of(scene.source)) if live else nullcontext() as page,
    ):
        if page is not None:
            offer(f"The fit can be watched at {page.url} (for this machine only)", page.url, console, may_open=True)
        result = reconstruct_scene(
            scene, config, out=out, overwrite=overwrite, resume=resume, log=listener, live=page, progress=progress
        )
        show_result(result, out, console)  # before a page that watches is told to go
        show_next(console, f"hyperfocal view {out}")
        show_next(console, f"hyperfocal render {out}")
    return record_of(result, out)


def _show_plan(scene: Scene, config: ReconstructConfig, console: Console) -> Mapping[str, object]:
    costs = estimate_costs(scene, config)
    posed = len(scene.posed_views)
    cameras = "unknown: will be estimated" if posed == 0 else f"{posed} of {len(scene.views)} known"
    split = any(view.is_test for view in scene.views)
    held_out = "none" if config.eval_every == 0 else "the test split" if split else f"every {config.eval_every}th"
    start, most = costs.gaussians
    more = {"if soft": f"about {duration(costs.more_if_soft_s)} more"} if costs.more_if_soft_s > 0 else {}
    show_facts(
        console,
        f"Plan for {scene.source}",
        {
            "source": scene.format,
            "photographs": f"{len(scene.views)}, the largest {costs.stored_px[0]} x {costs.stored_px[1]} px, "
            f"fitted at {costs.fitted_px[0]} x {costs.fitted_px[1]} px",
            "cameras": cameras,
            "held out": held_out,
            "steps": f"{config.fit.steps:,}",
            "Gaussians": f"about {start:,} at first, at most {most:,}",
            "time": f"about {duration(costs.total_s)}: "
            + ", ".join(f"{name} {duration(seconds)}" for name, seconds in costs.seconds.items()),
            **more,
            "memory": f"about {costs.memory_mib / 1024:.1f} GiB",
        },
    )
    say(console, f"Time and memory are estimates. {costs.basis}", "dim")
    show_notes(console, scene.notes)
    return {
        "dry_run": True,
        "format": scene.format,
        "photographs": len(scene.views),
        "posed": posed,
        "gaussians": costs.gaussians,
        "seconds": costs.seconds,
        "more_if_soft_s": costs.more_if_soft_s,
        "memory_mib": costs.memory_mib,
        "notes": scene.notes,
    }


def record_of(result: Result, out: Path) -> Mapping[str, object]:
    """Return what `--json` tells of a result."""
    return {
        "out": out,
        "format": result.scene.format,
        "photographs": len(result.scene.views),
        "posed": len(result.scene.posed_views),
        "held_out": result.held_out,
        "gaussians": len(result.gaussians),
        "lens": None if result.lenses is None else out / LENS_FILE,
        "page": out / PAGE_FILE if result.config.view_page else None,
        "sharp": None if result.lenses is None else out / SHARP_FOLDER,
        "evaluated_on": result.scores.evaluated_on,
        "mean": plain_from_score(result.scores.mean()),
        "seconds": result.seconds,
        "peak_memory_mib": result.peak_memory_mib,
        "notes": result.notes,
    }


def _soft_facts(result: Result, out: Path) -> Mapping[str, object]:
    """Return what was found about how the photographs were taken; nothing if nothing was."""
    if result.lenses is None:
        return {}
    metres = result.scene.metres_per_unit
    apertures = dict.fromkeys(aperture_words(lens, metres) for lens in result.lenses if lens.focus_distance is not None)
    words = [", ".join(apertures)] if apertures else []
    words += ["motion"] if any(lens.moves for lens in result.lenses) else []
    return {"lens": f"{'; '.join(words)}: {out / LENS_FILE}", "in focus": out / SHARP_FOLDER}


def show_result(result: Result, out: Path, console: Console) -> None:
    """Print what came out."""
    mean = result.scores.mean()
    seconds = result.seconds or {}
    posed = len(result.scene.posed_views)
    soft = {} if mean.as_taken_psnr_db is None else {"as taken": f"{mean.as_taken_psnr_db:.2f} dB PSNR, as soft"}
    depth = {} if mean.depth_abs_rel is None else {"depth": f"{mean.depth_abs_rel:.1%} off the depth maps (AbsRel)"}
    show_facts(
        console,
        f"Reconstructed {result.scene.source}",
        {
            "source": result.scene.format,
            "photographs": f"{posed} of {len(result.scene.views)} used, {len(result.held_out)} of them held out",
            "Gaussians": f"{len(result.gaussians):,}",
            "measured on": result.scores.evaluated_on,
            "PSNR": f"{mean.psnr_db:.2f} dB",
            **soft,
            "SSIM": f"{mean.ssim:.4f}",
            "FLIP": f"{mean.flip:.4f}",
            **depth,
            "time": f"{duration(sum(seconds.values()))}: "
            + ", ".join(f"{name.lower()} {duration(value)}" for name, value in seconds.items()),
            "peak memory": "unknown" if result.peak_memory_mib is None else f"{result.peak_memory_mib / 1024:.2f} GiB",
            "scene": out / SCENE_FILE,
            **_soft_facts(result, out),
            **({"page": out / PAGE_FILE} if result.config.view_page else {}),
            "report": out / REPORT_FILE,
        },
    )
    show_notes(console, result.notes)
