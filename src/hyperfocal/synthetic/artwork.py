"""Printed and painted things: a map, wallpaper, paintings, posters, book covers. No two places of one are alike."""

import numpy as np
from jaxtyping import Float, Float32

from .motifs import Blossom, Leaf, scatter, write_lines
from .noise import Picture, cell_noise, color_ramp, fractal_noise, mix, pixel_grid, smoothstep
from .textures import hues

PAPER = np.array([0.80, 0.74, 0.62])
INK = np.array([0.10, 0.09, 0.10])


def _printed(rng: np.random.Generator, picture: Float32[np.ndarray, "h w 3"], wear: float = 0.05) -> Picture:
    """Add fibre and wear, keep within the range of inks."""
    height, width = picture.shape[:2]
    fibre = fractal_noise(rng, (height, width), (max(height // 24, 2), max(width // 24, 2)), octaves=3, gain=0.8)
    stain = fractal_noise(rng, (height, width), (4, 5), octaves=6, gain=0.65)
    return np.clip(picture * (1 + wear * (fibre + 0.8 * stain))[..., None], 0.03, 0.86).astype(np.float32)


def chart(rng: np.random.Generator, shape: tuple[int, int]) -> Picture:
    """Return an old map: relief with contour lines, sea with depth lines, towns, names, a neat line with ticks."""
    height, width = shape
    x, y = pixel_grid(shape)
    relief = fractal_noise(rng, shape, (4, 5), octaves=8, gain=0.52) + 0.15
    sea = smoothstep(0.02, -0.02, relief)
    slope_y, slope_x = np.gradient(relief, 1 / height, 1 / width)
    light = np.clip(0.5 - 0.012 * (slope_x + slope_y), 0.1, 0.95)
    land_colors = np.array(
        [[0.62, 0.68, 0.42], [0.78, 0.74, 0.48], [0.76, 0.58, 0.36], [0.58, 0.38, 0.26], [0.78, 0.72, 0.66]]
    )
    sea_colors = np.array([[0.16, 0.34, 0.42], [0.36, 0.55, 0.58], [0.6, 0.7, 0.64]])
    land = color_ramp(relief / 2.4, land_colors) * (0.62 + 0.62 * light[..., None])
    picture = mix(land.astype(np.float32), color_ramp(1 + relief / 2.2, sea_colors), sea)
    level = relief * 7
    steep = np.maximum(np.hypot(slope_x / width, slope_y / height) * 7, 1e-4)
    contour = smoothstep(1.5, 0.6, np.abs(level - np.round(level)) / steep)
    picture = mix(picture, np.where(sea[..., None] > 0.5, [0.12, 0.24, 0.34], [0.36, 0.2, 0.12]), 0.6 * contour)
    picture = mix(picture, INK, 0.9 * smoothstep(2.6, 1.2, np.abs(relief) / (steep / 7)))
    for _ in range(70):
        cx, cy, size = rng.uniform(0.06, 0.94), rng.uniform(0.06, 0.94), rng.uniform(0.003, 0.008)
        reach = int(size * height) + 2
        near = np.s_[
            int(cy * height) - reach : int(cy * height) + reach, int(cx * width) - reach : int(cx * width) + reach
        ]
        town = smoothstep(1.0, 0.8, np.hypot((x[near] - cx) * (width / height), y[near] - cy) / size)
        picture[near] = mix(picture[near], np.array([0.55, 0.08, 0.06]), town)
        left, top = int(cx * width + size * 2 * height), int(cy * height)
        letter = int(rng.integers(height // 60, height // 30))
        if left + 6 * letter < width and top + 2 * letter < height:
            write_lines(
                rng,
                picture,
                (left, top, left + int(rng.integers(3, 7)) * letter, top + letter),
                INK,
                letter_height=letter,
            )
    edge = np.minimum(np.minimum(x, 1 - x) * width, np.minimum(y, 1 - y) * height) / height
    ticks = ((np.floor(x * 37) + np.floor(y * 29)) % 2)[..., None] * (PAPER - INK) + INK
    picture = mix(picture, ticks, (edge < 0.03).astype(np.float32))
    picture = mix(picture, PAPER, ((edge < 0.022) | ((edge > 0.03) & (edge < 0.035))).astype(np.float32))
    return _printed(rng, picture, 0.06)


def wallpaper(rng: np.random.Generator, shape: tuple[int, int], ground: Float[np.ndarray, "k 3"]) -> Picture:
    """Return a wall grown over with leaves and blossoms of all sizes on distemper."""
    field = fractal_noise(rng, shape, (6, 8), octaves=8, gain=0.62)
    picture = color_ramp(0.5 + 0.22 * field, ground)
    cracks = smoothstep(0.05, 0.015, np.abs(fractal_noise(rng, shape, (7, 9), octaves=6)))
    picture = mix(picture, ground[0] * 0.55, 0.5 * cracks)
    unit = shape[0] / 1000
    leaf = np.array([[0.34, 0.44, 0.3], [0.52, 0.55, 0.36], [0.22, 0.32, 0.27], [0.46, 0.4, 0.24], [0.32, 0.42, 0.42]])
    scatter(rng, picture, Leaf, leaf, count=900, radius=(12 * unit, 58 * unit))
    scatter(rng, picture, Blossom, hues(rng, 7, saturation=0.65, value=0.8), count=520, radius=(8 * unit, 38 * unit))
    scatter(rng, picture, Leaf, leaf * 1.3, count=700, radius=(8 * unit, 26 * unit))
    return _printed(rng, picture, 0.06)


def landscape(rng: np.random.Generator, shape: tuple[int, int]) -> Picture:
    """Return a painting of ridges behind one another under a clouded sky, laid on in dabs."""
    x, y = pixel_grid(shape)
    low, high = hues(rng, 2, saturation=0.45, value=0.8)
    cloud = fractal_noise(rng, shape, (7, 5), octaves=6, gain=0.6)
    picture = color_ramp(np.clip(y * 1.6 + 0.18 * cloud, 0, 1), np.stack([high * 0.55, high, low * 0.6 + 0.35]))
    sun = np.hypot((x - rng.uniform(0.2, 0.8)) * shape[1] / shape[0], y - rng.uniform(0.12, 0.3)) / rng.uniform(
        0.07, 0.12
    )
    picture = mix(picture, np.array([0.86, 0.72, 0.42]), smoothstep(1.0, 0.9, sun))
    ridges = hues(rng, 6, saturation=0.5, value=0.62)
    for number in range(6):
        crest = 0.3 + 0.12 * number + 0.07 * fractal_noise(rng, (1, shape[1]), (1, 4 + 2 * number), octaves=6, gain=0.5)
        dabs = fractal_noise(rng, shape, (22, 14), octaves=4, gain=0.75)
        tone = ridges[number] * (0.5 + 0.1 * number) + np.array([0.25, 0.3, 0.36]) * (1 - number / 5) * 0.6
        body = tone * np.clip(1 + 0.32 * dabs, 0.2, 1.8)[..., None]
        picture = mix(picture, body, smoothstep(-0.003, 0.003, y - crest))
    return _painted(rng, picture)


def mosaic(rng: np.random.Generator, shape: tuple[int, int]) -> Picture:
    """Return an abstract painting of coloured cells within cells."""
    x, y = pixel_grid(shape)
    sway = 0.05 * fractal_noise(rng, shape, (3, 3), octaves=4)
    picture = np.zeros((*shape, 3), np.float32)
    for cells, strength in ((4, 1.0), (11, 0.5), (23, 0.28)):
        _, margin, number = cell_noise(rng, x + sway, y - sway, (cells, cells))
        paint = hues(rng, cells * cells, saturation=0.65, value=0.72)
        picture = mix(picture, paint[number], np.full(shape, strength))
        picture = mix(picture, INK, 0.9 * strength * smoothstep(0.07, 0.03, margin))
    return _painted(rng, picture)


def bouquet(rng: np.random.Generator, shape: tuple[int, int]) -> Picture:
    """Return a dark painting crowded with leaves and blossoms."""
    field = fractal_noise(rng, shape, (6, 6), octaves=6, gain=0.65)
    picture = color_ramp(0.5 + 0.25 * field, np.array([[0.08, 0.07, 0.09], [0.2, 0.16, 0.14], [0.36, 0.26, 0.18]]))
    scatter(
        rng,
        picture,
        Leaf,
        hues(rng, 5, saturation=0.5, value=0.5),
        count=150,
        radius=(shape[0] * 0.03, shape[0] * 0.13),
    )
    scatter(
        rng,
        picture,
        Blossom,
        hues(rng, 8, saturation=0.6, value=0.85),
        count=110,
        radius=(shape[0] * 0.02, shape[0] * 0.12),
    )
    return _painted(rng, picture)


def _painted(rng: np.random.Generator, picture: Float32[np.ndarray, "h w 3"]) -> Picture:
    """Add brush marks."""
    height, width = picture.shape[:2]
    brush = fractal_noise(rng, (height, width), (max(height // 10, 2), max(width // 30, 2)), octaves=2, gain=0.8)
    return np.clip(picture * (1 + 0.09 * brush[..., None]), 0.03, 0.86).astype(np.float32)


def painting(rng: np.random.Generator, shape: tuple[int, int]) -> Picture:
    """Return one of the kinds of painting."""
    return (landscape, mosaic, bouquet)[rng.integers(3)](rng, shape)


def poster(rng: np.random.Generator, shape: tuple[int, int]) -> Picture:
    """Return a print with discs, bars and lines of script."""
    height, width = shape
    x, y = pixel_grid(shape)
    colors = hues(rng, 6, saturation=0.6, value=0.7)
    ground = PAPER if rng.random() < 0.4 else colors[5]
    picture = np.tile(ground.astype(np.float32), (height, width, 1))
    for number in range(rng.integers(5, 8)):
        cx, cy, size = rng.uniform(0, 1), rng.uniform(0, 0.75), rng.uniform(0.08, 0.32)
        distance = np.hypot((x - cx) * width / height, y - cy) / size
        slant = (x - cx) * np.cos(number * 1.9) + (y - cy) * np.sin(number * 1.9)
        shape_kind = rng.integers(3)
        cover = (
            smoothstep(1.0, 0.97, distance),
            smoothstep(1.0, 0.97, distance) * (np.sin(distance * rng.uniform(12, 30)) > 0),
            smoothstep(0.06, 0.05, np.abs(slant)) * (distance < 2.5),
        )[shape_kind]
        picture = mix(picture, colors[number % 5], cover.astype(np.float32))
    dark = INK if ground.mean() > 0.35 else PAPER
    big = max(height // 9, 8)
    margin = max(width // 14, 2)
    write_lines(
        rng,
        picture,
        (margin, int(height * 0.72), width - margin, int(height * 0.72) + big),
        dark,
        letter_height=big,
        centred=True,
    )
    write_lines(
        rng,
        picture,
        (margin, int(height * 0.87), width - margin, height - margin),
        dark,
        letter_height=max(height // 28, 6),
    )
    return _printed(rng, picture, 0.05)


def package(rng: np.random.Generator, shape: tuple[int, int]) -> Picture:
    """Return the 2 x 3 atlas of a printed box (see `meshes.box`): posters on all sides, a painting on top."""
    panel = (shape[0] // 2, shape[1] // 3)
    sides = [painting(rng, panel)] + [poster(rng, panel) for _ in range(5)]
    return np.concatenate([np.concatenate(sides[:3], axis=1), np.concatenate(sides[3:], axis=1)], axis=0)


def book(rng: np.random.Generator, shape: tuple[int, int]) -> Picture:
    """Return the 2 x 3 atlas of a lying book (see `meshes.box`): covers above and below, spine in front, leaves."""
    height, width = shape[0] // 2, shape[1] // 3
    cloth = hues(rng, 1, saturation=0.6, value=0.5)[0]
    gold = np.array([0.8, 0.68, 0.36]) if rng.random() < 0.6 else PAPER

    def bound() -> Picture:
        field = fractal_noise(rng, (height, width), (8, 8), octaves=6, gain=0.7)
        return (cloth * (1 + 0.2 * field[..., None])).astype(np.float32)

    x, y = pixel_grid((height, width))
    edge = np.minimum(np.minimum(x, 1 - x), np.minimum(y, 1 - y))
    cover = mix(bound(), gold, 0.8 * smoothstep(0.008, 0.003, np.abs(edge - 0.04)))
    inner = painting(rng, (int(height * 0.5), int(width * 0.62)))
    top, left = int(height * 0.1), int(width * 0.19)
    cover[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
    big = height // 11
    write_lines(
        rng,
        cover,
        (width // 10, int(height * 0.66), width - width // 10, int(height * 0.66) + big * 2 + 8),
        gold,
        letter_height=big,
    )
    spine = mix(bound(), gold, 0.8 * (np.abs(x - rng.choice([0.08, 0.9])) < 0.015).astype(np.float32))
    letters = int(height * 0.42)
    write_lines(
        rng,
        spine,
        (int(width * 0.12), int(height * 0.28), int(width * 0.88), int(height * 0.28) + letters),
        gold,
        letter_height=letters,
    )
    leaves = fractal_noise(rng, (height, width), (max(height // 5, 2), 4), octaves=2) + 0.7 * fractal_noise(
        rng, (height, width), (9, 12), octaves=4
    )
    pages = color_ramp(0.6 + 0.2 * leaves, np.array([[0.35, 0.28, 0.18], PAPER * 0.85, PAPER]))
    rows = [np.concatenate([cover, spine, pages], axis=1), np.concatenate([bound(), pages, pages[:, ::-1]], axis=1)]
    return _printed(rng, np.concatenate(rows, axis=0), 0.05)
