"""What the cuda backend says where it cannot serve. No GPU is needed: most of it is about there being none."""

import sys
import warnings
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from hyperfocal.errors import BadInputError, MissingExtraError
from hyperfocal.render import _backend, cuda, render
from hyperfocal.render.cuda_build import GSPLAT_VERSION, LOWERED_CUT, STOCK_CUT, Build
from hyperfocal.rendering import RenderOptions
from scenes import random_gaussians, ring_of_cameras

WITHOUT_GPU = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")


@pytest.fixture
def pretended_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """torch says that there is a GPU, and the cache is an empty folder."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(cuda, "load_stages", cuda.load_stages.__wrapped__)
    return tmp_path


@WITHOUT_GPU
def test_without_a_gpu_the_message_names_the_remedy_and_gsplat_is_not_imported():
    with pytest.raises(BadInputError, match=r"needs an NVIDIA GPU.*backend='cpu'.*hyperfocal\[cuda\]") as raised:
        render(random_gaussians(3), ring_of_cameras(1), backend="cuda")
    assert "\n" not in str(raised.value)
    assert "gsplat" not in sys.modules


def test_the_device_of_the_tensors_chooses():
    assert _backend("auto", torch.device("cuda", 0)) is cuda.render_cuda
    assert _backend("auto", torch.device("cpu")).__name__ == "render_cpu"
    with pytest.raises(NotImplementedError, match="meta"):
        _backend("auto", torch.device("meta"))


def test_tensors_on_the_cpu_are_refused_by_name(pretended_gpu: Path):
    with pytest.raises(TypeError, match=r"means must be a float32 tensor on the GPU.*got torch.float32 on cpu"):
        render(random_gaussians(3), ring_of_cameras(1), backend="cuda")


def test_without_gsplat_the_message_names_the_extra(pretended_gpu: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "gsplat", None)  # what Python keeps for a package that cannot be imported
    with pytest.raises(MissingExtraError, match=r"hyperfocal\[cuda\]"):
        cuda.load_stages()


def test_another_version_is_refused(pretended_gpu: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "gsplat", SimpleNamespace(__version__="1.6.0"))
    with pytest.raises(BadInputError, match=r"1\.5\.3 only, got 1\.6\.0"):
        cuda.load_stages()


@pytest.mark.parametrize("compiled", [True, False])
def test_the_stages_and_the_cut_are_those_of_our_build(
    compiled: bool, pretended_gpu: Path, monkeypatch: pytest.MonkeyPatch
):
    """A package with gsplat's names stands in the cache; it is preferred, and leaves nothing on the import path."""
    package = pretended_gpu / "build" / "gsplat"
    (package / "cuda").mkdir(parents=True)
    names = [name for name in cuda.Stages.__dataclass_fields__ if name != "alpha_cut"]
    stubs = "".join(f"def {name}(): pass\n" for name in names)
    (package / "__init__.py").write_text(f"__version__ = {GSPLAT_VERSION!r}\n{stubs}")
    (package / "csrc.py").touch()
    (package / "cuda" / "__init__.py").touch()
    (package / "cuda" / "_backend.py").write_text(f"_C = {'object()' if compiled else 'None'}\n")
    monkeypatch.setattr(cuda, "find_build", lambda: Build(package.parent, LOWERED_CUT))
    before = list(sys.path)
    try:
        if compiled:
            stages = cuda.load_stages()
            assert stages.alpha_cut == LOWERED_CUT
            assert stages.isect_tiles.__module__ == "gsplat"
        else:
            with pytest.raises(BadInputError, match="not compiled"):
                cuda.load_stages()
    finally:
        for name in [name for name in sys.modules if name.split(".")[0] == "gsplat"]:
            del sys.modules[name]
    assert sys.path == before


def test_light_that_the_published_cut_loses_is_warned_of_once():
    cuda._warn_once.cache_clear()
    blurred = RenderOptions(opacity_factor=torch.full((1, 3), 0.1))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            cuda.check_options(blurred, STOCK_CUT)
        cuda.check_options(blurred, LOWERED_CUT)  # keeps it all
        cuda.check_options(RenderOptions(), STOCK_CUT)  # sharp: nothing differs
        cuda.check_options(replace(blurred, relative_cut=False), STOCK_CUT)  # as asked for
    assert len(caught) == 1
    assert "87 %" in str(caught[0].message)
    assert "hyperfocal doctor --build-cuda" in str(caught[0].message)
    with pytest.warns(UserWarning, match="drops every alpha below 0.00392157"):
        cuda.check_options(RenderOptions(alpha_cut=1e-4), STOCK_CUT)


def test_what_gsplat_cannot_serve_is_refused_by_name():
    with pytest.raises(NotImplementedError, match=r"alpha_cut.*above 1/255"):
        cuda.check_options(RenderOptions(alpha_cut=0.1), LOWERED_CUT)
    with pytest.raises(NotImplementedError, match=r"features.*33 channels"):
        cuda.check_options(RenderOptions(features=torch.zeros(3, 33)), LOWERED_CUT)
