"""Positions on the Earth as metres in a local frame."""

from collections.abc import Sequence

import numpy as np

from ..data.gps import GpsPosition

# WGS 84 (NIMA TR8350.2).
_SEMI_MAJOR_M = 6378137.0
_FLATTENING = 1 / 298.257223563


def local_metres(positions: Sequence[GpsPosition | None]) -> np.ndarray:
    """Return [n, 3] metres east, north and up of the first known position; NaN where unknown.

    Where some altitude is missing, all are left out (0): a scene is not tilted by those that are known.
    """
    known = [position for position in positions if position is not None]
    level = any(position.altitude_m is None for position in known)
    out = np.full((len(positions), 3), np.nan)
    if not known:
        return out
    origin = ecef(known[0], level)
    lat, lon = np.deg2rad([known[0].latitude_deg, known[0].longitude_deg])
    east = [-np.sin(lon), np.cos(lon), 0]
    north = [-np.sin(lat) * np.cos(lon), -np.sin(lat) * np.sin(lon), np.cos(lat)]
    up = [np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)]
    axes = np.array([east, north, up])
    for i, position in enumerate(positions):
        if position is not None:
            out[i] = axes @ (ecef(position, level) - origin)
    return out


def ecef(position: GpsPosition, level: bool = False) -> np.ndarray:
    """Return earth-centred, earth-fixed metres; altitude counts as height over the ellipsoid.

    Sea level and ellipsoid differ by up to 100 m, but by the same amount within a scene.
    """
    lat, lon = np.deg2rad([position.latitude_deg, position.longitude_deg])
    height = 0.0 if level or position.altitude_m is None else position.altitude_m
    e2 = _FLATTENING * (2 - _FLATTENING)
    n = _SEMI_MAJOR_M / np.sqrt(1 - e2 * np.sin(lat) ** 2)
    x, y = (n + height) * np.cos(lat) * np.cos(lon), (n + height) * np.cos(lat) * np.sin(lon)
    return np.array([x, y, (n * (1 - e2) + height) * np.sin(lat)])
