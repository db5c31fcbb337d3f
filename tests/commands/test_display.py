import io

from rich.console import Console

from hyperfocal.commands.display import say, screen, show_facts


def plain_console() -> tuple[Console, io.StringIO]:
    """A console that is no terminal, and what was written to it."""
    written = io.StringIO()
    return Console(file=written, width=40, highlight=False), written


def test_without_a_terminal_a_stage_ends_with_one_line() -> None:
    console, written = plain_console()
    with screen(console) as (_, progress):
        for done in range(101):
            progress("fitting", done, 100)
        progress("fitting", 100, 100)
    assert written.getvalue().splitlines() == ["Fitting: 0 of 100", "Fitting: 100 of 100"]


def test_bars_end_before_a_result_is_printed() -> None:
    written = io.StringIO()
    console = Console(file=written, width=80, force_terminal=True)
    with screen(console) as (output, progress):
        progress("fitting", 1, 10)
        output.file = written
        say(output, "the result")
        after = len(written.getvalue())
        progress("fitting", 10, 10)
    assert "the result" in written.getvalue()
    assert "\x1b[1A" not in written.getvalue()[after:], "the cursor went back over the result"


def test_text_of_the_user_is_printed_as_it_is() -> None:
    console, written = plain_console()
    path = "/a/very/long/path/[red]with brackets/that is longer than the console is wide.jpg"
    say(console, path)
    assert written.getvalue() == f"{path}\n"


def test_facts_keep_brackets() -> None:
    console, written = plain_console()
    show_facts(console, "Title [x]", {"name": "[bold] value"})
    assert "Title [x]" in written.getvalue()
    assert "[bold] value" in written.getvalue()
