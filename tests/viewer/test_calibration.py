"""The browser's picture is the renderer's: colour, blur, depth, and the maps made of them."""

from typing import Any

import numpy as np
import pytest
import torch

from hyperfocal.bench.page import LIKE_THE_PAGE, off_centre, variance_px2
from hyperfocal.bench.page_browser import Shown, shown
from hyperfocal.bench.random_scene import random_scene
from hyperfocal.camera import Camera
from hyperfocal.gaussians import Gaussians
from hyperfocal.lens import ThinLens
from hyperfocal.metrics import psnr
from hyperfocal.render import render
from hyperfocal.rendering import RenderOptions
from hyperfocal.sh import dc_from_color

SIZE = (3000, 200, 150)
LENS = ThinLens(torch.tensor(0.3), torch.tensor(3.0))
PINHOLE_BAR_DB, DEFOCUS_BAR_DB, DEFOCUS_SH3_BAR_DB = 45.0, 38.0, 36.0


def camera_of(width: int, height: int, focal_px: float) -> Camera:
    center = torch.tensor([width / 2, height / 2])
    return Camera(torch.eye(4), torch.full((2,), focal_px), center, width, height)


def plain(means: list[list[float]], scales: list[float], opacity: float) -> Gaussians:
    n = len(means)
    return Gaussians(
        means=torch.tensor(means),
        quaternions=torch.tensor([[1.0, 0, 0, 0]]).expand(n, 4).contiguous(),
        scales=torch.tensor(scales).unsqueeze(1).expand(n, 3).contiguous(),
        opacities=torch.full((n,), opacity),
        sh=dc_from_color(torch.ones(n, 1, 3)),
    )


@pytest.fixture(scope="module")
def page(chromium: Any, page_file: bytes) -> Any:
    gaussians, camera, _ = random_scene(*SIZE)
    with shown(chromium, gaussians.with_sh_degree(0), camera) as page:
        yield page


@pytest.mark.parametrize(
    ("sh_degree", "lens", "off", "bar_db"),
    [
        (0, None, False, PINHOLE_BAR_DB),
        (3, None, True, PINHOLE_BAR_DB),
        (0, LENS, True, DEFOCUS_BAR_DB),
        (3, LENS, False, DEFOCUS_SH3_BAR_DB),
        (3, LENS, True, DEFOCUS_SH3_BAR_DB),
    ],
)
def test_the_picture_is_the_renderers(
    page: Shown, sh_degree: int, lens: ThinLens | None, off: bool, bar_db: float
) -> None:
    gaussians, camera, _ = random_scene(*SIZE)
    gaussians = gaussians.with_sh_degree(sh_degree)
    camera = off_centre(camera) if off else camera
    page.load(gaussians)
    truth = render(gaussians, camera, lens=lens, options=RenderOptions() if lens is None else LIKE_THE_PAGE)
    expected = (255 * truth.color.clamp(0, 1)).round() / 255
    assert psnr(page.picture(camera, lens), expected) > bar_db
    if lens is not None:  # the control: of a lens twice as wide, the picture is another
        wider = ThinLens(2 * lens.aperture_diameter, lens.focus_distance)
        assert psnr(page.picture(camera, wider), expected) < bar_db


def test_variance_grows_by_a_sixteenth_of_the_squared_circle(page: Shown) -> None:
    camera = camera_of(161, 161, 700.0)
    for depth_z in (1.2, 3.0, 8.0):
        page.load(plain([[0.0, 0.0, depth_z]], [4 * depth_z / 700], 0.9))
        sharp = variance_px2(page.light(camera))
        for aperture in (0.01, 0.03, 0.08):
            lens = ThinLens(torch.tensor(aperture), torch.tensor(2.0))
            circle = float(lens.coc_diameter_px(torch.tensor(depth_z), camera.focal_px[0]))
            grown = variance_px2(page.light(camera, lens)) - sharp
            assert grown == pytest.approx(circle**2 / 16, rel=0.02), (depth_z, aperture)


