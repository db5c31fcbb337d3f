"""`hyperfocal render` through a lens, on a small result."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hyperfocal.cli import main
from posed_scene import write_posed_scene

FILM = ("--path", "swing", "--seconds", "0.5", "--fps", "8", "--frames")


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A result of few steps."""
    folder = tmp_path_factory.mktemp("lens")
    write_posed_scene(folder / "ball", views=4)
    words = ["reconstruct", str(folder / "ball"), "--out", str(folder / "out"), "--steps", "5"]
    assert main([*words, "--max-gaussians", "300", "--fit.sh-degree", "0", "--fit.background", "black"]) == 0
    return folder / "out"


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands write into the current folder unless told otherwise."""
    monkeypatch.chdir(tmp_path)


def sharpness(path: str) -> float:
    """Mean squared difference of neighbouring pixels."""
    pixels = np.asarray(Image.open(path)).astype(float)
    return float(np.square(np.diff(pixels, axis=1)).mean())


def with_scale(result: Path, metres_per_unit: float) -> Path:
    """A copy of the result that knows its scale."""
    copy = Path("scaled")
    copy.mkdir()
    for file in result.iterdir():
        if file.is_file():
            (copy / file.name).write_bytes(file.read_bytes())
    cameras = json.loads((result / "cameras.json").read_text()) | {"metres_per_unit": metres_per_unit}
    (copy / "cameras.json").write_text(json.dumps(cameras))
    return copy


def test_pictures_are_blurred_and_depth_is_that_of_the_pinhole(result: Path) -> None:
    assert main(["render", str(result), "--out", "sharp"]) == 0
    assert main(["render", str(result), "--out", "wide", "--aperture", "1", "--focus", "1.5"]) == 0
    assert main(["render", str(result), "--out", "at", "--aperture", "1", "--focus-at", "view_01:48,36"]) == 0
    sharp, wide, at = (sharpness(f"{folder}/view_01.png") for folder in ("sharp", "wide", "at"))
    assert wide < 0.75 * sharp
    assert at > 0.9 * sharp, "what is in the middle is in focus"
    depths = [Path(f"{folder}/view_01.depth.png").read_bytes() for folder in ("sharp", "wide")]
    assert depths[0] == depths[1]
    assert (Path("sharp") / "depth.json").read_bytes() == (Path("wide") / "depth.json").read_bytes()


def test_an_f_number_needs_the_scale_and_is_the_same_lens_as_its_aperture(
    result: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["render", str(result), "--out", "a", "--f-number", "2", "--focus", "3"]) == 2
    said = capsys.readouterr().err
    assert "scale" in said
    assert "Traceback" not in said
    assert not Path("a").exists()
    scaled = with_scale(result, 0.1)  # so the ball is 0.4 m away
    lens = ["--f-number", "1.4", "--focal-length", "70", "--focus", "0.25"]
    assert main(["render", str(scaled), "--out", "f", *lens]) == 0
    assert main(["render", str(scaled), "--out", "d", "--aperture", "0.05", "--focus", "0.25"]) == 0
    assert main(["render", str(result), "--out", "u", "--aperture", "0.5", "--focus", "2.5"]) == 0
    pictures = [np.asarray(Image.open(f"{folder}/view_02.png")).astype(int) for folder in "fdu"]
    assert np.abs(pictures[0] - pictures[1]).max() <= 1
    assert np.abs(pictures[0] - pictures[2]).max() <= 1


def test_the_focus_moves_through_a_film(result: Path) -> None:
    moving = ["--aperture", "1", "--focus", "1:4"]
    assert main(["render", str(result), *FILM, "--out", "rack", *moving, "--depth-film"]) == 0
    assert main(["render", str(result), *FILM, "--out", "still", "--depth-film"]) == 0
    rack, still = ([sharpness(f"{folder}/0000{i}.png") for i in range(4)] for folder in ("rack", "still"))
    shares = [a / b for a, b in zip(rack, still, strict=True)]
    assert shares[0] < shares[1] < shares[2] < shares[3]
    assert Path("rack/00000.depth.png").read_bytes() == Path("still/00000.depth.png").read_bytes()


@pytest.mark.parametrize(
    ("words", "phrase"),
    [
        (["--aperture", "1"], "either --focus or --focus-at"),
        (["--aperture", "1", "--focus", "1:2"], "moves the focus"),
        (["--aperture", "1", "--focus", "near"], "--focus near is no distance"),
        (["--aperture", "1", "--focus-at", "nobody:1,1"], "names the view 'nobody'"),
        ([*FILM, "--aperture", "0", "--focus", "1"], "--aperture is 0"),
    ],
)
def test_what_is_no_lens_is_one_paragraph(
    result: Path, words: list[str], phrase: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["render", str(result), "--out", "x", *words]) == 2
    said = capsys.readouterr().err
    assert phrase in said
    assert "Traceback" not in said
    assert not Path("x").exists()
