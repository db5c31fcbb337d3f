"""A still life made from a number: a table in the corner of a papered room, pictures, books, pottery, flowers, fruit.

The description is plain arrays, of no renderer: surfaces with their pictures, and lamps. Lengths are metres, z is up,
the table top is z = 0, the middle of the things is the origin, the corner of the room lies towards +y and photographers
stand towards -y.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from . import artwork, textures, things
from .meshes import Mesh, joined, moved, rectangle, turn_z
from .motifs import Leaf, scatter
from .things import Surface, Thing, scaled

CORNER_DISTANCE = 0.80  # metres from the middle of the table to the corner of the room
WALL_SIZE = (2.3, 1.7)  # metres, length and height
WALL_COLORS = np.array(
    [[0.52, 0.56, 0.46], [0.42, 0.52, 0.56], [0.66, 0.58, 0.46], [0.34, 0.45, 0.44], [0.58, 0.48, 0.46]]
)


@dataclasses.dataclass(frozen=True)
class Lamp:
    """A square that shines towards the table."""

    position: tuple[float, float, float]  # metres
    size: float  # metres, edge
    radiance: tuple[float, float, float]  # linear red, green, blue; an exposure of 1 maps 1 to white


@dataclasses.dataclass(frozen=True)
class StillLife:
    """All that a renderer needs to know, but the camera."""

    surfaces: list[Surface]
    lamps: list[Lamp]
    ambient: tuple[float, float, float]  # radiance of the surroundings, linear red, green, blue


Maker = Callable[[np.random.Generator, float], Thing]
TALL: tuple[Maker, ...] = (things.vase, things.books, things.statue)
MIDDLE: tuple[Maker, ...] = (things.tin, things.knot, things.bowl)
SMALL: tuple[Maker, ...] = (things.ball, things.fruit, things.marble, things.fruit)
TALL_PLACES = ((-0.27, 0.17), (0.02, 0.27), (0.27, 0.15))  # metres, x and y
MIDDLE_PLACES = ((-0.19, -0.06), (0.06, 0.06), (0.24, -0.10))
SMALL_PLACES = ((-0.33, -0.03), (-0.05, -0.16), (0.10, -0.19), (0.37, 0.02))


def _arranged(rng: np.random.Generator, detail: float) -> list[Surface]:
    """Put a thing on every place, tall ones behind, and push apart those that would touch."""
    chosen, places = [], []
    for makers, spots in ((TALL, TALL_PLACES), (MIDDLE, MIDDLE_PLACES), (SMALL, SMALL_PLACES)):
        order = rng.permutation(len(makers))
        chosen += [makers[i](rng, detail) for i in order]
        places += [np.array(spot) + rng.uniform(-0.02, 0.02, 2) for spot in spots]
    centres, radii = np.array(places), np.array([thing.radius for thing in chosen])
    for _ in range(200):
        apart = centres[:, None] - centres[None]
        distance = np.maximum(np.linalg.norm(apart, axis=-1), 1e-9)
        overlap = np.clip(radii[:, None] + radii[None] + 0.008 - distance, 0, None) * (1 - np.eye(len(radii)))
        centres = centres + 0.4 * np.sum(overlap[..., None] * apart / distance[..., None], axis=1)
    surfaces = []
    for number, (thing, centre) in enumerate(zip(chosen, centres, strict=True)):
        shift = np.array([*centre, 0.0025])  # above the chart, which lies 2 mm above the table
        surfaces += [
            dataclasses.replace(s, name=f"{number:02d}_{s.name}", mesh=moved(s.mesh, np.eye(3), shift))
            for s in thing.surfaces
        ]
    return surfaces


def _wall(rng: np.random.Generator, detail: float, side: int, ground: Float[np.ndarray, "k 3"]) -> list[Surface]:
    """Return one papered wall (side -1 left, +1 right) and the framed pictures on it."""
    paint = rng.spawn(1)[0]
    length, height = WALL_SIZE
    corner = np.array([0.0, CORNER_DISTANCE, 0.0])
    along = np.array([side * np.cos(0.76), -np.sin(0.76), 0])  # 93 degrees between the walls
    right = along * side  # as seen from the room
    up = np.array([0, 0, 1.0])
    inward = np.cross(right, up)
    left_end = corner + along * length if side < 0 else corner
    wall = rectangle(left_end + up * height, right * length, -up * height)
    surfaces = [Surface(f"wall_{side}", wall, artwork.wallpaper(paint, scaled((1700, 2300), detail), ground), None)]
    offset = rng.uniform(0.12, 0.18)
    for number in range(4):
        width, tall = rng.uniform(0.2, 0.36), rng.uniform(0.24, 0.36)
        bottom = rng.uniform(0.2, 0.34)
        start = offset if side > 0 else length - offset - width
        origin = left_end + right * start + up * (bottom + tall)
        offset += width + rng.uniform(0.08, 0.16)
        surfaces += _framed(rng, detail, f"picture_{side}_{number}", origin, right, inward, (width, tall))
    return surfaces


def _framed(
    rng: np.random.Generator, detail: float, name: str, corner: Float[np.ndarray, "3"], right: Float[np.ndarray, "3"],
    inward: Float[np.ndarray, "3"], size: tuple[float, float],
) -> list[Surface]:  # fmt: skip
    """Return a picture in a bevelled frame; `corner` is its upper left on the wall, `inward` points into the room."""
    paint = rng.spawn(1)[0]
    width, tall = size
    bar, depth, up = 0.022, 0.016, np.array([0, 0, 1.0])
    kind = artwork.painting if rng.random() < 0.65 else artwork.poster
    inner = corner + right * bar - up * bar + inward * 0.004
    pixels = scaled((int(1600 * (tall - 2 * bar)), int(1600 * (width - 2 * bar))), detail)
    canvas = rectangle(inner, right * (width - 2 * bar), -up * (tall - 2 * bar))
    outer = [corner, corner + right * width, corner + right * width - up * tall, corner - up * tall]
    middle = corner + right * width / 2 - up * tall / 2
    sides = []
    for a, b in zip(outer, outer[1:] + outer[:1], strict=True):
        ridge = [p + (middle - p) / np.linalg.norm(middle - p) * bar * 0.7 + inward * depth for p in (a, b)]
        bottom = [p + (middle - p) / np.linalg.norm(middle - p) * bar * 1.5 + inward * 0.003 for p in (a, b)]
        sides += [_quad(a, b, ridge[0], ridge[1]), _quad(ridge[0], ridge[1], bottom[0], bottom[1])]
    gilt = textures.wood(
        paint,
        scaled((96, 640), detail),
        boards=1,
        tone=(np.array([0.62, 0.46, 0.2]), np.array([0.34, 0.2, 0.12]))[rng.integers(2)],
    )
    return [
        Surface(name, canvas, kind(paint, pixels), None),
        Surface(f"{name}_frame", joined(sides), gilt, 0.35),
    ]


def _quad(
    a: Float[np.ndarray, "3"], b: Float[np.ndarray, "3"], c: Float[np.ndarray, "3"], d: Float[np.ndarray, "3"]
) -> Mesh:
    """Return the picture with upper corners a, b and lower corners c, d."""
    normal = np.cross(c - a, b - a)
    return Mesh(
        np.stack([a, b, c, d]).astype(np.float32),
        np.tile(normal / np.linalg.norm(normal), (4, 1)).astype(np.float32),
        np.array([[0, 0], [1, 0], [0, 1], [1, 1]], np.float32),
        np.array([[0, 2, 1], [1, 2, 3]], np.int32),
    )


def build_still_life(scene_seed: int = 0, *, detail: float = 1.0) -> StillLife:
    """Return the still life of a number; another number gives other textures, things and places.

    Args:
        scene_seed: Everything follows from it.
        detail: Factor on the resolution of all textures; below 1 for quick looks.
    """
    rng = np.random.default_rng([scene_seed, 20261121])
    paint = rng.spawn(1)[0]
    tone = (np.array([0.62, 0.42, 0.26]), np.array([0.52, 0.38, 0.28]), np.array([0.7, 0.52, 0.34]))[rng.integers(3)]
    table = rectangle(np.array([-1.3, CORNER_DISTANCE + 0.02, 0]), np.array([2.6, 0, 0]), np.array([0, -2.1, 0]))
    boards = textures.wood(paint, scaled((2100, 2600), detail), boards=15, tone=tone)
    petals = textures.hues(rng, 5, saturation=0.7, value=0.85)
    scatter(paint, boards, Leaf, petals, count=240, radius=(8 * detail, 19 * detail))
    surfaces = [Surface("table", table, boards, 0.4)]
    turn = turn_z(rng.uniform(-0.22, 0.22))
    sheet = moved(
        rectangle(np.array([-0.43, 0.27, 0]), np.array([0.86, 0, 0]), np.array([0, -0.56, 0])),
        turn,
        np.array([0, -0.02, 0.002]),
    )
    surfaces.append(Surface("chart", sheet, artwork.chart(paint, scaled((1120, 1720), detail)), None))
    hue = WALL_COLORS[rng.integers(len(WALL_COLORS))]
    ground = np.stack([hue * 0.7, hue, hue * 0.7 + 0.24])
    surfaces += _wall(rng, detail, -1, ground) + _wall(rng, detail, 1, ground)
    surfaces += _arranged(rng, detail)
    lamps = [
        Lamp((-0.9, -0.75, 1.55), 0.9, (13.4, 11.6, 9.5)),
        Lamp((1.15, -0.35, 1.35), 0.7, (4.6, 5.4, 6.6)),
    ]
    return StillLife(surfaces, lamps, (0.84, 0.88, 0.98))
