"""Lenses as values: `ThinLens` in calibrated form for pictures, `PhysicalLens` in metres for cameras one can buy."""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from .errors import BadInputError

_INFINITE = 1e-12  # 1/z below this share of 1/focus is rounding: the limit is infinitely far


@dataclass(frozen=True)
class ThinLens:
    """A thin lens whose focal length in pixels was calibrated at its focus. Aperture 0 is the pinhole.

    Raises:
        BadInputError: an aperture that is negative or not finite, a focus distance that is not above 0 (infinity is).
    """

    aperture_diameter: Float[Tensor, "*v"]
    """Diameter of the entrance pupil in scene units, >= 0."""
    focus_distance: Float[Tensor, "*v"]
    """Camera z of the plane in focus, in scene units, > 0."""

    def __post_init__(self) -> None:
        aperture, focus = self.aperture_diameter.detach(), self.focus_distance.detach()
        if not bool(((aperture >= 0) & aperture.isfinite()).all()):
            raise BadInputError(
                f"A lens has an aperture diameter of {_numbers(aperture)} scene units; expected finite numbers of at "
                "least 0, where 0 is the pinhole."
            )
        if not bool((focus > 0).all()):
            raise BadInputError(
                f"A lens is focused at {_numbers(focus)} scene units; expected camera z above 0, in front of the "
                "camera. Infinity is allowed."
            )

    def __getitem__(self, index: int | slice | Tensor) -> "ThinLens":
        """Return one view's lens, or some, of a batch."""
        if not self.is_batch:
            raise TypeError("This lens is that of a single view; only a batch of lenses can be indexed.")
        return ThinLens(self.aperture_diameter[index], self.focus_distance[index])

    @property
    def is_batch(self) -> bool:
        """True when the tensors have a view dimension."""
        return self.aperture_diameter.dim() > 0

    def as_batch(self, views: int = 1) -> "ThinLens":
        """Return the lens with a view dimension: one lens is shared by all `views`, a batch is returned as it is."""
        if self.is_batch:
            return self
        return replace(
            self,
            aperture_diameter=self.aperture_diameter.expand(views),
            focus_distance=self.focus_distance.expand(views),
        )

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> "ThinLens":
        """Return the same lens on another device or in another floating-point type."""
        return ThinLens(
            self.aperture_diameter.to(device=device, dtype=dtype), self.focus_distance.to(device=device, dtype=dtype)
        )

    def coc_diameter_px(self, depth_z: Float[Tensor, "*n"], focal_px: Float[Tensor, "*v"]) -> Float[Tensor, "*n"]:
        """Return the signed diameter of the circle of confusion in pixels: positive behind the focus.

        `aperture_diameter * focal_px * (1/focus_distance - 1/depth_z)`, exact for a thin lens.
        """
        return self.aperture_diameter * focal_px * (1 / self.focus_distance - 1 / depth_z)

    def inverse_depth(self, coc_diameter_px: Float[Tensor, "*n"], focal_px: Float[Tensor, "*v"]) -> Float[Tensor, "*n"]:
        """Return `1/focus_distance - c / (aperture_diameter * focal_px)`: 1/z of what has the signed circle c.

        It is linear in the circle, and 0 at infinity. Below 0 nothing has such a circle: it exceeds infinity's.

        Raises:
            BadInputError: an aperture of 0, with which every depth is sharp.
        """
        if not bool((self.aperture_diameter.detach() > 0).all()):
            raise BadInputError(
                "Depth was asked for from the blur of a pinhole, whose pictures are sharp at every depth; expected a "
                "lens with an aperture above 0."
            )
        return 1 / self.focus_distance - coc_diameter_px / (self.aperture_diameter * focal_px)

    def depth_z(self, coc_diameter_px: Float[Tensor, "*n"], focal_px: Float[Tensor, "*v"]) -> Float[Tensor, "*n"]:
        """Return camera z of what has this signed circle of confusion: the inverse of `coc_diameter_px`.

        Infinity where the circle is infinity's, and 0 (unknown) where it is larger, as of no depth at all.

        Raises:
            BadInputError: an aperture of 0.
        """
        inverse = self.inverse_depth(coc_diameter_px, focal_px)
        # What the two terms of the difference were rounded to.
        rounding = 4 * torch.finfo(inverse.dtype).eps * (1 / self.focus_distance + inverse.abs())
        finite = inverse > rounding
        beyond = torch.where(inverse < -rounding, torch.zeros_like(inverse), math.inf)
        return torch.where(finite, 1 / torch.where(finite, inverse, 1), beyond)


