"""Imports only go down. The picture of the layers is on the docs' architecture page; this file is the law."""

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "hyperfocal"

LAYERS: tuple[tuple[str, ...], ...] = (
    ("shapes", "transforms", "color", "sh", "errors", "files", "tensor_files", "progress", "activations", "scratch"),
    (
        *("gaussians", "camera", "distortion", "lens", "apertures", "depth", "scene", "exif_lens", "rendering"),
        *("protocols", "paths", "path_lens", "shutter"),
    ),
    ("data", "export", "nets", "native"),
    ("render",),
    ("losses", "metrics", "priors", "sfm", "synthetic"),
    ("fit", "serve"),
    ("dynamic", "models", "focus"),
    ("reconstruct", "training", "distributed"),
    ("bench",),
    ("commands",),
    ("cli", "commands", "__main__"),
)
LAYER_OF = {name: layer for layer, names in enumerate(LAYERS) for name in names}
# The layers of single modules, which may use each other as long as there is no cycle.
MODULE_LAYERS = (0, 1, len(LAYERS) - 1)

# Installed by extras, or slow to import: only inside functions.
LATE = {
    *("av", "drjit", "gsplat", "huggingface_hub", "kornia", "lightning_fabric", "mitsuba", "onnxruntime", "OpenEXR"),
    *("pillow_heif", "pycolmap", "rawpy", "ray", "rerun", "tensorboard", "transformers"),
}
MOST_LINES = {".py": 400, ".cpp": 600, ".h": 600}


@dataclass(frozen=True)
class Import:
    """One imported module or name, with where it stands."""

    target: str  # dotted and absolute: "hyperfocal.camera.Camera", "torch"
    line: int
    at_top: bool  # runs when the module is imported


