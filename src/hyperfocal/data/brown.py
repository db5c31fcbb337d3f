"""Brown's lens model with four radial terms, as photogrammetry programs write it, in the terms that OpenCV has."""

import numpy as np

from ..distortion import Distortion
from ..errors import BadInputError

_MOST_ERROR_PX = 0.1


def distortion_from_brown(
    radial: tuple[float, float, float, float],
    tangential: tuple[float, float],
    *,
    focal_px: float,
    size: tuple[int, int],
    where: str,
) -> Distortion | None:
    """Return OpenCV's model of 1 + k1 r^2 + k2 r^4 + k3 r^6 + k4 r^8 and (p1, p2) in OpenCV's order; None for no lens.

    OpenCV has no r^8: with k4, the other three are fitted to the same curve inside the picture of `size`.

    Raises:
        BadInputError: the fit is off by more than a tenth of a pixel.
    """
    if not any(radial) and not any(tangential):
        return None
    k1, k2, k3, k4 = radial
    if k4:
        edge = 1.1 * np.hypot(*size) / 2 / focal_px
        r2 = np.linspace(0, edge, 200)[1:] ** 2
        curve = r2 * (k1 + r2 * (k2 + r2 * (k3 + r2 * k4)))
        # Weighted by r, since a pixel's error is r times that of the factor.
        basis = np.stack((r2, r2**2, r2**3), axis=1) * np.sqrt(r2)[:, None]
        fitted = np.linalg.lstsq(basis, curve * np.sqrt(r2), rcond=None)[0]
        worst = np.abs(basis @ fitted - curve * np.sqrt(r2)).max() * focal_px
        if worst > _MOST_ERROR_PX:
            raise BadInputError(
                f"The lens of {where} has k4 = {k4:g}, which can be approximated only to {worst:.2g} px. Calibrate "
                "with three radial terms, or export undistorted photographs with their cameras."
            )
        k1, k2, k3 = (float(value) for value in fitted)
    return Distortion("opencv", (k1, k2, *tangential, k3) if k3 else (k1, k2, *tangential))
