"""Closed-form surfaces as triangle meshes with normals and texture coordinates. Lengths in metres, z up."""

import dataclasses
from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Float32, Int32


@dataclasses.dataclass(frozen=True)
class Mesh:
    """Triangles seen from either side."""

    vertices: Float32[np.ndarray, "n 3"]  # metres
    normals: Float32[np.ndarray, "n 3"]  # unit length
    uv: Float32[np.ndarray, "n 2"]  # u right, v DOWN the picture, so that (0, 0) is the first texel
    faces: Int32[np.ndarray, "f 3"]


def moved(mesh: Mesh, rotation: Float[np.ndarray, "3 3"], translation: Float[np.ndarray, "3"]) -> Mesh:
    """Return the mesh rotated about the origin and then shifted by `translation` (metres)."""
    return dataclasses.replace(
        mesh,
        vertices=(mesh.vertices @ rotation.T + translation).astype(np.float32),
        normals=(mesh.normals @ rotation.T).astype(np.float32),
    )


def turn_z(angle: float) -> Float[np.ndarray, "3 3"]:
    """Return the rotation by `angle` (radians) about the vertical."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def joined(meshes: list[Mesh]) -> Mesh:
    """Return several meshes as one."""
    starts = np.cumsum([0] + [len(mesh.vertices) for mesh in meshes])
    return Mesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate([mesh.normals for mesh in meshes]),
        np.concatenate([mesh.uv for mesh in meshes]),
        np.concatenate([mesh.faces + np.int32(start) for mesh, start in zip(meshes, starts, strict=False)]),
    )


def _unit(vectors: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3"]:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def surface(
    point: Callable[[Float[np.ndarray, "r c"], Float[np.ndarray, "r c"]], Float[np.ndarray, "r c 3"]],
    rows: int,
    columns: int,
    *,
    u_turns: float = 1.0,
    v_turns: float = 1.0,
) -> Mesh:
    """Return the mesh of a surface given by point(u, v), u and v from 0 to 1, with normals by central differences.

    Args:
        point: Maps u (across) and v (down the picture) to metres.
        rows: Mesh cells along v.
        columns: Mesh cells along u.
        u_turns: How often the picture repeats along u; the picture must close for more than one.
        v_turns: Likewise along v.
    """
    v, u = np.meshgrid(np.linspace(0, 1, rows + 1), np.linspace(0, 1, columns + 1), indexing="ij")
    step = 1e-4
    inner_v = np.clip(v, 2 * step, 1 - 2 * step)  # poles have no derivative along u; look just beside them
    along_u = point(u + step, inner_v) - point(u - step, inner_v)
    along_v = point(u, inner_v + step) - point(u, inner_v - step)
    normals = _unit(np.cross(along_v, along_u))
    index = np.arange((rows + 1) * (columns + 1)).reshape(rows + 1, columns + 1)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]
    faces = np.concatenate([np.stack([a, c, b], -1).reshape(-1, 3), np.stack([b, c, d], -1).reshape(-1, 3)])
    return Mesh(
        point(u, v).reshape(-1, 3).astype(np.float32),
        normals.reshape(-1, 3).astype(np.float32),
        np.stack([u * u_turns, v * v_turns], -1).reshape(-1, 2).astype(np.float32),
        faces.astype(np.int32),
    )


def rectangle(corner: Float[np.ndarray, "3"], right: Float[np.ndarray, "3"], down: Float[np.ndarray, "3"]) -> Mesh:
    """Return a flat picture: its upper left `corner` and the vectors along its upper edge and its left edge."""
    corners = np.stack([corner, corner + right, corner + down, corner + right + down])
    normal = _unit(np.cross(down, right))
    return Mesh(
        corners.astype(np.float32),
        np.tile(normal, (4, 1)).astype(np.float32),
        np.array([[0, 0], [1, 0], [0, 1], [1, 1]], np.float32),
        np.array([[0, 2, 1], [1, 2, 3]], np.int32),
    )


def box(size: tuple[float, float, float]) -> Mesh:
    """Return a box on the ground, centred in x and y; its picture is an atlas of 2 rows of 3 panels.

    Upper row: top, front (-y), right (+x); lower row: bottom, back (+y), left (-x).
    """
    x, y, z = size[0] / 2, size[1] / 2, size[2]
    sides = [
        rectangle(np.array([-x, y, z]), np.array([2 * x, 0, 0]), np.array([0, -2 * y, 0])),
        rectangle(np.array([-x, -y, z]), np.array([2 * x, 0, 0]), np.array([0, 0, -z])),
        rectangle(np.array([x, -y, z]), np.array([0, 2 * y, 0]), np.array([0, 0, -z])),
        rectangle(np.array([-x, -y, 0]), np.array([2 * x, 0, 0]), np.array([0, 2 * y, 0])),
        rectangle(np.array([x, y, z]), np.array([-2 * x, 0, 0]), np.array([0, 0, -z])),
        rectangle(np.array([-x, y, z]), np.array([0, -2 * y, 0]), np.array([0, 0, -z])),
    ]
    panels = []
    for number, side in enumerate(sides):
        cell = np.array([number % 3, number // 3])
        inset = 0.004 + side.uv * 0.992  # a texel of margin: bilinear look-up must not reach the next panel
        panels.append(dataclasses.replace(side, uv=((inset + cell) / [3, 2]).astype(np.float32)))
    return joined(panels)


def sphere(radius: float) -> Mesh:
    """Return a sphere that stands on the ground."""

    def point(u: Float[np.ndarray, "r c"], v: Float[np.ndarray, "r c"]) -> Float[np.ndarray, "r c 3"]:
        phi, theta = 2 * np.pi * u, np.pi * v
        ring = np.sin(theta)
        return radius * np.stack([ring * np.cos(phi), ring * np.sin(phi), 1 + np.cos(theta)], -1)

    return surface(point, 64, 128)


def revolution(profile: Float[np.ndarray, "k 2"], *, u_turns: float = 1.0) -> Mesh:
    """Return a turned body; `profile` holds (radius, height) from the top down, joined by a smooth curve."""
    knots = np.linspace(0, 1, len(profile))

    def curve(v: Float[np.ndarray, "r c"], column: int) -> Float[np.ndarray, "r c"]:
        """Interpolate by a cubic Hermite spline with the slopes of the neighbours."""
        values = profile[:, column]
        slopes = np.gradient(values, knots)
        i = np.clip(np.searchsorted(knots, v, side="right") - 1, 0, len(knots) - 2)
        width = knots[1] - knots[0]
        t = (v - knots[i]) / width
        blend = (2 * t**3 - 3 * t**2 + 1, t**3 - 2 * t**2 + t, -2 * t**3 + 3 * t**2, t**3 - t**2)
        return (
            blend[0] * values[i]
            + blend[1] * width * slopes[i]
            + blend[2] * values[i + 1]
            + blend[3] * width * slopes[i + 1]
        )

    def point(u: Float[np.ndarray, "r c"], v: Float[np.ndarray, "r c"]) -> Float[np.ndarray, "r c 3"]:
        radius = np.maximum(curve(v, 0), 0)
        return np.stack([radius * np.cos(2 * np.pi * u), radius * np.sin(2 * np.pi * u), curve(v, 1)], -1)

    return surface(point, 96, 128, u_turns=u_turns)


def tube(
    path: Callable[[Float[np.ndarray, "r c"]], Float[np.ndarray, "r c 3"]],
    radius: float,
    *,
    closed: bool,
    segments: int,
    u_turns: float = 1.0,
) -> Mesh:
    """Return a tube of `radius` around path(t), t from 0 to 1; u of its picture runs along it."""

    def point(u: Float[np.ndarray, "r c"], v: Float[np.ndarray, "r c"]) -> Float[np.ndarray, "r c 3"]:
        step = 1e-3
        tangent = _unit(path(u + step) - path(u - step))
        toward_centre = _unit(
            path(u + step) - 2 * path(u) + path(u - step) + (0 if closed else np.array([1e-6, 2e-6, 0]))
        )
        side = _unit(np.cross(tangent, toward_centre))
        normal = np.cross(side, tangent)
        angle = (2 * np.pi * v)[..., None]
        return path(u) + radius * (np.cos(angle) * normal + np.sin(angle) * side)

    return surface(point, 20, segments, u_turns=u_turns)


def torus_knot(p: int, q: int, size: float, thickness: float) -> Mesh:
    """Return a (p, q) torus knot of overall radius `size` and tube radius `thickness`, standing on the ground."""
    ring, reach = size * 0.68, size * 0.32

    def path(t: Float[np.ndarray, "r c"]) -> Float[np.ndarray, "r c 3"]:
        a, b = 2 * np.pi * p * t, 2 * np.pi * q * t
        radius = ring + reach * np.cos(b)
        return np.stack([radius * np.cos(a), radius * np.sin(a), reach * np.sin(b) + reach + thickness], -1)

    return tube(path, thickness, closed=True, segments=480, u_turns=2.0)


def twisted_column(height: float, radius: float, *, corners: int, turns: float, waist: float) -> Mesh:
    """Return a turned-and-twisted column: a rounded `corners`-gon in section, narrowed by `waist` and closed on top."""

    def point(u: Float[np.ndarray, "r c"], v: Float[np.ndarray, "r c"]) -> Float[np.ndarray, "r c 3"]:
        up = 1 - v
        phi = 2 * np.pi * u
        lobes = 1 + 0.16 * np.cos(corners * phi)
        swell = 1 - waist * np.sin(np.pi * np.clip(up, 0, 1) * 1.5) ** 2
        cap = np.clip(1 - np.clip(up, 0, 1) ** 14, 0, 1) ** 0.5
        r = radius * lobes * swell * cap
        angle = phi + 2 * np.pi * turns * up
        return np.stack([r * np.cos(angle), r * np.sin(angle), height * up], -1)

    return surface(point, 128, 192)


def supershape(radius: float, *, lobes: int, sharpness: float) -> Mesh:
    """Return a star-like solid (superformula in longitude and latitude) that stands on the ground."""

    def formula(angle: Float[np.ndarray, "r c"], m: int) -> Float[np.ndarray, "r c"]:
        c, s = np.abs(np.cos(m * angle / 4)), np.abs(np.sin(m * angle / 4))
        return (c**sharpness + s**sharpness) ** (-1 / (2.2 * sharpness))

    def point(u: Float[np.ndarray, "r c"], v: Float[np.ndarray, "r c"]) -> Float[np.ndarray, "r c 3"]:
        phi, latitude = 2 * np.pi * u, np.pi * (0.5 - v)
        around, along = formula(phi, lobes), formula(latitude, 4)
        flat = around * along * np.cos(latitude)
        return radius * np.stack([flat * np.cos(phi), flat * np.sin(phi), 1.0 + along * np.sin(latitude)], -1)

    return surface(point, 128, 256)


def flower(radius: float, *, petals: int, cup: float) -> Mesh:
    """Return a blossom facing +z with its throat at the origin; v of its picture runs from the throat to the rim."""

    def point(u: Float[np.ndarray, "r c"], v: Float[np.ndarray, "r c"]) -> Float[np.ndarray, "r c 3"]:
        phi = 2 * np.pi * u
        notch = np.abs(np.sin(petals * phi / 2)) ** 0.5
        reach = radius * v * (0.45 + 0.55 * notch)
        rise = cup * radius * v**1.6 + 0.10 * radius * v * np.cos(petals * phi)
        return np.stack([reach * np.cos(phi), reach * np.sin(phi), rise], -1)

    return surface(point, 24, 160)


def leaf(length: float, width: float, *, droop: float) -> Mesh:
    """Return a pointed leaf along +x from the origin, folded at its midrib, hanging by `droop` of its length."""

    def point(u: Float[np.ndarray, "r c"], v: Float[np.ndarray, "r c"]) -> Float[np.ndarray, "r c 3"]:
        half = width / 2 * np.sqrt(np.clip(v * (1 - v), 1e-9, None)) * 2 * (1.25 - 0.7 * v)
        side = 2 * u - 1
        return np.stack([length * v, half * side, 0.35 * half * np.abs(side) ** 1.5 - droop * length * v**2], -1)

    return surface(point, 24, 16)
