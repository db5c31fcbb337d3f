"""What the documentation names exists: commands, flags, files and benches."""

import re
from pathlib import Path

import pytest

import hyperfocal as hf
from hyperfocal.bench import BENCHES
from hyperfocal.cli import main

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "RELEASING.md", *sorted((ROOT / "docs").rglob("*.md"))]
SPAN = re.compile(r"`([^`\n]+)`")
CONSOLE = re.compile(r"^\$ (.+)$", re.MULTILINE)
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z.-]*[a-z]")
COMMANDS = ("reconstruct", "render", "evaluate", "clean", "info", "demo", "doctor", "bench")


@pytest.fixture(scope="module")
def helps() -> dict[str, str]:
    """The help of every command."""
    texts = {}
    for command in COMMANDS:
        with pytest.MonkeyPatch.context() as patch:
            written: list[str] = []
            patch.setenv("COLUMNS", "200")
            patch.setattr("sys.stdout.write", lambda text, written=written: written.append(text) or len(text))
            with pytest.raises(SystemExit) as stopped:
                main([command, "--help"])
            assert not stopped.value.code
        texts[command] = "".join(written)
    return texts


def quoted(page: Path) -> list[str]:
    """Return the code spans and console lines of a page."""
    text = page.read_text()
    return [*SPAN.findall(text), *(line.split("  #")[0] for line in CONSOLE.findall(text))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_and_flags_exist(page: Path, helps: dict[str, str]) -> None:
    for code in quoted(page):
        words = code.split()
        if words[0] == "hyperfocal" and len(words) > 1 and not words[1].startswith("-"):
            assert words[1] in COMMANDS, f"{page.name}: `{code}`"
            if words[1] == "bench" and len(words) > 2 and words[2].islower():
                assert words[2] in (*BENCHES, "check"), f"{page.name}: `{code}`"
            for flag in FLAG.findall(code):
                assert flag in helps[words[1]], f"{page.name}: `{code}`: no {flag}"
        elif code.startswith("--"):
            for flag in FLAG.findall(code):
                assert any(flag in text for text in helps.values()), f"{page.name}: `{code}`: no command has {flag}"


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
