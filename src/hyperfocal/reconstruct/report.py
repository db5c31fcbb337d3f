"""One page about a result that stands alone: pictures, charts and settings in a single HTML file."""

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from importlib import resources
from pathlib import Path

import yaml

from .. import __version__
from ..data import load_photograph
from ..errors import HyperfocalError
from ..files import write_text
from ..rendering import Rendering
from ..scene import Photograph, View
from . import pictures
from .charts import Series, duration, line_chart, share_bar
from .config_file import to_plain
from .evaluation import score_rendering
from .looks import rendering_of
from .report_lens import lens_section
from .result import PAGE_FILE, Result
from .scores import Table, ViewScore

MOST_BYTES = 8 * 2**20  # of pictures in a page: mail and chat programs refuse larger attachments
LONG_SIDE = 720  # pixels of the pictures in the page
ERROR_FULL_SCALE = 0.25  # of the error maps: a quarter of the way from black to white


@dataclass(frozen=True)
class Shown:
    """A view of the page: its photograph and what the Gaussians make of it."""

    photograph: Photograph
    rendering: Rendering
    score: ViewScore
    held_out: bool


def write_report(path: Path, result: Result) -> None:
    """Write the page about a result. Photographs that are gone are left out, and the page says so.

    Raises:
        BadInputError: the file cannot be written.
    """
    write_text(path, report(result))


def report(result: Result) -> str:
    """Return the page about a result as HTML."""
    shown, missing = _shown_views(result)
    span = pictures.depth_range([s.rendering.depth_median for s in shown])
    notes = (*result.notes, *missing)
    cards, left_out = _cards(shown, span)
    if left_out:
        notes = (*notes, f"The last {left_out} views have no pictures here, to keep this page below 8 MiB.")
    css = resources.files("hyperfocal.reconstruct").joinpath("report.css").read_text(encoding="utf-8")
    title = escape(name_of(result.scene.source))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}: hyperfocal report</title>\n<style>\n{css}</style></head>\n<body>\n"
        f'<header><p class="kicker">hyperfocal reconstruction</p><h1>{title}</h1>'
        f'<p class="lead">{_lead(result)}{_link(result)}</p></header>\n<main>\n'
        f'<section class="summary">{_wipe(shown)}{_tiles(result)}</section>\n'
        f"{_views(cards, span, result.scene.metres_per_unit)}"
        f"{_score_table(result.scores)}{lens_section(result)}{_course(result)}{_notes(notes)}{_settings(result)}"
        f"</main>\n<footer>{_footer(result)}</footer>\n</body></html>\n"
    )


def name_of(source: Path) -> str:
    """Return what people would call a scene: its folder, with the one above where the name says nothing."""
    place = source.absolute()
    says_nothing = place.name in {"images", "photographs", "photos"} or place.is_file()
    return f"{place.parent.name}/{place.name}" if says_nothing else place.name


