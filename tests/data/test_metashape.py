"""Metashape: a file with the elements of its export, and the formulas of its manual (appendix D, "Frame cameras")."""

from pathlib import Path

import numpy as np
import pytest
import torch

from hyperfocal.camera import project
from hyperfocal.data import read_scene
from hyperfocal.distortion import distort
from hyperfocal.errors import BadInputError
from hyperfocal.scene import View
from photo_files import relief_views

LENS = {"f": 30, "cx": 3, "cy": -2, "b1": 0.5, "k1": 0.08, "k2": -0.03, "k3": 0.01, "p1": 0.004, "p2": -0.006}
POINTS = torch.tensor([[0.0, 0.0, 0.0], [0.5, 0.2, -0.3], [-0.4, 0.3, 0.2]])


@pytest.fixture
def views(tmp_path: Path) -> list[View]:
    return relief_views(tmp_path / "images", 4, width=32, height=24, focal_px=30.0)


def document(views: list[View], *, lens: dict | None = None, kind: str = "frame", suffix: str = ".png",
             chunk: str = "", cameras: str = "", head: str = "") -> str:  # fmt: skip
    """An export as Metashape 2 writes it, with what a reader could stumble over."""
    numbers = "".join(f"<{name}>{value}</{name}>" for name, value in (lens or LENS).items())
    placed = ""
    for i, view in enumerate(views):
        pose = np.linalg.inv(view.camera.world_to_camera.double().numpy())
        text = " ".join(f"{value:.17g}" for value in pose.ravel())
        label = view.name.removesuffix(".png") + suffix
        placed += f'<camera id="{i}" sensor_id="0" component_id="0" label="{label}"><transform>{text}</transform>'
        placed += (
            "<rotation_covariance>1e-9 0 0 0 1e-9 0 0 0 1e-9</rotation_covariance><orientation>1</orientation></camera>"
        )
    return f"""<?xml version="1.0" encoding="UTF-8"?>{head}
<document version="2.0.0">
  <chunk label="Chunk 1" enabled="true">
    <sensors next_id="1">
      <sensor id="0" label="X-T3, XF 23mm" type="{kind}">
        <resolution width="32" height="24"/>
        <property name="layer_index" value="0"/>
        <bands><band label="Red"/><band label="Green"/><band label="Blue"/></bands>
        <data_type>uint8</data_type>
        <calibration type="{kind}" class="initial"><resolution width="32" height="24"/><f>99</f></calibration>
        <calibration type="{kind}" class="adjusted"><resolution width="32" height="24"/>{numbers}</calibration>
      </sensor>
    </sensors>
    <components next_id="1" active_id="0"><component id="0" label="Component 1"><partition/></component></components>
    <cameras next_id="9" next_group_id="0">{placed}{cameras}</cameras>
    <reference>LOCAL_CS["Local Coordinates (m)",LOCAL_DATUM["Local Datum",0],UNIT["metre",1]]</reference>
    {chunk}
  </chunk>
</document>"""


def by_the_manual(view: View, lens: dict) -> np.ndarray:
    """Pixels of points by the manual's formulas, with the chunk's axes of the camera as the manual has them."""
    pose = view.camera.world_to_camera.double().numpy()
    inside = POINTS.double().numpy() @ pose[:3, :3].T + pose[:3, 3]
    x, y = inside[:, 0] / inside[:, 2], inside[:, 1] / inside[:, 2]
    k1, k2, k3, p1, p2 = (lens.get(name, 0) for name in ("k1", "k2", "k3", "p1", "p2"))
    r2 = x * x + y * y
    radial = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
    x_, y_ = x * radial + p1 * (r2 + 2 * x * x) + 2 * p2 * x * y, y * radial + p2 * (r2 + 2 * y * y) + 2 * p1 * x * y
    u = 32 * 0.5 + lens["cx"] + x_ * lens["f"] + x_ * lens["b1"]
    return np.stack((u, 24 * 0.5 + lens["cy"] + y_ * lens["f"]), axis=1)


def seen_by(view: View) -> np.ndarray:
    ideal, _ = project(view.camera, POINTS)
    assert view.distortion is not None
    plane = (ideal - view.camera.center_px) / view.camera.focal_px
    return (distort(view.distortion, plane) * view.camera.focal_px + view.camera.center_px).numpy()


@pytest.mark.parametrize("suffix", ["", ".png", ".PNG"])  # the label is the file's name, with or without suffix
def test_points_are_seen_where_the_manual_says(tmp_path: Path, views: list[View], suffix: str):
    (tmp_path / "cameras.xml").write_text(document(views, suffix=suffix))
    scene = read_scene(tmp_path)
    assert scene.format == "an export of Metashape"
    assert (scene.metres_per_unit, scene.up, scene.notes) == (None, None, ())
    assert len(scene.posed_views) == 4
    for read, written in zip(scene.views, views, strict=True):
        np.testing.assert_allclose(seen_by(read), by_the_manual(written, LENS), atol=1e-4)


