"""The table of contents of the library: complete, loadable, and light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import hyperfocal as hf

HEAVY = ("torch", "numpy", "cv2", "scipy", "pycolmap")


def run_python(code: str) -> str:
    """Return what a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_typed_imports_and_the_table_agree() -> None:
    tree = ast.parse(Path(str(hf.__file__)).read_text())
    block = next(n for n in tree.body if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING")
    typed = {}
    for node in block.body:
        assert isinstance(node, ast.ImportFrom)
        for alias in node.names:
            assert alias.asname == alias.name, f"write `import {alias.name} as {alias.name}`: that makes it public"
            typed[alias.name] = node.module
    assert typed == hf._HOMES


@pytest.mark.parametrize("name", sorted(hf._HOMES))
def test_every_public_name_loads(name: str) -> None:
    assert getattr(hf, name) is not None
    assert name in dir(hf)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'renderer'"):
        _ = hf.renderer  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("name", ["render", "fit", "reconstruct"])
def test_a_function_is_never_hidden_by_the_subpackage_of_its_name(name: str) -> None:
    before = f"import hyperfocal.{name}, hyperfocal as hf, inspect; print(inspect.isfunction(hf.{name}))"
    after = (
        f"import hyperfocal as hf, inspect; hf.{name}; import hyperfocal.{name}; print(inspect.isfunction(hf.{name}))"
    )
    assert run_python(before) == run_python(after) == "True"


def test_help_and_import_load_nothing_heavy() -> None:
    code = (
        "import sys\nfrom hyperfocal.cli import main\nsys.argv = ['hyperfocal', '--help']\n"
        "try:\n    main()\nexcept SystemExit as done:\n    assert not done.code, done.code\n"
        f"print('heavy:', [name for name in {HEAVY} if name in sys.modules])"
    )
    assert run_python(code).endswith("heavy: []")
    assert run_python(f"import sys, hyperfocal; print([n for n in {HEAVY} if n in sys.modules])") == "[]"
