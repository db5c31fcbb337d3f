"""Small drawings laid on textures: leaves, blossoms, specks and lines of an invented script."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from jaxtyping import Float, Float32

from .noise import mix, smoothstep

GLYPH_ROWS, GLYPH_COLUMNS = 18, 13  # the grid on which letters are designed

Drawing: TypeAlias = Callable[
    [Float[np.ndarray, "h w"], Float[np.ndarray, "h w"]], tuple[Float[np.ndarray, "h w"], Float[np.ndarray, "h w"]]
]
"""Maps a motif's own x and y, in [-1, 1], to coverage in [0, 1] and the factor on its colour."""


def stamp(
    picture: Float32[np.ndarray, "h w 3"],
    draw: Drawing,
    *,
    centre: tuple[float, float],
    radius: float,
    angle: float,
    color: Float[np.ndarray, "3"],
) -> None:
    """Draw a motif into `picture` in place.

    Args:
        picture: Changed where the motif covers it.
        draw: The motif, with its stem at x = -1.
        centre: x and y in texels; the motif is cut at the border.
        radius: Half its length in texels.
        angle: Radians, clockwise on the picture.
        color: Multiplied by the shade.
    """
    height, width = picture.shape[:2]
    reach = int(np.ceil(radius * 1.45)) + 1
    x0, x1 = max(int(centre[0]) - reach, 0), min(int(centre[0]) + reach, width)
    y0, y1 = max(int(centre[1]) - reach, 0), min(int(centre[1]) + reach, height)
    if x0 >= x1 or y0 >= y1:
        return
    y, x = np.mgrid[y0:y1, x0:x1] + 0.5
    dx, dy = (x - centre[0]) / radius, (y - centre[1]) / radius
    c, s = np.cos(angle), np.sin(angle)
    coverage, shade = draw(c * dx + s * dy, -s * dx + c * dy)
    patch = picture[y0:y1, x0:x1]
    picture[y0:y1, x0:x1] = mix(patch, np.clip(shade[..., None] * color, 0, 1), coverage)


class Leaf:
    """A pointed leaf with a midrib and veins."""

    def __init__(self, rng: np.random.Generator):
        self.slender, self.bend, self.veins = rng.uniform(0.25, 0.5), rng.uniform(-0.35, 0.35), rng.uniform(5, 10)

    def __call__(
        self, x: Float[np.ndarray, "h w"], y: Float[np.ndarray, "h w"]
    ) -> tuple[Float[np.ndarray, "h w"], Float[np.ndarray, "h w"]]:
        """Return coverage in [0, 1] and the factor on the colour at coordinates in [-1, 1]."""
        y = y - self.bend * (1 - x * x)
        half = self.slender * np.clip(1 - x * x, 0, 1) * (1 - 0.35 * x)
        inside = smoothstep(0.06, -0.03, np.abs(y) - half) * (np.abs(x) < 1)
        rib = np.exp(-((y / 0.03) ** 2)) + 0.6 * np.exp(-((np.sin(self.veins * (x - 1.2 * np.abs(y))) / 0.18) ** 2))
        return inside, 0.75 + 0.3 * (y > 0) + 0.5 * rib - 0.25 * (1 - x) * 0.5


class Blossom:
    """An open flower with petals, a dark throat and a rim."""

    def __init__(self, rng: np.random.Generator):
        self.petals, self.phase, self.sharp = rng.integers(4, 9), rng.uniform(0, 6.28), rng.uniform(0.3, 0.8)

    def __call__(
        self, x: Float[np.ndarray, "h w"], y: Float[np.ndarray, "h w"]
    ) -> tuple[Float[np.ndarray, "h w"], Float[np.ndarray, "h w"]]:
        """Return coverage in [0, 1] and the factor on the colour at coordinates in [-1, 1]."""
        radius, angle = np.hypot(x, y), np.arctan2(y, x) + self.phase
        wave = np.abs(np.sin(self.petals * angle / 2)) ** self.sharp
        edge = 0.4 + 0.6 * wave
        inside = smoothstep(0.04, -0.04, radius - edge)
        streaks = 0.12 * np.sin(self.petals * 7 * angle) * radius
        shade = 0.6 + 0.55 * radius / np.maximum(edge, 0.1) + streaks
        shade = np.where(radius < 0.2, 0.25 + 0.5 * (np.sin(40 * radius + 9 * angle) > 0), shade)
        return inside, shade


