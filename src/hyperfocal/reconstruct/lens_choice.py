"""The lens that somebody photographs a result with: from the words of photography to a `ThinLens` for each camera.

Lengths are metres where the result's scale is known, else scene units; it is never guessed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from ..camera import Camera
from ..data.photo_size import reduced_camera
from ..errors import BadInputError
from ..lens import ThinLens
from ..transforms import invert_rigid
from .looks import rendering_of
from .result import Result

SENSOR_WIDTH_MM = 36.0  # of 35 mm film, which focal lengths are usually told for


@dataclass(frozen=True)
class Place:
    """A pixel of the picture that is rendered from a photograph's camera."""

    view: str
    """Name of the photograph, with or without its ending."""
    column: int
    """From the left, 0 is the first."""
    row: int
    """From the top, 0 is the first."""


@dataclass(frozen=True)
class LensChoice:
    """How wide the lens is open, and what is in focus. `lens_choice` makes it of words.

    Raises:
        BadInputError: not exactly one way to say how wide and one to say where, or numbers that no lens has.
    """

    f_number: float | None = None
    focal_length_mm: float | None = None
    """Of a lens with the f-number; None is what shows as much as the camera does, on `sensor_width_mm`."""
    sensor_width_mm: float | None = None
    """Longer side of the sensor; None is 36."""
    aperture: float | None = None
    """Diameter, in place of an f-number."""
    focus: tuple[float, ...] = ()
    """Camera z in focus: one for all, or two for the first frame of a film and the last. Infinity is allowed."""
    focus_at: Place | None = None
    """What is to be in focus in all pictures, wherever they are taken from."""

    def __post_init__(self) -> None:
        numbers = {
            "--f-number": self.f_number,
            "--focal-length": self.focal_length_mm,
            "--sensor-width": self.sensor_width_mm,
            "--aperture": self.aperture,
        }
        for name, value in numbers.items():
            if value is not None and not (math.isfinite(value) and value > 0):
                raise BadInputError(
                    f"{name} is {value:g}; expected a finite number above 0. Without --f-number, --aperture and "
                    "--focus everything is sharp."
                )
        for name in ("--focal-length", "--sensor-width"):
            if numbers[name] is not None and self.f_number is None:
                raise BadInputError(f"{name} says how wide a lens is together with --f-number; add it.")
        if self.focal_length_mm is not None and self.sensor_width_mm is not None:
            raise BadInputError(
                "--focal-length and --sensor-width were both given, but the sensor only serves to find the focal "
                "length: leave one of them away."
            )
        if (self.f_number is None) == (self.aperture is None):
            raise BadInputError("A lens needs either --f-number or --aperture: say how wide it is open, one way.")
        if (not self.focus) == (self.focus_at is None):
            raise BadInputError("A lens needs either --focus or --focus-at: say what is sharp, one way.")
        if not all(distance > 0 for distance in self.focus):
            raise BadInputError(
                f"--focus is {':'.join(f'{distance:g}' for distance in self.focus)}; expected distances above 0, in "
                "front of the camera. inf is infinitely far."
            )


def lens_choice(
    *,
    f_number: float | None = None,
    focal_length_mm: float | None = None,
    sensor_width_mm: float | None = None,
    aperture: float | None = None,
    focus: str | None = None,
    focus_at: str | None = None,
) -> LensChoice | None:
    """Return what the words of the command line mean; None, the pinhole, where nothing was said.

    Args:
        f_number: Of the lens.
        focal_length_mm: Of the lens.
        sensor_width_mm: Longer side of the sensor.
        aperture: Diameter.
        focus: A distance, or two with a colon between them.
        focus_at: NAME:X,Y, a view and a pixel of it.

    Raises:
        BadInputError: the words are no lens.
    """
    if all(word is None for word in (f_number, focal_length_mm, sensor_width_mm, aperture, focus, focus_at)):
        return None
    return LensChoice(
        f_number,
        focal_length_mm,
        sensor_width_mm,
        aperture,
        () if focus is None else _distances(focus),
        None if focus_at is None else _place(focus_at),
    )


