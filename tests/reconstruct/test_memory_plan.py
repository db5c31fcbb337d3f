from dataclasses import replace
from pathlib import Path

import pytest
import torch

from hyperfocal.camera import Camera
from hyperfocal.errors import BadInputError
from hyperfocal.fit.config import FitConfig, McmcConfig
from hyperfocal.reconstruct import memory_limit
from hyperfocal.reconstruct.config import ReconstructConfig
from hyperfocal.reconstruct.memory import (
    Demand,
    Means,
    TooLittleMemory,
    fitting_means,
    largest_that_fits,
    parse_memory,
    peak_bytes,
    rounded_down,
    smallest,
)
from hyperfocal.reconstruct.memory_limit import within_memory
from hyperfocal.scene import PointCloud, Scene, View

USUAL = Means("float32", "float32", searches=4, shown=8)
DEMAND = Demand(photographs=100, stored_px=12_000_000, searched_px=1_920_000, fitted_px=480_000, gaussians=100_000)


@pytest.mark.parametrize(
    ("words", "size"),
    [("4GB", 4 * 10**9), ("4GiB", 2**32), ("800MB", 8 * 10**8), ("1.5 gib", 3 * 2**29), (" 2 TB ", 2 * 10**12)],
)
def test_amounts_of_memory_are_read(words: str, size: int) -> None:
    assert parse_memory(words) == size


@pytest.mark.parametrize("words", ["", "4", "GB", "4 bananas", "-1GB", "0GB", "4e9GB", "4GB and more", "nanGB"])
def test_what_is_no_amount_of_memory_is_said(words: str) -> None:
    with pytest.raises(ValueError, match="is no amount of memory; expected a number and one of MB, GB, MiB, GiB"):
        parse_memory(words)
    with pytest.raises(ValueError, match="no amount of memory"):
        ReconstructConfig(memory=words)


def test_each_demand_adds_what_it_is_known_to_take() -> None:
    def fit_mib(**changes: int) -> float:
        return peak_bytes(replace(DEMAND, **changes), USUAL)["fit"] / 1.1

    assert fit_mib(gaussians=200_000) - fit_mib() == pytest.approx(100_000 * 4200)
    # Colours in floats and a byte that says whether they count, at full, half and quarter size.
    assert fit_mib(photographs=101) - fit_mib() == pytest.approx(480_000 * 13 * (1 + 1 / 4 + 1 / 16))


def test_with_enough_memory_nothing_changes() -> None:
    assert fitting_means(DEMAND, USUAL, int(max(peak_bytes(DEMAND, USUAL).values())) + 1) == USUAL


def test_the_less_memory_the_more_is_given_up_in_a_fixed_order() -> None:
    ways = ("float32", "uint8", "disk")
    before = (0, 0, 0, 0)
    for limit in range(4 * 10**9, 0, -10_000_000):
        try:
            means = fitting_means(DEMAND, USUAL, limit)
        except TooLittleMemory:
            break
        assert max(peak_bytes(DEMAND, means).values()) <= limit
        fit = (int(means.moments == "bfloat16"), ways.index(means.keeping))
        given_up = (*fit, USUAL.searches - means.searches, USUAL.shown - means.shown)
        assert all(a <= b for a, b in zip(before, given_up, strict=True)), "never back"
        assert given_up[1] == 0 or given_up[0] == 1, "moments go first"
        before = given_up
    assert before[0] == 1
    assert before[2] == 3
    with pytest.raises(TooLittleMemory):
        fitting_means(DEMAND, USUAL, int(max(peak_bytes(DEMAND, smallest(USUAL)).values())) - 1)


def test_what_was_asked_for_already_is_not_taken_back() -> None:
    asked = Means("bfloat16", "disk", searches=1, shown=8)
    assert fitting_means(DEMAND, asked, 10**12) == asked


def test_the_largest_number_that_fits_is_found() -> None:
    def of(gaussians: int) -> Demand:
        return replace(DEMAND, searched_px=0, gaussians=gaussians)

    limit = int(peak_bytes(of(70_000), USUAL)["fit"])
    found = largest_that_fits(of, 10**6, USUAL, limit + 1)
    assert found == 70_000
    assert largest_that_fits(of, 50_000, USUAL, limit + 1) == 50_000
    assert largest_that_fits(of, 10**6, USUAL, 1) == 0
    assert [rounded_down(value) for value in (0, 7, 12_999, 70_000, 999)] == [0, 7, 12_000, 70_000, 990]


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    camera = Camera(torch.eye(4), torch.full((2,), 900.0), torch.tensor([600.0, 400.0]), 1200, 800)
    views = tuple(View(f"{i:03}.jpg", tmp_path / f"{i:03}.jpg", camera) for i in range(60))
    return Scene(tmp_path, views, points=PointCloud(torch.zeros(3, 3), torch.zeros(3, 3)))


CONFIG = ReconstructConfig(fit=FitConfig(densify=McmcConfig(cap=100_000)))


def test_without_a_limit_the_settings_are_as_they_are(scene: Scene) -> None:
    assert within_memory(scene, CONFIG) == (CONFIG, ())
    enough = replace(CONFIG, memory="64GB")
    assert within_memory(scene, enough) == (enough, ())


def test_what_was_chosen_is_in_the_settings_and_in_a_note(scene: Scene) -> None:
    changed, notes = within_memory(scene, replace(CONFIG, memory="900MiB"))
    assert changed.fit.moments == "bfloat16"
    assert changed.fit.photographs == "uint8"
    assert notes[0].startswith("To stay below 900MiB, Adam's moments are held in bfloat16, photographs in 8 bits")
    assert within_memory(scene, changed)[0] == changed, "choosing again chooses the same"


def test_what_would_fit_is_said_and_does(scene: Scene) -> None:
    config = replace(CONFIG, memory="620MiB")
    with pytest.raises(BadInputError, match=r"allows 620 MiB\. What would fit: --max-gaussians \d+") as refused:
        within_memory(scene, config)
    count = int(str(refused.value).split("--max-gaussians ")[1].split()[0])
    assert 1000 <= count < 100_000
    within_memory(scene, replace(config, fit=FitConfig(densify=McmcConfig(cap=count))))
    enough = str(refused.value).rsplit("--memory ", 1)[1].rstrip(".")
    within_memory(scene, replace(CONFIG, memory=enough))


def test_where_no_flag_helps_the_photographs_are_named(scene: Scene) -> None:
    with pytest.raises(BadInputError, match=r"or reduce the photographs first\.$"):
        within_memory(scene, replace(CONFIG, memory="100MB"))


def test_each_photograph_is_looked_at_once(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def photo_size(view: View) -> tuple[int, int]:
        seen.append(view.name)
        return 1200, 800

    monkeypatch.setattr(memory_limit, "photo_size", photo_size)
    with pytest.raises(BadInputError, match="What would fit"):
        within_memory(scene, replace(CONFIG, memory="620MiB"))
    assert sorted(seen) == [view.name for view in scene.views]


def test_the_page_for_browsers_is_a_stage_of_its_own_if_there_is_one() -> None:
    assert "page" not in peak_bytes(DEMAND, USUAL)
    small, large = (replace(DEMAND, page_photographs=24, gaussians=n) for n in (100_000, 200_000))
    stages = peak_bytes(small, USUAL)
    assert 0 < peak_bytes(large, USUAL)["page"] - stages["page"] < 1000 * 100_000
    assert stages["page"] > peak_bytes(replace(small, page_photographs=0), USUAL)["page"]
    assert stages["page"] < stages["report"], "it does not decide what a job takes"
