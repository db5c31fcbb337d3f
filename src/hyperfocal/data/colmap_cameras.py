"""COLMAP's camera models in terms of ours, and back."""

from collections.abc import Callable
from dataclasses import dataclass

from ..camera import Camera
from ..distortion import Distortion


@dataclass(frozen=True)
class Lens:
    """A camera without its pose and size."""

    focal_px: tuple[float, float]
    center_px: tuple[float, float]
    distortion: Distortion | None


def _opencv(f: tuple[float, float], c: tuple[float, float], *coefficients: float) -> Lens:
    distortion = Distortion("opencv", coefficients)
    return Lens(f, c, None if distortion.is_none else distortion)


def _fisheye(f: tuple[float, float], c: tuple[float, float], *coefficients: float) -> Lens:
    return Lens(f, c, Distortion("fisheye", (*coefficients, *(4 - len(coefficients)) * (0.0,))))


# Parameters of each model in COLMAP's order (its src/colmap/sensor/models.h).
LENSES: dict[str, Callable[..., Lens]] = {
    "SIMPLE_PINHOLE": lambda f, x, y: Lens((f, f), (x, y), None),
    "PINHOLE": lambda fx, fy, x, y: Lens((fx, fy), (x, y), None),
    "SIMPLE_RADIAL": lambda f, x, y, k: _opencv((f, f), (x, y), k, 0.0, 0.0, 0.0),
    "RADIAL": lambda f, x, y, k1, k2: _opencv((f, f), (x, y), k1, k2, 0.0, 0.0),
    "OPENCV": lambda fx, fy, x, y, *k: _opencv((fx, fy), (x, y), *k),
    "FULL_OPENCV": lambda fx, fy, x, y, *k: Lens((fx, fy), (x, y), Distortion("full_opencv", k)),
    "OPENCV_FISHEYE": lambda fx, fy, x, y, *k: _fisheye((fx, fy), (x, y), *k),
    "SIMPLE_RADIAL_FISHEYE": lambda f, x, y, k: _fisheye((f, f), (x, y), k),
    "RADIAL_FISHEYE": lambda f, x, y, k1, k2: _fisheye((f, f), (x, y), k1, k2),
    "SIMPLE_FISHEYE": lambda f, x, y: _fisheye((f, f), (x, y)),
    "FISHEYE": lambda fx, fy, x, y: _fisheye((fx, fy), (x, y)),
}


def colmap_parameters(camera: Camera, distortion: Distortion | None) -> tuple[str, list[float]]:
    """Return (model name, parameters) of a single camera as COLMAP writes them."""
    pinhole = [*camera.focal_px.tolist(), *camera.center_px.tolist()]
    if distortion is None:
        return "PINHOLE", pinhole
    coefficients = list(distortion.coefficients)
    match distortion.model:
        case "fisheye":
            return "OPENCV_FISHEYE", pinhole + coefficients
        case "full_opencv":
            return "FULL_OPENCV", pinhole + coefficients
        case _ if len(coefficients) == 5:  # with k3, which OPENCV lacks
            return "FULL_OPENCV", [*pinhole, *coefficients, 0.0, 0.0, 0.0]
        case _:
            return "OPENCV", pinhole + coefficients
