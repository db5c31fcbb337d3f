"""Reading JSON with errors that name the file, and writing files so that nothing is ever half-written.

What is written goes to a temporary name first, which is then renamed.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .errors import BadInputError


def cache_folder() -> Path:
    """Return the folder of what can be made again: hyperfocal/ in XDG_CACHE_HOME, if that is absolute, or ~/.cache."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "hyperfocal"


def read_bytes(path: Path) -> bytes:
    """Return the content of a file.

    Raises:
        BadInputError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInputError(f"{path} cannot be read: {error.strerror or error}.") from error


def read_json(path: Path, *, remedy: str) -> Any:
    """Return the content of a JSON file in UTF-8, with or without a byte order mark.

    Raises:
        BadInputError: it cannot be read, or is not JSON; then the message ends with the sentence `remedy`.
    """
    data = read_bytes(path)
    try:
        return json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:  # of text, of JSON, and of whole numbers longer than Python reads
        raise BadInputError(f"{path} is not valid JSON: {error}. {remedy}") from error


def read_json_object(path: Path, *, remedy: str) -> dict[str, Any]:
    """Return the content of a JSON file that holds an object.

    Raises:
        BadInputError: as `read_json`, or it holds something else.
    """
    content = read_json(path, remedy=remedy)
    if not isinstance(content, dict):
        raise BadInputError(f"{path} should hold a JSON object, got a {type(content).__name__}. {remedy}")
    return content


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it takes the name `path`, on any error it is removed.

    Raises:
        BadInputError: the folder is missing, read-only or full.
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        yield temporary
        # The bytes must be on the disk before the name is, or a power cut leaves an empty file under a good name.
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    except OSError as error:
        raise BadInputError(
            f"Could not write {path}: {error.strerror or error}. Nothing was changed there; "
            "free some space or choose another folder with --out."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` as UTF-8, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)
