"""The server as an attacker meets it: nothing but its own addresses, for browsers of this machine, reading only."""

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import pytest

from hyperfocal.errors import BadInputError
from hyperfocal.export.page import Asset, bundle, page_of
from hyperfocal.serve import server as server_module
from hyperfocal.serve.server import Answer, PageServer, answers_of
from scenes import random_gaussians

HTML = b"<!doctype html><p>page</p>"
SECRET = b"a secret"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of which one file is served; beside it and above it are others that are not."""
    below = tmp_path / "served"
    below.mkdir()
    (below / "scene.ply").write_bytes(b"p" * 300_000)
    (below / "private.txt").write_bytes(SECRET)
    (tmp_path / "private.txt").write_bytes(SECRET)
    (below / "link").symlink_to(tmp_path)
    return below


@pytest.fixture
def server(folder: Path) -> Iterator[PageServer]:
    def broken() -> bytes:
        raise BadInputError("the photograph is gone")

    answers = {
        "/": Answer(Asset("", "text/html; charset=utf-8", HTML), "default-src 'none'"),
        "/scene.ply": Answer(Asset("scene.ply", "application/octet-stream", folder / "scene.ply")),
        "/made.jpg": Answer(Asset("made.jpg", "image/jpeg", lambda: b"made")),
        "/gone.ply": Answer(Asset("gone.ply", "application/octet-stream", folder / "gone.ply")),
        "/broken.jpg": Answer(Asset("broken.jpg", "image/jpeg", broken)),
    }
    with PageServer(answers) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def ask(
    server: PageServer, path: str, method: str = "GET", headers: dict[str, str] | None = None, body: bytes | None = None
) -> tuple[HTTPResponse, bytes]:
    port = server.server_address[1]
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in ({"Host": f"127.0.0.1:{port}"} | (headers or {})).items():
        if value:
            connection.putheader(name, value)
    if body is not None:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer, content


def ask_raw(server: PageServer, request: bytes) -> bytes:
    pieces = []
    with socket.create_connection(("127.0.0.1", server.server_address[1]), timeout=20) as client:
        with suppress(ConnectionError, BrokenPipeError):  # what is sent beyond the limit is never read
            client.sendall(request)
        with suppress(OSError):
            client.shutdown(socket.SHUT_WR)
            while piece := client.recv(65536):
                pieces.append(piece)
    return b"".join(pieces)


@pytest.mark.parametrize(
    ("path", "content", "kind"),
    [
        ("/", HTML, "text/html; charset=utf-8"),
        ("/?seen=1", HTML, "text/html; charset=utf-8"),
        ("/scene.ply", b"p" * 300_000, "application/octet-stream"),
        ("/made.jpg", b"made", "image/jpeg"),
    ],
)
def test_what_is_served_comes_whole_with_its_size_and_type(
    server: PageServer, path: str, content: bytes, kind: str
) -> None:
    answer, got = ask(server, path)
    assert (answer.status, got) == (200, content)
    assert answer.headers["Content-Length"] == str(len(content))
    assert answer.headers["Content-Type"] == kind
    head, nothing = ask(server, path, "HEAD")
    assert (head.status, nothing) == (200, b"")
    assert head.headers["Content-Length"] == str(len(content))


def test_every_answer_tells_the_browser_to_be_careful(server: PageServer) -> None:
    for path in ("/", "/scene.ply", "/nothing"):
        headers = ask(server, path)[0].headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cache-Control"] == "no-store"
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "Access-Control-Allow-Origin" not in headers
        assert "Python" not in headers["Server"]


@pytest.mark.parametrize(
    "path",
    [
        "/private.txt",
        "/../private.txt",
        "/scene.ply/../private.txt",
        "/%2e%2e/private.txt",
        "/..%2fprivate.txt",
        "/%2e%2e%5cprivate.txt",
        "/%252e%252e/private.txt",
        "/..\\private.txt",
        "//etc/passwd",
        "/etc/passwd",
        "/link/private.txt",
        "/link",
        "/scene.ply%00.html",
        "/scene.ply\x00",
        "/scene.ply/",
        "/SCENE.PLY",
        "/.",
        "//",
        "/photographs/",
        "file:///etc/passwd",
        "http://127.0.0.1/scene.ply",
        "*",
        "scene.ply",
        "/gone.ply",
        "/broken.jpg",
    ],
)
def test_there_is_nothing_else(server: PageServer, path: str) -> None:
    host = f"Host: 127.0.0.1:{server.server_address[1]}"
    answer = ask_raw(server, f"GET {path} HTTP/1.1\r\n{host}\r\n\r\n".encode("latin-1"))
    status = int(answer.split()[1])
    assert status in (404, 400) or (path == "//" and status == 200)
    assert SECRET not in answer
    assert b"root:" not in answer


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "BREW", "get"])
def test_nothing_can_be_written(server: PageServer, folder: Path, method: str) -> None:
    for path in ("/", "/scene.ply", "/new.txt"):
        answer, _ = ask(server, path, method, body=b"evil")
        assert answer.status == 405
        assert answer.headers["Allow"] == "GET, HEAD"
    assert {entry.name for entry in folder.iterdir()} == {"scene.ply", "private.txt", "link"}


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:80"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "localhost.evil.example:1234"},
        {"Host": "127.0.0.1@evil.example"},
        {"Host": "evil@127.0.0.1"},
        {"Host": "127.0.0.1/evil"},
        {"Host": "127.0.0.1:99999999"},
        {"Host": "[::1"},
        {"Host": "10.0.0.1"},
        {"Host": ""},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://127.0.0.1:{port}"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://127.0.0.1:{port}.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
        {"Sec-Fetch-Site": "unheard-of"},
    ],
)
def test_other_places_get_nothing(server: PageServer, headers: dict[str, str]) -> None:
    port = server.server_address[1]
    named = {name: value.replace("{port}", str(port)) for name, value in headers.items()}
    answer, content = ask(server, "/", headers=named)
    assert answer.status == 403
    assert HTML not in content


def test_two_hosts_are_none(server: PageServer) -> None:
    answer = ask_raw(server, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n\r\n")
    assert answer.split()[1] == b"403"


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "localhost:{port}"},
        {"Host": "LOCALHOST:9999"},  # a tunnel's other end
        {"Host": "127.0.0.1"},
        {"Origin": "http://127.0.0.1:{port}"},
        {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"},
        {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
    ],
)
def test_the_machines_own_browser_gets_the_page(server: PageServer, headers: dict[str, str]) -> None:
    port = server.server_address[1]
    assert ask(server, "/", headers={n: v.replace("{port}", str(port)) for n, v in headers.items()})[0].status == 200


def test_a_link_from_elsewhere_leads_to_the_page_only(server: PageServer) -> None:
    followed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert ask(server, "/scene.ply", headers=followed)[0].status == 403


@pytest.mark.parametrize("length", [5_000, 20_000, 70_000, 2_000_000])
def test_a_very_long_address_is_no_bother(server: PageServer, length: int) -> None:
    host = f"Host: 127.0.0.1:{server.server_address[1]}".encode()
    answer = ask_raw(server, b"GET /" + b"a" * length + b" HTTP/1.1\r\n" + host + b"\r\n\r\n")
    assert answer == b"" or answer.split()[1] in (b"404", b"414")
    assert ask(server, "/")[0].status == 200


@pytest.mark.parametrize(
    "request_", [b"\r\n\r\n", b"GET\r\n\r\n", b"\xff\x00\xff\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /\r\n\r\n", b""]
)
def test_what_is_no_request_is_no_bother(server: PageServer, request_: bytes) -> None:
    assert HTML not in ask_raw(server, request_)
    assert ask(server, "/")[0].status == 200


def test_many_headers_are_no_bother(server: PageServer) -> None:
    lines = b"".join(b"X-%d: y\r\n" % i for i in range(3000))
    answer = ask_raw(server, b"GET / HTTP/1.1\r\n" + lines + b"\r\n")
    assert HTML not in answer
    assert ask(server, "/")[0].status == 200


def test_a_second_request_on_the_same_connection_is_not_heard(server: PageServer) -> None:
    one = f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{server.server_address[1]}\r\n\r\n".encode()
    assert ask_raw(server, one + one).count(HTML) == 1


def test_fifty_clients_at_once_all_get_everything(server: PageServer) -> None:
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: ask(server, "/scene.ply"), range(50)))
    assert all(answer.status == 200 and len(content) == 300_000 for answer, content in answers)


def test_clients_that_hang_block_nobody_and_are_dropped(server: PageServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "HEAD_S", 0.5)
    address = ("127.0.0.1", server.server_address[1])
    hanging = [socket.create_connection(address, timeout=10) for _ in range(20)]
    try:
        began = time.monotonic()
        for client in hanging[:10]:
            client.sendall(b"GET / HTTP/1.1\r\nHost: 127")
        assert ask(server, "/")[0].status == 200
        assert time.monotonic() - began < 0.5, "answered before any of them was dropped"
        drip = hanging[0]  # a byte now and then does not buy more time
        with pytest.raises(OSError):
            while time.monotonic() - began < 8:
                drip.sendall(b"a")
                time.sleep(0.1)
        assert time.monotonic() - began < 5
        assert all(client.recv(1) == b"" for client in hanging[10:])
    finally:
        for client in hanging:
            client.close()


def test_there_is_room_for_so_many_clients_and_no_more(server: PageServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_room", threading.BoundedSemaphore(3))
    monkeypatch.setattr(server_module, "HEAD_S", 1.0)
    address = ("127.0.0.1", server.server_address[1])
    hanging = [socket.create_connection(address, timeout=10) for _ in range(3)]
    time.sleep(0.2)
    try:
        assert ask_raw(server, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n") == b""
        time.sleep(1.5)
        assert ask(server, "/")[0].status == 200, "those who said nothing are gone"
    finally:
        for client in hanging:
            client.close()


def test_a_client_that_does_not_read_blocks_nobody(server: PageServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "SEND_S", 0.5)
    server.answers["/large"] = Answer(Asset("large", "application/octet-stream", bytes(64 * 2**20)))
    with socket.create_connection(("127.0.0.1", server.server_address[1]), timeout=10) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sendall(f"GET /large HTTP/1.1\r\nHost: 127.0.0.1:{server.server_address[1]}\r\n\r\n".encode())
        assert ask(server, "/")[0].status == 200
        before = threading.active_count()
        deadline = time.monotonic() + 10
        while threading.active_count() >= before and time.monotonic() < deadline:
            time.sleep(0.1)
        assert threading.active_count() < before, "its thread has ended"


def test_only_this_machine_can_connect(server: PageServer) -> None:
    assert server.server_address[0] == "127.0.0.1"
    assert server.url == f"http://127.0.0.1:{server.server_address[1]}/"


def test_a_taken_port_is_a_sentence(server: PageServer) -> None:
    with pytest.raises(BadInputError, match="--port"):
        PageServer({}, port=server.server_address[1])


def test_the_page_of_gaussians_stands_at_the_root_with_its_scene_beside_it() -> None:
    try:
        bundle()
    except Exception as error:
        pytest.skip(str(error))
    answers = answers_of(page_of(random_gaussians(5), title="five"))
    assert set(answers) == {"/", "/scene.compressed.ply"}
    policy = answers["/"].policy or ""
    assert "'sha256-" in policy
    assert "'unsafe-inline'" not in policy.split("style-src")[0]
    assert "frame-ancestors 'none'" in policy
    assert answers["/scene.compressed.ply"].policy is None