def evenly(views: tuple[View, ...], most: int) -> list[View]:
    """Return at most `most` views at even distances."""
    return [views[i * len(views) // most] for i in range(most)] if len(views) > most else list(views)


def _shown_views(result: Result) -> tuple[list[Shown], list[str]]:
    """Return the views to show, held-out ones first, and a sentence for each that cannot be shown."""
    first = result.scored_views
    rest = tuple(view for view in result.scene.posed_views if view.name in result.training) if result.held_out else ()
    most = result.config.report_views
    chosen = [*evenly(first, most), *evenly(rest, max(most - len(first), 0))]
    shown, missing = [], []
    for view in chosen:
        try:
            photograph = load_photograph(view, long_side=result.config.long_side)
        except HyperfocalError as error:
            missing.append(f"{view.name} is not shown: {error}")
            continue
        rendering = rendering_of(result.gaussians, photograph.camera)
        shown.append(Shown(photograph, rendering, score_rendering(rendering, photograph), view.name in result.held_out))
    total = len(first) + len(rest)
    if len(chosen) < total:
        missing.append(f"This page shows pictures of {len(chosen)} of the {total} photographs.")
    return shown, missing


def _lead(result: Result) -> str:
    posed, total = len(result.scene.posed_views), len(result.scene.views)
    used = f"{posed} photographs" if posed == total else f"{posed} of {total} photographs"
    text = f"{len(result.gaussians):,} Gaussians from {used}"
    if result.held_out:
        text += f"; {len(result.held_out)} were held out and never seen by the fit"
    return f"{text}. {_unit(result.scene.metres_per_unit)}"


def _link(result: Result) -> str:
    if not result.config.view_page:
        return ""
    return f' <a href="{PAGE_FILE}">Walk through it, focus and refocus: {PAGE_FILE}</a>'


def _unit(metres_per_unit: float | None) -> str:
    if metres_per_unit is None:
        return "The scale of the scene is unknown, so lengths are in scene units."
    return f"One scene unit is {metres_per_unit:g} m."


def _wipe(shown: list[Shown]) -> str:
    if not shown:
        return '<p class="empty">No photograph could be read to compare with.</p>'
    first = shown[0]
    photograph = pictures.data_uri(first.photograph.image, long_side=960, quality=86)
    rendered = pictures.data_uri(first.rendering.color, long_side=960, quality=86)
    return (
        f'<div class="wipe"><img src="{photograph}" alt="Photograph {escape(first.score.name)}">'
        f'<img class="over" src="{rendered}" alt="Render of the same view">'
        '<span class="tag left">Photograph</span><span class="tag right">Render</span>'
        '<input type="range" min="0" max="100" value="50" aria-label="Move between photograph and render" '
        "oninput=\"this.parentNode.style.setProperty('--at', this.value + '%')\"></div>"
    )


def _tiles(result: Result) -> str:
    mean = result.scores.mean()
    which = "held-out" if result.scores.held_out else "training"
    tiles = [
        (f"PSNR on {result.scores.evaluated_on}", f"{mean.psnr_db:.2f} <small>dB</small>"),
        (f"SSIM, {which}", f"{mean.ssim:.3f}"),
        (f"FLIP error, {which}", f"{mean.flip:.3f}"),
        ("Gaussians", f"{len(result.gaussians):,}"),
        ("Time", duration(sum((result.seconds or {}).values()))),
    ]
    if mean.lpips is not None:
        tiles.append((f"LPIPS, {which}", f"{mean.lpips:.3f}"))
    if mean.depth_abs_rel is not None:
        tiles.append((f"Depth error (AbsRel), {which}", f"{100 * mean.depth_abs_rel:.1f} <small>%</small>"))
    if result.peak_memory_mib is not None:
        tiles.append(("Peak memory", f"{result.peak_memory_mib / 1024:.2f} <small>GiB</small>"))
    tiles.append(("Fit steps", f"{result.config.fit.steps:,}"))
    rows = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in tiles)
    return f'<dl class="tiles">{rows}</dl>'


def _cards(shown: list[Shown], span: pictures.DepthRange | None) -> tuple[list[str], int]:
    """Return a card of pictures for each view, and how many views no longer fit."""
    cards: list[str] = []
    size = 0
    for one in shown:
        score, badge = one.score, "held out" if one.held_out else "training"
        images = "".join(
            f'<div><img loading="lazy" src="{uri}" alt="{name} of {escape(score.name)}">{name}</div>'
            for name, uri in _pictures(one, span)
        )
        cards.append(
            f'<article class="card"><h3>{escape(score.name)} <span class="badge">{badge}</span>'
            f"<span>PSNR {score.psnr_db:.2f} dB, SSIM {score.ssim:.3f}, FLIP {score.flip:.3f}</span></h3>"
            f'<div class="pictures">{images}</div></article>\n'
        )
        size += len(cards[-1])
        if size > MOST_BYTES:
            cards.pop()
            break
    return cards, len(shown) - len(cards)


def _pictures(one: Shown, span: pictures.DepthRange | None) -> Iterator[tuple[str, str]]:
    color = one.rendering.color.clamp(0, 1)
    photograph = one.photograph
    maps = {"Photograph": photograph.image, "Render": color}
    if span is not None:
        maps["Depth"] = pictures.depth_picture(one.rendering.depth_median, span)
    maps["Error"] = pictures.error_picture(color, photograph.image, photograph.valid, ERROR_FULL_SCALE)
    maps["Coverage"] = pictures.alpha_picture(one.rendering.alpha)
    for name, picture in maps.items():
        yield name, pictures.data_uri(picture, long_side=LONG_SIDE)


def _views(cards: list[str], span: pictures.DepthRange | None, metres_per_unit: float | None) -> str:
    return (
        "<h2>Photographs and renders</h2>"
        '<p class="about">Depth is where a ray has met half of the matter in its way. Error is the mean absolute '
        "difference of red, green and blue. Coverage is white where the scene is opaque. Grey is unknown.</p>"
        f"{_scales(span, metres_per_unit)}{''.join(cards)}"
    )


def _scales(span: pictures.DepthRange | None, metres_per_unit: float | None) -> str:
    unit, factor = ("scene units", 1.0) if metres_per_unit is None else ("m", metres_per_unit)
    rows = []
    if span is not None:
        ticks = [f"{tick * factor:.3g}" for tick in span.ticks()]
        rows.append((f"<b>Depth</b> in {unit}, far to near, even in 1 / depth", pictures.DEPTH_RAMP, ticks))
    ends = [f"{i * ERROR_FULL_SCALE * 255 / 4:.0f}" for i in range(5)]
    rows.append(("<b>Error</b> in steps of 8 bits", pictures.ERROR_RAMP, [*ends[:-1], f"{ends[-1]} and above"]))
    return (
        '<div class="scales">'
        + "".join(
            f'<div class="scale">{label}<i style="background:linear-gradient(90deg, {ramp.css()})"></i>'
            f"<span>{''.join(f'<u>{tick}</u>' for tick in ticks)}</span></div>"
            for label, ramp, ticks in rows
        )
        + "</div>"
    )


def _score_table(table: Table) -> str:
    columns = table.columns()
    best = max((view.psnr_db for view in table.views), default=1.0)

    def row(view: ViewScore, kind: str = "view") -> str:
        bar = f'<i style="width:{100 * max(view.psnr_db, 0) / best if best else 0:.1f}%"></i>'
        cells = "".join(f"<td>{written(view)}</td>" for written in columns.values())
        return f'<tr class="{kind}"><td>{escape(view.name)}</td><td class="bar">{bar}</td>{cells}</tr>'

    mean = row(table.mean(), "mean") if len(table.views) > 1 else ""
    rows = mean + "".join(row(view) for view in table.views)
    obstacle = "" if table.lpips_obstacle is None else f" LPIPS is not shown. {escape(table.lpips_obstacle)}"
    measured = any(view.depth_abs_rel is not None for view in table.views)
    depth = " Depth AbsRel: mean relative error against the photographs' depth maps, lower is better." * measured
    soft = any(view.as_taken_psnr_db is not None for view in table.views)
    depth += " As taken: PSNR of renders that are as soft as the photographs; the others are sharp." * soft
    caveat = "" if table.held_out else " The fit has seen these photographs, so the scores flatter."
    return (
        f'<h2>Scores</h2><p class="about">On {table.evaluated_on}, both pictures rounded to 8 bits, over valid pixels. '
        f"PSNR and SSIM: higher is better. FLIP: lower is better.{depth}{caveat}{obstacle}</p>"
        '<div class="card scroll"><table><thead><tr><th>View</th><th class="bar"></th>'
        f"{''.join(f'<th>{heading}</th>' for heading in columns)}</tr></thead><tbody>"
        f"{rows}</tbody></table></div>"
    )


def _course(result: Result) -> str:
    steps = [float(point.step) for point in result.curve]
    loss = Series(steps, [point.loss for point in result.curve], "loss")
    count = Series(steps, [float(point.gaussians) for point in result.curve], "Gaussians")
    charts = [
        line_chart("Training loss", [loss], x_label="step", y_label="smoothed"),
        line_chart("Gaussians", [count], x_label="step", y_label="count"),
    ]
    if result.seconds:
        total = f"{duration(sum(result.seconds.values()))} in all"
        charts.append(share_bar("Time", dict(result.seconds), total).replace("<figure>", '<figure class="wide">', 1))
    coarse = len(result.config.fit.resolution) > 1
    about = '<p class="about">The loss jumps where the photographs grow to their next size.</p>' if coarse else ""
    return f'<h2>The fit</h2>{about}<div class="charts">{"".join(charts)}</div>'


def _notes(notes: tuple[str, ...]) -> str:
    if not notes:
        return ""
    return f'<h2>Notes</h2><ul class="card notes">{"".join(f"<li>{escape(note)}</li>" for note in notes)}</ul>'


def _settings(result: Result) -> str:
    text = escape(yaml.safe_dump(to_plain(result.config), sort_keys=False, allow_unicode=True))
    return f'<h2>Settings</h2><details class="card"><summary>config.yaml</summary><pre>{text}</pre></details>'


def _footer(result: Result) -> str:
    machine = ", ".join(f"{escape(name)} {escape(str(value))}" for name, value in (result.machine or {}).items())
    return f"Made by hyperfocal {__version__}. {machine}"
