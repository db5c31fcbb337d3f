"""Makes docs/images/fstop.svg from a folder of `hyperfocal bench page --out FOLDER`."""

import json
import math
import sys
from pathlib import Path

from hyperfocal.bench.page import BLUR_FILE, CONTROLS_M, FOCUS_M

OUT = Path(__file__).parent / "images" / "fstop.svg"
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 740.0, 330.0, 64.0, 190.0, 34.0, 52.0
TICKS_PX = (0.5, 1, 2, 5, 10, 20)
# Told apart by dashes as well as by colour.
RULES = {
    "splat_transform_rule": ("splat-transform: c", "#b45309", "2 4"),
    "spark_rule": ("Spark's example: c / 2", "#7c3aed", "8 4"),
    "page": ("this page", "#2457a6", ""),
}


def main(folder: Path) -> None:
    """Draw the standard deviation of the blur against the f-number, of one depth."""
    table = json.loads((folder / "blur-one_gaussian-0" / BLUR_FILE).read_text(encoding="utf-8"))
    rows = sorted((row for row in table if row["depth_m"] == CONTROLS_M), key=lambda row: row["f_number"])
    sigmas = {rule: [math.sqrt(row[f"{rule}_px2"]) for row in rows] for rule in RULES}
    truth = [abs(row["circle_px"]) / 4 for row in rows]
    low, high = 0.9 * min(truth), 1.1 * max(sigmas["splat_transform_rule"])
    stops = [math.log2(row["f_number"]) for row in rows]

    def x_of(stop: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (stop - stops[0]) / (stops[-1] - stops[0])

    def y_of(px: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * math.log(px / low) / math.log(high / low)

    def path(values: list[float]) -> str:
        return "M" + "L".join(f"{x_of(stop):.1f} {y_of(px):.1f}" for stop, px in zip(stops, values, strict=True))

    parts = [f'<rect width="{WIDTH:g}" height="{HEIGHT:g}" rx="8" fill="#f6f8fa"/>']
    title = f"50 mm lens focused at {FOCUS_M:g} m: blur of what is at {CONTROLS_M:g} m, 1920 pixels on 36 mm"
    parts.append(f'<text x="{LEFT:g}" y="20" font-weight="bold">{title}</text>')
    for px in TICKS_PX:
        if low <= px <= high:
            parts.append(f'<path d="M{LEFT:g} {y_of(px):.1f}H{WIDTH - RIGHT:g}" stroke="#d5dbe1"/>')
            parts.append(f'<text x="{LEFT - 6:g}" y="{y_of(px) + 4:.1f}" text-anchor="end">{px:g} px</text>')
    for stop, row in zip(stops, rows, strict=True):
        label = f"f/{row['f_number']:g}"
        parts.append(f'<text x="{x_of(stop):.1f}" y="{HEIGHT - BOTTOM + 18:g}" text-anchor="middle">{label}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(
        f'<text x="{middle:g}" y="{HEIGHT - 10:g}" text-anchor="middle">f-number; standard deviation of the blur</text>'
    )
    parts.append(f'<path d="{path(truth)}" fill="none" stroke="#1f2933" stroke-width="6" stroke-opacity="0.25"/>')
    legend = [("thin lens: c / 4", truth, "#1f2933")]
    for rule, (name, color, dashes) in RULES.items():
        dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
        parts.append(f'<path d="{path(sigmas[rule])}" fill="none" stroke="{color}" stroke-width="2"{dashed}/>')
        for stop, px in zip(stops, sigmas[rule], strict=True):
            parts.append(f'<circle cx="{x_of(stop):.1f}" cy="{y_of(px):.1f}" r="3" fill="{color}"/>')
        legend.append((name, sigmas[rule], color))
    for i, (name, values, color) in enumerate(legend):
        y = y_of(values[-1]) + (-6 if i == 0 else 10 if name == "this page" else 4)
        parts.append(f'<text x="{WIDTH - RIGHT + 10:g}" y="{y:.1f}" fill="{color}" font-weight="bold">{name}</text>')
    start = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:g} {HEIGHT:g}" font-family="sans-serif"'
    text = f'{start} font-size="12" fill="#1f2933"><title>Blur by f-number</title>{"".join(parts)}</svg>'
    OUT.write_text(f"{text}\n", encoding="utf-8")


main(Path(sys.argv[1]))
