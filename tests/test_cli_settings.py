"""The everyday flags of `reconstruct`, and the settings that they stand for."""

from pathlib import Path
from typing import Any

import pytest

from hyperfocal.cli import main
from hyperfocal.reconstruct.config import PRESETS, ReconstructConfig, changed
from hyperfocal.reconstruct.config_file import write_config


def settings(*words: str, monkeypatch: pytest.MonkeyPatch) -> ReconstructConfig:
    """Return the settings that a command line asks for, as `reconstruct` gets them."""
    found: list[ReconstructConfig] = []

    def instead(_: Path, config: ReconstructConfig, **__: Any) -> dict[str, object]:
        found.append(config)
        return {}

    monkeypatch.setattr("hyperfocal.commands.reconstruct.reconstruct", instead)
    assert main(["reconstruct", "photographs", *words]) == 0
    return found[0]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), ReconstructConfig()),
        (("--exposure", "off"), ReconstructConfig()),
        (("--exposure", "affine"), changed(ReconstructConfig(), exposure="affine")),
        (("--exposure", "grid", "--refine-poses"), changed(ReconstructConfig(), exposure="grid", refine_poses=True)),
        (("--no-floaters",), changed(ReconstructConfig(), no_floaters=True)),
        (("--sky",), changed(ReconstructConfig(), sky=True)),
        (("--lens", "auto", "--motion", "on"), changed(ReconstructConfig(), lens="auto", motion="on")),
        (("--preset", "best"), PRESETS["best"]),
        (("--preset", "best", "--steps", "9", "--sky"), changed(PRESETS["best"], steps=9, sky=True)),
    ],
)
def test_flags_reach_the_settings(
    words: tuple[str, ...], expected: ReconstructConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert settings(*words, monkeypatch=monkeypatch) == expected


def test_a_flag_is_short_for_the_setting_that_its_help_names(monkeypatch: pytest.MonkeyPatch) -> None:
    blur = ("--lens", "on", "--motion", "auto")
    short = settings("--exposure", "grid", "--refine-poses", "--no-floaters", "--sky", *blur, monkeypatch=monkeypatch)
    names = ("--fit.capture.exposure", "grid", "--fit.capture.pose", "--fit.clear-view", "0.5")
    names += ("--fit.capture.lens", "on", "--fit.capture.motion", "auto")
    assert short == settings(*names, "--fit.initial.sky", "4000", monkeypatch=monkeypatch)


def test_what_a_flag_leaves_out_stays_as_a_file_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = changed(ReconstructConfig(), exposure="affine", refine_poses=True, no_floaters=True, sky=True)
    write_config(tmp_path / "mine.yaml", kept, "heading")
    config = ("--config", str(tmp_path / "mine.yaml"))
    assert settings(*config, monkeypatch=monkeypatch) == kept
    off = settings(*config, "--exposure", "off", monkeypatch=monkeypatch)
    assert off == changed(kept, exposure="off")


def test_everyday_settings_can_be_turned_off_again() -> None:
    on = changed(ReconstructConfig(), exposure="grid", refine_poses=True, no_floaters=True, sky=True)
    assert changed(on, exposure="off", refine_poses=False, no_floaters=False, sky=False) == ReconstructConfig()


def test_every_preset_is_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["reconstruct", "--help"])
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for preset in PRESETS:
        assert f"{preset}: " in text
    for word in ("--exposure {None,off,affine,grid}", "--refine-poses", "--no-floaters", "--sky"):
        assert word in text


def test_a_setting_out_of_its_range_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["reconstruct", "x", "--fit.clear-view", "1.5"])
    assert left.value.code == 2
    assert "`clear_view` must be in [0, 1), got 1.5" in " ".join(capsys.readouterr().err.replace("│", " ").split())
