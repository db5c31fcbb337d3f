"""The page that follows a fit, in a browser: what it says, what changes and what stays."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from page_scene import cameras
from page_viewer import Viewer

from hyperfocal.export.page import PageCamera
from hyperfocal.fit import Step
from hyperfocal.gaussians import Gaussians
from hyperfocal.reconstruct import live as live_module
from hyperfocal.reconstruct.live import open_live_view, watched

STEPS = 1200
STEP = "document.querySelector('.step')?.textContent"


class ByHand:
    """A fit whose steps are taken when a test says so."""

    def __init__(self, gaussians: Gaussians) -> None:
        self.gaussians, self.may_go, self.is_over = gaussians, threading.Event(), False

    def steps(self) -> Iterator[Step]:
        self.may_go.wait(60)
        taken = 0
        while not self.is_over:
            taken = min(taken + 1, STEPS - 1)
            yield self._step(taken)
            time.sleep(0.02)
        yield self._step(STEPS)

    def _step(self, taken: int) -> Step:
        shown = self.gaussians

        def never() -> Any:
            raise AssertionError("nobody saves it")

        return Step(taken - 1, STEPS, "0.jpg", {}, len(shown), 0.0, 0.0, lambda: shown, never)


def changed(viewer: Viewer, before: np.ndarray) -> None:
    """Wait until the picture is another one."""
    end = time.monotonic() + 60
    while np.abs(viewer.window() - before).mean() < 0.05:
        assert time.monotonic() < end, "the picture has stayed the same"
        time.sleep(0.1)


def test_the_page_follows_a_fit(
    chromium: Any, page_file: bytes, toy_gaussians: Gaussians, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert page_file
    monkeypatch.setattr(live_module, "SHARE", 0.5)
    places = tuple(PageCamera(f"{i}.jpg", camera) for i, camera in enumerate(cameras()))
    by_hand = ByHand(toy_gaussians)
    with open_live_view(port=0, title="toy") as live:
        fit = threading.Thread(
            target=lambda: list(watched(by_hand.steps(), live, cameras=places, up=(0.0, -1.0, 0.0))), daemon=True
        )
        fit.start()
        viewer = Viewer(chromium, live.url)
        # A drawing in software takes long, and the page would rest 40 times as long: its clock goes faster here.
        viewer.wait("document.querySelector('.card')?.textContent === 'Waiting for the fit to begin'")
        viewer.page.evaluate(
            "() => { const now = setTimeout; window.setTimeout = (f, ms) => now(f, Math.min(ms, 200)); }"
        )
        by_hand.may_go.set()
        viewer.ready()
        viewer.wait(f"/^Step [0-9,]+ of 1,200$/.test({STEP})")
        assert viewer.get("state.values.photograph") == 0
        assert viewer.page.locator("h1").inner_text() == "toy"

        camera = viewer.get("state.values.camera")
        camera["worldToCamera"][0][3] += 0.2
        viewer.page.evaluate("camera => hyperfocal.state.move(camera)", camera)
        viewer.set(fNumber=4, mode="peaking")
        viewer.set(mode="color")
        before, kept = viewer.window(), viewer.get("state.values")
        by_hand.gaussians = replace(toy_gaussians, sh=-toy_gaussians.sh)
        viewer.page.evaluate(
            "() => { const now = performance.now.bind(performance); performance.now = () => now() + 1e7; }"
        )
        changed(viewer, before)
        assert viewer.get("state.values") == kept

        negative = viewer.window()
        by_hand.gaussians = toy_gaussians
        by_hand.is_over = True
        fit.join()
        viewer.wait(f"{STEP}.startsWith('Step 1,200 of 1,200')")
        farewell = threading.Thread(target=live.finish)
        farewell.start()
        viewer.wait(f"{STEP} === 'The fit is finished'")
        farewell.join()
        changed(viewer, negative)  # the last state is fetched though it is not yet time
        np.testing.assert_allclose(viewer.window(), before, atol=2 / 255)
        assert (viewer.said, viewer.foreign) == ([], [])
        viewer.close()


def test_the_page_says_that_a_fit_is_gone(chromium: Any, page_file: bytes, toy_gaussians: Gaussians) -> None:
    assert page_file
    viewer: Viewer | None = None
    with pytest.raises(KeyboardInterrupt), open_live_view(port=0) as live:
        live.begin()
        live.show(toy_gaussians)
        viewer = Viewer(chromium, live.url).ready()
        raise KeyboardInterrupt
    assert viewer is not None
    viewer.wait(f"{STEP} === 'The fit has stopped: it does not answer any more'")
    # The browser's own word, at most once: nobody is there, or whoever was there went in the middle of an answer.
    own = [f"Failed to load resource: net::ERR_CONNECTION_{how}" for how in ("REFUSED", "RESET")]
    assert viewer.said == [] or viewer.said in [[word] for word in own]
    viewer.close()
