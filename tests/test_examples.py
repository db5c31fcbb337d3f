"""Every example runs as it stands, and README's commands are the ones that the checks run."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
CODE = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def run_here(folder: Path, *arguments: str) -> str:
    """Return what a Python program prints, run in `folder` with warnings as errors."""
    command = [sys.executable, "-W", "error", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs(path: Path, tmp_path: Path) -> None:
    assert run_here(tmp_path, str(path))


def test_the_examples_are_numbered_without_gaps() -> None:
    assert [path.name[:2] for path in EXAMPLES] == [f"{i + 1:02}" for i in range(len(EXAMPLES))]


def test_the_python_in_the_readme_runs(tmp_path: Path) -> None:
    blocks = [code for kind, code in CODE.findall((ROOT / "README.md").read_text()) if kind == "python"]
    assert blocks
    for code in blocks:
        run_here(tmp_path, "-c", code)


def test_the_checks_run_what_the_readme_says() -> None:
    readme = (ROOT / "README.md").read_text()
    test_block = next(code for kind, code in CODE.findall(readme) if kind == "bash" and "pytest" in code)
    script = (ROOT / ".ci" / "run").read_text().replace('"$venv', ".venv").replace('"', "").replace(" -q", "")
    for command in re.split(r"\s*(?:&&|\n)\s*", test_block.strip().replace("\\\n", " ").replace('"', "")):
        assert command in script, f"README says `{command}`, .ci/run does not"
