"""`hyperfocal render` and `clean`, --quiet and --json, on a small result."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from hyperfocal.cli import main, parse
from hyperfocal.commands.arguments import Info
from hyperfocal.export import read_ply, write_ply
from hyperfocal.gaussians import concatenate, from_points
from hyperfocal.reconstruct import read_result
from posed_scene import write_posed_scene

SHORT = ("--seconds", "0.5", "--fps", "8")


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A result of few steps, with two views held out and one floater in the air."""
    folder = tmp_path_factory.mktemp("scene")
    write_posed_scene(folder / "ball")
    words = ["reconstruct", str(folder / "ball"), "--out", str(folder / "out"), "--eval", "--steps", "5"]
    assert main([*words, "--max-gaussians", "300", "--fit.sh-degree", "0", "--fit.background", "black"]) == 0
    scene = read_ply(folder / "out" / "scene.ply")
    floater = from_points(torch.tensor([[0.0, -1.0, 30.0]]), torch.ones(1, 3), torch.tensor([0.3]), opacity=0.9)
    write_ply(folder / "out" / "scene.ply", concatenate([scene, floater]).with_sh_degree(0))
    return folder / "out"


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands write into the current folder unless told otherwise."""
    monkeypatch.chdir(tmp_path)


def record(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Return what --json printed: one line and nothing else."""
    (line,) = capsys.readouterr().out.splitlines()
    return json.loads(line)


