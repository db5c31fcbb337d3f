from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperfocal.errors import BadInputError
from hyperfocal.fit.config import ClassicConfig, FitConfig
from hyperfocal.reconstruct.config import PRESETS, ReconstructConfig
from hyperfocal.reconstruct.config_file import KIND, merged, read_config, to_plain, write_config


@dataclass(frozen=True)
class Square:
    side: float = 1.0


@dataclass(frozen=True)
class Disc:
    radius: float = 1.0


@dataclass(frozen=True)
class Everything:
    number: float = 0.5
    count: int = 3
    switch: bool = False
    text: str = ""
    choice: Literal["near", "far"] = "near"
    maybe: int | None = None
    place: Path = Path("here")
    table: tuple[tuple[float, int], ...] = ((0.0, 4),)
    pair: tuple[int, int] = (1, 2)
    shape: Square | Disc = Square()

    def __post_init__(self) -> None:
        if self.count < 0:
            raise ValueError(f"`count` must not be negative, got {self.count}.")


finite = st.floats(allow_nan=False)
everything = st.builds(
    Everything,
    number=finite,
    count=st.integers(0),
    switch=st.booleans(),
    text=st.text(st.characters(exclude_categories=["Cs"])),
    choice=st.sampled_from(["near", "far"]),
    maybe=st.none() | st.integers(),
    place=st.sampled_from([Path("a/b"), Path("/c d")]),
    table=st.lists(st.tuples(finite, st.integers())).map(tuple),
    pair=st.tuples(st.integers(), st.integers()),
    shape=st.builds(Square, finite) | st.builds(Disc, finite),
)


@given(everything)
def test_any_config_comes_back_exactly(tmp_path_factory: pytest.TempPathFactory, config: Everything) -> None:
    path = tmp_path_factory.mktemp("config") / "config.yaml"
    write_config(path, config, "heading")
    assert read_config(path, Everything()) == config


@pytest.mark.parametrize("config", [*PRESETS.values(), ReconstructConfig(fit=FitConfig(densify=ClassicConfig(cap=7)))])
def test_real_configs_come_back_exactly(tmp_path: Path, config: ReconstructConfig) -> None:
    path = tmp_path / "config.yaml"
    write_config(path, config, "heading")
    assert read_config(path, ReconstructConfig()) == config


def test_every_setting_is_written() -> None:
    def compare(config: object, plain: dict[str, Any]) -> None:
        names = [f.name for f in fields(config)]  # pyright: ignore[reportArgumentType]
        assert [name for name in plain if name != KIND] == names
        for name in names:
            if is_dataclass(getattr(config, name)):
                compare(getattr(config, name), plain[name])

    compare(ReconstructConfig(), to_plain(ReconstructConfig()))


def test_settings_that_the_file_leaves_out_stay_as_they_are() -> None:
    start = replace(ReconstructConfig(), long_side=321)
    changed = merged(start, {"fit": {"steps": 9, "learning_rates": {"means": 1}}})
    assert changed.long_side == 321
    assert changed.fit.steps == 9
    assert changed.fit.learning_rates.means == 1.0
    assert changed.fit.learning_rates.sh0 == start.fit.learning_rates.sh0


def test_the_kind_chooses_among_configs() -> None:
    config = merged(ReconstructConfig(), {"fit": {"densify": {"kind": "classic", "cap": 5}}})
    assert config.fit.densify == ClassicConfig(cap=5)


@pytest.mark.parametrize(
    ("written", "exposure"),
    [("true", "affine"), ("false", "off"), ("off", "off"), ("'off'", "off"), ("affine", "affine"), ("grid", "grid")],
)
def test_exposure_is_read_as_files_of_any_version_say_it(tmp_path: Path, written: str, exposure: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(f"fit: {{capture: {{exposure: {written}}}}}")
    assert read_config(path, ReconstructConfig()).fit.capture.exposure == exposure


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("")
    assert read_config(path, ReconstructConfig()) == ReconstructConfig()


@pytest.mark.parametrize("written", ["1e-3", "0.001", "1.0e-3"])
def test_numbers_may_be_written_in_any_usual_way(tmp_path: Path, written: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(f"number: {written}")
    assert read_config(path, Everything()).number == 0.001


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cuont: 3", "`cuont` is not a setting; expected one of number, count,"),
        ("count: 1.5", "`count` should be a whole number, got 1.5."),
        ("count: true", "`count` should be a whole number, got true."),
        ("number: many", "`number` should be a number, got 'many'."),
        ("maybe: [1]", r"`maybe` should be a whole number or null, got \[1\]."),
        ("choice: middle", "`choice` should be near or far, got 'middle'."),
        ("choice: no", "`choice` should be near or far, got false."),
        ("switch: 1", "`switch` should be true or false, got 1."),
        ("pair: [1]", "`pair` should be a list of 2 values, got 1."),
        ("table: [[0.5, x]]", r"`table\[0\]\[1\]` should be a whole number, got 'x'."),
        ("shape: {side: wide}", "`shape.side` should be a number, got 'wide'."),
        ("shape: {radius: 2}", "`shape.radius` is not a setting; expected one of side."),
        ("shape: {kind: star}", "`shape.kind` should be one of square, disc, got 'star'."),
        ("shape: 3", "`shape` should be a mapping of settings, got 3."),
        ("count: -1", "`count` must not be negative, got -1."),
        ("[1, 2]", "`the file` should be a mapping of settings"),
        ("a: b: c", r"is not YAML text \(line 1\)"),
        ("\x00", "is not YAML text"),
    ],
)
def test_a_wrong_setting_is_named_with_its_file(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "my config.yaml"
    path.write_text(text)
    with pytest.raises(BadInputError, match=message) as caught:
        read_config(path, Everything())
    assert str(path) in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"Could not read the config .*absent\.yaml: No such file"):
        read_config(tmp_path / "absent.yaml", Everything())
