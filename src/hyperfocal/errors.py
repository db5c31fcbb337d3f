"""The errors that a user can cause, each with the exit code that scripts can trust.

A message is one paragraph: the file, what was got, what was expected, and the remedy.
"""

from importlib import import_module

LESS_MEMORY = (
    "Say with --memory how much there is, such as --memory 4GB, or choose a smaller --long-side or --max-gaussians; "
    "nothing was left half-written."
)


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


class OutOfMemoryError(HyperfocalError, MemoryError):
    """The machine has not the memory that the work needs (exit code 2); the message names what would need less."""


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


def first_line(error: BaseException) -> str:
    """Return the first line of an error of another package; its type's name if it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory ran out: Python's, torch's on either device, or the core's."""
    if isinstance(error, MemoryError):  # of the core, std::bad_alloc arrives as one, too
        return True
    # torch's own type is known by its name, so that nothing has to load torch to ask.
    if any(kind.__name__ == "OutOfMemoryError" for kind in type(error).__mro__):
        return True
    words = str(error)
    return isinstance(error, RuntimeError) and any(sign in words for sign in _OUT_OF_MEMORY)


def out_of_memory(error: BaseException, remedy: str) -> OutOfMemoryError:
    """Return the error to show in place of one for which `is_out_of_memory` holds."""
    where = "the GPU" if "CUDA" in str(error) else "the machine"
    return OutOfMemoryError(f"The memory of {where} is full. {remedy}")


# torch's allocator on the CPU and OpenCV say it in words only.
_OUT_OF_MEMORY = (
    "can't allocate memory",
    "not enough memory",
    "CUDA out of memory",
    "Failed to allocate",
    "std::bad_alloc",
)