def test_normals_and_exr_lie_beside_the_pictures(result: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("OpenEXR", reason="OpenEXR is not installed: pip install 'hyperfocal[raw]'")
    from hyperfocal.export.exr import read_depth_exr

    capsys.readouterr()
    assert main(["--json", "render", str(result), "--out", "r", "--exr", "--normals"]) == 0
    assert record(capsys) == {"command": "render", "result": str(result), "out": "r", "views": 10}
    depth, unit = read_depth_exr(Path("r/view_00.exr"))
    assert unit == "scene"
    steps = torch.from_numpy(np.asarray(Image.open("r/view_00.depth.png")).astype(np.float32))
    per_step = json.loads(Path("r/depth.json").read_text())["units_per_step"]
    assert float((depth - steps * per_step).abs().max()) <= 0.51 * per_step
    with Image.open("r/view_00.normals.png") as normals:
        assert normals.size == (96, 72)


def test_a_film_goes_into_the_result(result: Path, capsys: pytest.CaptureFixture[str]) -> None:
    av = pytest.importorskip("av", reason="PyAV is not installed: pip install 'hyperfocal[view]'")
    assert main(["render", str(result), "--path", "swing", *SHORT, "--size", "64x48", "--depth-film"]) == 0
    said = capsys.readouterr()
    assert "4 frames of 64 x 48 pixels, 0.5 s at 8 a second" in said.out
    assert "Rendering: 4 of 4" in said.err
    for name in ("swing.mp4", "swing.depth.mp4"):
        with av.open(str(result / name)) as container:
            assert sum(1 for _ in container.decode(video=0)) == 4
    assert main(["render", str(result), "--path", "swing", *SHORT]) == 2
    assert "swing.mp4 already exists" in capsys.readouterr().err
    assert main(["render", str(result), "--path", "swing", *SHORT, "--overwrite", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


def test_frames_need_no_pyav(result: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "av", None)  # importing it now raises
    assert main(["render", str(result), "--path", "interpolate", *SHORT]) == 2
    assert "pip install 'hyperfocal[view]'" in capsys.readouterr().err
    assert main(["render", str(result), "--path", "interpolate", *SHORT, "--frames", "--out", "f", "--json"]) == 0
    said = record(capsys)
    assert (said["out"], said["frames"], said["size"]) == (["f"], 4, [96, 72])
    assert sorted(entry.name for entry in Path("f").iterdir()) == [*(f"0000{i}.png" for i in range(4)), "path.json"]
    again = ["render", str(result), "--path", "f/path.json", "--frames", "--out"]
    assert main([*again, "g"]) == 0, "the frames' own file is a path"
    for i in range(4):
        a, b = (np.asarray(Image.open(f"{folder}/0000{i}.png")).astype(int) for folder in "fg")
        assert np.abs(a - b).max() <= 2
    assert main([*again, "f"]) == 2
    assert main([*again, "f", "--overwrite"]) == 0


@pytest.mark.parametrize(
    ("words", "phrase"),
    [
        (["--fps", "3"], "--fps belongs to films"),
        (["--frames"], "--frames belongs to films"),
        (["--path", "orbit", "--exr"], "--exr belongs to pictures"),
        (["--path", "orbit", "--long-side", "5"], "--long-side belongs to pictures"),
        (["--path", "orbit", "--size", "5"], "expected WIDTHxHEIGHT"),
        (["--path", "orbit", "--frames", "--fps", "-1"], "--fps is -1"),
        (["--path", "nothing.json", "--frames"], "nothing.json"),
        (["--path", "obit", "--frames"], "none of orbit, swing"),
    ],
)
def test_words_that_make_no_render_are_refused(
    result: Path, words: list[str], phrase: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["render", str(result), *words]) == 2
    said = capsys.readouterr().err
    assert phrase in said
    assert "Traceback" not in said


def test_a_cleaned_result_is_a_new_one(result: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (result / "scene.ply").read_bytes()
    assert main(["clean", str(result)]) == 0
    said = capsys.readouterr().out
    assert "Next: hyperfocal render out_clean" in said
    assert "dB before" in said
    assert (result / "scene.ply").read_bytes() == before
    cleaned = read_result("out_clean")
    assert float(cleaned.gaussians.means[:, 2].max()) < 20, "the floater is gone"
    assert "removed by hyperfocal clean" in cleaned.notes[-1]
    metrics = json.loads(Path("out_clean/metrics.json").read_text())
    assert metrics["gaussians"] == len(cleaned.gaussians)
    capsys.readouterr()
    assert main(["evaluate", "out_clean", "--json"]) == 0
    again = record(capsys)
    assert again["mean"]["psnr_db"] == pytest.approx(metrics["mean"]["psnr_db"], abs=0.01), "measured after cleaning"


def test_a_result_is_cleaned_in_place_only_when_told(result: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["clean", str(result), "--out", "mine"]) == 0
    assert main(["clean", "mine", "--out", "mine"]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert main(["clean", "mine", "--out", "mine", "--overwrite", "--json"]) == 0
    said = record(capsys)
    scores = said["scores"]
    assert scores["evaluated_on"] == "held-out photographs"
    assert scores["after"]["psnr_db"] >= scores["before"]["psnr_db"] - 0.05
    assert said["gaussians"]["before"] >= said["gaussians"]["after"]


def test_without_photographs_the_scores_stay_and_a_note_says_so(result: Path, tmp_path: Path) -> None:
    cameras = json.loads((result / "cameras.json").read_text()) | {"photographs": str(tmp_path / "gone")}
    for file in result.iterdir():
        if file.is_file():
            (tmp_path / "copy").mkdir(exist_ok=True)
            (tmp_path / "copy" / file.name).write_bytes(file.read_bytes())
    (tmp_path / "copy" / "cameras.json").write_text(json.dumps(cameras))
    assert main(["clean", "copy", "--out", "cleaned"]) == 0
    before, after = read_result("copy"), read_result("cleaned")
    assert after.scores == before.scores
    assert any("scores are those from before" in note for note in after.notes)


def test_a_ply_is_cleaned_without_cameras(result: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ply = str(result / "scene.ply")
    assert main(["clean", ply]) == 0
    assert "these rules were skipped: hardly seen, in a camera's way" in capsys.readouterr().out
    assert float(read_ply("scene_clean.ply").means[:, 2].max()) < 20
    assert main(["clean", ply]) == 2
    assert "scene_clean.ply already exists" in capsys.readouterr().err
    assert main(["clean", ply, "--out", "folder"]) == 2
    assert "ends in .ply" in capsys.readouterr().err
    assert main(["clean", ply, "--out", "b.ply", "--crop", *"777888"]) == 3
    assert "Nothing of" in capsys.readouterr().err
    assert not Path("b.ply").exists()


@pytest.mark.parametrize("words", [["--near", "2"], ["--min-opacity", "-1"], ["--crop", *"100000"]])
def test_a_setting_out_of_range_is_one_paragraph(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["clean", "x", *words]) == 2
    said = capsys.readouterr().err
    assert said.startswith("Error: `")
    assert "Traceback" not in said


@pytest.mark.parametrize("words", [["info", "x", "--json", "--quiet"], ["--json", "--quiet", "info", "x"]])
def test_quiet_and_json_stand_before_or_behind_the_command(words: list[str]) -> None:
    assert parse(words) == Info(path=Path("x"), quiet=True, json=True)


@pytest.mark.parametrize(
    ("what", "kind"), [("", "result"), ("scene.ply", "gaussians"), ("cameras.json", "photographs")]
)
def test_info_as_json(what: str, kind: str, result: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["info", str(result / what), "--json"]) == 0
    said = record(capsys)
    assert (said["command"], said["kind"]) == ("info", kind)


def test_reconstruct_as_json_and_in_silence(result: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ball = str(result.parent / "ball")
    capsys.readouterr()
    assert main(["reconstruct", ball, "--dry-run", "--json"]) == 0
    assert record(capsys)["dry_run"] is True
    words = ["reconstruct", ball, "--steps", "3", "--max-gaussians", "300", "--eval"]
    assert main([*words, "--out", "a", "--json", "--quiet"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert json.loads(said.out)["mean"] == json.loads(Path("a/metrics.json").read_text())["mean"]
    assert main([*words, "--out", "b", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


def test_an_error_stays_an_error_in_silence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "nowhere", "--quiet", "--json"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "nowhere does not exist" in said.err
