"""The errors that a user can cause, each with the exit code that scripts can trust.

A message is one paragraph: the file, what was got, what was expected, and the remedy.
"""

from importlib import import_module


class HyperfocalError(Exception):
    """A user's mistake or an unusable input: shown as one paragraph, never as a traceback."""

    exit_code = 2


class BadInputError(HyperfocalError, ValueError):
    """A file, folder or argument is not what it should be (exit code 2)."""


class NothingUsableError(HyperfocalError):
    """The input was read, but holds nothing that the command can work with (exit code 3)."""

    exit_code = 3


class StoppedError(HyperfocalError):
    """The user stopped the work; what was done is kept (exit code 130, as of any program that Ctrl-C ends)."""

    exit_code = 130


class MissingExtraError(HyperfocalError, ImportError):
    """An optional dependency is not installed (exit code 2); the message names the extra."""


def has_package(name: str) -> bool:
    """Return whether an optional package, given by the name under which it is imported, works here."""
    try:
        import_module(name)
    except ImportError:
        return False
    return True


def missing_extra(package: str, extra: str) -> MissingExtraError:
    """Return the error for an optional `package` that comes with the extra of the given name."""
    return MissingExtraError(
        f"This needs the package {package}, which is not installed: pip install 'hyperfocal[{extra}]'"
    )