def test_light_is_kept_however_wide_the_lens_is_open(page: Shown) -> None:
    camera = camera_of(401, 401, 700.0)
    page.load(plain([[0.0, 0.0, 4.0]], [1 * 4 / 700], 0.9))
    sharp = page.light(camera)[..., 3].sum()
    blurred = page.light(camera, ThinLens(torch.tensor(1.0), torch.tensor(2.0)))[..., 3].sum()  # a circle of 175 px
    assert blurred == pytest.approx(sharp, rel=0.02)


def test_focus_at_infinity(page: Shown) -> None:
    gaussians, camera, _ = random_scene(*SIZE)
    gaussians = gaussians.with_sh_degree(0)
    lens = ThinLens(torch.tensor(0.1), torch.tensor(float("inf")))
    page.load(gaussians)
    truth = render(gaussians, camera, lens=lens, options=LIKE_THE_PAGE).color.clamp(0, 1)
    assert psnr(page.picture(camera, lens), truth) > DEFOCUS_BAR_DB


def test_depth_under_the_cursor_is_the_expected_depth(page: Shown) -> None:
    gaussians, camera, _ = random_scene(*SIZE)
    page.load(gaussians.with_sh_degree(0))
    for seen in (camera, off_centre(camera)):
        truth = render(gaussians, seen)
        page.picture(seen, LENS)  # depth is that of the pinhole, whatever the lens
        for x, y in ((0, 0), (30, 140), (77, 20), (100, 75), (199, 149)):
            if truth.alpha[y, x] > 0.15:
                assert page.depth_at(x + 0.5, y + 0.5) == pytest.approx(float(truth.depth_expected[y, x]), rel=0.02)


def test_there_is_no_depth_where_nothing_is(page: Shown) -> None:
    camera = camera_of(60, 40, 60.0)
    page.load(plain([[-1.0, 0.0, 3.0]], [0.1], 0.9))
    page.picture(camera)
    assert page.depth_at(10.5, 20.5) == pytest.approx(3.0, rel=0.02)
    for x, y in ((50.5, 20.5), (-1.0, 3.0), (70.0, 3.0)):
        assert page.depth_at(x, y) is None


def test_maps_tell_before_from_behind_and_mark_what_is_sharp(page: Shown) -> None:
    # Three walls of small dots beside each other: before, in and behind the focus.
    camera = camera_of(180, 60, 180.0)
    lens = ThinLens(torch.tensor(0.3), torch.tensor(3.0))
    grid = torch.linspace(-29, 29, 15)
    middles = {-60.0: 2.0, 0.0: 3.0, 60.0: 6.0}  # pixels from the middle, and depth
    walls = [
        [(float(x) + middle) * z / 180, float(y) * z / 180, z]
        for middle, z in middles.items()
        for x in grid
        for y in grid
    ]
    page.load(plain(walls, [1.5 * z / 180 for z in middles.values() for _ in range(15**2)], 0.95))

    circle = page.picture(camera, lens, mode="circle").numpy()
    before, sharp, behind = (circle[20:40, 90 + int(x) - 10 : 90 + int(x) + 10].mean((0, 1)) for x in middles)
    assert before[2] > before[0] + 0.2  # blue
    assert behind[0] > behind[2] + 0.2  # orange
    assert sharp.min() > 0.9  # white

    depth = page.picture(camera, lens, mode="depth").numpy()
    near, middle, far = (depth[20:40, 90 + int(x) - 10 : 90 + int(x) + 10].mean() for x in middles)
    assert near >= middle >= far
    assert near > far

    peaking = page.picture(camera, lens, mode="peaking").numpy()
    marked = (peaking[..., 0] > 0.8) & (peaking[..., 2] < 0.3)  # yellow
    assert marked[:, 62:118].any()
    assert not marked[:, :58].any()
    assert not marked[:, 122:].any()


def test_modes_can_be_left_again(page: Shown) -> None:
    gaussians, camera, _ = random_scene(*SIZE)
    page.load(gaussians.with_sh_degree(0))
    first = page.picture(camera, LENS)
    assert not np.array_equal(page.picture(camera, LENS, mode="circle"), first)
    assert np.array_equal(page.picture(camera, LENS), first)
