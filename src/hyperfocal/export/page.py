"""One HTML file that shows Gaussians in a browser: the page of viewer/, built, with what it shows filled in.

A page is served beside its files (`hyperfocal.serve`), or written with all of them inside (`write_page`): such a file
opens from disk and asks nobody for anything. What it shows is told in a manifest, which viewer/src/manifest.ts reads.
"""

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, BinaryIO

from ..camera import Camera
from ..color import ColorSpace
from ..errors import HyperfocalError
from ..files import read_bytes, replacing
from ..gaussians import Gaussians
from .compressed_ply import compressed_ply

COMPRESSED_SCENE = "scene.compressed.ply"
MANIFEST_ID = "hyperfocal-manifest"
_MARKER = b"<!--hyperfocal-data-->"
_SCRIPT = re.compile(rb"<script\b[^>]*>(.*?)</script\s*>", re.DOTALL | re.IGNORECASE)
_PIECE = 3 * 2**18  # bytes encoded at a time; a multiple of 3, so that no padding stands within


@dataclass(frozen=True)
class Asset:
    """A file of a page."""

    url: str
    """Relative to the page."""
    type: str
    """Of its content, as HTTP names it."""
    content: bytes | Path | Callable[[], bytes]
    """Itself, where it is, or what makes it when it is asked for."""

    def read(self) -> bytes:
        """Return the content.

        Raises:
            BadInputError: it cannot be read or made.
        """
        if isinstance(self.content, Path):
            return read_bytes(self.content)
        return self.content if isinstance(self.content, bytes) else self.content()


@dataclass(frozen=True)
class PageCamera:
    """A camera to look from."""

    name: str
    camera: Camera
    held_out: bool = False
    """Its photograph was not fitted."""
    photograph: Asset | None = None
    """What it saw: an undistorted JPEG of the camera's shape, at any size."""
    lens: Mapping[str, Any] | None = None
    """How the photograph was taken, as `lens.json` says it."""


@dataclass(frozen=True)
class Page:
    """What a page shows."""

    title: str
    scene: Asset
    """The Gaussians, as a PLY file, compressed or not."""
    gaussians: int
    color_space: ColorSpace = "srgb"
    cameras: tuple[PageCamera, ...] = field(default_factory=tuple)
    """Without any, the page finds a place from which to look."""
    metres_per_unit: float | None = None
    up: tuple[float, float, float] | None = None
    live: bool = False
    """The scene is being fitted: the page waits for it and follows it (`hyperfocal.reconstruct.live`)."""

    def assets(self) -> Iterator[Asset]:
        """Yield every file of the page."""
        yield self.scene
        yield from (camera.photograph for camera in self.cameras if camera.photograph is not None)

    def manifest(self, reference: Callable[[Asset], Mapping[str, str]]) -> dict[str, Any]:
        """Return what the page is told; `reference` says how it gets an asset."""
        return {
            "hyperfocal_page": 1,
            "title": self.title,
            "metres_per_unit": self.metres_per_unit,
            "up": self.up,
            "color_space": self.color_space,
            "scene": reference(self.scene),
            "scene_name": self.scene.url,
            "gaussians": self.gaussians,
            "background": [0, 0, 0],
            "sensor_width_mm": 36,
            "cameras": [_camera_row(camera, reference) for camera in self.cameras],
            "live": self.live,
        }


def page_of(gaussians: Gaussians, *, title: str) -> Page:
    """Return the page that shows Gaussians and nothing else."""
    scene = Asset(COMPRESSED_SCENE, "application/octet-stream", compressed_ply(gaussians))
    return Page(title, scene, len(gaussians), gaussians.color_space)


