"""The command line as a user meets it: what it prints, what it leaves behind, and its exit codes."""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from hyperfocal import cli
from hyperfocal.cli import main
from hyperfocal.reconstruct import job, read_result
from posed_scene import write_posed_scene

# The ball of Gaussians hangs in black space, and so do its photographs.
SMALL = ("--steps", "300", "--max-gaussians", "400", "--fit.sh-degree", "0", "--fit.background", "black")


@pytest.fixture(scope="module")
def posed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten photographs of 200 Gaussians, with cameras and points."""
    folder = tmp_path_factory.mktemp("scene") / "ball"
    write_posed_scene(folder)
    return folder


@pytest.fixture(scope="module")
def result(posed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The result folder of a reconstruction by the command line."""
    out = tmp_path_factory.mktemp("results") / "ball"
    assert main(["reconstruct", str(posed), "--out", str(out), "--eval", *SMALL]) == 0
    return out


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands write into the current folder unless told otherwise."""
    monkeypatch.chdir(tmp_path)


def paragraph(capsys: pytest.CaptureFixture[str]) -> str:
    """Return what a failed command said: one paragraph, no traceback, nothing on standard output."""
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    lines = [line for line in said.err.splitlines() if line.startswith("Error: ")]
    assert len(lines) == 1, said.err
    return lines[0]


def test_a_reconstruction_reaches_its_figure(result: Path) -> None:
    metrics = json.loads((result / "metrics.json").read_text())
    assert metrics["evaluated_on"] == "held-out photographs"
    assert metrics["held_out"] == ["view_00.png", "view_08.png"]
    # The views at the two ends of the arc: 24.5 dB after 300 steps, 18.6 dB after one.
    assert metrics["mean"]["psnr_db"] > 23.5
    assert metrics["gaussians"] <= 400


def test_a_result_folder_is_complete(result: Path) -> None:
    names = {entry.name for entry in result.iterdir()}
    assert names == {"scene.ply", "cameras.json", "config.yaml", "metrics.json", "report.html", "view.html"}
    assert [entry.name for entry in result.parent.iterdir()] == [result.name]


def test_the_summary_names_the_report_and_the_next_command(
    posed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["reconstruct", str(posed), *SMALL[2:], "--steps", "5"]) == 0
    said = capsys.readouterr()
    assert "training photographs" in said.out
    assert "ball_result/report.html" in said.out
    assert "Next: hyperfocal render ball_result" in said.out
    assert "Fitting: 5 of 5" in said.err
    assert (tmp_path / "ball_result" / "report.html").is_file()


def test_settings_start_from_the_config_of_an_earlier_result(posed: Path, result: Path, tmp_path: Path) -> None:
    config = str(result / "config.yaml")
    assert main(["reconstruct", str(posed), "--config", config, "--steps", "3", "--out", "again"]) == 0
    assert read_result(tmp_path / "again").config.fit.densify.cap == 400
    assert read_result(tmp_path / "again").config.fit.steps == 3


def test_a_dry_run_writes_nothing(posed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reconstruct", str(posed), "--dry-run", "--eval"]) == 0
    plan = capsys.readouterr().out
    for phrase in ("10, the largest 96 x 72 px", "10 of 10 known", "every 8th", "about 200 at first", "estimates"):
        assert phrase in plan
    assert list(tmp_path.iterdir()) == []


def test_render_writes_colour_and_depth_of_every_camera(result: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["render", str(result), "--out", "renders"]) == 0
    assert "10 views rendered" in capsys.readouterr().out
    with Image.open("renders/view_00.png") as color, Image.open("renders/view_00.depth.png") as depth:
        assert color.size == depth.size == (96, 72)
        unit = json.loads(Path("renders/depth.json").read_text())["units_per_step"]
        nearest = min(value for value in depth.get_flattened_data() if value)  # pyright: ignore
        assert 1.5 < nearest * unit < 4, "the cameras stand 4 units from a ball of radius one or two"
    assert main(["render", str(result), "--out", "renders"]) == 2
    assert main(["render", str(result), "--out", "renders", "--overwrite", "--long-side", "48"]) == 0


def test_evaluate_repeats_the_figures_of_the_result(result: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(result), "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    before = json.loads((result / "metrics.json").read_text())
    assert [view["name"] for view in again["views"]] == before["held_out"]
    assert again["mean"]["psnr_db"] == pytest.approx(before["mean"]["psnr_db"], abs=0.01)


def test_evaluate_takes_photographs_from_another_place(
    posed: Path, result: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "moved").mkdir()
    for name in ("view_00.png", "view_08.png"):
        (tmp_path / "moved" / name).write_bytes((posed / "images" / name).read_bytes())
    assert main(["evaluate", str(result), "--data", "moved"]) == 0
    assert "view_08.png" in capsys.readouterr().out
    (tmp_path / "moved" / "view_08.png").unlink()
    assert main(["evaluate", str(result), "--data", "moved"]) == 2
    assert "moved has no photograph view_08.png" in paragraph(capsys)


@pytest.mark.parametrize(
    ("what", "phrase"), [("", "a result"), ("scene.ply", "3D Gaussians"), ("cameras.json", "10 of 10 known")]
)
def test_info_says_what_a_path_is(result: Path, what: str, phrase: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(result / what)]) == 0
    assert phrase in capsys.readouterr().out


def test_doctor_finds_the_core_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    assert "works" in capsys.readouterr().out


def test_bench_without_a_name_lists_the_benches(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench"]) == 0
    assert "rasterizer" in capsys.readouterr().out


def test_an_empty_folder_is_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "photos [1]").mkdir()
    assert main(["reconstruct", "photos [1]"]) == 2
    assert "photos [1] holds no photographs" in paragraph(capsys)


def test_a_path_that_does_not_exist_is_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reconstruct", "nowhere"]) == 2
    assert "nowhere does not exist" in paragraph(capsys)


def test_one_photograph_is_nothing_usable(posed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reconstruct", str(posed / "images" / "view_00.png")]) == 3
    assert "too few photographs: 1. A reconstruction needs at least 3" in paragraph(capsys)


def test_an_existing_result_is_refused_at_once(posed: Path, result: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (result / "scene.ply").read_bytes()
    assert main(["reconstruct", str(posed), "--out", str(result)]) == 2
    assert "already exists and is not empty" in paragraph(capsys)
    assert (result / "scene.ply").read_bytes() == before


def test_a_bad_config_file_names_file_and_key(posed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.yaml").write_text("fit:\n  setps: 10\n")
    assert main(["reconstruct", str(posed), "--config", "mine.yaml"]) == 2
    assert "mine.yaml: `fit.setps` is not a setting; expected one of steps," in paragraph(capsys)


@pytest.mark.parametrize(
    ("words", "phrase"),
    [
        (["reconstruct", "x", "--fit.stps", "3"], "--fit.steps"),
        (["reconstruct", "x", "--steps", "many"], "--steps"),
        (["reconstruct", "x", "--preset", "slow"], "default"),
        (["reconstrct", "x"], "reconstruct"),
        (["info"], "PATH"),
    ],
)
def test_a_bad_word_is_explained(words: list[str], phrase: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(words)
    assert left.value.code == 2
    assert phrase in capsys.readouterr().err


def test_a_setting_out_of_range_is_bad_input(posed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reconstruct", str(posed), "--steps", "0"]) == 2
    assert "`steps` must be positive, got 0" in paragraph(capsys)


def test_a_disk_that_fills_up_leaves_nothing(
    posed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    assert main(["reconstruct", str(posed), *SMALL[2:], "--steps", "3"]) == 2
    assert "No space left on device" in paragraph(capsys)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 200 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("mounting is not permitted here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_tiny_disk_is_refused_before_any_work(
    posed: Path, tiny_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["reconstruct", str(posed), "--out", str(tiny_disk / "result")]) == 2
    assert "MiB free in" in paragraph(capsys)
    assert list(tiny_disk.iterdir()) == []


def test_a_tiny_disk_that_fills_up_leaves_nothing(
    result: Path, tiny_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # 10 renders of 800 x 600 pixels in colour and depth take more than 200 KiB.
    (tiny_disk / "filler").write_bytes(bytes(180 * 1024))
    assert main(["render", str(result), "--out", str(tiny_disk / "renders")]) == 2
    assert "No space left on device" in paragraph(capsys)
    assert [entry.name for entry in tiny_disk.iterdir()] == ["filler"]


def test_an_interruption_leaves_nothing_but_the_fit(
    posed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(job, "score", interrupted)
    assert main(["reconstruct", str(posed), *SMALL[2:], "--steps", "3"]) == 130
    assert "Interrupted" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["ball_result.unfinished"]
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert main(["reconstruct", str(posed), *SMALL[2:], "--steps", "3", "--resume"]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["ball_result"]


def test_a_bug_shows_its_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(*_: object) -> int:
        raise ZeroDivisionError("one over nought")

    monkeypatch.setattr(cli, "run", broken)
    assert main(["doctor"]) == 1
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert "one over nought" in said
    assert "Please report it" in said


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_too_little_memory_is_no_bug(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def hungry(*_: object) -> int:
        raise error

    monkeypatch.setattr(cli, "run", hungry)
    assert main(["doctor"]) == 2
    assert "--long-side" in paragraph(capsys)


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_the_help_of_a_command_loads_no_torch(command: str) -> None:
    code = (
        "import sys\nfrom hyperfocal.cli import main\n"
        f"try:\n    main([{command!r}, '--help'])\n"
        "except SystemExit:\n    sys.stderr.write(str('torch' in sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "False"
    assert done.stdout.startswith(f"usage: hyperfocal {command}")
