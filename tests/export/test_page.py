"""Pages: what is filled in, that nothing filled in can run, and that files are whole or not there."""

import base64
import gzip
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import torch

from hyperfocal.camera import Camera
from hyperfocal.errors import BadInputError, HyperfocalError
from hyperfocal.export import page as page_module
from hyperfocal.export import read_ply
from hyperfocal.export.page import (
    Asset,
    Page,
    PageCamera,
    content_security_policy,
    page_of,
    served_html,
    write_page,
)
from scenes import pinhole, random_gaussians

SCRIPT = b'console.log("<p>not a tag</p>", 1 < 2)'
BUNDLE = (
    b'<!doctype html><html><head><meta charset="utf-8"><title>t</title><!--hyperfocal-data-->'
    b'<script type="module" crossorigin>' + SCRIPT + b"</script></head><body></body></html>\n"
)
EVIL = "</script><script>alert(1)</script><!--<script> & \u2028 \U0001f436 \" ' \\ .jpg"


@pytest.fixture(autouse=True)
def _bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of ten lines, so that these tests need no built one."""
    monkeypatch.setattr(page_module, "bundle", lambda: BUNDLE)


class Scripts(HTMLParser):
    """The script elements of a page as a browser sees them: (attributes, text)."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=False)
        self.found: list[tuple[dict[str, str | None], str]] = []
        self._inside = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "script":
            self.found.append((dict(attrs), ""))
        self._inside = tag == "script"

    def handle_endtag(self, tag: str) -> None:
        self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside:
            attributes, text = self.found[-1]
            self.found[-1] = attributes, text + data


def manifest_in(html: bytes) -> dict[str, Any]:
    scripts = Scripts(html.decode()).found
    return json.loads(next(text for attributes, text in scripts if attributes.get("id") == "hyperfocal-manifest"))


def a_camera(name: str = "a.jpg", photograph: Asset | None = None) -> PageCamera:
    return PageCamera(name, pinhole(), photograph=photograph)


def test_a_page_of_gaussians_has_them_inside(tmp_path: Path) -> None:
    g = random_gaussians(300)
    write_page(tmp_path / "a.html", g)
    html = (tmp_path / "a.html").read_bytes()
    manifest = manifest_in(html)
    assert manifest["hyperfocal_page"] == 1
    assert manifest["title"] == "a"
    assert manifest["gaussians"] == 300
    assert manifest["scene_name"] == "scene.compressed.ply"
    assert manifest["cameras"] == []
    texts = {attributes.get("id"): text for attributes, text in Scripts(html.decode()).found}
    assert manifest["scene"]["encoding"] == "gzip"
    packed = base64.b64decode(texts[manifest["scene"]["embedded"]], validate=True)
    (tmp_path / "b.ply").write_bytes(gzip.decompress(packed))
    assert len(read_ply(tmp_path / "b.ply")) == 300
    assert [entry.name for entry in tmp_path.iterdir() if entry.suffix == ".html"] == ["a.html"]


def test_cameras_come_with_their_photographs_and_lenses(tmp_path: Path) -> None:
    photograph = Asset("photographs/0.jpg", "image/jpeg", b"\xff\xd8 a picture")
    center, pose = torch.tensor([11.0, 12.5]), torch.eye(4)
    pose[0, 3] = 2
    camera = Camera(pose, torch.tensor([30.0, 31.0]), center, 32, 24)
    lens = {"aperture_diameter": 0.1, "focus": "infinity", "focus_distance": None}
    shown = PageCamera("IMG_1.jpg", camera, held_out=True, photograph=photograph, lens=lens)
    scene = Asset("scene.ply", "application/octet-stream", b"ply")
    page = Page("two", scene, 5, "linear", (shown, a_camera()), metres_per_unit=0.5, up=(0.0, -1.0, 0.0))
    write_page(tmp_path / "a.html", page)
    html = (tmp_path / "a.html").read_bytes()
    manifest = manifest_in(html)
    assert manifest["color_space"] == "linear"
    assert (manifest["metres_per_unit"], manifest["up"]) == (0.5, [0, -1, 0])
    first, second = manifest["cameras"]
    assert (first["name"], first["width"], first["height"], first["held_out"]) == ("IMG_1.jpg", 32, 24, True)
    assert (first["focal_px"], first["center_px"]) == ([30, 31], [11, 12.5])
    assert first["world_to_camera"] == pose.tolist()
    assert first["lens"] == lens
    assert (second["photograph"], second["lens"], second["held_out"]) == (None, None, False)
    texts = {attributes.get("id"): text for attributes, text in Scripts(html.decode()).found}
    assert base64.b64decode(texts[first["photograph"]["embedded"]]) == photograph.content
    assert first["photograph"]["type"] == "image/jpeg"
    assert "encoding" not in first["photograph"]


