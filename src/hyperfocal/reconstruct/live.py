"""Watching a fit in a browser of this machine, by the package viser of the extra `view`.

    with open_live_view() as live:
        print(live.url)
        for step in watched(fit(photographs, gaussians, config), live, camera=photographs[0].camera):
            ...

Nothing is sent while nobody watches. While somebody does, the pictures come as rarely as it takes to leave the fit its
time: colours are those of degree 0, and of many Gaussians the most visible are shown.
"""

import io
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

import torch

from ..camera import Camera
from ..color import displayed
from ..errors import missing_extra
from ..fit import Step
from ..gaussians import Gaussians
from ..sh import color_from_dc
from ..transforms import apply_rigid, invert_rigid

LOOPBACK = "127.0.0.1"
SHARE = 0.02  # of the fit's time, at most, that goes into showing it
LEAST_S = 2.0  # between two pictures
MOST_SHOWN = 100_000  # Gaussians; a browser gets 32 bytes of each
_LARGEST = 6e4  # variance; the browser gets 16-bit floats


class LiveView:
    """A page on which a scene can be watched while it is fitted."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self._shown: Any = None
        self._since = time.perf_counter()
        self._due = 0.0
        self.spent_s = 0.0
        """In showing, as far as the fit had to wait for it."""

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{LOOPBACK}:{self._server.get_port()}/"

    def look_from(self, camera: Camera, up: tuple[float, float, float] | None, depth: float) -> None:
        """Let browsers that come begin at a camera and turn about what is `depth` before it."""
        to_world = invert_rigid(camera.world_to_camera.double())
        _, down, forward, center = to_world[:3].T
        above = -down if up is None else torch.tensor(up)
        self._server.scene.set_up_direction(tuple(above.tolist()))
        first = self._server.initial_camera
        first.position = tuple(center.tolist())
        first.look_at = tuple((center + depth * forward).tolist())
        first.up = tuple(above.tolist())
        first.fov = 2 * float(torch.atan(camera.height / 2 / camera.focal_px[1]))

    def update(self, step: Step) -> None:
        """Show the scene after a step, if somebody watches and it is time."""
        began = time.perf_counter()
        if began < self._due or not self._server.get_clients():
            return
        self._show(step.gaussians())
        self.spent_s += time.perf_counter() - began
        # Of all the time so far: a first picture that took long is paid for before the second.
        self._due = max(began + LEAST_S, self._since + self.spent_s / SHARE)

    def _show(self, gaussians: Gaussians) -> None:
        if len(gaussians) > MOST_SHOWN:
            seen = gaussians.opacities * gaussians.scales.amax(1)
            gaussians = gaussians.select(seen.topk(MOST_SHOWN).indices)
        colors = displayed(color_from_dc(gaussians.sh[:, 0]).clamp(0, 1), gaussians.color_space)
        values = (
            gaussians.means.numpy(),
            gaussians.covariances().clamp(-_LARGEST, _LARGEST).numpy(),
            colors.numpy(),
            gaussians.opacities.unsqueeze(1).numpy(),
        )
        if self._shown is None:
            self._shown = self._server.scene.add_gaussian_splats("/scene", *values)
        else:
            self._shown.set_gaussians(*values)


@contextmanager
def open_live_view(port: int = 8080) -> Iterator[LiveView]:
    """Yield a page for this machine only; if its port is taken, the next that is free is.

    Raises:
        MissingExtraError: viser is not installed.
    """
    try:
        import viser  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise missing_extra("viser", "view") from error
    with redirect_stdout(io.StringIO()):  # it announces itself whatever it is told
        server = viser.ViserServer(host=LOOPBACK, port=port, label="hyperfocal", verbose=False)
    try:
        yield LiveView(server)
    finally:
        with redirect_stdout(io.StringIO()):
            server.stop()


def watched(
    steps: Iterable[Step],
    live: LiveView | None,
    *,
    camera: Camera | None = None,
    up: tuple[float, float, float] | None = None,
) -> Iterator[Step]:
    """Yield the steps of a fit as they come, and show them first; None shows nobody anything.

    Args:
        steps: What `fit` returns.
        live: Where they are shown.
        camera: From which browsers begin to look.
        up: Of the scene, if known.
    """
    for step in steps:
        if live is not None:
            if camera is not None:
                depths = apply_rigid(camera.world_to_camera, step.gaussians().means)[..., 2]
                live.look_from(camera, up, float(depths.median().clamp_min(1e-3)))
                camera = None  # once
            live.update(step)
        yield step
