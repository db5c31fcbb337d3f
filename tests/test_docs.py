"""What the documentation names exists: commands, flags, files and benches."""

import re
from pathlib import Path

import pytest

import hyperfocal as hf
from hyperfocal.bench import BENCHES
from hyperfocal.cli import main

ROOT = Path(__file__).parents[1]
FRONT = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "RELEASING.md")
PAGES = [*(ROOT / name for name in FRONT), *sorted((ROOT / "docs").rglob("*.md"))]
SPAN = re.compile(r"`([^`\n]+)`")
CONSOLE = re.compile(r"^\$ (.+)$", re.MULTILINE)
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z.-]*[a-z]")
COMMANDS = (
    "reconstruct",
    "view",
    "render",
    "evaluate",
    "clean",
    "export",
    "info",
    "demo",
    "weights",
    "doctor",
    "bench",
)


@pytest.fixture(scope="module")
def flags() -> dict[str, set[str]]:
    """The flags in the help of every command."""
    found = {}
    for command in COMMANDS:
        with pytest.MonkeyPatch.context() as patch:
            written: list[str] = []
            patch.setenv("COLUMNS", "200")
            patch.setattr("sys.stdout.write", lambda text, written=written: written.append(text) or len(text))
            with pytest.raises(SystemExit) as stopped:
                main([command, "--help"])
            assert not stopped.value.code
        found[command] = set(FLAG.findall("".join(written)))
    return found


def quoted(page: Path) -> list[str]:
    """Return the code spans and console lines of a page."""
    text = page.read_text()
    return [*SPAN.findall(text), *(line.split("  #")[0] for line in CONSOLE.findall(text))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_and_flags_exist(page: Path, flags: dict[str, set[str]]) -> None:
    wrong = [complaint for code in quoted(page) for complaint in complaints_about(code, flags)]
    assert not wrong, f"{page.name}: {'; '.join(wrong)}"


@pytest.mark.parametrize(
    ("code", "complaint"),
    [
        ("hyperfocal reconstruct photos --resume", None),
        ("hyperfocal reconstrukt photos", "no command reconstrukt"),
        ("hyperfocal reconstruct photos --smooth", "no --smooth"),
        ("render --frames", None),
        ("render --frame", "no --frame"),  # though it is the beginning of one
        ("--frames", None),
        ("--frame", "no --frame"),
        ("hyperfocal bench fox --data photos", None),
        ("hyperfocal bench box", "no bench box"),
    ],
)
def test_what_does_not_exist_is_noticed(code: str, complaint: str | None, flags: dict[str, set[str]]) -> None:
    assert complaints_about(code, flags) == ([] if complaint is None else [f"`{code}`: {complaint}"])


def complaints_about(code: str, flags: dict[str, set[str]]) -> list[str]:
    """Return what a code span or console line names that does not exist.

    A command is "hyperfocal NAME ...", or "NAME --flag" within a text; flags alone belong to any command.
    """
    first, *rest = code.split()
    named = FLAG.findall(code)
    if first == "hyperfocal" and rest and not rest[0].startswith("-"):
        first, *rest = rest
        if first not in COMMANDS:
            return [f"`{code}`: no command {first}"]
        if first == "bench" and rest and rest[0].islower() and rest[0] not in (*BENCHES, "check"):
            return [f"`{code}`: no bench {rest[0]}"]
    if first in COMMANDS:
        known = flags[first]
    elif first.startswith("--"):
        known = set().union(*flags.values())
    else:
        return []
    return [f"`{code}`: no {flag}" for flag in named if flag not in known]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_public_names_and_files_exist(page: Path) -> None:
    text = page.read_text()
    for name in re.findall(r"\bhf\.([A-Za-z_]\w*)", text):
        assert hasattr(hf, name), f"{page.name}: hf.{name}"
    for path in re.findall(r"`((?:src|tests|examples|docs|captures|cpp|\.ci)/[\w./-]+)`", text):
        assert (ROOT / path).exists(), f"{page.name}: {path}"


def test_every_public_name_is_on_the_api_page() -> None:
    documented = set(re.findall(r"^::: [\w.]+\.(\w+)$", (ROOT / "docs" / "api.md").read_text(), re.MULTILINE))
    assert set(hf.__all__) - {"__version__"} <= documented
