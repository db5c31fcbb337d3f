"""What a person does on the page, in a real browser: each control changes the picture as it should."""

from pathlib import Path

import numpy as np
import pytest
import torch
from page_scene import APERTURE, DEPTHS, FOCUS, HEIGHT, WIDTH, aperture_at, cameras, in_window
from page_viewer import Viewer
from PIL import Image

import hyperfocal as hf
from hyperfocal.paths import viewed_point


def wall_middles(picture: np.ndarray) -> list[np.ndarray]:
    """The inner parts of the three walls, from the first camera."""
    h, w = picture.shape[:2]
    third, reach = w / 3, w / 3 * 0.3
    rows = slice(round(h / 2 - reach), round(h / 2 + reach))
    return [picture[rows, round((i + 0.5) * third - reach) : round((i + 0.5) * third + reach)] for i in range(3)]


def detail(part: np.ndarray) -> float:
    """How much neighbours differ: less where it is blurred."""
    return float(np.abs(np.diff(part, axis=1)).mean())


def test_the_first_picture_is_that_of_the_library(viewer: Viewer, toy_gaussians: hf.Gaussians) -> None:
    window = viewer.window()
    assert window.std() > 0.1
    expected = hf.render(toy_gaussians, in_window(cameras()[0], window.shape[1], window.shape[0])).color.numpy()
    assert np.abs(window - expected).mean() < 0.005
    assert viewer.page.title() == "toy · hyperfocal"


def test_a_wider_aperture_blurs_what_is_not_in_focus_and_nothing_else(viewer: Viewer) -> None:
    sharp = [detail(part) for part in wall_middles(viewer.picture())]
    viewer.page.locator("#aperture").focus()
    viewer.page.keyboard.press("Home")  # f/1.0
    assert viewer.get("state.values.fNumber") == 1
    wide = [detail(part) for part in wall_middles(viewer.picture())]
    viewer.set(fNumber=4)
    medium = [detail(part) for part in wall_middles(viewer.picture())]
    assert wide[1] > 0.97 * sharp[1]  # in focus
    for i in (0, 2):
        assert wide[i] < 0.5 * sharp[i]
        assert wide[i] < medium[i] < sharp[i]


def test_the_f_number_is_focal_length_over_opening(viewer: Viewer) -> None:
    viewer.set(fNumber=2.8)
    assert viewer.get("state.lens.apertureDiameter") == pytest.approx(aperture_at(2.8, 0.1))
    assert viewer.page.locator("#aperture").get_attribute("aria-valuetext") == "f/2.8"
    assert "12.9 mm" in viewer.page.locator(".opening").inner_text()  # 36 mm / 2.8
    viewer.page.locator("#sensor").select_option("17.3")  # as much is seen, by a shorter lens with a smaller opening
    assert viewer.get("state.lens.apertureDiameter") == pytest.approx(aperture_at(2.8, 0.1, 17.3))
    assert viewer.page.locator("#focal").get_attribute("aria-valuetext") == "17 mm"


def test_the_dial_has_full_and_third_stops_and_the_pinhole(viewer: Viewer) -> None:
    viewer.page.locator("#aperture").focus()
    viewer.page.keyboard.press("Home")
    seen = ["f/1.0"]
    for _ in range(40):
        viewer.page.keyboard.press("ArrowRight")
        seen.append(viewer.page.locator("#aperture").get_attribute("aria-valuetext"))
    stops = list(dict.fromkeys(seen))
    assert len(stops) == 29 and stops[0] == "f/1.0" and stops[-2:] == ["f/22", "pinhole"]
    assert {"f/1.4", "f/2.0", "f/2.8", "f/4.0", "f/5.6", "f/8.0", "f/11", "f/16"} < set(stops)


