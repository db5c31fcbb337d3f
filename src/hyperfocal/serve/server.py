"""A web server for one page on this machine: fixed addresses, reading only, for browsers of this machine only.

What may go wrong with a server on loopback, and what is done about it:

- Addresses are the keys of a mapping, so there is no folder to break out of.
- Any page in the same browser can make it send requests here. Browsers say where a request comes from (`Origin`,
  `Sec-Fetch-Site`), and what comes from elsewhere is refused; so is a foreign `Host`, by which a name that suddenly
  points to this machine (DNS rebinding) is known.
- A client that sends or reads slowly keeps a thread. Heads have a deadline, and there is a bound on clients.
"""

import io
import re
import shutil
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import socket
from socketserver import TCPServer
from typing import Any, cast

from ..errors import BadInputError, HyperfocalError
from ..export.page import Asset, Page, content_security_policy, served_html

LOOPBACK = "127.0.0.1"
MOST_CLIENTS = 128
LONGEST_HEAD = 16 * 1024  # bytes of a request before its body, which nobody here needs
HEAD_S = 10.0  # seconds for all of a head
SEND_S = 30.0  # for a piece of an answer
_PIECE = 256 * 1024
_NAMES = ("127.0.0.1", "localhost")  # by which this machine knows itself; a tunnel may come from another port


@dataclass(frozen=True)
class Answer:
    """What stands at an address."""

    asset: Asset
    policy: str | None = None
    """The Content-Security-Policy of a page; None: nothing may come of it."""


def answers_of(page: Page) -> dict[str, Answer]:
    """Return what stands where: the page at "/", its files beside it."""
    html = Asset("", "text/html; charset=utf-8", served_html(page))
    policy = f"{content_security_policy()}; frame-ancestors 'none'"
    return {"/": Answer(html, policy), **{f"/{asset.url}": Answer(asset) for asset in page.assets()}}


