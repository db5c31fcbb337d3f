"""The things on the table and how each is made: balls, a knot, a vase with flowers, books, a statue, a tin, fruit.

Every maker takes a generator, from which shape and paint follow, and a factor on the resolution of its textures. Paint
has a generator of its own, so that shapes do not depend on the resolution.
"""

import dataclasses

import numpy as np
from jaxtyping import Float, Float32

from . import artwork, meshes, textures
from .meshes import Mesh, joined, moved, turn_z
from .noise import Picture

# (radius, height) from the middle of the top to that of the bottom; the fruits are 1 across, the bowl has radius 1
APPLE = np.array(
    [[0.0, 0.80], [0.12, 0.86], [0.3, 0.97], [0.46, 0.9], [0.54, 0.7], [0.53, 0.48], [0.43, 0.2], [0.26, 0.03],
     [0.1, 0.04], [0.0, 0.1]]
)  # fmt: skip
PEAR = np.array(
    [[0.0, 1.38], [0.1, 1.4], [0.2, 1.33], [0.26, 1.15], [0.33, 0.92], [0.46, 0.68], [0.5, 0.42], [0.42, 0.17],
     [0.22, 0.02], [0.0, 0.06]]
)  # fmt: skip
BOWL = np.array(
    [[0.0, 0.014], [0.45, 0.02], [0.8, 0.22], [0.97, 0.5], [1.0, 0.53], [1.03, 0.5], [0.86, 0.2], [0.5, 0.01],
     [0.42, 0.0]]
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Surface:
    """A mesh and what is painted on it."""

    name: str
    mesh: Mesh
    texture: Float32[np.ndarray, "h w 3"]  # reflectance, sRGB encoded
    roughness: float | None  # microfacet alpha of a clear coat; None is matt


@dataclasses.dataclass(frozen=True)
class Thing:
    """Surfaces about the origin and the radius of the circle they need on the table, metres."""

    surfaces: list[Surface]
    radius: float


def scaled(shape: tuple[int, int], detail: float) -> tuple[int, int]:
    """Return a picture size at the wanted detail."""
    return max(int(shape[0] * detail), 48), max(int(shape[1] * detail), 48)


def ball(rng: np.random.Generator, detail: float) -> Thing:
    """Return a ball of patchwork."""
    paint = rng.spawn(1)[0]
    return _round(
        rng,
        textures.patchwork(paint, scaled((512, 1024), detail), cells=(8, 14), skew=int(rng.integers(0, 3))),
    )


def marble(rng: np.random.Generator, detail: float) -> Thing:
    """Return a ball of stone."""
    paint = rng.spawn(1)[0]
    return _round(
        rng,
        textures.marble(paint, scaled((512, 1024), detail), textures.hues(rng, 3, saturation=0.5, value=0.8)),
    )


def _round(rng: np.random.Generator, picture: Picture) -> Thing:
    radius = rng.uniform(0.052, 0.066)
    tilt = _facing(rng.normal(0, 1, 3) + np.array([0, 0, 1.5]))
    middle = np.array([0, 0, radius])
    mesh = moved(moved(meshes.sphere(radius), np.eye(3), -middle), tilt @ turn_z(rng.uniform(0, 6)), middle)
    return Thing([Surface("ball", mesh, picture, 0.22)], radius)


def knot(rng: np.random.Generator, detail: float) -> Thing:
    """Return a lacquered torus knot."""
    paint = rng.spawn(1)[0]
    p, q = ((2, 3), (3, 2), (2, 5), (3, 4))[rng.integers(4)]
    size, thickness = rng.uniform(0.085, 0.1), 0.017 if p == 2 else 0.014
    mesh = moved(meshes.torus_knot(p, q, size, thickness), turn_z(rng.uniform(0, 6)), np.zeros(3))
    return Thing([Surface("knot", mesh, textures.ribbon(paint, scaled((96, 2048), detail)), 0.25)], size + thickness)


def vase(rng: np.random.Generator, detail: float) -> Thing:
    """Return a painted vase with seven flowers."""
    paint = rng.spawn(1)[0]
    height, belly = rng.uniform(0.19, 0.23), rng.uniform(0.058, 0.07)
    neck = rng.uniform(0.024, 0.032)
    profile = np.array(
        [[neck * 0.85, 0.93], [neck * 1.25, 0.985], [neck * 1.45, 1.0], [neck * 1.2, 0.975], [neck, 0.87],
         [neck * 1.25, 0.76], [belly * 0.82, 0.6], [belly, 0.42],
         [belly * 0.86, 0.22], [belly * 0.6, 0.06], [belly * 0.62, 0.0]]
    )  # fmt: skip
    profile[:, 1] *= height
    surfaces = [Surface("vase", meshes.revolution(profile), textures.glaze(paint, scaled((768, 1024), detail)), 0.2)]
    stems, leaves = [], []
    colors = textures.hues(rng, 7, saturation=0.6, value=0.85)
    for number in range(7):
        turn = 2 * np.pi * (number + rng.uniform(-0.25, 0.25)) / 7
        lean, rise = rng.uniform(0.05, 0.12) if number else 0.01, rng.uniform(0.09, 0.17) if number else 0.19
        heading = np.array([np.cos(turn), np.sin(turn), 0])
        start, end = np.array([0, 0, height * 0.9]), heading * lean + np.array([0, 0, height + rise])
        middle = (start + end) / 2 + np.array([0, 0, 0.035]) - heading * lean * 0.25

        def path(
            t: Float[np.ndarray, "r c"], a: np.ndarray = start, b: np.ndarray = middle, c: np.ndarray = end
        ) -> np.ndarray:
            t = t[..., None]
            return (1 - t) ** 2 * a + 2 * t * (1 - t) * b + t**2 * c

        stems.append(meshes.tube(path, 0.0026, closed=False, segments=24))
        upward = heading * rng.uniform(0.5, 0.9) + np.array([0, 0, rng.uniform(0.4, 0.8)])
        tilt = _facing(upward)
        blossom = meshes.flower(rng.uniform(0.028, 0.04), petals=int(rng.integers(5, 9)), cup=rng.uniform(0.15, 0.6))
        picture = textures.petal(paint, scaled((96, 384), detail), colors[number])
        surfaces.append(
            Surface(f"blossom_{number}", moved(blossom, tilt @ turn_z(rng.uniform(0, 6)), end), picture, None)
        )
        leaf = meshes.leaf(rng.uniform(0.06, 0.085), rng.uniform(0.02, 0.028), droop=rng.uniform(0.1, 0.6))
        rise_by = np.array([[0.85, 0, -0.5], [0, 1, 0], [0.5, 0, 0.85]])
        leaves.append(moved(leaf, turn_z(turn + rng.uniform(-0.6, 0.6)) @ rise_by, 0.5 * start + 0.5 * middle))
    green = textures.foliage(paint, scaled((256, 256), detail))
    surfaces.append(Surface("stems", joined(stems + leaves), green, None))
    return Thing(surfaces, belly)


def _facing(direction: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3 3"]:
    """Return a rotation that turns +z into `direction`."""
    z = direction / np.linalg.norm(direction)
    x = np.cross([0.31, 0.72, 0.05], z)
    x = x / np.linalg.norm(x)
    return np.stack([x, np.cross(z, x), z], axis=1)


def books(rng: np.random.Generator, detail: float) -> Thing:
    """Return a stack of books, often with something on top."""
    paint = rng.spawn(1)[0]
    surfaces, height = [], 0.0
    for number in range(int(rng.integers(3, 5))):
        size = (rng.uniform(0.15, 0.19), rng.uniform(0.11, 0.13), rng.uniform(0.022, 0.038))
        place = np.array([rng.uniform(-0.008, 0.008), rng.uniform(-0.008, 0.008), height])
        mesh = moved(meshes.box(size), turn_z(rng.normal(0, 0.22)), place)
        surfaces.append(Surface(f"book_{number}", mesh, artwork.book(paint, scaled((768, 1152), detail)), 0.35))
        height += size[2] + 0.0005
    if rng.random() < 0.7:
        top = (marble if rng.random() < 0.4 else fruit)(rng, detail)
        lift = np.array([rng.uniform(-0.02, 0.02), rng.uniform(-0.01, 0.01), height])
        surfaces += [
            dataclasses.replace(s, name=f"top_{s.name}", mesh=moved(s.mesh, np.eye(3), lift)) for s in top.surfaces
        ]
    return Thing(surfaces, 0.115)


def statue(rng: np.random.Generator, detail: float) -> Thing:
    """Return a weathered sculpture on a printed pedestal."""
    paint = rng.spawn(1)[0]
    foot = rng.uniform(0.05, 0.06)
    pedestal = Surface(
        "pedestal",
        meshes.box((foot * 2, foot * 2, 0.045)),
        artwork.package(paint, scaled((384, 576), detail)),
        None,
    )
    if rng.random() < 0.6:
        corners = int(rng.integers(3, 6))
        body = meshes.twisted_column(
            rng.uniform(0.17, 0.2),
            foot * 0.85,
            corners=corners,
            turns=rng.choice([-1, 1]) * rng.uniform(0.3, 0.6),
            waist=rng.uniform(0.25, 0.45),
        )
    else:
        body = meshes.supershape(foot * 1.25, lobes=int(rng.integers(5, 9)), sharpness=rng.uniform(1.2, 2.2))
    colors = (
        np.array([[0.36, 0.2, 0.13], [0.66, 0.4, 0.26], [0.82, 0.66, 0.46]])
        if rng.random() < 0.5
        else np.array([[0.12, 0.3, 0.28], [0.32, 0.52, 0.45], [0.7, 0.68, 0.5]])
    )
    picture = textures.weathered(paint, scaled((640, 960), detail), colors)
    return Thing(
        [pedestal, Surface("statue", moved(body, np.eye(3), np.array([0, 0, 0.045])), picture, 0.35)], foot * 1.35
    )


def tin(rng: np.random.Generator, detail: float) -> Thing:
    """Return a printed box."""
    paint = rng.spawn(1)[0]
    size = (rng.uniform(0.08, 0.11), rng.uniform(0.06, 0.08), rng.uniform(0.1, 0.15))
    mesh = moved(meshes.box(size), turn_z(rng.normal(0, 0.4)), np.zeros(3))
    return Thing(
        [Surface("tin", mesh, artwork.package(paint, scaled((768, 1152), detail)), 0.3)],
        float(np.hypot(*size[:2])) / 2,
    )


def fruit(rng: np.random.Generator, detail: float) -> Thing:
    """Return an apple or a pear."""
    paint = rng.spawn(1)[0]
    profile = (APPLE if rng.random() < 0.5 else PEAR) * rng.uniform(0.07, 0.082)
    ripe, green = (
        (np.array([0.66, 0.12, 0.08]), np.array([0.74, 0.66, 0.2]))
        if rng.random() < 0.6
        else (np.array([0.8, 0.5, 0.14]), np.array([0.45, 0.55, 0.16]))
    )
    body = Surface(
        "fruit",
        moved(meshes.revolution(profile), turn_z(rng.uniform(0, 6)), np.zeros(3)),
        textures.fruit_skin(paint, scaled((384, 512), detail), ripe, green),
        0.25,
    )
    top, lean = profile[0, 1], rng.uniform(-0.012, 0.012, 2)

    def path(t: Float[np.ndarray, "r c"]) -> np.ndarray:
        return np.stack([lean[0] * t**2, lean[1] * t**2, top - 0.004 + 0.022 * t], -1)

    stalk = Surface(
        "stalk",
        meshes.tube(path, 0.002, closed=False, segments=8),
        textures.wood(paint, (64, 64), boards=1, tone=np.array([0.4, 0.28, 0.16])),
        None,
    )
    return Thing([body, stalk], float(profile[:, 0].max()))


def bowl(rng: np.random.Generator, detail: float) -> Thing:
    """Return a painted bowl with three fruits."""
    paint = rng.spawn(1)[0]
    profile = BOWL * rng.uniform(0.085, 0.095)
    surfaces = [Surface("bowl", meshes.revolution(profile), textures.glaze(paint, scaled((512, 1024), detail)), 0.2)]
    start = rng.uniform(0, 6)
    for number in range(3):
        piece = fruit(rng, detail)
        turn = start + number * 2 * np.pi / 3
        place = np.array([0.042 * np.cos(turn), 0.042 * np.sin(turn), 0.016])
        surfaces += [
            dataclasses.replace(s, name=f"{s.name}_{number}", mesh=moved(s.mesh, np.eye(3), place))
            for s in piece.surfaces
        ]
    return Thing(surfaces, 0.095)