def write_page(path: Path | str, shown: Page | Gaussians) -> None:
    """Write a page with everything it shows into one HTML file, whole or not at all.

    Raises:
        BadInputError: the file cannot be written, or something it shows cannot be read.
        HyperfocalError: the page is not part of this installation.
    """
    path = Path(path)
    page = page_of(shown, title=path.stem) if isinstance(shown, Gaussians) else shown
    head, tail = _halves()
    names: dict[int, str] = {}  # of assets, by identity: their content may be large

    def embedded(asset: Asset) -> Mapping[str, str]:
        packed = {} if _is_packed(asset) else {"encoding": "gzip"}
        return {"embedded": names.setdefault(id(asset), f"asset-{len(names)}"), "type": asset.type, **packed}

    manifest = page.manifest(embedded)
    policy = f'<meta http-equiv="Content-Security-Policy" content="{content_security_policy(None)}">'
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write(head + policy.encode("ascii") + _manifest_element(manifest))
        for asset in page.assets():
            file.write(f'<script type="text/plain" id="{names[id(asset)]}">'.encode("ascii"))
            content = asset.read()
            _write_base64(file, content if _is_packed(asset) else gzip.compress(content, 6, mtime=0))
            file.write(b"</script>\n")
        file.write(tail)


def served_html(page: Page) -> bytes:
    """Return the page that gets its files from beside itself.

    Raises:
        HyperfocalError: the page is not part of this installation.
    """
    head, tail = _halves()
    return head + _manifest_element(page.manifest(_beside)) + tail


def manifest_json(page: Page) -> bytes:
    """Return the manifest of a page that gets its files from beside itself, as a file of its own."""
    return json.dumps(page.manifest(_beside), allow_nan=False).encode("ascii")


def content_security_policy(origin: str | None = "'self'") -> str:
    """Return what a browser may let the page do: run its own scripts, and ask nobody but `origin` (None: nobody).

    Scripts are named by their hashes, so nothing that a manifest or a file could smuggle in would run.
    """
    scripts = (hashlib.sha256(script).digest() for script in _SCRIPT.findall(bundle()))
    hashes = " ".join(f"'sha256-{base64.b64encode(digest).decode('ascii')}'" for digest in scripts)
    own = "" if origin is None else f"{origin} "
    return (
        f"default-src 'none'; script-src {hashes} 'wasm-unsafe-eval'; worker-src blob:; img-src {own}blob: data:; "
        f"connect-src {own}blob: data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    )


def bundle() -> bytes:
    """Return the built page, without anything to show.

    Raises:
        HyperfocalError: it is not part of this installation.
    """
    try:
        return resources.files("hyperfocal.export").joinpath("page.html").read_bytes()
    except OSError as error:
        raise HyperfocalError(
            "This installation of hyperfocal has no page for browsers (export/page.html). Install it again, or build "
            "the page in a checkout: cd viewer && npm ci && npm run build"
        ) from error


def page_size(scene_bytes: int, photograph_bytes: int) -> int:
    """Return how large a written page is, about, in bytes; base64 makes four of three."""
    return 4 * 2**20 + (scene_bytes + photograph_bytes) * 4 // 3


def _beside(asset: Asset) -> Mapping[str, str]:
    return {"url": asset.url}


def _is_packed(asset: Asset) -> bool:
    """Return whether gzip could not make an asset smaller; of Gaussians it leaves about a third."""
    return asset.type.startswith("image/")


def _halves() -> tuple[bytes, bytes]:
    head, found, tail = bundle().partition(_MARKER)
    assert found, "the page has a place for what it shows"
    return head, tail


def _camera_row(shown: PageCamera, reference: Callable[[Asset], Mapping[str, str]]) -> dict[str, Any]:
    camera = shown.camera
    return {
        "name": shown.name,
        "width": camera.width,
        "height": camera.height,
        "focal_px": camera.focal_px.tolist(),
        "center_px": camera.center_px.tolist(),
        "world_to_camera": camera.world_to_camera.tolist(),
        "held_out": shown.held_out,
        "photograph": None if shown.photograph is None else reference(shown.photograph),
        "lens": shown.lens,
    }


def _manifest_element(manifest: Mapping[str, Any]) -> bytes:
    """Return the manifest as an element; no text in it can end the element or begin a comment."""
    text = json.dumps(manifest, allow_nan=False)
    for character in "<>&":  # JSON has them in strings only
        text = text.replace(character, f"\\u{ord(character):04x}")
    return f'<script type="application/json" id="{MANIFEST_ID}">{text}</script>\n'.encode("ascii")


def _write_base64(file: BinaryIO, content: bytes) -> None:
    view = memoryview(content)
    for start in range(0, len(view), _PIECE):
        file.write(base64.b64encode(view[start : start + _PIECE]))
