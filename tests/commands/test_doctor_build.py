"""`hyperfocal doctor --build-cuda` with neither GPU nor compiler: a small archive stands for the sources of gsplat."""

import io
import multiprocessing
import tarfile
import time
from pathlib import Path

import pytest
import torch

from hyperfocal.cli import main
from hyperfocal.errors import BadInputError
from hyperfocal.progress import Progress
from hyperfocal.render import cuda, cuda_build
from hyperfocal.render.cuda_build import (
    HEADER,
    LOWERED_CUT,
    STOCK_LINE,
    build_folder,
    build_gsplat,
    find_build,
    lower_cut,
    unpack,
)

COMMON = f"#pragma once\n\n#define N_THREADS_PACKED 256\n{STOCK_LINE}\n\n}} // namespace gsplat\n"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def sdist(tmp_path: Path) -> Path:
    return write_sdist(tmp_path / "gsplat-1.5.3.tar.gz", COMMON)


def write_sdist(path: Path, header: str) -> Path:
    """An archive with a single folder and the one file that matters."""
    with tarfile.open(path, "w:gz") as archive:
        info = tarfile.TarInfo(f"gsplat-1.5.3/{HEADER}")
        info.size = len(header)
        archive.addfile(info, io.BytesIO(header.encode()))
    return path


def copy_header(source: Path, package: Path, progress: Progress) -> None:
    """Stands for compiling."""
    (package / "gsplat").mkdir()
    (package / "gsplat" / "compiled").write_text((source / HEADER).read_text())
    progress("compiling", 1, 1)


def test_one_line_is_changed_and_nothing_else(sdist: Path, tmp_path: Path):
    source = unpack(sdist, tmp_path / "sources")
    lower_cut(source, 1e-6)
    before, after = COMMON.splitlines(), (source / HEADER).read_text().splitlines()
    changed = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
    assert changed == [(STOCK_LINE, "#define ALPHA_THRESHOLD (1e-06f)")]


@pytest.mark.parametrize("header", ["#pragma once\n", COMMON + STOCK_LINE + "\n", COMMON.replace("255.f", "256.f")])
def test_other_sources_are_not_built(header: str, tmp_path: Path, cache: Path):
    sdist = write_sdist(tmp_path / "other.tar.gz", header)
    with pytest.raises(BadInputError, match="exactly once"):
        build_gsplat(sdist=sdist, compile_package=copy_header)
    assert find_build() is None
    assert [path.suffix for path in (cache / "hyperfocal").iterdir()] == [".lock"]


def test_an_archive_that_is_none(tmp_path: Path):
    broken = tmp_path / "broken.tar.gz"
    broken.write_bytes(b"<html>not found</html>")
    with pytest.raises(BadInputError, match="could not be unpacked"):
        build_gsplat(sdist=broken, compile_package=copy_header)


def test_a_build_is_made_once_and_found_again(sdist: Path, cache: Path):
    assert find_build() is None
    stages: list[str] = []
    build = build_gsplat(
        sdist=sdist, compile_package=copy_header, progress=lambda stage, done, total: stages.append(stage)
    )
    assert find_build() == build
    assert build.alpha_cut == LOWERED_CUT
    assert build.folder.parent == cache / "hyperfocal"
    assert "1e-06f" in (build.folder / "gsplat" / "compiled").read_text()
    assert stages == ["compiling"]
    build_gsplat(sdist=sdist, compile_package=pytest.fail)  # not called
    assert "alpha cut at 1e-06" in cuda.describe()


def test_a_build_fits_one_torch_and_one_python(monkeypatch: pytest.MonkeyPatch):
    here = build_folder()
    assert torch.__version__ in here.name
    monkeypatch.setattr(torch, "__version__", "9.9.9+cu999")
    assert build_folder() != here
    assert build_folder(1e-5) != build_folder(1e-6)


@pytest.mark.parametrize("folder", ["", "relative/cache"])
def test_without_a_cache_setting_the_home_folder_is_used(folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CACHE_HOME", folder)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cuda_build.cache_folder() == tmp_path / ".cache" / "hyperfocal"


def test_a_build_that_fails_leaves_nothing_behind(sdist: Path, cache: Path):
    def fail(source: Path, package: Path, progress: Progress) -> None:
        (package / "half").touch()
        raise BadInputError("no")

    with pytest.raises(BadInputError, match="no"):
        build_gsplat(sdist=sdist, compile_package=fail)
    assert [path.suffix for path in (cache / "hyperfocal").iterdir()] == [".lock"]
    build_gsplat(sdist=sdist, compile_package=copy_header)


def _build_slowly(sdist: Path, log: Path) -> None:
    def compile_package(source: Path, package: Path, progress: Progress) -> None:
        with log.open("a") as lines:
            lines.write("begins\n")
        time.sleep(0.5)
        copy_header(source, package, progress)

    build_gsplat(sdist=sdist, compile_package=compile_package)


def test_two_processes_build_once(sdist: Path, tmp_path: Path):
    log = tmp_path / "log.txt"
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_build_slowly, args=(sdist, log)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=120)
    assert [process.exitcode for process in processes] == [0, 0]
    assert log.read_text() == "begins\n"
    assert find_build() is not None


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr(cuda_build, "find_cuda_home", lambda: None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.delenv("TORCH_CUDA_ARCH_LIST", raising=False)
    assert main(["doctor", "--build-cuda"]) == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said
    for words in ("a torch with CUDA", "CUDA_HOME", "TORCH_CUDA_ARCH_LIST"):
        assert words in said


def test_a_toolkit_of_another_version_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    for path in ("bin/nvcc", "include/cuda_runtime.h"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text("#!/bin/sh\necho 'Cuda compilation tools, release 11.8, V11.8.89'\n")
    (tmp_path / "bin" / "nvcc").chmod(0o755)
    monkeypatch.setenv("CUDA_HOME", str(tmp_path))
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    assert cuda_build.nvcc_version(tmp_path) == "11.8"
    with pytest.raises(BadInputError, match=r"torch's version 13\.0 .*is 11\.8"):
        cuda_build.check_tools()


def test_a_step_that_fails_is_quoted(tmp_path: Path):
    code = "import sys; print('foo.cu(3): error: no such thing'); sys.exit(7)"
    with pytest.raises(BadInputError, match=r"ended with 7.*foo\.cu\(3\): error: no such thing"):
        cuda_build._run(("-c", code), log=tmp_path / "log")


def test_doctor_says_which_gsplat_there_is(capsys: pytest.CaptureFixture[str]):
    assert main(["doctor"]) == 0
    assert "cuda backend" in capsys.readouterr().out
