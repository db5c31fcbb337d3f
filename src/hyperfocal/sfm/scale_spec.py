"""What `--scale` can say, as values (loads no torch)."""

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

_UNITS = {"m": 1.0, "cm": 0.01, "mm": 0.001}
_LENGTH = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*(m|cm|mm)")
_NUMBER = r"-?(?:\d+(?:\.\d*)?|\.\d+)"
# A name may hold blanks, so it ends at a colon before two numbers.
_CLICK = re.compile(rf"(\S.*?):({_NUMBER}),({_NUMBER})(?=\s|$)")
_FORMS = (
    "gps, aruco:DICTIONARY,SIZE (aruco:4x4_50,5cm), a CSV or JSON file of camera positions, or a measured "
    "distance, each "
    'end clicked in two or more photographs: "A.jpg:x,y B.jpg:x,y / A.jpg:x,y B.jpg:x,y 1.20m"'
)


@dataclass(frozen=True)
class Click:
    """A point in a photograph."""

    name: str
    """Of the photograph."""
    x_px: float
    """In the photograph in full size, as a viewer shows it; the centre of the top-left pixel is at (0.5, 0.5)."""
    y_px: float


@dataclass(frozen=True)
class Distance:
    """A length between two points that are seen in two or more photographs each."""

    first: tuple[Click, ...]
    second: tuple[Click, ...]
    metres: float


@dataclass(frozen=True)
class Markers:
    """Printed ArUco markers, all of one size and each number once."""

    dictionary: str
    """As OpenCV names it, without DICT_: 4X4_50, APRILTAG_36H11, ..."""
    side_m: float
    """Of the black square."""


@dataclass(frozen=True)
class Positions:
    """A file of camera positions in metres."""

    path: Path


@dataclass(frozen=True)
class Gps:
    """Positions in the photographs' EXIF."""


Scale: TypeAlias = Distance | Markers | Positions | Gps


def parse_scale(text: str) -> Scale:
    """Return what a `--scale` means.

    Raises:
        ValueError: it means nothing; says what is possible.
    """
    plain = text.strip()
    if plain.lower() == "gps":
        return Gps()
    if plain.lower().startswith("aruco:"):
        dictionary, _, size = plain[6:].rpartition(",")
        if not dictionary:
            raise ValueError(f"--scale {text!r} lacks the dictionary or the size; expected such as aruco:4x4_50,5cm.")
        return Markers(dictionary.strip().upper().removeprefix("DICT_"), parse_length(size, text))
    if plain.lower().endswith((".csv", ".json")):
        return Positions(Path(plain))
    ends, separator, rest = plain.rpartition(" ")
    if not separator or "/" not in plain:
        raise ValueError(f"--scale {text!r} is not understood; expected {_FORMS}.")
    sides = re.split(r"\s/\s", ends)
    if len(sides) != 2:
        raise ValueError(f"--scale {text!r} should have two ends with one ' / ' between them, got {len(sides)}.")
    first, second = (_clicks(side, text) for side in sides)
    return Distance(first, second, parse_length(rest, text))


def parse_length(text: str, whole: str) -> float:
    """Return a length with its unit in metres.

    Raises:
        ValueError: no number above zero, or no unit.
    """
    found = _LENGTH.fullmatch(text.strip())
    metres = float(found[1]) * _UNITS[found[2]] if found else math.nan
    if not metres > 0:
        raise ValueError(
            f"--scale {whole!r}: {text!r} is no length; expected a number with m, cm or mm, such as 1.20m."
        )
    return metres


def _clicks(side: str, whole: str) -> tuple[Click, ...]:
    clicks = tuple(Click(name, float(x), float(y)) for name, x, y in _CLICK.findall(side))
    if _CLICK.sub("", side).strip():
        raise ValueError(f"--scale {whole!r}: {_CLICK.sub('', side).strip()!r} is no NAME:x,y.")
    if len({click.name for click in clicks}) < 2:
        raise ValueError(
            f"--scale {whole!r}: each end of the distance must be clicked in two or more photographs, since one "
            "gives no "
            f"depth; {side!r} names {len({click.name for click in clicks})}."
        )
    return clicks
