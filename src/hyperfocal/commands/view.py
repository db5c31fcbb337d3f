"""`hyperfocal view`: a scene in a browser, served by this machine for itself."""

import os
import sys
import webbrowser
from pathlib import Path
from urllib.parse import urlsplit

from rich.console import Console

from ..data.listed import some_of
from ..errors import BadInputError
from ..export import read_ply
from ..export.page import Asset, Page
from ..reconstruct.folder import RESULT_MARK
from ..reconstruct.page import page_with_files
from ..reconstruct.result import SCENE_FILE, read_result
from ..serve.server import LOOPBACK, PageServer, answers_of
from .display import say


def view(path: Path, *, port: int | None, may_open: bool, console: Console) -> int:
    """Serve the page about what is at a path until Ctrl-C, and return the exit code."""
    found = scene_at(path)
    with PageServer(answers_of(page_at(found)), port=port or 0) as server:
        offer(
            f"{found} is at {server.url} (for this machine only; Ctrl-C ends)", server.url, console, may_open=may_open
        )
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            say(console, "Ended.")
    return 0


def offer(sentence: str, url: str, console: Console, *, may_open: bool) -> None:
    """Say where a page of this machine is, and open it in a browser if somebody sits before it."""
    say(console, sentence)
    if "SSH_CONNECTION" in os.environ:
        port = urlsplit(url).port
        say(console, f"To see it from where you are: ssh -N -L {port}:{LOOPBACK}:{port} {_here()}")
    elif may_open and _has_screen():
        webbrowser.open(url)


def scene_at(path: Path) -> Path:
    """Return the result folder or PLY file that a path names, or that is alone in a folder.

    Raises:
        BadInputError: there is none, or there are several.
    """
    if not path.exists():
        raise BadInputError(
            f"{path} does not exist; expected a result, a PLY file of 3D Gaussians, or a folder of one."
        )
    if path.is_file() or (path / RESULT_MARK).is_file():
        return path
    try:
        entries = sorted(path.iterdir())
    except OSError as error:
        raise BadInputError(f"{path} cannot be read: {error.strerror or error}.") from error
    found = [entry for entry in entries if (entry / RESULT_MARK).is_file() or entry.suffix.lower() == ".ply"]
    if len(found) != 1:
        got = f"holds {some_of([entry.name for entry in found])}" if found else "holds no result and no PLY file"
        raise BadInputError(f"{path} {got}; expected one. Name the one to look at, such as {path / 'NAME'}.")
    return found[0]


def page_at(path: Path) -> Page:
    """Return the page about a result folder or a PLY file, whose files stay where they are."""
    if path.is_dir():
        return page_with_files(read_result(path), path)
    gaussians = read_ply(path)  # so that a file that cannot be shown is said here, not in the browser
    scene = Asset(SCENE_FILE, "application/octet-stream", path)
    return Page(path.stem, scene, len(gaussians), gaussians.color_space)


def _has_screen() -> bool:
    """Return whether there is a desktop: without one, a browser in the terminal would be started."""
    return sys.platform != "linux" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _here() -> str:
    """Return this machine as the SSH client reached it."""
    fields = os.environ["SSH_CONNECTION"].split()
    return f"{os.environ.get('USER', 'USER')}@{fields[2] if len(fields) == 4 else 'HOST'}"