def test_a_served_page_names_its_files() -> None:
    photograph = Asset("photographs/0.jpg", "image/jpeg", lambda: pytest.fail("nobody has asked for it"))
    page = Page("t", Asset("scene.ply", "x/y", Path("none")), 1, cameras=(a_camera(photograph=photograph),))
    manifest = manifest_in(served_html(page))
    assert manifest["scene"] == {"url": "scene.ply"}
    assert manifest["cameras"][0]["photograph"] == {"url": "photographs/0.jpg"}
    assert [asset.url for asset in page.assets()] == ["scene.ply", "photographs/0.jpg"]


@pytest.mark.parametrize("how", ["served", "written"])
def test_no_name_breaks_out_of_its_element(how: str, tmp_path: Path) -> None:
    page = Page(EVIL, Asset("scene.ply", "x/y", b"ply"), 1, cameras=(a_camera(EVIL),))
    write_page(tmp_path / "a.html", page)
    html = served_html(page) if how == "served" else (tmp_path / "a.html").read_bytes()
    assert b"alert(1)" in html
    assert html.count(b"alert(1)</script>") == 0
    manifest = manifest_in(html)
    assert (manifest["title"], manifest["cameras"][0]["name"]) == (EVIL, EVIL)
    kinds = [attributes.get("type") for attributes, _ in Scripts(html.decode()).found]
    assert kinds == ["application/json", *(["text/plain"] if how == "written" else []), "module"]
    start = html.index(b'id="hyperfocal-manifest">') + 25
    assert not set(html[start : html.index(b"</script>", start)]) & set(b"<>&"), "not even a comment can begin"


def test_the_policy_lets_the_pages_own_scripts_run_and_nothing_else(tmp_path: Path) -> None:
    own = base64.b64encode(hashlib.sha256(SCRIPT).digest()).decode()
    for policy in (content_security_policy(), content_security_policy(None)):
        rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
        assert rules["default-src"] == "'none'"
        assert rules["script-src"].split() == [f"'sha256-{own}'", "'wasm-unsafe-eval'"]
        assert rules["worker-src"] == "blob:"
        assert "http" not in policy
        assert "*" not in policy
    assert "'self'" in content_security_policy()
    assert "'self'" not in content_security_policy(None), "a file has nobody to ask"
    write_page(tmp_path / "a.html", random_gaussians(1))
    html = (tmp_path / "a.html").read_text()
    found = re.search(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', html)
    assert found is not None
    assert found[1] == content_security_policy(None)
    assert html.index("Content-Security-Policy") < html.index("<script"), "before the first that it is about"


@pytest.mark.parametrize("size", [0, 1, 2, 3, page_module._PIECE, page_module._PIECE + 1, 3 * page_module._PIECE + 2])
def test_assets_of_any_size_come_back(tmp_path: Path, size: int) -> None:
    content = bytes(i % 251 for i in range(size))
    (tmp_path / "scene.ply").write_bytes(content)
    page = Page("t", Asset("scene.ply", "image/x", tmp_path / "scene.ply"), 1)
    write_page(tmp_path / "a.html", page)
    texts = {a.get("id"): text for a, text in Scripts((tmp_path / "a.html").read_text()).found}
    assert base64.b64decode(texts["asset-0"], validate=True) == content


def test_a_page_that_cannot_be_finished_is_not_begun(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("old")
    page = Page("t", Asset("scene.ply", "x/y", tmp_path / "none.ply"), 1)
    with pytest.raises(BadInputError, match=r"none\.ply"):
        write_page(tmp_path / "a.html", page)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.html"]
    assert (tmp_path / "a.html").read_text() == "old"
    with pytest.raises(BadInputError, match="Could not write"):
        write_page(tmp_path / "nowhere" / "a.html", page_of(random_gaussians(1), title="t"))


def test_numbers_that_json_has_not_are_no_page() -> None:
    page = Page("t", Asset("scene.ply", "x/y", b""), 1, metres_per_unit=float("nan"))
    with pytest.raises(ValueError, match="JSON"):
        served_html(page)


def test_the_same_gaussians_make_the_same_page(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_page(tmp_path / name / "a.html", random_gaussians(50))
    assert (tmp_path / "one" / "a.html").read_bytes() == (tmp_path / "two" / "a.html").read_bytes()


def test_an_installation_without_the_page_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(page_module.resources, "files", lambda _: tmp_path)
    with pytest.raises(HyperfocalError, match="npm run build"):
        page_module.bundle()


def test_the_page_that_is_shipped_has_one_place_for_what_it_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    html = page_module.bundle()
    assert html.count(b"<!--hyperfocal-data-->") == 1
    assert html.index(b"<!--hyperfocal-data-->") < html.index(b"<script")
    assert not re.search(rb'<(script|link|img)\b[^>]*\b(src|href)="(?!data:)', html), "nothing comes from elsewhere"
    scripts = [text for _, text in Scripts(html.decode()).found]
    assert [hashlib.sha256(s.encode()).digest() for s in scripts] == [
        hashlib.sha256(s).digest() for s in page_module._SCRIPT.findall(html)
    ]
