"""`ThinLens`: aperture and focus in calibrated form, and the circle of confusion that follows from them."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class ThinLens:
    """A thin lens whose focal length in pixels was calibrated at its focus. Aperture 0 is the pinhole."""

    aperture_diameter: Float[Tensor, "*v"]
    """Diameter of the entrance pupil in scene units, >= 0."""
    focus_distance: Float[Tensor, "*v"]
    """Camera z of the plane in focus, in scene units, > 0."""

    def coc_diameter_px(self, depth_z: Float[Tensor, "*n"], focal_px: Float[Tensor, "*v"]) -> Float[Tensor, "*n"]:
        """Return the signed diameter of the circle of confusion in pixels: positive behind the focus.

        `aperture_diameter * focal_px * (1/focus_distance - 1/depth_z)`, exact for a thin lens.
        """
        return self.aperture_diameter * focal_px * (1 / self.focus_distance - 1 / depth_z)
