"""The lens of a photograph from its EXIF: what can be believed, and a `PhysicalLens` where that is enough for one."""

import math
from dataclasses import dataclass, replace

from .errors import BadInputError
from .lens import PhysicalLens
from .scene import Exif

FULL_FRAME_DIAGONAL_MM = math.hypot(36, 24)  # 43.27: "35 mm equivalent" is by the diagonal (CIPA DCG-001)
CUSTOMARY_CIRCLE = 1 / 1500  # the circle that counts as sharp, as a share of the sensor's diagonal; 0.029 mm of 36 x 24

# Outside of these, a number in EXIF is a mistake of whoever wrote it. In air no lens reaches f/0.5.
_F_NUMBERS = (0.5, 128.0)
_LONGEST_FOCAL_MM = 10_000.0
_FARTHEST_FOCUS_M = 100_000.0
_SENSOR_DIAGONALS_MM = (1.0, 500.0)  # from an endoscope to a sheet of 10 x 12 inches


@dataclass(frozen=True)
class KnownLens:
    """What a photograph's EXIF says about its lens; None is unknown."""

    focal_length_m: float | None
    f_number: float | None
    focus_distance_m: float | None
    """To what the camera focused on; `math.inf` where it says infinity. Few cameras write it, and coarsely."""
    sensor_width_m: float | None
    """Of what the photograph's columns cover, from both focal lengths; 35 mm equivalents are rounded to whole mm."""
    sensor_diagonal_m: float | None
    """The same of its diagonal."""

    @property
    def missing(self) -> tuple[str, ...]:
        """Names of the facts of a `PhysicalLens` that are unknown."""
        facts = ("focal_length_m", "f_number", "focus_distance_m", "sensor_width_m")
        return tuple(name for name in facts if getattr(self, name) is None)

    @property
    def customary_circle_m(self) -> float | None:
        """The largest circle of confusion that counts as sharp by custom: 1/1500 of the diagonal."""
        return None if self.sensor_diagonal_m is None else CUSTOMARY_CIRCLE * self.sensor_diagonal_m

    @property
    def hyperfocal_m(self) -> float | None:
        """The nearest focus at which infinity counts as sharp by custom; it does not depend on where the focus was."""
        lens, circle = self.lens(focus_distance_m=math.inf), self.customary_circle_m
        return None if lens is None or circle is None else lens.hyperfocal_m(circle)

    def lens(self, *, focus_distance_m: float | None = None) -> PhysicalLens | None:
        """Return the lens; None if a fact is missing. A focus distance given here is used in place of EXIF's.

        Raises:
            BadInputError: the focus distance given is not farther than the focal length.
        """
        focus = self.focus_distance_m if focus_distance_m is None else focus_distance_m
        if self.focal_length_m is None or self.f_number is None or focus is None or self.sensor_width_m is None:
            return None
        return PhysicalLens(self.focal_length_m, self.f_number, focus, self.sensor_width_m)


def believable(exif: Exif) -> Exif:
    """Return EXIF without the numbers that no camera means; these are unknown then."""
    focal = _within(exif.focal_length_mm, 0.0, _LONGEST_FOCAL_MM)
    focus = exif.focus_distance_m if exif.focus_distance_m == math.inf else None
    if focus is None:
        focus = _within(exif.focus_distance_m, 0.0 if focal is None else 1e-3 * focal, _FARTHEST_FOCUS_M)
    return replace(
        exif,
        focal_length_mm=focal,
        focal_length_35mm=_within(exif.focal_length_35mm, 0.0, _LONGEST_FOCAL_MM),
        f_number=_within(exif.f_number, *_F_NUMBERS),
        exposure_s=_within(exif.exposure_s, 0.0, math.inf),
        focus_distance_m=focus,
    )


def known_lens(exif: Exif, width: int, height: int) -> KnownLens:
    """Return what EXIF says about the lens of a photograph of `width` x `height` pixels, as it is decoded.

    The sensor's size follows from the focal length and its equivalent for 35 mm film: film of 36 x 24 mm that shows as
    much along its *diagonal* of 43.27 mm, as CIPA defines it. A crop or a digital zoom is in the equivalent already.

    Raises:
        BadInputError: a photograph without pixels.
    """
    if width < 1 or height < 1:
        raise BadInputError(f"A photograph needs at least one pixel, got {width} x {height}.")
    exif = believable(exif)
    diagonal_mm = None
    if exif.focal_length_mm is not None and exif.focal_length_35mm is not None:
        diagonal_mm = _within(
            FULL_FRAME_DIAGONAL_MM * exif.focal_length_mm / exif.focal_length_35mm, *_SENSOR_DIAGONALS_MM
        )
    return KnownLens(
        focal_length_m=None if exif.focal_length_mm is None else 1e-3 * exif.focal_length_mm,
        f_number=exif.f_number,
        focus_distance_m=exif.focus_distance_m,
        sensor_width_m=None if diagonal_mm is None else 1e-3 * diagonal_mm * width / math.hypot(width, height),
        sensor_diagonal_m=None if diagonal_mm is None else 1e-3 * diagonal_mm,
    )


def physical_lens_from_exif(exif: Exif, width: int, height: int) -> PhysicalLens | None:
    """Return the lens of a photograph of `width` x `height` pixels; None if EXIF does not tell all of it.

    `known_lens(exif, width, height).missing` names what it does not tell.

    Raises:
        BadInputError: a photograph without pixels.
    """
    return known_lens(exif, width, height).lens()


def _within(value: float | None, above: float, most: float) -> float | None:
    """Return a finite number in (above, most], else None."""
    return value if value is not None and math.isfinite(value) and above < value <= most else None
