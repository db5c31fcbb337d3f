"""Small charts as inline SVG and HTML; colours come from the page's style sheet, so light and dark both work."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 440.0, 230.0  # user units; type stays readable when a phone shrinks this to 350 px
LEFT, RIGHT, TOP, BOTTOM = 52.0, 12.0, 12.0, 30.0  # margins that hold the axis labels


@dataclass(frozen=True)
class Series:
    """One line of a chart."""

    x: list[float]
    y: list[float]
    label: str
    style: str = "line"
    """Class in the style sheet: "line" is the strong one, "faint" lies behind it; "dots" are not joined."""
    spread: list[float | None] | None = None
    """Of dots: how far each may be off, drawn as a bar above and below; None is not known."""


def line_chart(title: str, series: list[Series], *, x_label: str, y_label: str) -> str:
    """Return an SVG chart of lines or dots with even ticks; values that are not finite break a line."""
    xs = [x for one in series for x in one.x]
    ys = [y for one in series for y in one.y if math.isfinite(y)]
    ys += [y + sign * (bar or 0) for one in series for y, bar in _bars(one) for sign in (-1, 1)]
    if not xs or not ys:
        return f'<p class="empty">{escape(title)}: nothing was recorded.</p>'
    x_ticks, y_ticks = ticks(0.0, max(xs)), ticks(min(ys), max(ys))
    to_x = _scale(0.0, max(xs), LEFT, WIDTH - RIGHT)
    to_y = _scale(y_ticks[0], max(y_ticks[-1], max(ys)), HEIGHT - BOTTOM, TOP)
    parts = [f'<svg class="chart" viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img"><title>{escape(title)}</title>']
    for tick in y_ticks:
        y = to_y(tick)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick end" x="{LEFT - 7}" y="{y + 4:.1f}">{short(tick)}</text>')
    for tick in x_ticks:
        # The last label would run over the edge if it were centred like the others.
        place = "end" if to_x(tick) > WIDTH - RIGHT - 15 else "middle"
        parts.append(f'<text class="tick {place}" x="{to_x(tick):.1f}" y="{HEIGHT - 10}">{short(tick)}</text>')
    for one in series:
        points = [(to_x(x), to_y(y)) for x, y in zip(one.x, one.y, strict=True) if math.isfinite(y)]
        if one.style == "dots":
            for (x, y), (value, bar) in zip(points, _bars(one), strict=True):
                ends = "" if bar is None else f"M{x:.1f},{to_y(value - bar):.1f}V{to_y(value + bar):.1f}"
                parts.append(
                    f'<path class="whisker" d="{ends}"/><circle class="dots" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>'
                )
            continue
        path = "M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in points)
        if one.style == "line":
            floor = f"L{points[-1][0]:.1f},{HEIGHT - BOTTOM}L{points[0][0]:.1f},{HEIGHT - BOTTOM}Z"
            parts.append(f'<path class="area" d="{path}{floor}"/>')
        parts.append(f'<path class="{escape(one.style)}" d="{path}"><title>{escape(one.label)}</title></path>')
    caption = f"<b>{escape(title)}</b> <span>{escape(y_label)}, by {escape(x_label)}</span>"
    return f"<figure><figcaption>{caption}</figcaption>{''.join(parts)}</svg></figure>"


def share_bar(title: str, parts: dict[str, float], total_text: str) -> str:
    """Return one bar divided by the shares of `parts` (seconds), with a legend that names each."""
    total = sum(parts.values()) or 1.0
    blocks, legend = [], []
    for i, (name, seconds) in enumerate(parts.items()):
        label = f"{escape(name)} {duration(seconds)}"
        blocks.append(f'<i class="part-{i % 6}" style="flex:{max(seconds / total, 0.004):.4f}" title="{label}"></i>')
        legend.append(f'<li><i class="part-{i % 6}"></i>{escape(name)} <b>{duration(seconds)}</b></li>')
    return (
        f"<figure><figcaption><b>{escape(title)}</b> <span>{escape(total_text)}</span></figcaption>"
        f'<div class="share" role="img" aria-label="{escape(title)}">{"".join(blocks)}</div>'
        f'<ul class="legend">{"".join(legend)}</ul></figure>'
    )


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Return about `count` round numbers (1, 2 or 5 times a power of ten) that start at or below `low`."""
    span = high - low
    if span <= 0:
        span = abs(high) or 1.0
    rough = span / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= rough * 0.999)
    first = math.floor(low / step + 1e-9)
    last = math.floor(high / step + 1e-9)
    return [float(f"{i * step:.12g}") for i in range(first, max(last, first + 1) + 1)]


def short(value: float) -> str:
    """Return a number for an axis: 12k, 1.5M, 0.25."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def duration(seconds: float) -> str:
    """Return a time for people: 0.4 s, 12 s, 3 min 05 s, 2 h 10 min."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def _bars(one: Series) -> list[tuple[float, float | None]]:
    """Return (y, how far it may be off) of what is finite."""
    spread = one.spread or [None] * len(one.y)
    return [(y, bar) for y, bar in zip(one.y, spread, strict=True) if math.isfinite(y)]


def _scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    span = (high - low) or 1.0
    return lambda value: start + (value - low) / span * (end - start)
