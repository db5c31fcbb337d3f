"""The report's section on how the photographs were taken: focus, aperture, blur, motion."""

import math
from html import escape

from .charts import Series, line_chart
from .photographed import PhotographedLens, Spread
from .result import LENS_FILE, SHARP_FOLDER, Result


def lens_section(result: Result) -> str:
    """Return the section as HTML; nothing if neither a lens nor motion was fitted."""
    lenses = result.lenses
    if not lenses:
        return ""
    metres = result.scene.metres_per_unit
    return (
        f'<h2>Lens and motion</h2><p class="about">{_about(lenses, metres)}</p>'
        f"{_table(lenses, metres)}{_charts(lenses, metres)}"
    )


def focus_words(lens: PhotographedLens, metres_per_unit: float | None) -> str:
    """Return where a photograph is focused, for people: 1.42 m ± 0.03; infinity; everywhere."""
    distance = lens.focus_distance
    if distance is None:
        return "everywhere"
    if math.isinf(distance):
        return "infinity"
    scale, unit = _unit(metres_per_unit)
    if lens.focus_sigma is None:
        return f"{distance * scale:.3g} {unit}"
    sigma = distance**2 * lens.focus_sigma * scale  # of 1 / x to first order
    decimals = max(0, 1 - math.floor(math.log10(sigma))) if sigma > 0 else 3
    return f"{distance * scale:.{decimals}f} {unit} ± {sigma:.{decimals}f}"


def aperture_words(lens: PhotographedLens, metres_per_unit: float | None) -> str:
    """Return how wide a lens is open, for people: f/2.8, or the diameter where nobody can know an f-number."""
    if lens.focus_distance is None:
        return "pinhole"
    if lens.f_number is not None:
        return f"f/{lens.f_number:.2g}"
    if metres_per_unit is None:
        return f"{lens.aperture_diameter:.3g} scene units"
    return f"{1e3 * lens.aperture_diameter * metres_per_unit:.3g} mm"


def _about(lenses: tuple[PhotographedLens, ...], metres_per_unit: float | None) -> str:
    text = []
    if first := next((lens for lens in lenses if lens.focus_distance is not None), None):
        scale, unit = _unit(metres_per_unit)
        known = [lens.f_number for lens in lenses if lens.f_number is not None]
        f_numbers = f" ({_range_words(known, 'f/')})" if known else ""
        text.append(
            "One aperture was fitted for all photographs, and for each the distance that it is focused at. The opening "
            f"is {first.aperture_diameter * scale:.3g} {unit} across{f_numbers}."
        )
        if not known:
            what = "the scale of the scene is" if metres_per_unit is None else "the focal length in millimetres is"
            text.append(f"Its f-number is not known, since {what} not.")
    if any(lens.moves for lens in lenses):
        text.append("For each photograph it was fitted how the camera moved while the shutter was open.")
    text.append(
        "Blur is the diameter of the circle of confusion in pixels of the photographs as fitted, streaks are the way "
        "of a surface point across the picture: the median, and the 95th percentile."
    )
    if any(lens.focus_sigma is not None for lens in lenses):
        text.append("± is one standard deviation.")
    text.append(
        f"{LENS_FILE} holds these numbers, and the folder {SHARP_FOLDER} the photographs with what is blurred in them "
        "replaced by renders."
    )
    return escape(" ".join(text), quote=False)


def _table(lenses: tuple[PhotographedLens, ...], metres_per_unit: float | None) -> str:
    columns = {
        "Focus": lambda lens: focus_words(lens, metres_per_unit),
        "Aperture": lambda lens: aperture_words(lens, metres_per_unit),
        "Blur px": lambda lens: _spread_words(lens.circle_px),
    }
    if not any(lens.focus_distance is not None for lens in lenses):
        columns = {}
    if any(lens.moves for lens in lenses):
        columns["Streak px"] = lambda lens: _spread_words(lens.streak_px)
    rows = "".join(
        f"<tr><td>{escape(lens.name)}</td>{''.join(f'<td>{write(lens)}</td>' for write in columns.values())}</tr>"
        for lens in lenses
    )
    headings = "".join(f"<th>{name}</th>" for name in columns)
    return (
        f'<div class="card scroll"><table><thead><tr><th>Photograph</th>{headings}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _charts(lenses: tuple[PhotographedLens, ...], metres_per_unit: float | None) -> str:
    scale, unit = _unit(metres_per_unit)
    order = [float(i + 1) for i in range(len(lenses))]
    charts = []
    if any(lens.focus_distance is not None for lens in lenses):
        focus = [math.nan if lens.focus_distance is None else 1 / (lens.focus_distance * scale) for lens in lenses]
        spread = [None if lens.focus_sigma is None else lens.focus_sigma / scale for lens in lenses]
        dots = Series(order, focus, "focus", "dots", spread)
        charts.append(line_chart("Focus", [dots], x_label="photograph", y_label=f"1 / distance in {unit}, up is near"))
        charts.append(_blur_chart("Blur", order, [lens.circle_px for lens in lenses]))
    if any(lens.moves for lens in lenses):
        charts.append(_blur_chart("Streaks", order, [lens.streak_px for lens in lenses]))
    return f'<div class="charts">{"".join(charts)}</div>'


def _blur_chart(title: str, order: list[float], spreads: list[Spread | None]) -> str:
    largest = [math.nan if spread is None else spread.p95 for spread in spreads]
    dots = Series(order, largest, title, "dots")
    return line_chart(title, [dots], x_label="photograph", y_label="95th percentile in pixels")


def _spread_words(spread: Spread | None) -> str:
    return "unknown" if spread is None else f"{spread.median:.1f}, up to {spread.p95:.1f}"


def _range_words(values: list[float], prefix: str) -> str:
    return " to ".join(dict.fromkeys(f"{prefix}{value:.2g}" for value in (min(values), max(values))))


def _unit(metres_per_unit: float | None) -> tuple[float, str]:
    return (1.0, "scene units") if metres_per_unit is None else (metres_per_unit, "m")
