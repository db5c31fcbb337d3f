"""Watching a fit in a browser of this machine: the page of `hyperfocal view`, which shows the scene anew now and then.

    with open_live_view() as live:
        print(live.url)
        for step in watched(fit(photographs, gaussians, config), live, cameras=cameras):
            ...

The page asks for live.json when it wants another state, and for step.json when it only wants to say how far the fit is.
States are made by the thread of the fit, between two steps: none while nobody asks, so few that the fit keeps its time.
The page does the same on its side (viewer/src/live.ts): the longer a picture took, the later it asks for the next.
"""

import json
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property

from ..errors import BadInputError
from ..export.compressed_ply import compressed_ply
from ..export.page import COMPRESSED_SCENE, Asset, Page, PageCamera, manifest_json
from ..fit import Step
from ..gaussians import Gaussians
from ..serve.server import Answer, PageServer, answers_of

PORT = 8080
SHARE = 0.02  # of the fit's time, at most, that goes into showing it
LEAST_S = 2.0  # between two states
MOST_SHOWN = 100_000  # Gaussians; a browser gets up to 62 bytes of each
PRESENT_S = 15.0  # after the last word of a page: it asks at least every 5 s
FAREWELL_S = 6.0  # at most, in which a page that watches may hear of the end and fetch the last state
_JSON = "application/json"


@dataclass(frozen=True)
class _State:
    """What the page is told; replaced as a whole, so that no thread sees half of it."""

    version: int = 0
    """Of the scene; 0 is none yet."""
    scene: bytes = b""
    step: int = 0
    steps: int = 0
    finished: bool = False


class LiveView:
    """A page on which a scene can be watched while it is fitted."""

    def __init__(self, *, title: str = "") -> None:
        scene = Asset(COMPRESSED_SCENE, "application/octet-stream", lambda: self._hand_over())
        self._page = Page(title, scene, 0, live=True)
        self._state = _State()
        self._asked = threading.Event()  # for a state later than the present one
        self._parted = threading.Event()  # a page has all there was to show
        self._handed = 0  # version of the scene that a page got last
        self._heard: float | None = None  # when a page last said anything
        self._since = time.perf_counter()
        self._due = 0.0
        self.spent_s = 0.0
        """In showing the present fit, as far as it had to wait for it."""
        self.url = ""
        """Where the page is."""

    @cached_property
    def answers(self) -> dict[str, Answer]:
        """Return what stands where on its server; every one may be asked for from any thread."""
        made = {
            "manifest.json": lambda: manifest_json(self._page),
            "live.json": lambda: self._tell(wants_more=True),
            "step.json": lambda: self._tell(wants_more=False),
        }
        files = {f"/{name}": Answer(Asset(name, _JSON, content)) for name, content in made.items()}
        return {**answers_of(self._page), **files}

    def begin(self, cameras: Sequence[PageCamera] = (), up: tuple[float, float, float] | None = None) -> None:
        """A fit begins: pages that come look from the first of the cameras."""
        self._page = replace(self._page, cameras=tuple(cameras), up=up)
        self._since, self._due, self.spent_s = time.perf_counter(), 0.0, 0.0

    def update(self, step: Step) -> None:
        """Show the scene after a step, if somebody asks and it is time."""
        self._state = replace(self._state, step=step.index + 1, steps=step.steps)
        if not self._asked.is_set():
            return
        began = time.perf_counter()
        if began < self._due:
            return
        self._asked.clear()
        self.show(step.gaussians())
        self.spent_s += time.perf_counter() - began
        # Of all the time so far: a first state that took long is paid for before the second.
        self._due = max(began + LEAST_S, self._since + self.spent_s / SHARE)

    def show(self, gaussians: Gaussians) -> None:
        """Make the scene that pages get from now on."""
        if len(gaussians) > MOST_SHOWN:
            seen = gaussians.opacities * gaussians.scales.amax(1)
            gaussians = gaussians.select(seen.topk(MOST_SHOWN).indices)
        scene = compressed_ply(gaussians)
        self._page = replace(self._page, gaussians=len(gaussians), color_space=gaussians.color_space)
        self._state = replace(self._state, version=self._state.version + 1, scene=scene)

    def end(self, last: Step) -> None:
        """A fit has ended: show its last step, if a page is there. The fit waits for nothing any more."""
        if self._is_watched():
            self.show(last.gaussians())

    def finish(self) -> None:
        """All is done: tell pages that watch, and give them a moment to fetch the last state."""
        self._state = replace(self._state, finished=True)
        if self._is_watched() and self._parted.wait(FAREWELL_S):
            time.sleep(0.2)  # until the last byte is on its way

    def _is_watched(self) -> bool:
        heard = self._heard
        return heard is not None and time.perf_counter() - heard < PRESENT_S

    def _tell(self, *, wants_more: bool) -> bytes:
        self._heard = time.perf_counter()
        if wants_more:
            self._asked.set()
        state = self._state
        if state.finished and self._handed == state.version:
            self._parted.set()
        told = {"version": state.version, "step": state.step, "steps": state.steps, "finished": state.finished}
        return json.dumps(told).encode("ascii")

    def _hand_over(self) -> bytes:
        state = self._state
        if state.version == 0:
            raise BadInputError("There is no scene to show yet: the fit has not begun. Ask again when it has.")
        self._handed = state.version
        if state.finished:
            self._parted.set()
        return state.scene


@contextmanager
def open_live_view(port: int = PORT, *, title: str = "") -> Iterator[LiveView]:
    """Yield a page for this machine only; if its port is taken, it gets one that is free."""
    live = LiveView(title=title)
    answers = live.answers
    try:
        server = PageServer(answers, port=port)
    except BadInputError:
        server = PageServer(answers)
    with server.in_background() as live.url:
        yield live
        live.finish()


def watched(
    steps: Iterable[Step],
    live: LiveView | None,
    *,
    cameras: Sequence[PageCamera] = (),
    up: tuple[float, float, float] | None = None,
) -> Iterator[Step]:
    """Yield the steps of a fit as they come, and show them first; None shows nobody anything.

    Args:
        steps: What `fit` returns.
        live: Where they are shown.
        cameras: To look from; pages begin at the first.
        up: Of the scene, if known.
    """
    if live is None:
        yield from steps
        return
    live.begin(cameras, up)
    step = None
    for step in steps:
        live.update(step)
        yield step
    if step is not None:
        live.end(step)