def test_the_file_itself_can_be_named(tmp_path: Path, views: list[View]):
    (tmp_path / "my export.xml").write_text(document(views))
    assert len(read_scene(tmp_path / "my export.xml").posed_views) == 4


def test_a_fisheye_is_the_equidistant_one(tmp_path: Path, views: list[View]):
    (tmp_path / "cameras.xml").write_text(document(views, kind="fisheye", lens={"f": 30, "k1": 0.02, "k2": 0.01}))
    distortion = read_scene(tmp_path).views[0].distortion
    assert distortion is not None
    assert (distortion.model, distortion.coefficients) == ("fisheye", (0.02, 0.01, 0.0, 0.0))


def test_cameras_that_are_not_aligned_or_disabled_are_left_out(tmp_path: Path, views: list[View]):
    pose = "<transform>1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1</transform>"
    cameras = '<camera id="7" sensor_id="0" label="lost"/>'
    cameras += f'<camera id="8" sensor_id="0" component_id="0" label="off" enabled="false">{pose}</camera>'
    (tmp_path / "cameras.xml").write_text(document(views, cameras=cameras))
    scene = read_scene(tmp_path)
    assert len(scene.views) == 4
    assert "2 cameras were not aligned, or are disabled, and were left out: lost, off" in scene.notes[0]


SCALED = "<transform><rotation>1 0 0 0 1 0 0 0 1</rotation><scale>0.25</scale></transform>"
BAR = '<scalebars><scalebar id="0"><reference distance="1" enabled="true"/></scalebar></scalebars>'


@pytest.mark.parametrize(("chunk", "expected"), [("", None), (SCALED, None), (SCALED + BAR, 0.25)])
def test_the_scale_is_known_only_if_something_was_measured(tmp_path: Path, views: list[View], chunk: str, expected):
    (tmp_path / "cameras.xml").write_text(document(views, chunk=chunk))
    assert read_scene(tmp_path).metres_per_unit == expected


CAMERA = '<camera sensor_id="{}" component_id="0" label="x"><transform>1 2</transform></camera>'


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"kind": "spherical"}, "type spherical"),
        ({"lens": {"f": 30, "p3": 0.1}}, "undistorted photographs"),
        ({"lens": {"f": 30, "b2": 4}}, "skewed by b2"),
        ({"lens": {"f": -1}}, "no camera"),
        ({"lens": {"f": "nan"}}, "cannot be used"),
        ({"lens": {"f": "thirty"}}, "could not convert"),
        ({"cameras": CAMERA.format(5)}, "missing"),
        ({"cameras": CAMERA.format(0)}, "of the camera x"),
    ],
)
def test_what_cannot_be_represented_is_refused(tmp_path: Path, views: list[View], changes: dict, expected: str):
    (tmp_path / "cameras.xml").write_text(document(views, **changes))
    with pytest.raises(BadInputError, match=expected):
        read_scene(tmp_path)


BOMB = '<!DOCTYPE lolz [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    "head", [BOMB, '<!DOCTYPE x SYSTEM "file:///etc/passwd">', '<!DOCTYPE x [<!ENTITY y SYSTEM "http://example.org">]>']
)
def test_xml_bombs_and_outside_entities_are_refused_before_they_grow(tmp_path: Path, views: list[View], head: str):
    (tmp_path / "cameras.xml").write_text(document(views, head=head))
    with pytest.raises(BadInputError, match="declares a document type or entities"):
        read_scene(tmp_path)


@pytest.mark.parametrize("cut", [300, 1500])
def test_a_file_cut_short_is_named(tmp_path: Path, views: list[View], cut: int):
    (tmp_path / "cameras.xml").write_text(document(views)[:cut])
    with pytest.raises(BadInputError, match=r"cameras\.xml is not valid XML"):
        read_scene(tmp_path)


def test_other_xml_files_are_nobody_s_cameras(tmp_path: Path, views: list[View]):
    (tmp_path / "settings.xml").write_text("<settings><chunk/></settings>")
    assert read_scene(tmp_path).format == "photographs"


def test_two_exports_are_not_chosen_between(tmp_path: Path, views: list[View]):
    for name in ("a.xml", "b.xml"):
        (tmp_path / name).write_text(document(views))
    with pytest.raises(BadInputError, match=r"several Metashape exports: a\.xml, b\.xml"):
        read_scene(tmp_path)
