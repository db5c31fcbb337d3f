"""A headless Chromium that shows the page and is asked for its pixels: how the page is measured and tested."""

import base64
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
import torch

from ..camera import Camera
from ..errors import BadInputError
from ..export.page import Asset, Page, PageCamera
from ..export.ply import write_ply
from ..gaussians import Gaussians
from ..lens import ThinLens
from ..serve.server import PageServer, answers_of
from ..shapes import Image

BROWSER_VARIABLE = "HYPERFOCAL_CHROMIUM"
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# No GPU and no traffic but the page's: the same pictures on every machine.
_FLAGS = (
    *("--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync"),
    *("--disable-component-update", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"),
    "--ignore-gpu-blocklist",
)
_WINDOW = {"width": 800, "height": 600}
_PATIENCE_MS = 300_000

_READY = "async () => { await hyperfocal.ready; await hyperfocal.settled(); return performance.now() / 1000; }"
_PICTURE = """async ([camera, lens, mode, light]) => {
  const { view } = hyperfocal;
  view.setCamera(camera); view.setLens(lens); view.setMode(mode); view.requestRender();
  const { width, height, rgba } = await (light ? view.readLight() : view.readPixels());
  const bytes = new Uint8Array(rgba.buffer);
  let text = "";
  for (let i = 0; i < bytes.length; i += 32768) text += String.fromCharCode(...bytes.subarray(i, i + 32768));
  return [width, height, btoa(text)];
}"""
_DEPTH = "([x, y]) => hyperfocal.view.depthAt(x, y)"
_LOAD = """async ([text, name]) => {
  await hyperfocal.view.load(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)), name);
}"""


def obstacle() -> str | None:
    """Return why no browser can be started here, with the remedy; None if one can."""
    try:
        import_module("playwright.sync_api")
    except ImportError:
        return "the Python package playwright, which drives the browser, is not installed: pip install playwright"
    if _chromium() is None:
        names = ", ".join(_BROWSERS)
        return f"there is no {names}: apt-get install chromium, or say where one is with {BROWSER_VARIABLE}=PATH"
    return None


@contextmanager
def browser() -> Iterator[Any]:
    """Start a browser that draws in software.

    Raises:
        BadInputError: there is none, or nothing to drive it with.
    """
    reason = obstacle()
    if reason is not None:
        raise BadInputError(f"The page cannot be measured here: {reason}.")
    with import_module("playwright.sync_api").sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=_chromium(), args=list(_FLAGS))
        try:
            yield chromium
        finally:
            chromium.close()


class Shown:
    """A page in a browser."""

    def __init__(self, tab: Any) -> None:
        self._tab = tab
        self.first_picture_s = float(tab.evaluate(_READY))
        """From the start of its loading to the first picture on the screen."""

    def picture(
        self,
        camera: Camera,
        lens: ThinLens | None = None,
        mode: Literal["color", "depth", "circle", "peaking"] = "color",
    ) -> Image:
        """Return the canvas, 0 to 1."""
        return torch.from_numpy(self._drawn(camera, lens, mode, np.uint8)[..., :3] / np.float32(255))

    def light(self, camera: Camera, lens: ThinLens | None = None) -> np.ndarray:
        """Return colour times coverage, and coverage, [h, w, 4], as they are before the canvas rounds them."""
        return self._drawn(camera, lens, "color", np.float32)

    def depth_at(self, x: float, y: float) -> float | None:
        """Return what a click at this pixel of the last picture focuses on."""
        depth = self._tab.evaluate(_DEPTH, [x, y])
        return None if depth is None else float(depth)

    def load(self, gaussians: Gaussians) -> None:
        """Show other Gaussians."""
        with TemporaryDirectory() as folder:
            write_ply(Path(folder) / "scene.ply", gaussians)
            content = (Path(folder) / "scene.ply").read_bytes()
        self._tab.evaluate(_LOAD, [base64.b64encode(content).decode("ascii"), "scene.ply"])

    def _drawn(self, camera: Camera, lens: ThinLens | None, mode: str, kind: type[np.generic]) -> np.ndarray:
        seen = {
            "worldToCamera": camera.world_to_camera.tolist(),
            "focalPx": camera.focal_px.tolist(),
            "centerPx": camera.center_px.tolist(),
            "width": camera.width,
            "height": camera.height,
        }
        through = {"apertureDiameter": 0.0, "focusDistance": 1.0}
        if lens is not None:
            through = {
                "apertureDiameter": float(lens.aperture_diameter),
                "focusDistance": float(lens.focus_distance),
            }
        width, height, text = self._tab.evaluate(_PICTURE, [seen, through, mode, kind is np.float32])
        return np.frombuffer(base64.b64decode(text), kind).reshape(height, width, 4)


@contextmanager
def shown(chromium: Any, gaussians: Gaussians, camera: Camera) -> Iterator[Shown]:
    """Serve the page with these Gaussians, as an uncompressed file, and open it."""
    with TemporaryDirectory() as folder:
        scene = Path(folder) / "scene.ply"
        write_ply(scene, gaussians)
        asset = Asset(scene.name, "application/octet-stream", scene)
        page = Page("bench", asset, len(gaussians), gaussians.color_space, (PageCamera("camera", camera),))
        with PageServer(answers_of(page)).in_background() as url:
            tab = chromium.new_page(viewport=_WINDOW)
            tab.set_default_timeout(_PATIENCE_MS)
            try:
                tab.goto(url, wait_until="domcontentloaded")  # the page's script has run
                yield Shown(tab)
            finally:
                tab.close()


def _chromium() -> str | None:
    given = os.environ.get(BROWSER_VARIABLE)
    return shutil.which(given) if given else next(filter(None, map(shutil.which, _BROWSERS)), None)
