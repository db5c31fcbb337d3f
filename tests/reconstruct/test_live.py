"""Watching a fit: what is made, how seldom, who gets it, and that it changes nothing."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
import torch

from hyperfocal.export import read_ply
from hyperfocal.export.page import PageCamera
from hyperfocal.fit import FitConfig, McmcConfig, Step, fit
from hyperfocal.gaussians import Gaussians
from hyperfocal.reconstruct import live as live_module
from hyperfocal.reconstruct.live import LiveView, open_live_view, watched
from hyperfocal.render import render
from hyperfocal.scene import Photograph
from scenes import pinhole, random_gaussians, ring_of_cameras


def steps(count: int = 12) -> Iterator[Step]:
    truth, cameras = random_gaussians(80, sh_degree=0), ring_of_cameras(3)
    valid = torch.ones(30, 40, dtype=torch.bool)
    pictures = [render(truth, cameras[i]).color.clamp(0, 1) for i in range(3)]
    photographs = tuple(Photograph(f"{i}.png", picture, valid, cameras[i]) for i, picture in enumerate(pictures))
    config = FitConfig(steps=count, sh_degree=0, densify=McmcConfig(cap=100))
    return fit(photographs, random_gaussians(60, seed=1, sh_degree=0), config)


def course(live: LiveView | None, *, asks: bool = False) -> list[tuple[float, torch.Tensor]]:
    """The course of a fit; `asks`: before every step somebody wants to see another state."""
    found = []
    if asks:
        told(live, "live.json")
    for step in watched(steps(), live):
        found.append((step.loss, step.gaussians().means.clone()))
        if asks:
            told(live, "live.json")
    return found


def told(live: LiveView, name: str) -> dict[str, Any]:
    """What the server of a live view says, without a network."""
    return json.loads(live.answers[f"/{name}"].asset.read())


def scene(live: LiveView) -> bytes:
    return live.answers["/scene.compressed.ply"].asset.read()


@contextmanager
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    now = [100.0]
    monkeypatch.setattr(live_module.time, "perf_counter", lambda: now[0])
    yield now


def test_watching_changes_no_bit_of_the_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_module, "LEAST_S", 0.0)
    monkeypatch.setattr(live_module, "SHARE", 1e9)
    live = LiveView()
    seen, unseen = course(live, asks=True), course(None)
    assert [loss for loss, _ in seen] == [loss for loss, _ in unseen]
    assert all(torch.equal(a, b) for (_, a), (_, b) in zip(seen, unseen, strict=True))
    assert told(live, "step.json")["version"] == 13  # and the last one once more, when the fit has ended


def test_nothing_is_made_while_nobody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> bytes:
        raise AssertionError("nobody asked")

    monkeypatch.setattr(live_module, "compressed_ply", never)
    live = LiveView()
    course(live)
    assert live.spent_s == 0
    assert told(live, "step.json") == {"version": 0, "step": 12, "steps": 12, "finished": False}


def test_one_state_is_made_for_one_question(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_module, "LEAST_S", 0.0)
    monkeypatch.setattr(live_module, "SHARE", 1e9)
    live = LiveView()
    made = []
    for step in watched(steps(), live):
        if step.index == 3:
            told(live, "live.json")
        told(live, "step.json")  # only wants to know how far it is
        made.append(told(live, "step.json")["version"])
    assert made == [0] * 4 + [1] * 8


def test_showing_takes_no_more_than_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    with clock(monkeypatch) as now:
        live = LiveView()

        def slow(_: Gaussians) -> None:
            now[0] += 0.5

        monkeypatch.setattr(live, "show", slow)
        step = replace(next(steps()), gaussians=lambda: random_gaussians(1), index=0, steps=10**9)
        now[0] += 1000  # finding the cameras, which saves up nothing
        live.begin()
        began, shares = now[0], []
        for _ in range(30_000):
            told(live, "live.json")
            before = live.spent_s
            live.update(step)
            if live.spent_s > before:
                shares.append(live.spent_s / (now[0] - began))
            now[0] += 0.01
    assert len(shares) > 10
    assert live.spent_s / (now[0] - began) <= 1.1 * live_module.SHARE
    assert all(share <= 2.1 * live_module.SHARE for share in shares[1:])  # each is paid for before the next


def test_what_is_shown_is_the_state_after_the_step() -> None:
    live = LiveView()
    told(live, "live.json")
    (g,) = (step.gaussians() for step in watched(steps(1), live))
    assert scene(live) == live_module.compressed_ply(g)
    assert told(live, "manifest.json")["gaussians"] == len(g)


def test_of_many_gaussians_the_most_visible_are_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(live_module, "MOST_SHOWN", 10)
    live, g = LiveView(), random_gaussians(50)
    live.show(g)
    (tmp_path / "scene.ply").write_bytes(scene(live))
    expected = g.opacities[(g.opacities * g.scales.amax(1)).topk(10).indices].sort().values
    shown = read_ply(tmp_path / "scene.ply").opacities.sort().values
    torch.testing.assert_close(shown, expected, atol=1 / 255, rtol=0)


def test_pages_begin_where_the_first_photograph_was_taken() -> None:
    live, camera = LiveView(title="toy"), ring_of_cameras(3)[0]
    assert told(live, "manifest.json")["cameras"] == []
    live.begin((PageCamera("0.png", camera), PageCamera("1.png", pinhole())), (0.0, -1.0, 0.0))
    manifest = told(live, "manifest.json")
    assert (manifest["live"], manifest["title"], manifest["up"]) == (True, "toy", [0, -1, 0])
    assert [row["name"] for row in manifest["cameras"]] == ["0.png", "1.png"]
    torch.testing.assert_close(torch.tensor(manifest["cameras"][0]["world_to_camera"]), camera.world_to_camera)


def test_it_is_served_to_this_machine_only_and_to_no_other_page() -> None:
    with open_live_view() as live:
        assert live.url.startswith("http://127.0.0.1:")
        with urlopen(live.url, timeout=20) as answer:
            assert b'"live": true' in answer.read()
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        with pytest.raises(HTTPError, match="404"):  # nothing yet
            urlopen(f"{live.url}scene.compressed.ply", timeout=20)
        elsewhere = Request(f"{live.url}live.json", headers={"Origin": "https://example.org"})
        with pytest.raises(HTTPError, match="403"):
            urlopen(elsewhere, timeout=20)
        assert not live._asked.is_set()  # nor can it make the fit work
        live.show(random_gaussians(20))
        with urlopen(f"{live.url}scene.compressed.ply", timeout=20) as answer:
            assert answer.read() == scene(live)


def test_two_fits_can_be_watched_at_a_time() -> None:
    with open_live_view(port=0) as first:
        port = int(first.url.split(":")[-1].strip("/"))
        with open_live_view(port=port) as second:
            assert second.url != first.url


def test_the_end_waits_for_pages_that_watch_and_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_module, "FAREWELL_S", 1e4)
    with open_live_view():
        pass  # nobody was there
    heard: list[dict[str, Any]] = []
    with open_live_view(port=0) as live:
        url = live.url

        def page() -> None:
            while not (heard and heard[-1]["finished"]):
                with urlopen(f"{url}step.json", timeout=20) as answer:
                    heard.append(json.load(answer))
            urlopen(f"{url}scene.compressed.ply", timeout=20).close()

        watching = threading.Thread(target=page)
        for step in watched(steps(), live):
            if step.index == 0:
                watching.start()
                while not heard:
                    threading.Event().wait(0.01)
    watching.join()
    assert heard[-1] == {"version": 1, "step": 12, "steps": 12, "finished": True}


def test_a_fit_that_fails_waits_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_module, "FAREWELL_S", 1e4)
    with pytest.raises(KeyboardInterrupt), open_live_view(port=0) as live:
        told(live, "live.json")
        raise KeyboardInterrupt
