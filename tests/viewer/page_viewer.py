"""The page in a browser, as tests use it."""

import base64
import json
import time
from typing import Any

import numpy as np

SIZE = {"width": 720, "height": 480}  # wide enough for the layout of a desktop
_READ_PIXELS = """async () => {
  await window.hyperfocal.settled();
  const {width, height, rgba} = await window.hyperfocal.view.readPixels();
  let text = "";
  for (let i = 0; i < rgba.length; i += 32768) text += String.fromCharCode(...rgba.subarray(i, i + 32768));
  return [width, height, btoa(text)];
}"""
_START_OVER = """() => {
  const {state, path} = window.hyperfocal;
  path.path = {keyframes: [], closed: false, seconds: 0};
  path.element.hidden = true;
  path.show();
  document.body.classList.remove("with-path");
  state.goTo(0);
  state.set({fNumber: Infinity, focusDistance: 3, sensorMm: 36, mode: "color", compare: "off", split: 0.5});
}"""


class Viewer:
    """The page, opened, with what tests ask of it."""

    def __init__(self, browser: Any, url: str, **context: Any) -> None:
        self.context = browser.new_context(viewport=SIZE, color_scheme="dark", **context)
        self.page = self.context.new_page()
        self.said: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(url)

    @property
    def foreign(self) -> list[str]:
        """What was asked of anybody but the page's own server, or its file."""
        own = (self.page.evaluate("location.protocol === 'file:' ? 'file:' : location.origin"), "blob:", "data:")
        return [url for url in self.requests if not url.startswith(own)]

    def ready(self) -> "Viewer":
        """Wait for the first picture."""
        self.page.evaluate("window.hyperfocal.ready.then(() => null)")
        return self

    def set(self, **values: Any) -> None:
        """Set values of the state; None is infinity."""
        text = ", ".join(f"{k}: {'Infinity' if v is None else json.dumps(v)}" for k, v in values.items())
        self.page.evaluate(f"window.hyperfocal.state.set({{{text}}})")
        self.settle()

    def get(self, expression: str) -> Any:
        """Return what an expression of `window.hyperfocal` is."""
        return self.page.evaluate(f"window.hyperfocal.{expression}")

    def wait(self, condition: str) -> None:
        """Wait until an expression is true. (`wait_for_function` evaluates a text, which the page's policy forbids.)"""
        end = time.monotonic() + 20
        while not self.page.evaluate(condition):
            assert time.monotonic() < end, f"never true: {condition}"
            time.sleep(0.05)

    def settle(self) -> None:
        """Wait until the picture is that of the latest state."""
        self.page.evaluate("window.hyperfocal.settled()")

    def canvas(self) -> np.ndarray:
        """The canvas's bytes, red, green and blue."""
        width, height, text = self.page.evaluate(_READ_PIXELS)
        return np.frombuffer(base64.b64decode(text), np.uint8).reshape(height, width, 4)[..., :3]

    def window(self) -> np.ndarray:
        """The canvas, 0 to 1."""
        return self.canvas() / 255

    def picture(self) -> np.ndarray:
        """The frame, which holds what the photograph holds, cut out of the canvas."""
        whole = self.window()
        box = self.page.locator(".frame").evaluate("e => [e.style.left, e.style.top, e.style.width, e.style.height]")
        left, top, w, h = (round(float(side.removesuffix("px"))) for side in box)
        return whole[top : top + h, left : left + w]

    def start_over(self) -> None:
        """Go to the first camera, with a pinhole and an empty path."""
        self.page.evaluate(_START_OVER)
        self.settle()

    def close(self) -> None:
        """Close the page."""
        self.context.close()
