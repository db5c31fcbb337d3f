"""`hyperfocal clean`: a result or a PLY file without floaters."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from ..data.photo_size import reduced_camera
from ..errors import BadInputError, HyperfocalError, NothingUsableError
from ..export import read_ply, write_ply
from ..gaussians import Gaussians
from ..progress import Progress
from ..reconstruct.clean import Cleaned, clean
from ..reconstruct.clean_config import CleanConfig
from ..reconstruct.evaluation import evaluate
from ..reconstruct.folder import RESULT_MARK, new_folder, refuse_to_replace
from ..reconstruct.result import read_result, write_result
from ..reconstruct.scores import Table, plain_from_score
from .display import show_facts, show_next, show_notes

LABELS = {
    "min_opacity": "too clear",
    "min_weight": "hardly seen",
    "near": "in a camera's way",
    "isolation": "alone",
    "max_size": "huge",
    "crop": "outside the box",
}


def default_out(path: Path) -> Path:
    """Return where the cleaned thing goes unless told otherwise: in the current folder."""
    name = path.absolute()
    return Path(f"{name.stem}_clean.ply" if name.suffix.lower() == ".ply" else f"{name.name}_clean")


def clean_path(
    path: Path, out: Path, config: CleanConfig, *, overwrite: bool, console: Console, progress: Progress
) -> Mapping[str, object]:
    """Clean a PLY file or a result folder, into a new one of the same kind."""
    if path.suffix.lower() == ".ply" and not path.is_dir():
        return _clean_ply(path, out, config, overwrite=overwrite, console=console)
    return _clean_result(path, out, config, overwrite=overwrite, console=console, progress=progress)


def _clean_ply(
    path: Path, out: Path, config: CleanConfig, *, overwrite: bool, console: Console
) -> Mapping[str, object]:
    if out.suffix.lower() != ".ply":
        raise BadInputError(f"--out {out} is no name for the cleaned {path}; expected one that ends in .ply.")
    if out.exists() and not overwrite:
        raise BadInputError(f"{out} already exists. Choose another name with --out, or replace it with --overwrite.")
    before = read_ply(path)
    cleaned = _some_left(clean(before, config=config), path)
    write_ply(out, cleaned.gaussians)
    show_facts(console, f"Cleaned {path}", {**_facts(before, cleaned), "scene": out})
    if cleaned.skipped:
        rules = ", ".join(LABELS[rule] for rule in cleaned.skipped)
        show_notes(console, (f"A PLY file has no cameras, so these rules were skipped: {rules}.",))
    show_next(console, f"hyperfocal info {out}")
    return _record(path, out, before, cleaned)


def _clean_result(
    path: Path, out: Path, config: CleanConfig, *, overwrite: bool, console: Console, progress: Progress
) -> Mapping[str, object]:
    refuse_to_replace(out, mark=RESULT_MARK, overwrite=overwrite)
    result = read_result(path)
    before, long_side = result.gaussians, result.config.long_side
    fitted = [view.camera for view in result.scene.posed_views if view.name in result.training]
    cameras = tuple(reduced_camera(camera, long_side) for camera in fitted if camera is not None)
    cleaned = _some_left(clean(before, cameras, config, progress=progress), path)
    after = replace(result, gaussians=cleaned.gaussians)
    notes: list[str] = []
    scores: tuple[Table, Table] | None = None
    try:
        scores = evaluate(result, progress=progress), evaluate(after, progress=progress)
        after = replace(after, scores=scores[1])
    except HyperfocalError as error:
        notes.append(f"Not measured again after cleaning, so the scores are those from before it: {error}")
    removed = int(cleaned.removed.sum())
    notes.append(f"{removed:,} of {len(before):,} Gaussians were removed by hyperfocal clean.")
    with new_folder(out, overwrite=overwrite) as folder:
        progress("writing the result", 0, 1)
        write_result(folder, replace(after, notes=(*result.notes, *notes)))
        progress("writing the result", 1, 1)
    facts = _facts(before, cleaned)
    if scores is not None:
        facts["measured on"] = scores[1].evaluated_on
        facts["PSNR"] = f"{scores[0].mean().psnr_db:.2f} dB before, {scores[1].mean().psnr_db:.2f} dB after"
    show_facts(console, f"Cleaned {path}", {**facts, "result": out})
    show_notes(console, tuple(notes[:-1]))
    show_next(console, f"hyperfocal render {out}")
    measured = None
    if scores is not None:
        measured = {
            "evaluated_on": scores[1].evaluated_on,
            "before": plain_from_score(scores[0].mean()),
            "after": plain_from_score(scores[1].mean()),
        }
    return {**_record(path, out, before, cleaned), "scores": measured}


def _some_left(cleaned: Cleaned, path: Path) -> Cleaned:
    if len(cleaned.gaussians) == 0:
        took = ", ".join(f"{LABELS[rule]} {count:,}" for rule, count in cleaned.counts.items())
        raise NothingUsableError(f"Nothing of {path} would be left ({took}). Loosen the rules; 0 turns one off.")
    return cleaned


def _facts(before: Gaussians, cleaned: Cleaned) -> dict[str, object]:
    removed = int(cleaned.removed.sum())
    each = ", ".join(f"{LABELS[rule]} {count:,}" for rule, count in cleaned.counts.items())
    return {
        "Gaussians": f"{len(before):,} before, {len(cleaned.gaussians):,} after",
        "removed": f"{removed:,} ({each}; one may fall under several)" if removed else "nothing",
    }


def _record(path: Path, out: Path, before: Gaussians, cleaned: Cleaned) -> dict[str, object]:
    return {
        "path": path,
        "out": out,
        "gaussians": {"before": len(before), "after": len(cleaned.gaussians)},
        "rules": cleaned.counts,
        "skipped": cleaned.skipped,
    }