@dataclass(frozen=True)
class PhysicalLens:
    """A thin lens before a sensor, everything in metres. `thin_lens` makes what `render` takes of it.

    With the focal length f, the f-number N and the focus d_f: the aperture is f / N across, and the sensor stands at
    `v = f d_f / (d_f - f)` behind the lens (the thin-lens equation 1/f = 1/d_f + 1/v).

    Raises:
        BadInputError: no such lens: a length or f-number that is not a finite number above 0, or a focus that is not
            farther than the focal length.
    """

    focal_length_m: float
    """Of the lens, as engraved on it; what calibration finds is the image distance, a little more."""
    f_number: float
    """Focal length over the diameter of the aperture: 1.8 of f/1.8."""
    focus_distance_m: float
    """From the lens to the plane in focus along the optical axis; `math.inf` is allowed."""
    sensor_width_m: float
    """Width of what the picture's columns cover; of a crop, that of the crop."""

    def __post_init__(self) -> None:
        for name in ("focal_length_m", "f_number", "sensor_width_m"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise BadInputError(
                    f"There is no lens with {name} = {value:g}; expected a finite number above 0"
                    + (". The pinhole is `ThinLens` with an aperture of 0." if name == "f_number" else ", in metres.")
                )
        if not self.focus_distance_m > self.focal_length_m:
            raise BadInputError(
                f"A lens of {1e3 * self.focal_length_m:g} mm cannot be focused at {self.focus_distance_m:g} m: "
                "things at the focal length or nearer have no real image. Expected `focus_distance_m` above "
                f"{self.focal_length_m:g} m, or infinity; check that neither length is meant in millimetres."
            )

    @property
    def aperture_diameter_m(self) -> float:
        """Diameter of the aperture."""
        return self.focal_length_m / self.f_number

    @property
    def image_distance_m(self) -> float:
        """From the lens to the sensor; the focal length if focused at infinity."""
        return self.focal_length_m / (1 - self.focal_length_m / self.focus_distance_m)

    def focal_px(self, width: int) -> float:
        """Return the focal length in pixels of a picture `width` columns wide, as calibrated at this focus."""
        return self.image_distance_m / self.pixel_pitch_m(width)

    def pixel_pitch_m(self, width: int) -> float:
        """Return the width of a pixel on the sensor, of a picture `width` columns wide.

        Raises:
            BadInputError: no pixels.
        """
        if width < 1:
            raise BadInputError(f"A picture needs at least one column, got a width of {width} pixels.")
        return self.sensor_width_m / width

    def coc_diameter_px(self, depth_m: float, width: int) -> float:
        """Return the signed circle of confusion of what is `depth_m` away: positive behind the focus.

        Maps of depths: `lens.thin_lens().coc_diameter_px(depth_z, focal_px)` gives the same.

        Args:
            depth_m: Along the optical axis, above 0; infinity is allowed.
            width: Columns of the picture.

        Raises:
            BadInputError: a depth that is not above 0.
        """
        if not depth_m > 0:
            raise BadInputError(f"A circle of confusion was asked for at {depth_m:g} m; expected a depth above 0.")
        return self.aperture_diameter_m * self.focal_px(width) * (1 / self.focus_distance_m - 1 / depth_m)

    def depth_m(self, coc_diameter_px: float, width: int) -> float:
        """Return the depth of what has this signed circle of confusion: the inverse of `coc_diameter_px`.

        Raises:
            BadInputError: nothing has such a circle, since even infinity's is smaller.
        """
        blurred = coc_diameter_px / (self.aperture_diameter_m * self.focal_px(width))
        depth = _reciprocal(1 / self.focus_distance_m - blurred, 1 / self.focus_distance_m + abs(blurred))
        if not depth > 0:
            limit = self.coc_diameter_px(math.inf, width)
            raise BadInputError(
                f"Nothing is blurred by {coc_diameter_px:g} px behind the focus of this lens: at infinity the circle "
                f"is {limit:.4g} px in a picture {width} px wide. Expected at most that; circles before the focus are "
                "negative."
            )
        return depth

    def hyperfocal_m(self, circle_m: float) -> float:
        """Return the nearest focus at which infinity is within a circle: `f^2 / (N circle) + f`.

        Args:
            circle_m: The largest circle that counts as sharp, on the sensor; 30e-6 is customary for a sensor of 36 mm,
                `pixel_pitch_m(width)` is one pixel.

        Raises:
            BadInputError: a circle that is not above 0.
        """
        _check_circle(circle_m)
        return self.focal_length_m**2 / (self.f_number * circle_m) + self.focal_length_m

    def depth_of_field_m(self, circle_m: float) -> tuple[float, float]:
        """Return (near, far), between which circles on the sensor are at most `circle_m`; far may be infinite.

        Raises:
            BadInputError: a circle that is not above 0.
        """
        _check_circle(circle_m)
        focus, reach = 1 / self.focus_distance_m, circle_m / (self.aperture_diameter_m * self.image_distance_m)
        far = _reciprocal(focus - reach, focus + reach)
        return 1 / (focus + reach), far if far > 0 else math.inf

    def thin_lens(self, metres_per_unit: float = 1.0) -> ThinLens:
        """Return the lens in scene units. Cameras to go with it have `focal_px(width)`, the focal length at this focus.

        Raises:
            BadInputError: a scale that is not a finite number above 0.
        """
        if not (math.isfinite(metres_per_unit) and metres_per_unit > 0):
            raise BadInputError(
                f"A scene unit of {metres_per_unit:g} metres was given; expected a finite number above 0, such as "
                "`scene.metres_per_unit` of a scene whose scale is known."
            )
        return ThinLens(
            torch.tensor(self.aperture_diameter_m / metres_per_unit),
            torch.tensor(self.focus_distance_m / metres_per_unit),
        )


def _reciprocal(value: float, terms: float) -> float:
    """Return 1/value; infinity if it is nothing but the rounding of a difference of `terms` in size."""
    return math.inf if abs(value) <= _INFINITE * terms else 1 / value


def _check_circle(circle_m: float) -> None:
    if not (math.isfinite(circle_m) and circle_m > 0):
        raise BadInputError(
            f"A largest sharp circle of {circle_m:g} m was given; expected a size on the sensor above 0, such as "
            "30e-6 m for a sensor of 36 mm."
        )


def _numbers(values: Tensor) -> str:
    """Return at most four numbers of a tensor as words."""
    listed = [f"{value:g}" for value in values.flatten()[:4].tolist()]
    return ", ".join(listed) + (", ..." if values.numel() > len(listed) else "")