def test_the_focus_ring_moves_what_is_sharp(viewer: Viewer) -> None:
    viewer.set(fNumber=1, focusDistance=DEPTHS[0])
    near = [detail(part) for part in wall_middles(viewer.picture())]
    viewer.set(focusDistance=DEPTHS[2])
    far = [detail(part) for part in wall_middles(viewer.picture())]
    assert near[0] > 2 * far[0]
    assert far[2] > 2 * near[2]
    ring = viewer.page.locator("#focus")
    ring.focus()
    viewer.page.keyboard.press("End")
    assert ring.get_attribute("aria-valuetext") == "∞"
    viewer.page.keyboard.press("Home")
    before = 1 / viewer.get("state.values.focusDistance")
    steps = []
    for _ in range(3):
        viewer.page.keyboard.press("ArrowRight")
        after = 1 / viewer.get("state.values.focusDistance")
        steps.append(before - after)
        before = after
    assert steps == pytest.approx([steps[0]] * 3) and steps[0] > 0  # even in 1 / z


def test_dragging_a_ring_turns_it(viewer: Viewer) -> None:
    viewer.set(fNumber=5.6)
    box = viewer.page.locator("#aperture").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    viewer.page.mouse.move(x, y)
    viewer.page.mouse.down()
    viewer.page.mouse.move(x + 3 * 34, y, steps=3)  # to the right: smaller numbers come under the mark
    viewer.page.mouse.up()
    assert viewer.get("state.values.fNumber") == 4


@pytest.mark.parametrize("wall", [0, 1, 2])
def test_a_click_focuses_on_what_is_there(viewer: Viewer, toy_gaussians: hf.Gaussians, wall: int) -> None:
    viewer.set(fNumber=1.4)
    box = viewer.page.locator("canvas#view").bounding_box()
    frame = viewer.page.locator(".frame").evaluate("e => [e.style.left, e.style.top, e.style.width]")
    left, top, width = (float(side.removesuffix("px")) for side in frame)
    scale = width / WIDTH
    column, row = round((wall + 0.5) * WIDTH / 3) + 7, HEIGHT // 2 - 5
    viewer.page.mouse.click(box["x"] + left + scale * (column + 0.5), box["y"] + top + scale * (row + 0.5))
    viewer.wait("document.querySelector('.reticle').className === 'reticle shown'")
    rendered = float(hf.render(toy_gaussians, cameras()[0]).depth_expected[row, column])
    assert rendered == pytest.approx(DEPTHS[wall], rel=0.01)
    assert viewer.get("state.values.focusDistance") == pytest.approx(rendered, rel=0.02)


def test_a_click_on_nothing_changes_nothing(viewer: Viewer) -> None:
    box = viewer.page.locator("canvas#view").bounding_box()
    viewer.page.mouse.click(box["x"] + 0.6 * box["width"], box["y"] + 0.9 * box["height"])
    viewer.wait("document.querySelector('.toast').textContent.startsWith('Nothing there')")
    assert viewer.get("state.values.focusDistance") == 3


