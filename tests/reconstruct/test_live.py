"""Watching a fit: what is sent, how seldom, and that it changes nothing."""

import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from hyperfocal.errors import MissingExtraError
from hyperfocal.fit import FitConfig, McmcConfig, Step, fit
from hyperfocal.reconstruct import live as live_module
from hyperfocal.reconstruct.live import LiveView, open_live_view, watched
from hyperfocal.render import render
from hyperfocal.scene import Photograph
from scenes import pinhole, random_gaussians, ring_of_cameras


class Server:
    """viser as far as it is used, without a network."""

    def __init__(self, watchers: int = 1) -> None:
        self.watchers = watchers
        self.sent: list[tuple[np.ndarray, ...]] = []
        self.scene = self
        self.initial_camera = SimpleNamespace()

    def get_clients(self) -> dict[int, None]:
        return dict.fromkeys(range(self.watchers))

    def get_port(self) -> int:
        return 8080

    def set_up_direction(self, direction: tuple[float, ...]) -> None:
        self.up = direction

    def add_gaussian_splats(self, name: str, *values: np.ndarray) -> "Server":
        self.sent.append(values)
        return self

    def set_gaussians(self, *values: np.ndarray) -> None:
        self.sent.append(values)


def steps(count: int = 12) -> Iterator[Step]:
    truth, cameras = random_gaussians(80, sh_degree=0), ring_of_cameras(3)
    valid = torch.ones(30, 40, dtype=torch.bool)
    pictures = [render(truth, cameras[i]).color.clamp(0, 1) for i in range(3)]
    photographs = tuple(Photograph(f"{i}.png", picture, valid, cameras[i]) for i, picture in enumerate(pictures))
    config = FitConfig(steps=count, sh_degree=0, densify=McmcConfig(cap=100))
    return fit(photographs, random_gaussians(60, seed=1, sh_degree=0), config)


def course(live: LiveView | None, **more: Any) -> list[tuple[float, torch.Tensor]]:
    return [(step.loss, step.gaussians().means.clone()) for step in watched(steps(), live, **more)]


def test_watching_changes_no_bit_of_the_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_module, "LEAST_S", 0.0)
    monkeypatch.setattr(live_module, "SHARE", 1e9)
    server = Server()
    seen = course(LiveView(server), camera=pinhole(), up=(0.0, -1.0, 0.0))
    unseen = course(None)
    assert [loss for loss, _ in seen] == [loss for loss, _ in unseen]
    assert all(torch.equal(a, b) for (_, a), (_, b) in zip(seen, unseen, strict=True))
    assert len(server.sent) == 12


def test_nothing_is_sent_while_nobody_watches() -> None:
    server = Server(watchers=0)
    live = LiveView(server)
    course(live)
    assert not server.sent
    assert live.spent_s == 0


def test_showing_takes_no_more_than_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(live_module.time, "perf_counter", lambda: now[0])

    def slow(*_: object) -> None:
        now[0] += 0.5

    live = LiveView(Server())
    monkeypatch.setattr(live, "_show", slow)
    step = replace(next(steps()), gaussians=lambda: random_gaussians(1), index=0, steps=10**9)
    began = now[0]
    for _ in range(200_000):
        live.update(step)
        now[0] += 0.01
    assert live.spent_s > 0
    assert live.spent_s / (now[0] - began) <= 1.1 * live_module.SHARE


def test_what_is_sent_is_what_the_scene_holds() -> None:
    server = Server()
    live = LiveView(server)
    (g,) = (step.gaussians() for step in watched(steps(1), live))
    means, covariances, colors, opacities = server.sent[-1]
    np.testing.assert_array_equal(means, g.means.numpy())
    np.testing.assert_allclose(covariances, g.covariances().numpy())
    np.testing.assert_allclose(colors, (g.sh[:, 0] * 0.28209479 + 0.5).clamp(0, 1), atol=1e-6)
    assert opacities.shape == (len(g), 1)


def test_of_many_gaussians_the_most_visible_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_module, "MOST_SHOWN", 10)
    server = Server()
    g = random_gaussians(50)
    LiveView(server)._show(g)
    seen = g.opacities * g.scales.amax(1)
    assert sorted(server.sent[0][3][:, 0].tolist()) == sorted(g.opacities[seen.topk(10).indices].tolist())


def test_browsers_begin_where_a_photograph_was_taken() -> None:
    server = Server()
    camera = ring_of_cameras(3)[0]
    LiveView(server).look_from(camera, (0.0, -1.0, 0.0), 4.0)
    first = server.initial_camera
    np.testing.assert_allclose(first.position, camera.centers().numpy(), atol=1e-5)
    np.testing.assert_allclose(first.look_at, (0, 0, 0), atol=0.3)  # the ring looks at the origin, from about 4 away
    assert server.up == (0, -1, 0)
    assert first.fov == pytest.approx(2 * np.arctan(15 / float(camera.focal_px[1])))


def test_viser_serves_this_machine_only_and_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    viser = pytest.importorskip("viser", reason="viser is not installed: pip install 'hyperfocal[view]'")
    from urllib.request import urlopen

    assert viser
    with open_live_view() as live:
        assert live.url.startswith("http://127.0.0.1:")
        with urlopen(live.url, timeout=20) as answer:
            assert b"<html" in answer.read().lower()
        live._show(random_gaussians(20))
        live._show(random_gaussians(30))
        time.sleep(0.1)
        assert live._shown.buffer.shape == (30, 8)
    assert capsys.readouterr().out == ""


def test_without_viser_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "viser", None)
    with pytest.raises(MissingExtraError, match=r"hyperfocal\[view\]"), open_live_view():
        pass