def lens_for(
    choice: LensChoice, result: Result, cameras: Sequence[Camera], *, long_side: int | None = None
) -> ThinLens:
    """Return the lens with a view dimension: one for each camera, in scene units.

    Two distances of focus are passed from the first camera to the last, evenly in 1 / distance, as circles of confusion
    change.

    Args:
        choice: The lens.
        result: Tells the scale, and for `focus_at` what is seen there.
        cameras: Who look through it.
        long_side: Of the pictures in which `focus_at` counts pixels; None is that of the fit.

    Raises:
        BadInputError: an f-number without a scale, a place that is not there, or a focus at which no such lens can be.
    """
    metres = result.scene.metres_per_unit
    if choice.f_number is not None and metres is None:
        raise BadInputError(
            f"--f-number was given, but the scale of {result.scene.source} is not known, so nobody can say how large "
            "such a lens is there. Give --aperture in scene units, or reconstruct with --scale."
        )
    per_unit = metres or 1.0
    if choice.focus_at is not None:
        focus = _depths_of(choice.focus_at, result, cameras, long_side)
    else:
        inverse = torch.tensor([1 / distance for distance in choice.focus], dtype=torch.float64)
        share = torch.linspace(0, 1, len(cameras), dtype=torch.float64)
        focus = per_unit**-1 / (inverse[0] + share * (inverse[-1] - inverse[0]))
    if choice.aperture is not None:
        diameter = torch.full((len(cameras),), choice.aperture / per_unit)
    else:
        assert choice.f_number is not None, "checked by LensChoice"
        focal_m = [1e-3 * (choice.focal_length_mm or _shown_focal_mm(choice, camera)) for camera in cameras]
        for length, distance in zip(focal_m, (focus * per_unit).tolist(), strict=True):
            if not distance > length:
                raise BadInputError(
                    f"A lens of {1e3 * length:.3g} mm cannot be focused at {distance:.3g} m: things at the focal "
                    "length or nearer have no real image. Expected a focus farther away, in metres, or a shorter "
                    "--focal-length, in millimetres."
                )
        diameter = torch.tensor(focal_m) / choice.f_number / per_unit
    return ThinLens(diameter.float(), focus.float())


def _shown_focal_mm(choice: LensChoice, camera: Camera) -> float:
    """Return the focal length that shows as much as the camera on the sensor, whose longer side is the picture's."""
    focal_px = float(camera.round_focal_px)
    return focal_px / max(camera.width, camera.height) * (choice.sensor_width_mm or SENSOR_WIDTH_MM)


def _depths_of(place: Place, result: Result, cameras: Sequence[Camera], long_side: int | None) -> torch.Tensor:
    """Return the camera z of what is seen at a place, for each camera."""
    views = [v for v in result.scene.posed_views if place.view in (v.name, Path(v.name).with_suffix("").as_posix())]
    if len(views) != 1 or views[0].camera is None:
        some = ", ".join(view.name for view in result.scene.posed_views[:4])
        raise BadInputError(
            f"--focus-at names the view {place.view!r}, of which the result has {len(views)}; expected one of its "
            f"photographs, such as {some}."
        )
    camera = reduced_camera(views[0].camera, long_side or result.config.long_side)
    if not (0 <= place.column < camera.width and 0 <= place.row < camera.height):
        raise BadInputError(
            f"--focus-at names the pixel {place.column},{place.row} of a picture of {camera.width} x {camera.height} "
            f"pixels; expected 0,0 to {camera.width - 1},{camera.height - 1}, as in the picture rendered of that view."
        )
    depth_z = rendering_of(result.gaussians, camera).depth_median[place.row, place.column]
    if not float(depth_z) > 0:
        raise BadInputError(
            f"--focus-at names the pixel {place.column},{place.row} of {place.view}, where the result has no depth. "
            "Choose another, or say --focus."
        )
    pixel = torch.tensor([place.column + 0.5, place.row + 0.5])
    ray = torch.cat(((pixel - camera.center_px) / camera.focal_px, torch.ones(1)))
    to_world = invert_rigid(camera.world_to_camera)
    point = to_world[:3, :3] @ (ray * depth_z) + to_world[:3, 3]
    depths = torch.stack([other.world_to_camera[2, :3] @ point + other.world_to_camera[2, 3] for other in cameras])
    if not bool((depths > 0).all()):
        raise BadInputError(
            f"What --focus-at names in {place.view} is behind the camera in {int((depths <= 0).sum())} of "
            f"{len(cameras)} pictures, where no lens can be focused on it. Say --focus."
        )
    return depths.double()


def _distances(text: str) -> tuple[float, ...]:
    """Return the distances of words like 1.5 or 1.2:3."""
    try:
        found = tuple(float(part) for part in text.split(":"))
    except ValueError:
        found = ()
    if not 1 <= len(found) <= 2:
        raise BadInputError(
            f"--focus {text} is no distance; expected a number such as 1.5, or for a film two with a colon, such as "
            "1.2:3, for its beginning and its end."
        )
    return found


def _place(text: str) -> Place:
    """Return the place of words like IMG_0001.jpg:320,200."""
    view, colon, pixel = text.rpartition(":")
    column, comma, row = pixel.partition(",")
    if not (colon and view and comma and column.isdecimal() and row.isdecimal()):
        raise BadInputError(
            f"--focus-at {text} is no place; expected a view and a pixel of its rendered picture, such as "
            "IMG_0001.jpg:320,200 (column, row)."
        )
    return Place(view, int(column), int(row))