class Ring:
    """Concentric rings, like the mark of a wet cup."""

    def __init__(self, rng: np.random.Generator):
        self.rings, self.thin = rng.integers(1, 4), rng.uniform(0.06, 0.2)

    def __call__(
        self, x: Float[np.ndarray, "h w"], y: Float[np.ndarray, "h w"]
    ) -> tuple[Float[np.ndarray, "h w"], Float[np.ndarray, "h w"]]:
        """Return coverage in [0, 1] and the factor on the colour at coordinates in [-1, 1]."""
        radius = np.hypot(x, y)
        phase = np.abs((radius * self.rings) % 1 - 0.5) * 2
        return smoothstep(1.0, 0.96, radius) * smoothstep(1 - self.thin * self.rings, 1.0, phase), np.ones_like(radius)


def scatter(
    rng: np.random.Generator,
    picture: Float32[np.ndarray, "h w 3"],
    motif: Callable[[np.random.Generator], Drawing],
    colors: Float[np.ndarray, "k 3"],
    *,
    count: int,
    radius: tuple[float, float],
) -> None:
    """Stamp `count` different motifs at random places into `picture`; radii in texels, small ones commoner."""
    height, width = picture.shape[:2]
    for _ in range(count):
        size = radius[0] * (radius[1] / radius[0]) ** (rng.random() ** 1.5)
        color = colors[rng.integers(len(colors))] * rng.uniform(0.75, 1.2)
        centre = (rng.uniform(0, width), rng.uniform(0, height))
        stamp(picture, motif(rng), centre=centre, radius=size, angle=rng.uniform(0, 2 * np.pi), color=color)


def alphabet(
    rng: np.random.Generator, letter_height: int, letters: int = 40
) -> Float32[np.ndarray, "letters rows columns"]:
    """Return the ink of letters of an invented script, a few joined strokes each, `letter_height` texels high."""
    scale = letter_height / GLYPH_ROWS
    columns = max(int(GLYPH_COLUMNS * scale), 2)
    y, x = (np.mgrid[0:letter_height, 0:columns] + 0.5) / scale
    soft = max(0.5, 0.5 / scale)
    anchors = [(ax, ay) for ax in (2.5, 6.5, 10.5) for ay in (2.5, 6.0, 9.5, 14.5)]
    script = np.zeros((letters, letter_height, columns), np.float32)
    for letter in script:
        here = anchors[rng.integers(len(anchors))]
        for _ in range(rng.integers(3, 6)):
            there = anchors[rng.integers(len(anchors))]
            dx, dy = there[0] - here[0], there[1] - here[1]
            along = np.clip(((x - here[0]) * dx + (y - here[1]) * dy) / max(dx * dx + dy * dy, 1e-6), 0, 1)
            distance = np.hypot(x - here[0] - along * dx, y - here[1] - along * dy)
            np.maximum(letter, smoothstep(1.05 + soft, 1.05 - soft, distance), out=letter)
            here = there
    return script


def write_lines(
    rng: np.random.Generator,
    picture: Float32[np.ndarray, "h w 3"],
    area: tuple[int, int, int, int],
    color: Float[np.ndarray, "3"],
    *,
    letter_height: int,
    centred: bool = False,
) -> None:
    """Fill `area` (x0, y0, x1, y1 in texels) of `picture` in place with words; only whole lines are written."""
    if letter_height < 3:  # at reduced resolution: too small to be seen
        return
    script = alphabet(rng, letter_height)
    columns = script.shape[2]
    x0, y0, x1, y1 = area
    for top in range(y0, y1 - letter_height + 1, int(letter_height * 1.35) + 1):
        room = (x1 - x0) // columns
        if room < 1:
            return
        filled = np.ones(room, bool)
        filled[np.cumsum(rng.integers(3, 9, size=room))[: max(room // 4, 1)] % room] = False
        used = room if rng.random() < 0.8 else int(room * rng.uniform(0.4, 0.9))
        start = x0 + ((x1 - x0) - used * columns) // 2 if centred else x0
        for place in np.flatnonzero(filled[:used]):
            left = start + place * columns
            place_on = np.s_[top : top + letter_height, left : left + columns]
            patch = picture[place_on]
            ink = script[rng.integers(len(script))][: patch.shape[0], : patch.shape[1]]
            picture[place_on] = mix(patch, color, ink)
