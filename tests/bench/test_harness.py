import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from rich.console import Console

from hyperfocal import bench as bench_package
from hyperfocal.bench import harness
from hyperfocal.bench.check import check
from hyperfocal.bench.command import bench
from hyperfocal.bench.config import BenchConfig
from hyperfocal.bench.evidence import keep_view
from hyperfocal.bench.harness import Cell
from hyperfocal.errors import BadInputError, NothingUsableError

measured: list[Cell] = []


def _measure(cell: Cell, config: BenchConfig, folder: Path, progress: object) -> dict[str, float]:
    measured.append(cell)
    return {"seconds": 1.0 + cell.seed}


def _measure_with_pictures(cell: Cell, config: BenchConfig, folder: Path, progress: object) -> dict[str, float]:
    from hyperfocal.bench.evidence import figures_from

    random = torch.Generator().manual_seed(cell.seed)
    truth = torch.rand(24, 32, 3, generator=random)
    depth = 1 + torch.rand(24, 32, generator=random)
    for name in ("a/1.jpg", "a/2.jpg"):
        noisy = (truth + 0.1 * torch.randn(truth.shape, generator=random)).clamp(0, 1)
        valid = torch.rand(24, 32, generator=random) > 0.1
        keep_view(folder, name, rendered=noisy, truth=truth, valid=valid, depth_z=1.1 * depth, depth_truth_z=depth)
    return figures_from(folder) | {"seconds": 3.0}


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A bench of two rows and two seeds that measures nothing."""
    module = SimpleNamespace(
        cells=lambda config: [Cell("fit", "toy", 0), Cell("fit", "toy", 1), Cell("control", "toy")], measure=_measure
    )
    monkeypatch.setitem(bench_package.BENCHES, "fake", "nothing")
    monkeypatch.setitem(sys.modules, "hyperfocal.bench.fake", module)
    measured.clear()
    return module


def test_rows_are_means_over_seeds_with_their_noise(fake: SimpleNamespace) -> None:
    record = harness.run("fake", BenchConfig())
    assert record["rows"] == {
        "toy.fit.seconds": 1.5,
        "toy.fit.seconds.noise": pytest.approx(0.5**0.5),
        "toy.control.seconds": 1.0,
    }


def test_quick_measures_the_first_cell_of_every_row(fake: SimpleNamespace) -> None:
    harness.run("fake", BenchConfig(quick=True))
    assert measured == [Cell("fit", "toy", 0), Cell("control", "toy")]


def test_a_run_that_was_cut_off_goes_on_where_it_was(fake: SimpleNamespace, tmp_path: Path) -> None:
    harness.run("fake", BenchConfig(out=tmp_path, cells="fit-toy-1"))
    whole = harness.run("fake", BenchConfig(out=tmp_path, resume=True))
    assert measured == [Cell("fit", "toy", 1), Cell("fit", "toy", 0), Cell("control", "toy")]
    assert whole["rows"] == harness.run("fake", BenchConfig())["rows"]


def test_the_last_line_is_the_record(fake: SimpleNamespace) -> None:
    text = io.StringIO()
    assert bench("fake", config=BenchConfig(json=True), console=Console(file=text, width=40)) == 0
    record = json.loads(text.getvalue().splitlines()[-1])
    assert list(record) == ["bench", "version", "machine", "rows"]
    assert record["bench"] == "fake"
    assert all(isinstance(value, float) for value in record["rows"].values())
    assert {"processor", "cores", "instruction_set", "python", "torch"} <= set(record["machine"])


def test_check_recomputes_every_figure_from_the_files(fake: SimpleNamespace, tmp_path: Path) -> None:
    fake.measure = _measure_with_pictures
    record = harness.run("fake", BenchConfig(out=tmp_path))
    assert {"toy.fit.psnr_db", "toy.fit.flip", "toy.control.ssim"} <= set(record["rows"])  # pyright: ignore
    assert record["rows"]["toy.fit.depth_abs_rel"] == pytest.approx(0.1, abs=1e-6)  # pyright: ignore
    assert check(tmp_path) == []


def test_check_finds_a_figure_that_does_not_follow(fake: SimpleNamespace, tmp_path: Path) -> None:
    fake.measure = _measure_with_pictures
    harness.run("fake", BenchConfig(out=tmp_path, quick=True))
    better = (tmp_path / harness.CELLS_FILE).read_text().replace('"psnr_db": 2', '"psnr_db": 3')
    (tmp_path / harness.CELLS_FILE).write_text(better)
    differences = check(tmp_path)
    assert any(difference.startswith("fit-toy-0: psnr_db is given as 3") for difference in differences)
    assert any(difference.startswith("rows: toy.fit.psnr_db") for difference in differences)


def test_mistakes_are_explained(fake: SimpleNamespace, tmp_path: Path) -> None:
    console = Console(file=io.StringIO())
    with pytest.raises(BadInputError, match="no bench 'fakes'; there are rasterizer"):
        harness.run("fakes", BenchConfig())
    with pytest.raises(NothingUsableError, match="'nosuch'"):
        harness.run("fake", BenchConfig(cells="nosuch"))
    with pytest.raises(BadInputError, match="--out"):
        harness.run("fake", BenchConfig(resume=True))
    with pytest.raises(BadInputError, match="check FOLDER"):
        bench("fake", tmp_path, console=console)
    with pytest.raises(BadInputError, match=r"no bench\.json"):
        bench("check", tmp_path, console=console)
    (tmp_path / harness.CELLS_FILE).write_text("{}\n")
    with pytest.raises(BadInputError, match="not a list of measured cells"):
        harness.run("fake", BenchConfig(out=tmp_path, resume=True))


def test_without_a_name_the_benches_are_listed() -> None:
    text = io.StringIO()
    assert bench(None, console=Console(file=text, width=200)) == 0
    assert all(name in text.getvalue() for name in bench_package.BENCHES)
