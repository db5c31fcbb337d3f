"""`hyperfocal view`: what it serves, what it says, and how it ends."""

import os
import signal
import subprocess
import sys
import urllib.request
import webbrowser
from pathlib import Path

import pytest
from rich.console import Console

from hyperfocal.cli import main
from hyperfocal.commands import view as view_module
from hyperfocal.commands.view import page_at, scene_at, view
from hyperfocal.errors import BadInputError
from hyperfocal.export import write_compressed_ply, write_ply
from hyperfocal.serve.server import PageServer
from scenes import random_gaussians


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    write_ply(tmp_path / "scene.ply", random_gaussians(20))
    return tmp_path / "scene.ply"


def test_the_page_is_served_until_ctrl_c(scene: Path) -> None:
    command = [sys.executable, "-m", "hyperfocal", "view", str(scene), "--no-open"]
    environment = {name: value for name, value in os.environ.items() if name != "SSH_CONNECTION"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as run:
        assert run.stdout is not None
        line = run.stdout.readline()
        url = next(word for word in line.split() if word.startswith("http://127.0.0.1:"))
        with urllib.request.urlopen(url, timeout=20) as answer:
            assert b"hyperfocal-manifest" in answer.read()
        with urllib.request.urlopen(f"{url}scene.ply", timeout=20) as answer:
            assert answer.read() == scene.read_bytes()
        run.send_signal(signal.SIGINT)
        out, err = run.communicate(timeout=30)
    assert run.returncode == 0
    assert out == "Ended.\n"
    assert "Traceback" not in err


def ended(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let serving end at once, as by Ctrl-C, and return the addresses that are opened."""
    opened: list[str] = []

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(PageServer, "serve_forever", interrupted)
    monkeypatch.setattr(webbrowser, "open", lambda url: opened.append(url))
    return opened


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


def test_the_browser_is_opened_where_there_is_a_screen(
    scene: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened = ended(monkeypatch)
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    monkeypatch.setattr(view_module, "_has_screen", lambda: True)
    assert view(scene, port=None, may_open=True, console=Console()) == 0
    assert len(opened) == 1
    assert opened[0] in said(capsys)
    monkeypatch.setattr(view_module, "_has_screen", lambda: False)
    assert view(scene, port=None, may_open=True, console=Console()) == 0
    monkeypatch.setattr(view_module, "_has_screen", lambda: True)
    assert view(scene, port=None, may_open=False, console=Console()) == 0
    assert len(opened) == 1


def test_who_came_by_ssh_is_told_of_a_tunnel(
    scene: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened = ended(monkeypatch)
    monkeypatch.setenv("SSH_CONNECTION", "10.0.0.2 50000 10.0.0.1 22")
    monkeypatch.setenv("USER", "ada")
    assert view(scene, port=None, may_open=True, console=Console(width=200)) == 0
    text = said(capsys)
    port = text.split("http://127.0.0.1:")[1].split("/")[0]
    assert f"ssh -N -L {port}:127.0.0.1:{port} ada@10.0.0.1" in text
    assert not opened


def test_the_port_can_be_chosen(
    scene: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ended(monkeypatch)
    with PageServer({}) as free:
        port = free.server_address[1]
        assert main(["view", str(scene), "--no-open", "--port", str(port)]) == 2
        assert f"Port {port}" in capsys.readouterr().err
    assert main(["view", str(scene), "--no-open", "--port", str(port)]) == 0
    assert f"http://127.0.0.1:{port}/" in said(capsys)


@pytest.mark.parametrize("port", [-1, 70_000])
def test_a_port_that_is_none_is_a_sentence(scene: Path, port: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["view", str(scene), "--no-open", "--port", str(port)]) == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said


def test_a_folder_stands_for_the_one_thing_in_it(scene: Path, tmp_path: Path) -> None:
    assert scene_at(tmp_path) == scene
    result = tmp_path / "a_result"
    result.mkdir()
    (result / "metrics.json").write_text("{}")
    assert scene_at(result) == result
    with pytest.raises(BadInputError, match="a_result"):
        scene_at(tmp_path)
    scene.unlink()
    assert scene_at(tmp_path) == result


def test_what_holds_nothing_to_see_is_a_sentence(tmp_path: Path) -> None:
    for path, reason in ((tmp_path, "holds no result"), (tmp_path / "none.ply", "does not exist")):
        with pytest.raises(BadInputError, match=reason):
            scene_at(path)
    (tmp_path / "bad.ply").write_text("ply?")
    with pytest.raises(BadInputError, match=r"bad\.ply"):
        page_at(tmp_path / "bad.ply")


def test_a_compressed_file_is_served_as_it_is(tmp_path: Path) -> None:
    write_compressed_ply(tmp_path / "anything.ply", random_gaussians(5))
    page = page_at(tmp_path / "anything.ply")
    assert page.scene.read() == (tmp_path / "anything.ply").read_bytes()
    assert page.gaussians == 5
