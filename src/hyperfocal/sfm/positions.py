"""Metres from camera positions that are known from elsewhere: a file, or GPS."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..errors import BadInputError
from ..files import read_bytes, read_json_object
from ..transforms import align_similarity

# Triples tried for a similarity that outliers do not pull at.
_TRIPLES = 500
# Of the median error: 3 standard deviations, where errors are normal in three dimensions (their norm has a median of
# 1.54 deviations).
_OUTLIER = 3.0 / 1.54
_NEGLIGIBLE = 1e-3  # of the spread: no outlier, however well the others fit


@dataclass(frozen=True)
class Similarity:
    """The map from scene units to metres that fits positions."""

    metres_per_unit: float
    rotation: np.ndarray
    """[3, 3]: scene axes to the axes of the positions."""
    residual_m: float
    """Root mean square error of the positions that were used."""
    used: np.ndarray
    """[n] bool: the others are outliers."""


def read_positions(path: Path) -> dict[str, tuple[float, float, float]]:
    """Return camera positions in metres by photograph name.

    CSV has the columns name, x, y, z, with or without a heading; JSON is an object of name: [x, y, z].

    Raises:
        BadInputError: the file cannot be read as either.
    """
    expected = "Expected lines of name,x,y,z (CSV) or an object of name: [x, y, z] (JSON), in metres."
    is_json = path.suffix.lower() == ".json"
    content = read_json_object(path, remedy=expected) if is_json else read_bytes(path)
    try:
        if isinstance(content, dict):
            rows = {name: _xyz(values) for name, values in content.items()}
        else:
            rows = _csv_rows(content.decode("utf-8-sig"))
    except (ValueError, TypeError, csv.Error) as error:
        raise BadInputError(f"The camera positions {path} are not understood ({error}). {expected}") from error
    if len(rows) < 2:
        raise BadInputError(f"{path} has {len(rows)} camera positions; a scale needs at least 2. {expected}")
    return rows


def _csv_rows(text: str) -> dict[str, tuple[float, float, float]]:
    lines = [row for row in csv.reader(text.splitlines()) if row and not row[0].startswith("#")]
    if lines and not _is_number(lines[0][-1]):
        lines = lines[1:]
    return {row[0].strip(): _xyz(row[1:]) for row in lines}


def _xyz(values: object) -> tuple[float, float, float]:
    if not isinstance(values, list) or len(values) != 3:
        raise ValueError(f"a position is {values!r}, not three numbers")
    x, y, z = (float(value) for value in values)
    if not np.isfinite([x, y, z]).all():
        raise ValueError("a position is not finite")
    return x, y, z


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def robust_similarity(centers: np.ndarray, metres: np.ndarray) -> Similarity:
    """Return the similarity of least median error over triples, fitted again to all that it explains.

    Source: Rousseeuw 1984, least median of squares.

    Args:
        centers: [n, 3] camera centres in scene units, n >= 2.
        metres: [n, 3] their positions.
    """
    count = len(centers)
    generator = np.random.default_rng(0)
    used = np.ones(count, dtype=bool)
    negligible = _NEGLIGIBLE * float(np.sqrt(np.var(metres, axis=0).sum()))
    if count > 4:
        best = np.inf
        for _ in range(_TRIPLES):
            triple = generator.choice(count, 3, replace=False)
            errors = _errors(centers, metres, *_fit(centers[triple], metres[triple]))
            if np.median(errors) < best:
                best = float(np.median(errors))
                used = errors <= _OUTLIER * best + negligible
    scale, rotation, translation = _fit(centers[used], metres[used])
    errors = _errors(centers, metres, scale, rotation, translation)
    return Similarity(scale, rotation, float(np.sqrt(np.mean(errors[used] ** 2))), used)


def _fit(a: np.ndarray, b: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    scale, rotation, translation = align_similarity(torch.from_numpy(a), torch.from_numpy(b))
    return scale, rotation.numpy(), translation.numpy()


def _errors(a: np.ndarray, b: np.ndarray, scale: float, rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
    return np.linalg.norm(scale * a @ rotation.T + translation - b, axis=1)