def imports_of(module: str, is_package: bool, source: str) -> list[Import]:
    """Return every import of a module given by its dotted name, `import_module("...")` calls included."""
    base = module.split(".") if is_package else module.split(".")[:-1]

    def walk(node: ast.AST, at_top: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno, at_top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            prefix = base[: len(base) - node.level + 1] if node.level else []
            start = ".".join([*prefix, *([node.module] if node.module else [])])
            yield from (Import(f"{start}.{alias.name}", node.lineno, at_top) for alias in node.names)
        elif isinstance(node, ast.Call) and "import_module" in ast.unparse(node.func) and node.args:
            name = node.args[0]
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                yield Import(name.value if name.value[0] != "." else f"hyperfocal{name.value}", node.lineno, at_top)
        late = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        late = late or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
        for child in ast.iter_child_nodes(node):
            yield from walk(child, at_top and not late)

    return list(walk(ast.parse(source), True))


def home_of(target: str) -> str | None:
    """Return which part of the library a dotted name belongs to; None for other people's packages."""
    parts = target.split(".")
    return parts[1] if parts[0] == "hyperfocal" and len(parts) > 1 else None


def complaints(sources: dict[str, str]) -> list[str]:
    """Return what is wrong with modules given as {path below src/: source}."""
    found = []
    for path, source in sources.items():
        parts = path.removesuffix(".py").split("/")
        is_package = parts[-1] == "__init__"
        module = ".".join(parts[:-1] if is_package else parts)
        home = home_of(module)
        if home is None:
            continue  # the public table of hyperfocal/__init__.py has a test of its own
        if home not in LAYER_OF:
            found.append(f"{path}: {home} has no layer; give it one in tests/test_layers.py")
            continue
        for used in imports_of(module, is_package, source):
            found += [f"{path}:{used.line}: {reason}" for reason in _reasons(path, home, used)]
    return found


def _reasons(path: str, home: str, used: Import) -> Iterator[str]:
    top = used.target.split(".")[0]
    other = home_of(used.target)
    if top == "torchvision":
        yield "torchvision cannot stand beside a CPU torch"
    if top in LATE and used.at_top:
        yield f"{top} must be imported inside the function that needs it"
    if top == "gsplat" and path != "hyperfocal/render/cuda.py":
        yield "only render/cuda.py may import gsplat"
    if other == "_core" and home != "native":
        yield "only native/ may import the binary _core"
    if other in (None, home, "_core", "__version__"):
        return
    if other not in LAYER_OF:
        yield f"imports {used.target}: name the module a public name comes from, not the table"
    elif LAYER_OF[other] > LAYER_OF[home]:
        yield f"{home} (layer {LAYER_OF[home]}) must not import {other} (layer {LAYER_OF[other]})"
    elif LAYER_OF[other] == LAYER_OF[home] and LAYER_OF[home] not in MODULE_LAYERS:
        yield f"{home} must not import {other} of its own layer {LAYER_OF[home]}"


def cycle_among(graph: dict[str, set[str]]) -> list[str]:
    """Return the nodes that are on, or lead only to, a cycle; empty when there is none."""
    left = dict(graph)
    while free := [name for name, uses in left.items() if not uses & left.keys()]:
        for name in free:
            del left[name]
    return sorted(left)


@pytest.fixture(scope="module")
def sources() -> dict[str, str]:
    """Every module of the library by its path below src/."""
    return {p.relative_to(PACKAGE.parent).as_posix(): p.read_text() for p in sorted(PACKAGE.rglob("*.py"))}


def test_imports_only_go_down(sources: dict[str, str]) -> None:
    assert not complaints(sources)


def test_single_modules_have_no_import_cycles(sources: dict[str, str]) -> None:
    modules = {name for layer in MODULE_LAYERS for name in LAYERS[layer]}
    graph = {
        name: {str(home_of(i.target)) for i in imports_of(f"hyperfocal.{name}", False, sources[path])}
        for name in modules
        if (path := f"hyperfocal/{name}.py") in sources
    }
    assert not cycle_among(graph)


def test_files_stay_short() -> None:
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    files = [ROOT / line for line in listed.stdout.splitlines()]
    if listed.returncode != 0:  # a source archive: no git, and nothing but our own files
        files = [p for folder in ("src", "cpp", "tests", "examples", "docs") for p in (ROOT / folder).rglob("*")]
    counts = {p: len(p.read_text().splitlines()) for p in files if p.suffix in MOST_LINES and p.is_file()}
    assert counts
    long = {str(p.relative_to(ROOT)): n for p, n in counts.items() if n > MOST_LINES[p.suffix]}
    assert not long


@pytest.mark.parametrize(
    ("path", "source", "reason"),
    [
        ("hyperfocal/camera.py", "from .render import render", "camera (layer 1) must not import render (layer 3)"),
        ("hyperfocal/data/colmap.py", "def f():\n    from ..fit import fit", "data (layer 2) must not import fit"),
        ("hyperfocal/data/__init__.py", "from ..export import write_ply", "of its own layer 2"),
        ("hyperfocal/data/__init__.py", "import hyperfocal.export.ply", "of its own layer 2"),
        ("hyperfocal/fit/a.py", "from .. import render, bench", "fit (layer 5) must not import bench"),
        ("hyperfocal/fit/a.py", "from hyperfocal import Gaussians", "name the module"),
        ("hyperfocal/fit/a.py", "from importlib import import_module\nimport_module('.cli')", "must not import cli"),
        ("hyperfocal/render/cpu.py", "from hyperfocal._core import project", "only native/"),
        ("hyperfocal/render/cpu.py", "from .. import _core", "only native/"),
        ("hyperfocal/fit/a.py", "def f():\n    import gsplat", "only render/cuda.py"),
        ("hyperfocal/render/cuda.py", "import gsplat", "inside the function"),
        ("hyperfocal/sfm/a.py", "try:\n    import pycolmap\nexcept ImportError: pass", "inside the function"),
        ("hyperfocal/data/a.py", "def f():\n    from torchvision.ops import nms", "torchvision"),
        ("hyperfocal/tools.py", "", "has no layer"),
    ],
)
def test_the_law_catches(path: str, source: str, reason: str) -> None:
    assert any(reason in complaint for complaint in complaints({path: source}))


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("hyperfocal/render/cuda.py", "def f():\n    import gsplat"),
        ("hyperfocal/native/rasterize.py", "from .. import _core"),
        ("hyperfocal/fit/a.py", "from .b import c\nfrom ..render import render\nimport torch"),
        ("hyperfocal/sfm/a.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pycolmap"),
        ("hyperfocal/scene.py", "from .camera import Camera"),
        ("hyperfocal/cli.py", "from . import __version__"),
    ],
)
def test_the_law_allows(path: str, source: str) -> None:
    assert not complaints({path: source})


def test_a_cycle_is_found() -> None:
    assert cycle_among({"a": {"b"}, "b": {"a"}, "c": set()}) == ["a", "b"]
    assert not cycle_among({"a": {"b", "c"}, "b": {"c"}, "c": set()})
