"""Makes docs/images/growth.svg from a folder of `hyperfocal bench rasterizer --table --out FOLDER`."""

import math
import sys
from pathlib import Path

from hyperfocal.bench.harness import read_cells
from hyperfocal.bench.rasterizer import GROWTH, SIZES

OUT = Path(__file__).parent / "images" / "growth.svg"
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 370.0, 250.0, 60.0, 30.0, 34.0, 40.0
COLORS = {"forward": "#2457a6", "backward": "#c0392b"}
LOW_MS, HIGH_MS = 1.0, 100.0


def panel(x0: float, title: str, label: str, points: dict[float, dict[str, float]]) -> str:
    """Return one log-log chart of forward and backward milliseconds."""
    low, high = min(points), max(points)

    def x_of(value: float) -> float:
        return x0 + LEFT + (WIDTH - LEFT - RIGHT) * math.log(value / low) / math.log(high / low)

    def y_of(ms: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * math.log(ms / LOW_MS) / math.log(HIGH_MS / LOW_MS)

    parts = [f'<text x="{x0 + LEFT}" y="18" font-weight="bold">{title}</text>']
    for ms in (1, 3, 10, 30, 100):
        y = y_of(ms)
        parts.append(f'<path d="M{x0 + LEFT} {y:.1f}H{x0 + WIDTH - RIGHT}" stroke="#d5dbe1"/>')
        parts.append(f'<text x="{x0 + LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{ms} ms</text>')
    for value in points:
        name = f"{value / 1e6:.3g}M" if value >= 1e6 else f"{value / 1e3:.3g}k"
        parts.append(f'<text x="{x_of(value):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{name}</text>')
    parts.append(f'<text x="{x0 + (LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 4}" text-anchor="middle">{label}</text>')
    for name, color in COLORS.items():
        line = [(x_of(value), y_of(times[name])) for value, times in sorted(points.items())]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in line)
        parts.append(f'<path d="M{path}" fill="none" stroke="{color}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{color}"/>' for x, y in line]
    return "".join(parts)


times = {
    measured.cell.scene: {name: measured.figures[f"{name}_ms"] for name in COLORS}
    for measured in read_cells(Path(sys.argv[1]))
    if measured.cell.row == "two_threads"
}
sizes = SIZES | GROWTH
by_count = {float(n): times[scene] for scene, (n, w, h) in sizes.items() if (w, h) == (640, 480)}
by_pixels = {float(w * h): times[scene] for scene, (n, w, h) in sizes.items() if n == 100_000}
legend = "".join(
    f'<text x="{590 + 75 * i}" y="18" fill="{color}" font-weight="bold">{name}</text>'
    for i, (name, color) in enumerate(COLORS.items())
)
frame = f'<rect width="{2 * WIDTH:g}" height="{HEIGHT:g}" rx="8" fill="#f6f8fa"/>'
charts = panel(0, "640 x 480 pixels", "Gaussians", by_count) + panel(WIDTH, "100,000 Gaussians", "pixels", by_pixels)
start = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * WIDTH:g} {HEIGHT:g}" font-family="sans-serif"'
text = (
    f'{start} font-size="12" fill="#1f2933"><title>Time by Gaussians and by pixels</title>{frame}{charts}{legend}</svg>'
)
OUT.write_text(f"{text}\n", encoding="utf-8")