class PageServer(ThreadingHTTPServer):
    """Serves fixed answers on loopback until `shutdown`.

    Use it as a context and `serve_forever` within, or use `in_background`.

    Raises:
        BadInputError: the port is taken, or not allowed.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = MOST_CLIENTS
    allow_reuse_address = True

    def __init__(self, answers: Mapping[str, Answer], *, port: int = 0) -> None:
        self.answers = dict(answers)
        self._room = threading.BoundedSemaphore(MOST_CLIENTS)
        try:
            super().__init__((LOOPBACK, port), _Handler)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise BadInputError(
                f"Port {port} of this machine cannot be used: {reason.rstrip('.')}. Choose another one with "
                "--port, or leave --port away to get one that is free."
            ) from error

    def server_bind(self) -> None:
        """Take the port; unlike `HTTPServer` without asking a name server what this machine is called."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = LOOPBACK, self.server_address[1]

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{LOOPBACK}:{self.server_address[1]}/"

    @contextmanager
    def in_background(self) -> Iterator[str]:
        """Serve from a thread of its own while the context lasts, and yield where the page is."""
        with self:
            thread = threading.Thread(target=self.serve_forever, name="hyperfocal page", daemon=True)
            thread.start()
            try:
                yield self.url
            finally:
                self.shutdown()
                thread.join()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a client in a thread of its own, unless there are too many."""
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no more threads
            self._room.release()
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a client."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that go away in the middle: that is no error."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    connection: socket
    server_version, sys_version = "hyperfocal", ""
    protocol_version = "HTTP/1.0"  # one request a connection: nothing that follows can be mistaken for a part of it

    def setup(self) -> None:
        super().setup()
        self.rfile.close()
        head = _head(self.connection)
        self._is_too_long = not _is_whole(head) and len(head) >= LONGEST_HEAD
        self.rfile = io.BufferedReader(io.BytesIO(head))  # pyright: ignore[reportArgumentType]
        self.connection.settimeout(SEND_S)

    def parse_request(self) -> bool:
        if self._is_too_long:
            self.request_version = "HTTP/1.0"
            self.send_error(HTTPStatus.REQUEST_URI_TOO_LONG)
        return not self._is_too_long and super().parse_request()

    def do_GET(self) -> None:
        self._answer(with_content=True)

    def do_HEAD(self) -> None:
        self._answer(with_content=False)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):  # any other method, known or not
            return self._refuse_method
        raise AttributeError(name)

    def _refuse_method(self) -> None:
        self._refuse(HTTPStatus.METHOD_NOT_ALLOWED, "Allow: GET, HEAD")

    def _answer(self, *, with_content: bool) -> None:
        if not self._is_from_here():
            return self._refuse(HTTPStatus.FORBIDDEN)
        answer = cast(PageServer, self.server).answers.get(self.path.split("?", 1)[0])
        if answer is None:
            return self._refuse(HTTPStatus.NOT_FOUND)
        try:
            file = _opened(answer.asset)
        except (HyperfocalError, OSError):
            return self._refuse(HTTPStatus.NOT_FOUND)
        with file:
            size = file.seek(0, io.SEEK_END)
            self._head(HTTPStatus.OK, size, answer.asset.type, answer.policy)
            if with_content:
                file.seek(0)
                shutil.copyfileobj(file, self.wfile, _PIECE)
        return None

    def _is_from_here(self) -> bool:
        hosts, origins = (self.headers.get_all(name, []) for name in ("Host", "Origin"))
        if len(hosts) != 1 or _name(hosts[0]) not in _NAMES:
            return False
        if any(origin != f"http://{hosts[0]}" for origin in origins):
            return False
        site = self.headers.get("Sec-Fetch-Site", "none")
        # A link that somebody follows to the page is no harm: who sent them there sees nothing of it.
        followed = (self.headers.get("Sec-Fetch-Mode"), self.headers.get("Sec-Fetch-Dest")) == ("navigate", "document")
        return site in ("none", "same-origin") or (followed and self.path == "/")

    def _refuse(self, status: HTTPStatus, *headers: str) -> None:
        text = f"{status.value} {status.phrase}\n".encode("ascii")
        self._head(status, len(text), "text/plain; charset=utf-8", None, *headers)
        if self.command != "HEAD":
            self.wfile.write(text)

    def _head(self, status: HTTPStatus, size: int, type_: str, policy: str | None, *headers: str) -> None:
        self.send_response(status)
        for header in (
            f"Content-Type: {type_}",
            f"Content-Length: {size}",
            f"Content-Security-Policy: {policy or _NOTHING}",
            "X-Content-Type-Options: nosniff",
            "X-Frame-Options: DENY",
            "Cross-Origin-Opener-Policy: same-origin",
            "Cross-Origin-Resource-Policy: same-origin",
            "Referrer-Policy: no-referrer",
            "Cache-Control: no-store",
            *headers,
        ):
            self.send_header(*header.split(": ", 1))
        self.end_headers()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer a request that is none, as briefly as the others."""
        self.command = getattr(self, "command", None) or "GET"
        self._refuse(HTTPStatus(code))

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: what is asked for is not news."""


_NOTHING = "default-src 'none'; frame-ancestors 'none'"


def _head(connection: socket) -> bytes:
    """Return a request up to the empty line; as much as has come in time of one that is slow or too long."""
    deadline = time.monotonic() + HEAD_S
    head = b""
    while not _is_whole(head) and len(head) < LONGEST_HEAD:
        left = deadline - time.monotonic()
        if left <= 0:
            return b""
        connection.settimeout(left)
        try:
            piece = connection.recv(4096)
        except OSError:
            return b""
        if not piece:
            break
        head += piece
    return head


def _is_whole(head: bytes) -> bool:
    return b"\r\n\r\n" in head or b"\n\n" in head


def _name(host: str) -> str | None:
    """Return the name in a Host header, without its port; None if it is not well formed."""
    found = re.fullmatch(r"([a-z0-9.-]+)(:[0-9]{1,5})?", host.lower())
    return None if found is None else found[1]


def _opened(asset: Asset) -> io.BufferedIOBase:
    """Return the content of an asset, to be closed."""
    return asset.content.open("rb") if isinstance(asset.content, Path) else io.BytesIO(asset.read())
