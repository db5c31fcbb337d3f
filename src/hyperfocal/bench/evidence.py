"""The files behind a quality figure. Figures are computed from the files alone, so that anyone can recompute them."""

import json
import statistics
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from .. import metrics, shapes
from ..color import to_uint8
from ..errors import BadInputError
from ..files import replacing, write_text

VIEWS_FILE = "views.json"
IDENTICAL_DB = 120.0  # PSNR of files without any difference, as JSON has no infinity; a single one gives less


def keep_view(
    folder: Path,
    name: str,
    *,
    rendered: shapes.Image,
    truth: shapes.Image,
    valid: shapes.Mask | None = None,
    depth_z: shapes.Map | None = None,
    depth_truth_z: shapes.Map | None = None,
) -> None:
    """Write one held-out view below `folder`: pictures as 8-bit PNG, depth as float32 `.npy`."""
    stem = stem_of(name)
    write_picture(folder / "rendered" / f"{stem}.png", to_uint8(rendered).cpu().numpy())
    write_picture(folder / "truth" / f"{stem}.png", to_uint8(truth).cpu().numpy())
    if valid is not None and not bool(valid.all()):
        write_picture(folder / "valid" / f"{stem}.png", (valid.cpu().numpy() * 255).astype(np.uint8))
    for kind, depth in (("depth", depth_z), ("depth_truth", depth_truth_z)):
        if depth is not None:
            write_depth(folder / kind / f"{stem}.npy", depth)


def figures_from(folder: Path) -> dict[str, float]:
    """Return the mean figures of the views kept in `folder`, and write every view's own beside them.

    Raises:
        BadInputError: there are no pictures, or one has no partner.
    """
    views = {path.stem: _view_figures(folder, path) for path in sorted((folder / "rendered").glob("*.png"))}
    if not views:
        raise BadInputError(f"{folder} holds no rendered pictures, so nothing can be computed from it.")
    return mean_figures(folder, views)


def mean_figures(folder: Path, views: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of each figure over the views that have it, and write every view's own into `folder`."""
    write_text(folder / VIEWS_FILE, json.dumps(views, indent=1) + "\n")
    names = list(dict.fromkeys(figure for figures in views.values() for figure in figures))
    return {name: statistics.fmean(f[name] for f in views.values() if name in f) for name in names}


def stem_of(name: str) -> str:
    """Return what the files of a view are called, without an ending."""
    return Path(name).with_suffix("").as_posix().replace("/", "_")


def _view_figures(folder: Path, rendered_path: Path) -> dict[str, float]:
    truth_path, valid_path = (folder / kind / rendered_path.name for kind in ("truth", "valid"))
    rendered, truth = read_picture(rendered_path), read_picture(truth_path)
    valid = torch.from_numpy(np.asarray(Image.open(valid_path)) > 0) if valid_path.exists() else None
    figures = {
        "psnr_db": min(metrics.psnr(rendered, truth, valid), IDENTICAL_DB),
        "ssim": metrics.ssim(rendered, truth, valid),
        "flip": metrics.flip(rendered, truth, valid),
    }
    depth_path, depth_truth_path = (folder / k / f"{rendered_path.stem}.npy" for k in ("depth", "depth_truth"))
    if depth_path.exists() and depth_truth_path.exists():
        depth, depth_truth = read_depth(depth_path), read_depth(depth_truth_path)
        known, judged = depth_truth > 0, (depth_truth > 0) & (depth > 0)
        figures["depth_coverage"] = float(judged.sum() / known.sum())
        if bool(judged.any()):
            errors = metrics.depth_errors(depth, depth_truth, judged)
            figures |= {"depth_abs_rel": errors.abs_rel, "depth_delta1": errors.delta1}
    return figures


def write_depth(path: Path, depth: shapes.Map) -> None:
    """Write depth as float32 `.npy`, whole or not at all."""
    path.parent.mkdir(exist_ok=True)
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.save(file, depth.detach().cpu().numpy().astype(np.float32))


def read_depth(path: Path) -> shapes.Map:
    """Return what `write_depth` wrote."""
    return torch.from_numpy(np.load(path, allow_pickle=False))


def write_picture(path: Path, pixels: np.ndarray) -> None:
    """Write 8-bit pixels as PNG, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        Image.fromarray(pixels).save(temporary, "PNG")


def read_picture(path: Path) -> shapes.Image:
    """Return the colours of a picture in [0, 1].

    Raises:
        BadInputError: it cannot be read.
    """
    try:
        pixels = np.array(Image.open(path).convert("RGB"), dtype=np.float32)
    except OSError as error:
        raise BadInputError(f"Could not read the picture {path}: {error.strerror or error}.") from error
    return torch.from_numpy(pixels) / 255
