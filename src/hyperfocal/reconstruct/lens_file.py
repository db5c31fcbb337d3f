"""lens.json: how each photograph was taken, in the form in which generated captures state the truth.

    {"axes": "opencv", "units": "metres" | "scene", "metres_per_unit": number | null, "sub_frames": 7,
     "photographs": [{"image": "IMG_0001.jpg", "focal_px": 1380.0,
                      "aperture_diameter": 0.048, "f_number": 2.8 | null,
                      "focus": "distance" | "infinity" | "everywhere",
                      "focus_distance": 1.42 | null,           null unless "focus" is "distance"
                      "inverse_focus_sigma": 0.015 | null,     standard deviation of 1 / focus distance
                      "circle_px": {"median": 2.5, "p95": 7.6},
                      "twist": [3 radians, 3 lengths],
                      "world_to_camera_start": [4 rows of 4], "world_to_camera_end": [4 rows of 4],
                      "streak_px": {"median": 0.0, "p95": 0.0}}]}

Lengths are scene units, which are metres where "units" says so.
"""

import json
import math
from pathlib import Path
from typing import Any

from ..errors import BadInputError
from ..files import read_json_object, write_text
from .photographed import Matrix, PhotographedLens, Spread


def write_lens_json(
    path: Path, lenses: tuple[PhotographedLens, ...], *, metres_per_unit: float | None, sub_frames: int
) -> None:
    """Write how photographs were taken.

    Raises:
        BadInputError: the file cannot be written.
    """
    content = {
        "axes": "opencv",
        "units": "metres" if metres_per_unit == 1 else "scene",
        "metres_per_unit": metres_per_unit,
        "sub_frames": sub_frames,
        "photographs": [_plain(lens) for lens in lenses],
    }
    write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def read_lens_json(path: Path) -> tuple[PhotographedLens, ...] | None:
    """Return how photographs were taken; None if there is no such file.

    Raises:
        BadInputError: the file is damaged.
    """
    if not path.is_file():
        return None
    content = read_json_object(path, remedy="Reconstruct again.")
    try:
        return tuple(map(_from_plain, content["photographs"]))
    except (KeyError, TypeError, ValueError) as error:
        raise BadInputError(
            f"{path} is damaged ({type(error).__name__}: {error}); expected what `hyperfocal reconstruct` wrote. "
            "Reconstruct again."
        ) from error


def focus_words(lens: PhotographedLens) -> tuple[str, float | None]:
    """Return ("distance", where), ("infinity", None), or ("everywhere", None) where no lens was fitted."""
    if lens.focus_distance is None:
        return "everywhere", None
    return ("distance", lens.focus_distance) if math.isfinite(lens.focus_distance) else ("infinity", None)


def _plain(lens: PhotographedLens) -> dict[str, Any]:
    focus, focus_distance = focus_words(lens)
    return {
        "image": lens.name,
        "focal_px": lens.focal_px,
        "aperture_diameter": lens.aperture_diameter,
        "f_number": lens.f_number,
        "focus": focus,
        "focus_distance": focus_distance,
        "inverse_focus_sigma": lens.focus_sigma,
        "circle_px": _plain_spread(lens.circle_px),
        "twist": list(lens.twist),
        "world_to_camera_start": lens.world_to_camera_start,
        "world_to_camera_end": lens.world_to_camera_end,
        "streak_px": _plain_spread(lens.streak_px),
    }


def _from_plain(plain: dict[str, Any]) -> PhotographedLens:
    distances = {"everywhere": None, "infinity": math.inf, "distance": plain["focus_distance"]}
    focus = distances[plain["focus"]]
    twist = tuple(map(float, plain["twist"]))
    if len(twist) != 6:
        raise ValueError(f"a twist has 6 numbers, got {len(twist)}")
    return PhotographedLens(
        name=str(plain["image"]),
        focal_px=float(plain["focal_px"]),
        aperture_diameter=float(plain["aperture_diameter"]),
        focus_distance=None if focus is None else float(focus),
        circle_px=_spread(plain["circle_px"]),
        twist=twist,
        world_to_camera_start=_matrix(plain["world_to_camera_start"]),
        world_to_camera_end=_matrix(plain["world_to_camera_end"]),
        streak_px=_spread(plain["streak_px"]),
        f_number=_number(plain["f_number"]),
        focus_sigma=_number(plain["inverse_focus_sigma"]),
    )


def _plain_spread(spread: Spread | None) -> dict[str, float | None]:
    return {"median": None, "p95": None} if spread is None else {"median": spread.median, "p95": spread.p95}


def _spread(plain: dict[str, Any]) -> Spread | None:
    return None if plain["median"] is None else Spread(float(plain["median"]), float(plain["p95"]))


def _number(plain: Any) -> float | None:
    return None if plain is None else float(plain)


def _matrix(rows: list[list[float]]) -> Matrix:
    if [len(row) for row in rows] != [4, 4, 4, 4]:
        raise ValueError("a pose has 4 rows of 4")
    return tuple(tuple(map(float, row)) for row in rows)