def test_the_focal_length_zooms_and_keeps_the_f_number(viewer: Viewer) -> None:
    viewer.set(fNumber=2.8)
    before = viewer.get("state.values.camera.focalPx")[0]
    viewer.page.evaluate("window.hyperfocal.state.setFocalMm(72)")
    viewer.settle()
    assert viewer.get("state.values.camera.focalPx")[0] == pytest.approx(2 * before)
    assert viewer.get("state.values.fNumber") == 2.8
    assert viewer.get("state.lens.apertureDiameter") == pytest.approx(2 * aperture_at(2.8, 0.1))
    picture = viewer.picture()
    h, w = picture.shape[:2]
    green = picture[h // 2 - 60 : h // 2 + 60, w // 6 + 10 : -w // 6 - 10]  # the middle wall alone, twice as wide
    assert (green[..., 1] >= green[..., 0] - 0.05).all()


def test_the_depth_view_orders_the_walls_and_has_a_legend(viewer: Viewer) -> None:
    viewer.page.keyboard.press("2")
    light = [float(part.mean()) for part in wall_middles(viewer.picture())]
    assert light[0] > light[1] + 0.02 and light[1] > light[2] + 0.02  # near is light
    assert viewer.page.locator(".legend figcaption").inner_text() == "Depth"
    ends = viewer.page.locator(".legend .ends span").all_inner_texts()
    assert len(ends) == 3 and all(text.endswith(" m") for text in ends)


def test_the_blur_view_tells_before_from_behind(viewer: Viewer) -> None:
    viewer.set(fNumber=2, mode="circle")
    before, sharp, behind = (part.reshape(-1, 3).mean(0) for part in wall_middles(viewer.picture()))
    assert before[2] > before[0] + 0.1  # blue
    assert sharp.min() > 0.9  # white
    assert behind[0] > behind[2] + 0.1  # orange
    viewer.set(fNumber=1)
    wider = wall_middles(viewer.picture())[0].reshape(-1, 3).mean(0)
    assert wider.sum() < before.sum()  # a larger circle is darker
    assert "Circle of confusion" in viewer.page.locator(".legend figcaption").inner_text()


def test_peaking_marks_what_is_in_focus(viewer: Viewer) -> None:
    viewer.set(fNumber=1, focusDistance=DEPTHS[2], mode="peaking")
    picture = viewer.picture()
    third = picture.shape[1] // 3
    yellow = (picture[..., 0] > picture[..., 2] + 0.25) & (picture[..., 1] > picture[..., 2] + 0.2)
    marked = [float(yellow[:, i * third : (i + 1) * third].mean()) for i in range(3)]
    assert marked[2] > 0.01
    assert marked[0] < 0.1 * marked[2] and marked[1] < 0.1 * marked[2]
    assert "in focus" in viewer.page.locator(".legend figcaption").inner_text()


def test_a_photograph_brings_its_camera_and_its_lens(viewer: Viewer) -> None:
    buttons = viewer.page.locator(".cameras button")
    assert buttons.count() == 3
    assert "held out" in buttons.nth(2).inner_text()
    assert buttons.nth(1).locator(".lens").inner_text() == "f/2.4 · 0.300 m"  # 36 mm / 15 mm
    buttons.nth(1).click()
    viewer.settle()
    assert viewer.get("state.lens") == pytest.approx({"apertureDiameter": APERTURE, "focusDistance": FOCUS})
    pose = torch.tensor(viewer.get("state.values.camera.worldToCamera"))
    assert torch.allclose(pose, cameras()[1].world_to_camera)
    assert buttons.nth(1).get_attribute("aria-current") == "true"


def test_before_and_after_show_the_photograph_and_the_render(viewer: Viewer, toy_gaussians: hf.Gaussians) -> None:
    viewer.page.locator(".cameras button").nth(1).click()
    viewer.page.keyboard.press("c")
    viewer.settle()
    with_lens = viewer.window()
    camera = in_window(cameras()[1], with_lens.shape[1], with_lens.shape[0])
    lens = hf.ThinLens(torch.tensor(APERTURE), torch.tensor(FOCUS))
    law = hf.RenderOptions(opacity_law="energy")
    assert np.abs(with_lens - hf.render(toy_gaussians, camera, lens=lens, options=law).color.numpy()).mean() < 0.005
    image = viewer.page.locator(".comparison img")
    viewer.wait("document.querySelector('.comparison img').naturalWidth > 0")
    ratio = min(with_lens.shape[1] / WIDTH, with_lens.shape[0] / HEIGHT)
    assert image.bounding_box()["width"] == pytest.approx(ratio * WIDTH, abs=0.1)
    viewer.page.get_by_role("button", name="All in focus").click()
    viewer.settle()
    assert np.abs(viewer.window() - hf.render(toy_gaussians, camera).color.numpy()).mean() < 0.005
    split = viewer.page.locator("#split")
    split.focus()
    viewer.page.keyboard.press("Home")
    assert "100%" in image.evaluate("e => e.style.clipPath")  # nothing of the photograph
    box = viewer.page.locator(".comparison").bounding_box()
    handle = split.bounding_box()
    viewer.page.mouse.move(handle["x"] + handle["width"] / 2, box["y"] + box["height"] / 3)
    viewer.page.mouse.down()
    viewer.page.mouse.move(box["x"] + 0.75 * box["width"], box["y"] + box["height"] / 3)
    viewer.page.mouse.up()
    assert viewer.get("state.values.split") == pytest.approx(0.75, abs=0.01)
    viewer.page.keyboard.press("c")
    assert viewer.get("state.values.compare") == "off"
    assert viewer.get("state.lens.apertureDiameter") == pytest.approx(APERTURE)


def test_it_turns_about_what_the_cameras_look_at(viewer: Viewer) -> None:
    poses = torch.stack([camera.world_to_camera for camera in cameras()])
    batch = hf.Camera(poses, torch.full((3, 2), 240.0), torch.full((3, 2), 100.0), WIDTH, HEIGHT)
    pivot = torch.tensor(viewer.get("state.pivot"))
    assert torch.allclose(pivot, viewed_point(batch), atol=1e-4)
    box = viewer.page.locator("canvas#view").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    viewer.page.mouse.move(x, y)
    viewer.page.mouse.down()
    viewer.page.mouse.move(x + 60, y + 20, steps=4)
    viewer.page.mouse.up()
    viewer.settle()
    pose = torch.tensor(viewer.get("state.values.camera.worldToCamera"))
    centre = -pose[:3, :3].T @ pose[:3, 3]
    assert float((centre - pivot).norm()) == pytest.approx(float(pivot.norm()), rel=1e-4)
    assert centre[0] < -0.1 and centre[1] < -0.05  # what is seen follows the hand: the camera goes to the left and up
    assert abs(float(pose[0, 1])) < 1e-5  # level
    assert viewer.get("state.values.photograph") is None
    assert viewer.get("state.values.focusDistance") == 3


def test_wheel_and_shift_go_nearer_and_sideways(viewer: Viewer) -> None:
    box = viewer.page.locator("canvas#view").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    viewer.page.mouse.move(x, y)
    viewer.page.mouse.wheel(0, -200)
    viewer.wait("window.hyperfocal.state.values.camera.worldToCamera[2][3] < -0.3")
    viewer.page.keyboard.down("Shift")
    viewer.page.mouse.down()
    viewer.page.mouse.move(x + 50, y)
    viewer.page.mouse.up()
    viewer.page.keyboard.up("Shift")
    viewer.settle()
    pose = torch.tensor(viewer.get("state.values.camera.worldToCamera"))
    assert torch.allclose(pose[:3, :3], torch.eye(3), atol=1e-5)
    assert pose[0, 3] > 0.05  # what is seen moves to the right, with the hand


def test_one_picture_for_each_change_and_none_without(viewer: Viewer) -> None:
    viewer.page.evaluate("""() => { const {view} = window.hyperfocal; window.asked = 0;
        const request = view.requestRender.bind(view); view.requestRender = () => { window.asked++; request(); }; }""")
    viewer.page.wait_for_timeout(300)
    assert viewer.page.evaluate("window.asked") == 0
    viewer.set(fNumber=2)
    assert viewer.page.evaluate("window.asked") == 1
    viewer.page.evaluate("""() => { for (const n of [1, 1.4, 2.8]) window.hyperfocal.state.set({fNumber: n}); }""")
    viewer.settle()
    assert viewer.page.evaluate("window.asked") == 2  # changes of one moment are one picture
    viewer.page.evaluate("delete window.hyperfocal.view.requestRender")


def test_the_saved_picture_is_that_on_the_screen(viewer: Viewer, tmp_path: Path) -> None:
    with viewer.page.expect_download() as download:
        viewer.page.keyboard.press("s")
    assert download.value.suggested_filename == "toy.png"
    download.value.save_as(tmp_path / "toy.png")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "toy.png").convert("RGB")), viewer.canvas())


def test_the_help_lists_the_keys_and_closes(viewer: Viewer) -> None:
    viewer.page.keyboard.press("?")
    assert viewer.page.locator("dialog").is_visible()
    assert "focus nearer, farther" in viewer.page.locator("dialog").inner_text()
    viewer.page.keyboard.press("Escape")
    assert not viewer.page.locator("dialog").is_visible()


def test_dark_and_light(viewer: Viewer) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = viewer.page.evaluate(ground)
    viewer.page.keyboard.press("t")
    assert viewer.page.evaluate(ground) != dark
    viewer.page.keyboard.press("t")
    assert viewer.page.evaluate(ground) == dark


def test_every_control_has_a_name(viewer: Viewer) -> None:
    viewer.page.keyboard.press("p")
    nameless = viewer.page.evaluate("""() => [...document.querySelectorAll("button, input, select, [role=slider]")]
        .filter((e) => !e.getAttribute("aria-label") && !(e.closest("label") ?? e).textContent.trim())
        .map((e) => e.outerHTML)""")
    assert nameless == []
