"""Surfaces of things, painted from random numbers: wood, stone, glaze, skin, cloth. Every texel is unlike the next.

Each function returns a [h, w, 3] picture of sRGB-encoded reflectance in [0, 1]. Nothing here repeats over its picture,
so that features found on it are distinct. Reflectances stay between about 0.03 and 0.85: no paint is whiter.
"""

import numpy as np
from jaxtyping import Float

from .motifs import Blossom, Leaf, Ring, scatter
from .noise import (
    Picture,
    cell_noise,
    color_ramp,
    fractal_noise,
    mix,
    pixel_grid,
    smoothstep,
    value_noise,
)

PIGMENTS = np.array(
    [
        [0.66, 0.27, 0.20], [0.80, 0.60, 0.26], [0.16, 0.42, 0.44], [0.17, 0.23, 0.40],  # brick, ochre, teal, navy
        [0.84, 0.78, 0.64], [0.50, 0.58, 0.42], [0.42, 0.42, 0.20], [0.74, 0.48, 0.47],  # cream, sage, olive, rose
        [0.42, 0.13, 0.18], [0.42, 0.52, 0.64], [0.74, 0.42, 0.27], [0.22, 0.22, 0.24],  # wine, slate, clay, charcoal
        [0.38, 0.24, 0.40], [0.60, 0.72, 0.62], [0.70, 0.54, 0.14], [0.55, 0.68, 0.76],  # plum, mint, mustard, sky
    ]
)  # fmt: skip


