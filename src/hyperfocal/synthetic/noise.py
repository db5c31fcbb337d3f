"""Random fields on pixel grids: smooth noise, cells, resampling. Everything follows from the generator it is given."""

import numpy as np
from jaxtyping import Float, Float32, Int

Field = Float32[np.ndarray, "h w"]
Picture = Float32[np.ndarray, "h w 3"]  # red, green, blue reflectance in sRGB encoding, [0, 1]


def _stretched(
    nodes: Float32[np.ndarray, "m n"], samples: int, cells: int, *, wrap: bool
) -> Float32[np.ndarray, "m s"]:
    """Stretch the columns of random nodes over `samples` pixel centres by a cubic B-spline of `cells` knots."""
    position = (np.arange(samples) + 0.5) / samples * cells
    base = np.floor(position).astype(int)
    t = (position - base).astype(np.float32)
    taps = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
    count = cells if wrap else cells + 3
    out = np.zeros((len(nodes), samples), np.float32)
    for offset, tap in enumerate(taps):
        out += np.take(nodes, (base + offset) % count, axis=1) * (tap / 6)
    return out


def value_noise(
    rng: np.random.Generator, shape: tuple[int, int], cells: tuple[int, int], *, wrap: bool = False
) -> Float32[np.ndarray, "h w"]:
    """Return smooth noise, zero mean, unit deviation, of `cells` = (down, across) bumps; `wrap` closes it in x."""
    nodes = rng.standard_normal((cells[0] + 3, cells[1] + (0 if wrap else 3)), dtype=np.float32)
    rows = np.ascontiguousarray(_stretched(np.ascontiguousarray(nodes.T), shape[0], cells[0], wrap=False).T)
    field = _stretched(rows, shape[1], cells[1], wrap=wrap)
    field -= field.mean()
    return field / max(float(field.std()), 1e-6)


def fractal_noise(
    rng: np.random.Generator,
    shape: tuple[int, int],
    cells: tuple[int, int],
    *,
    octaves: int = 5,
    gain: float = 0.55,
    wrap: bool = False,
) -> Float32[np.ndarray, "h w"]:
    """Return a sum of octaves of `value_noise`, each twice as fine and `gain` as strong; zero mean, unit deviation."""
    total = np.zeros(shape, np.float32)
    for octave in range(octaves):
        fine = (min(cells[0] << octave, shape[0]), min(cells[1] << octave, shape[1]))
        total += gain**octave * value_noise(rng, shape, fine, wrap=wrap)
    return (total - total.mean()) / max(float(total.std()), 1e-6)


def pixel_grid(shape: tuple[int, int]) -> tuple[Float32[np.ndarray, "h w"], Float32[np.ndarray, "h w"]]:
    """Return x and y of the pixel centres, both from 0 to 1 over the picture (x right, y down)."""
    y, x = np.meshgrid(
        (np.arange(shape[0], dtype=np.float32) + 0.5) / shape[0],
        (np.arange(shape[1], dtype=np.float32) + 0.5) / shape[1],
        indexing="ij",
    )
    return x, y


def cell_noise(
    rng: np.random.Generator,
    x: Float32[np.ndarray, "h w"],
    y: Float32[np.ndarray, "h w"],
    cells: tuple[int, int],
) -> tuple[Float32[np.ndarray, "h w"], Float32[np.ndarray, "h w"], Int[np.ndarray, "h w"]]:
    """Return distance to the nearest cell centre, distance margin to the second, and the cell's number.

    Args:
        rng: Places the centres, one in each square of a grid.
        x: Horizontal coordinate; 1 is one turn, so fields close when x spans whole numbers.
        y: Vertical coordinate, likewise.
        cells: (down, across) grid squares. Distances are in units of one square.
    """
    down, across = cells
    jitter = rng.uniform(0.1, 0.9, (down, across, 2)).astype(np.float32)
    gx, gy = x * across, y * down
    ix, iy = np.floor(gx).astype(int), np.floor(gy).astype(int)
    nearest = np.full(x.shape, np.inf, np.float32)
    second = np.full(x.shape, np.inf, np.float32)
    number = np.zeros(x.shape, int)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            cx, cy = (ix + dx) % across, (iy + dy) % down
            centre = jitter[cy, cx]
            distance = np.hypot(ix + dx + centre[..., 0] - gx, iy + dy + centre[..., 1] - gy).astype(np.float32)
            closer = distance < nearest
            second = np.where(closer, nearest, np.minimum(second, distance))
            number = np.where(closer, cy * across + cx, number)
            nearest = np.minimum(nearest, distance)
    return nearest, second - nearest, number


def smoothstep(low: float, high: float, value: Float[np.ndarray, "..."]) -> Float32[np.ndarray, "..."]:
    """Return 0 below `low`, 1 above `high` and a smooth rise between; `low` > `high` gives the falling edge."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return (t * t * (3 - 2 * t)).astype(np.float32)


def color_ramp(value: Float[np.ndarray, "h w"], colors: Float[np.ndarray, "stops 3"]) -> Float32[np.ndarray, "h w 3"]:
    """Return colours interpolated along evenly spaced stops for values in [0, 1] (clipped outside)."""
    stops = np.linspace(0, 1, len(colors))
    return np.stack([np.interp(value, stops, colors[:, i]) for i in range(3)], axis=-1).astype(np.float32)


def mix(
    under: Float32[np.ndarray, "h w 3"],
    over: Float[np.ndarray, "..."],
    coverage: Float[np.ndarray, "h w"],
) -> Float32[np.ndarray, "h w 3"]:
    """Lay a colour or a picture over another, `coverage` in [0, 1] a pixel."""
    weight = np.asarray(coverage, np.float32)[..., None]
    return under + (np.asarray(over, np.float32) - under) * weight
