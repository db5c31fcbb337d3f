import math
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from hyperfocal.reconstruct.charts import Series, duration, line_chart, share_bar, short, ticks


@pytest.mark.parametrize(
    ("low", "high"),
    [(0.0, 1.0), (0.0, 7e3), (0.031, 0.27), (12345.0, 12346.0), (0.0, 0.0), (5.0, 5.0), (-3.0, 2.0), (1e-9, 3e-9)],
)
def test_ticks_are_few_even_and_enclose_the_low_end(low: float, high: float) -> None:
    marks = ticks(low, high)
    assert 2 <= len(marks) <= 8
    assert marks[0] <= low
    steps = [b - a for a, b in pairwise(marks)]
    assert steps == pytest.approx([steps[0]] * len(steps))


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0"), (0.25, "0.25"), (999.0, "999"), (12e3, "12k"), (1.5e6, "1.5M")]
)
def test_axis_numbers_are_short(value: float, text: str) -> None:
    assert short(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.6, "1 min 00 s"),
        (185.0, "3 min 05 s"),
        (7800.0, "2 h 10 min"),
    ],
)
def test_times_are_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_line_stays_inside_its_chart() -> None:
    chart = line_chart(
        "Loss", [Series([1.0, 50.0, 100.0], [0.3, math.nan, 0.1], "loss")], x_label="steps", y_label="mean"
    )
    root = ElementTree.fromstring(chart)
    line = next(e for e in root.iter("path") if e.get("class") == "line")
    points = [tuple(map(float, p.split(","))) for p in (line.get("d") or "")[1:].split("L")]
    assert len(points) == 2, "the value that is no number is left out"
    assert all(0 <= x <= 440 and 0 <= y <= 230 for x, y in points)
    assert points[0][1] < points[1][1], "a smaller loss is further down"


def test_an_empty_chart_says_so() -> None:
    assert "nothing was recorded" in line_chart("Loss", [], x_label="steps", y_label="mean")


def test_labels_are_escaped() -> None:
    assert "<b>&lt;i&gt;" in share_bar("<i>", {"a & b": 1.0}, "all")
    assert "a &amp; b" in share_bar("t", {"a & b": 1.0}, "all")