def hues(
    rng: np.random.Generator, count: int, *, saturation: float = 0.6, value: float = 0.72
) -> Float[np.ndarray, "k 3"]:
    """Return `count` colours that go together, in random order and a little varied; the defaults are plain pigments."""
    order = np.concatenate([rng.permutation(len(PIGMENTS)) for _ in range(count // len(PIGMENTS) + 1)])[:count]
    colors = PIGMENTS[order] * rng.uniform(0.88, 1.1, (count, 1)) + rng.normal(0, 0.025, (count, 3))
    grey = colors.mean(axis=1, keepdims=True)
    return np.clip((grey + (colors - grey) * saturation / 0.6) * value / 0.72, 0.04, 0.85)


def _finish(rng: np.random.Generator, picture: Picture, grain: float = 0.03) -> Picture:
    """Add a fine mottle and keep the result printable."""
    height, width = picture.shape[:2]
    mottle = fractal_noise(rng, (height, width), (max(height // 16, 2), max(width // 16, 2)), octaves=3, gain=0.8)
    return np.clip(picture * (1 + grain * mottle[..., None]), 0.02, 0.88).astype(np.float32)


def wood(rng: np.random.Generator, shape: tuple[int, int], *, boards: int, tone: Float[np.ndarray, "3"]) -> Picture:
    """Return worn boards lying across the picture: grain, knots, joints, cup marks and flecks of old paint."""
    height, width = shape
    x, y = pixel_grid(shape)
    edges = np.sort(np.concatenate([[0, 1], (np.arange(1, boards) + rng.uniform(-0.18, 0.18, boards - 1)) / boards]))
    board = np.clip(np.searchsorted(edges, y[:, 0]) - 1, 0, boards - 1)
    shift, shade = rng.uniform(0, 50, boards).astype(np.float32), rng.normal(0, 0.13, boards).astype(np.float32)
    bend = fractal_noise(rng, shape, (boards * 2, 5), octaves=4, gain=0.5)
    knots = np.zeros(shape, np.float32)
    for _ in range(boards * 7):
        kx, ky, size = rng.random(), rng.random(), rng.uniform(0.008, 0.022)
        reach_x, reach_y = 8 * size / 0.7 * height, 8 * size / 1.5 * height
        near = (
            slice(max(int(ky * height - reach_y), 0), int(ky * height + reach_y)),
            slice(max(int(kx * width - reach_x), 0), int(kx * width + reach_x)),
        )
        distance = np.hypot((x[near] - kx) * (width / height * 0.7), (y[near] - ky) * 1.5) / size
        knots[near] += 1.6 * np.exp(-0.6 * distance**1.2) * (distance < 8)
    across = y * boards * 11 + shift[board][:, None] + 1.1 * bend + 5.0 * knots  # in yearly rings
    rings = 0.5 + 0.5 * np.sin(2 * np.pi * across)
    fibres = fractal_noise(rng, shape, (max(height // 6, 2), max(width // 120, 2)), octaves=2, gain=0.7)
    blotch = fractal_noise(rng, shape, (7, 9), octaves=6, gain=0.62)
    light = 0.80 + 0.15 * rings + 0.11 * fibres + 0.11 * blotch + shade[board][:, None] - 0.42 * np.clip(knots, 0, 1.3)
    picture = np.clip(light, 0.12, 1.5)[..., None] * tone
    picture[..., 2] *= 1 - 0.10 * rings  # the dark late wood is also redder
    pores = smoothstep(1.6, 2.2, value_noise(rng, shape, (height // 4, max(width // 22, 2))))
    picture = mix(picture.astype(np.float32), tone * 0.25, 0.8 * pores)
    wear = smoothstep(1.7, 2.2, value_noise(rng, shape, (max(height // 7, 2), max(width // 26, 2))))
    picture = mix(picture, tone * 0.5 + 0.42, 0.55 * wear)
    paint = smoothstep(1.1, 1.35, fractal_noise(rng, shape, (22, 26), octaves=7, gain=0.74))
    picture = mix(picture, color_ramp((blotch + 2) / 4, hues(rng, 3, saturation=0.3, value=0.7)), 0.65 * paint)
    dark = smoothstep(1.6, 1.9, fractal_noise(rng, shape, (22, 26), octaves=5, gain=0.62))
    picture = mix(picture, tone * 0.28, 0.8 * dark)
    scatter(rng, picture, Ring, np.array([tone * 0.45]), count=14, radius=(width * 0.008, width * 0.022))
    gap = np.min(np.abs(y[:, 0][:, None] - edges[None, :]), axis=1) * height
    return _finish(rng, mix(picture, tone * 0.12, np.broadcast_to(smoothstep(3.0, 1.0, gap)[:, None], shape)), 0.07)


def marble(rng: np.random.Generator, shape: tuple[int, int], colors: Float[np.ndarray, "k 3"]) -> Picture:
    """Return veined stone that closes in x."""
    cloud = fractal_noise(rng, shape, (4, 6), octaves=7, gain=0.6, wrap=True)
    other = fractal_noise(rng, shape, (5, 8), octaves=7, gain=0.58, wrap=True)
    veins = (
        np.exp(-np.abs(cloud) / 0.06)
        + 0.9 * np.exp(-np.abs(other - 0.4) / 0.05)
        + 0.7 * np.exp(-np.abs(other + cloud - 1) / 0.04)
    )
    picture = color_ramp(0.5 + 0.24 * other + 0.1 * cloud, colors)
    vein = (colors[0] * 0.3) if rng.random() < 0.5 else np.array([0.84, 0.8, 0.7])
    crystals, margin, number = cell_noise(rng, *pixel_grid(shape), (shape[0] // 14, shape[1] // 14))
    sparkle = (
        rng.normal(0, 0.07, (shape[0] // 14) * (shape[1] // 14))[number] * smoothstep(0.0, 0.2, margin) * (crystals < 1)
    )
    return _finish(rng, mix(picture + sparkle[..., None].astype(np.float32), vein, np.clip(veins, 0, 1) * 0.9))


def patchwork(rng: np.random.Generator, shape: tuple[int, int], *, cells: tuple[int, int], skew: int) -> Picture:
    """Return a checker of many colours that closes in x, each patch with its own weave."""
    x, y = pixel_grid(shape)
    wobble = 0.06 * fractal_noise(rng, shape, (3, 5), octaves=3, wrap=True)
    across, down = x * cells[1] + skew * y + wobble, y * cells[0] + wobble
    column, row = np.floor(across).astype(int) % cells[1], np.clip(np.floor(down).astype(int), 0, cells[0] - 1)
    number = row * cells[1] + column
    count = cells[0] * cells[1]
    paint = hues(rng, count, saturation=0.6, value=0.72)
    dark = np.where((row + column) % 2 == 1, 1.0, 0.4)
    kind, phase, rate = rng.integers(0, 4, count), rng.uniform(0, 6.28, count), rng.uniform(3, 7, count)
    fx, fy = across % 1 - 0.5, down % 1 - 0.5
    waves = np.stack(
        [
            np.sin(rate[number] * 3 * (fx + fy) + phase[number]),
            np.sin(rate[number] * 5 * np.hypot(fx, fy) + phase[number]),
            np.sin(rate[number] * 4 * fx + phase[number]) * np.sin(rate[number] * 4 * fy + phase[number]),
            fractal_noise(rng, shape, (cells[0] * 4, cells[1] * 4), octaves=3, wrap=True),
        ]
    )
    weave = np.take_along_axis(waves, kind[number][None], axis=0)[0]
    picture = (paint[number] * (dark * (1 + 0.33 * np.tanh(3 * weave)))[..., None]).astype(np.float32)
    seam = smoothstep(0.035, 0.015, np.minimum(0.5 - np.abs(fx), 0.5 - np.abs(fy)))
    return _finish(rng, mix(picture, np.array([0.78, 0.72, 0.6]), seam), 0.05)


def glaze(rng: np.random.Generator, shape: tuple[int, int]) -> Picture:
    """Return painted pottery that closes in x: bands of different heights, ornament, leaves and blossoms, a crackle."""
    x, y = pixel_grid(shape)
    bands = int(rng.integers(6, 9))
    edges = np.cumsum(rng.uniform(0.5, 1.8, bands))
    edges = edges / edges[-1]
    band = np.clip(np.searchsorted(edges, y[:, 0]), 0, bands - 1)
    ground, ink = hues(rng, bands, saturation=0.45, value=0.7), hues(rng, bands, saturation=0.7, value=0.35)
    swirl = fractal_noise(rng, shape, (5, 10), octaves=5, wrap=True)
    turns, style = rng.integers(9, 26, bands), rng.integers(0, 3, bands)
    angle = 2 * np.pi * x * turns[band][:, None] + 1.3 * swirl
    height_in_band = np.sin(np.pi * (y * 9 % 1))
    ornament = np.choose(
        style[band][:, None] * np.ones(shape, int),
        [np.sin(angle) > 0.9 * height_in_band - 0.3, np.sin(angle) * np.sin(angle * 0.5 + 5 * y) > 0.1, swirl > 0.35],
    )
    picture = mix((ground[band][:, None] * np.ones((*shape, 1))).astype(np.float32), ink[band][:, None], 0.8 * ornament)
    scatter(rng, picture, Leaf, hues(rng, 5, value=0.55), count=90, radius=(shape[0] * 0.02, shape[0] * 0.06))
    scatter(rng, picture, Blossom, hues(rng, 6, value=0.8), count=60, radius=(shape[0] * 0.015, shape[0] * 0.055))
    line = np.min(np.abs(y[:, 0][:, None] - edges[None, :]), axis=1) * shape[0]
    picture = mix(picture, np.array([0.75, 0.62, 0.3]), smoothstep(6.0, 4.0, line)[:, None] * np.ones(shape))
    _, margin, _ = cell_noise(rng, x, y, (30, 45))
    return _finish(rng, mix(picture, np.array([0.12, 0.09, 0.07]), 0.35 * smoothstep(0.05, 0.01, margin)), 0.05)


def fruit_skin(
    rng: np.random.Generator, shape: tuple[int, int], ripe: Float[np.ndarray, "3"], green: Float[np.ndarray, "3"]
) -> Picture:
    """Return the skin of an apple or a pear, stalk at the top: blush, streaks from pole to pole, lenticels, bruises."""
    x, y = pixel_grid(shape)
    blush = fractal_noise(rng, shape, (3, 4), octaves=5, wrap=True)
    streaks = fractal_noise(rng, shape, (6, 100), octaves=3, gain=0.7, wrap=True)
    share = smoothstep(-1.2, 1.2, blush + 0.32 * streaks)
    picture = mix(np.tile(green.astype(np.float32), (*shape, 1)), ripe, share) * (1 + 0.06 * streaks[..., None])
    nearest, _, number = cell_noise(rng, x, y, (26, 36))
    size = rng.uniform(0.05, 0.24, 26 * 36)[number]
    picture = mix(
        picture.astype(np.float32),
        np.array([0.85, 0.78, 0.5]),
        0.8 * smoothstep(size.max(), 0.0, nearest / size * size.max()),
    )
    spots = smoothstep(1.5, 1.9, fractal_noise(rng, shape, (9, 14), octaves=5, wrap=True))
    picture = mix(picture, np.array([0.28, 0.17, 0.07]), 0.75 * spots)
    return _finish(rng, mix(picture, np.array([0.3, 0.24, 0.1]), smoothstep(0.07, 0.02, y)), 0.05)


def weathered(rng: np.random.Generator, shape: tuple[int, int], colors: Float[np.ndarray, "k 3"]) -> Picture:
    """Return cast stone or bronze that closes in x: stains, pits, chipped layers of paint."""
    stain = fractal_noise(rng, shape, (5, 7), octaves=7, gain=0.65, wrap=True)
    layer = fractal_noise(rng, shape, (6, 9), octaves=6, gain=0.6, wrap=True)
    picture = color_ramp(0.5 + 0.25 * stain, colors)
    chipped = smoothstep(0.3, 0.42, layer)
    rim = smoothstep(0.12, 0.0, np.abs(layer - 0.3))
    picture = mix(
        mix(picture, colors[::-1][0] * 0.5 + 0.1 * stain[..., None], 0.8 * chipped), colors[0] * 0.3, 0.8 * rim
    )
    nearest, _, number = cell_noise(rng, *pixel_grid(shape), (40, 60))
    pits = smoothstep(0.3, 0.1, nearest) * (rng.random(40 * 60) < 0.4)[number]
    return _finish(rng, mix(picture, colors[0] * 0.2, 0.8 * pits), 0.06)


def ribbon(rng: np.random.Generator, shape: tuple[int, int]) -> Picture:
    """Return lacquer bands of all widths and colours along x, closing in x, with gold speckles."""
    x, y = pixel_grid(shape)
    wave = 0.012 * fractal_noise(rng, shape, (3, 24), octaves=3, wrap=True)
    edges = np.sort(rng.random(46))
    band = np.searchsorted(edges, (x + wave + 0.04 * np.sin(2 * np.pi * y)) % 1)
    colors = hues(rng, 47, saturation=0.62, value=0.62)
    colors[46] = colors[0]
    picture = colors[band].astype(np.float32)
    nearest, _, number = cell_noise(rng, x, y, (8, 150))
    dots = smoothstep(0.42, 0.3, nearest) * (rng.random(8 * 150) < 0.45)[number]
    picture = mix(picture, np.array([0.82, 0.7, 0.4]), 0.85 * dots)
    cracks = smoothstep(0.06, 0.02, np.abs(fractal_noise(rng, shape, (6, 60), octaves=4, wrap=True)))
    return _finish(rng, mix(picture, np.array([0.08, 0.06, 0.07]), 0.6 * cracks), 0.05)


def petal(rng: np.random.Generator, shape: tuple[int, int], color: Float[np.ndarray, "3"]) -> Picture:
    """Return blossom colour, throat at the top row: rays, veins and a dark eye."""
    _, y = pixel_grid(shape)
    rays = fractal_noise(rng, shape, (3, 50), octaves=3, wrap=True)
    tone = color_ramp(
        np.clip(y + 0.12 * rays, 0, 1), np.array([[0.75, 0.6, 0.12], color * 0.5, color, color * 0.75 + 0.2])
    )
    return _finish(rng, mix(tone, np.array([0.16, 0.08, 0.04]), smoothstep(0.22, 0.12, y + 0.05 * rays)), 0.06)


def foliage(rng: np.random.Generator, shape: tuple[int, int]) -> Picture:
    """Return mottled green for stems and leaves."""
    field = fractal_noise(rng, shape, (8, 12), octaves=5)
    return _finish(
        rng, color_ramp(0.5 + 0.25 * field, np.array([[0.1, 0.2, 0.06], [0.28, 0.42, 0.14], [0.6, 0.62, 0.3]])), 0.08
    )
