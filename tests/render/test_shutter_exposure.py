"""Pictures with the shutter open for a while: against formulas, the still frame, themselves, and backends."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from hyperfocal.color import linear_from_srgb, srgb_from_linear
from hyperfocal.errors import BadInputError
from hyperfocal.gaussians import Gaussians
from hyperfocal.lens import ThinLens
from hyperfocal.render import expose, render
from hyperfocal.render import shutter as shutter_module
from hyperfocal.rendering import Rendering, RenderOptions
from hyperfocal.sh import dc_from_color
from hyperfocal.shutter import MotionPath, Shutter
from hyperfocal.transforms import rigid, rigid_from_twist
from scenes import pinhole, random_gaussians, ring_of_cameras

F64 = torch.float64
NO_CUT = RenderOptions(alpha_cut=0.0, relative_cut=False, low_pass_px2=0.0, opacity_law="energy")
FOCAL_PX, DEPTH, SIGMA_PX, PEAK = 50.0, 2.0, 1.2, 0.9
VELOCITY = torch.tensor([0.02, -0.03, 0.05, 0.1, -0.05, 0.2])
BACKGROUND = torch.tensor([0.2, 0.5, 0.9])


def light(x: float = 0.0, y: float = 0.0, *, tall: float = 1.0, brightness: float = 1.0) -> Gaussians:
    """One flat Gaussian that faces `pinhole`: a spot of SIGMA_PX at (x, y) of the plane at DEPTH, in linear light."""
    spot = SIGMA_PX * DEPTH / FOCAL_PX
    return Gaussians(
        means=torch.tensor([[x, y, DEPTH]]),
        quaternions=torch.tensor([[1.0, 0, 0, 0]]),
        scales=torch.tensor([[spot, tall * spot, 1e-6]]),
        opacities=torch.tensor([PEAK]),
        sh=dc_from_color(torch.full((1, 1, 3), brightness)),
        color_space="linear",
    )


def moving(velocity: list[float], reach: float = 0.5) -> MotionPath:
    return MotionPath.constant_velocity(torch.tensor(velocity), reach=reach)


def linear(gaussians: Gaussians) -> Gaussians:
    return replace(gaussians, color_space="linear")


def maps(rendering: Rendering) -> dict[str, Tensor]:
    return {name: t for name, t in vars(rendering).items() if t is not None}


def assert_same_bits(value: Rendering, truth: Rendering) -> None:
    assert maps(value).keys() == maps(truth).keys()
    for name, expected in maps(truth).items():
        assert torch.equal(maps(value)[name], expected), name


def centroid(image: Tensor) -> tuple[float, float]:
    """Return (x, y) of the centre of light of a picture in pixels."""
    y, x = (torch.arange(size) + 0.5 for size in image.shape)
    return float((image * x).sum() / image.sum()), float((image * y.unsqueeze(1)).sum() / image.sum())


# --- what can be solved on paper ---


def test_a_sideways_motion_draws_out_a_spot_by_a_box_of_known_length() -> None:
    camera, streak_px = pinhole(41, 21, FOCAL_PX), 9.0
    across = streak_px * DEPTH / FOCAL_PX
    shutter = Shutter(sub_frames=72, path=moving([0, 0, 0, across, 0, 0]))
    image = render(light(), camera, shutter=shutter, options=NO_CUT).color[..., 0]
    x, y = torch.arange(41) + 0.5 - 20.5, torch.arange(21) + 0.5 - 10.5
    # A Gaussian of peak o convolved with a box of length L: an integral of the normal density over the box.
    ends = [torch.special.ndtr((x + side * streak_px / 2) / SIGMA_PX) for side in (1, -1)]
    profile = PEAK * SIGMA_PX * math.sqrt(2 * math.pi) / streak_px * (ends[0] - ends[1])
    expected = torch.exp(-y.square() / (2 * SIGMA_PX**2)).unsqueeze(1) * profile
    assert float(expected.max()) < 0.4  # the streak is not just the spot
    torch.testing.assert_close(image, expected, atol=2e-4, rtol=0)


def test_a_turn_about_the_axis_draws_a_spot_out_along_an_arc_of_known_centre() -> None:
    camera, radius_px, angle, count = pinhole(64, 64, FOCAL_PX), 20.0, 1.2, 24
    spot = light(radius_px * DEPTH / FOCAL_PX)
    image = render(
        spot, camera, shutter=Shutter(sub_frames=count, path=moving([0, 0, angle, 0, 0, 0])), options=NO_CUT
    ).color[..., 0]
    x, y = centroid(image)
    # The mean of points at the middles of equal parts of an arc; with ever more of them sin(a / 2) / (a / 2).
    mean = math.sin(angle / 2) / (count * math.sin(angle / 2 / count))
    assert x - 32 == pytest.approx(radius_px * mean, abs=2e-3)
    assert y - 32 == pytest.approx(0, abs=2e-3)
    assert image[32 + round(radius_px * math.sin(0.5)), 32 + int(radius_px * math.cos(0.5))] > 0.05
    assert mean < 0.95


def test_a_spot_exposed_half_of_the_time_gives_half_of_its_light_and_all_of_its_depth() -> None:
    camera = pinhole(32, 24, FOCAL_PX)
    gone = replace(light(), means=torch.tensor([[0.0, 0, -DEPTH]]))  # behind the camera

    def blinking(time: float) -> Gaussians:
        return light() if time < 0 else gone

    sharp = render(light(), camera, options=NO_CUT)
    half = expose(blinking, None, camera, shutter=Shutter(sub_frames=6), options=NO_CUT)
    torch.testing.assert_close(half.color, sharp.color / 2)
    torch.testing.assert_close(half.alpha, sharp.alpha / 2)
    torch.testing.assert_close(half.depth_expected, sharp.depth_expected)
    torch.testing.assert_close(half.depth_median, sharp.depth_median)
    torch.testing.assert_close(half.radii_px, sharp.radii_px)


@pytest.mark.parametrize("brightness", [0.5, 3.0])
def test_srgb_is_averaged_as_light_unless_told_otherwise(brightness: float) -> None:
    camera = pinhole(20, 16, FOCAL_PX)
    spot = replace(light(brightness=brightness), color_space="srgb")
    path = moving([0, 0, 0, 0.3, 0, 0])
    stills = [
        render(spot, replace(camera, world_to_camera=motion), options=NO_CUT).color
        for motion in path.at(torch.tensor([-0.25, 0.25]))
    ]
    as_light = render(spot, camera, shutter=Shutter(sub_frames=2, path=path), options=NO_CUT).color
    expected = srgb_from_linear((linear_from_srgb(stills[0]) + linear_from_srgb(stills[1])) / 2)
    torch.testing.assert_close(as_light, expected, atol=2e-6, rtol=0)
    as_they_are = Shutter(sub_frames=2, path=path, linear_light=False)
    values = render(spot, camera, shutter=as_they_are, options=NO_CUT).color
    torch.testing.assert_close(values, (stills[0] + stills[1]) / 2, atol=2e-6, rtol=0)
    assert float((values - as_light).abs().max()) > 0.05
    assert torch.equal(
        render(linear(spot), camera, shutter=as_they_are, options=NO_CUT).color,
        render(linear(spot), camera, shutter=replace(as_they_are, linear_light=True), options=NO_CUT).color,
    )


@pytest.mark.parametrize("sign", [1, -1])
def test_a_rolling_shutter_shears_an_upright_bar_by_a_known_slope(sign: int) -> None:
    camera, rows, shear_px = pinhole(48, 25, FOCAL_PX), 25, 12.0
    path = moving([0, 0, 0, shear_px * DEPTH / FOCAL_PX, 0, 0])
    bar = light(tall=1000.0)
    shutter = Shutter(duration=0.0, readout=float(sign), bands=rows, path=path)
    image = render(bar, camera, shutter=shutter, options=NO_CUT).color[..., 0]
    for row in range(rows):
        x, _ = centroid(image[row : row + 1])
        assert x == pytest.approx(24 + sign * shear_px * (row / (rows - 1) - 0.5), abs=2e-3)
    # Fewer bands are steps of that slope: no row is off by more than half a step.
    steps = render(bar, camera, shutter=replace(shutter, bands=None, sub_frames=6), options=NO_CUT).color[..., 0]
    off = [centroid(steps[r : r + 1])[0] - 24 - sign * shear_px * (r / (rows - 1) - 0.5) for r in range(rows)]
    assert 0.5 < max(map(abs, off)) <= shear_px / (rows - 1) * (math.ceil(rows / 6) - 1) / 2 + 2e-3


def test_each_row_of_a_rolling_shutter_is_that_row_of_a_global_one_at_its_time() -> None:
    gaussians, camera = random_gaussians(60), ring_of_cameras(1)[0]
    path = MotionPath.constant_velocity(VELOCITY, reach=1.0)
    rolling = Shutter(duration=0.5, sub_frames=3, readout=0.8, bands=camera.height, path=path)
    drawn = render(gaussians, camera, shutter=rolling)
    for row in (0, 11, camera.height - 1):
        at_once = replace(rolling, readout=0.0, time=0.8 * (row / (camera.height - 1) - 0.5))
        alone = render(gaussians, camera, shutter=at_once)
        for name in ("color", "alpha", "depth_expected", "depth_median"):
            torch.testing.assert_close(getattr(drawn, name)[row], getattr(alone, name)[row], atol=1e-5, rtol=1e-5)


# --- the still frame ---


@pytest.mark.parametrize("sub_frames", [1, 3, 16])
@pytest.mark.parametrize("readout", [0.0, 0.5])
def test_no_motion_is_the_still_frame_bit_for_bit(sub_frames: int, readout: float) -> None:
    gaussians, camera = random_gaussians(80), ring_of_cameras(2)
    options = RenderOptions(opacity_law="energy")
    thin = ThinLens(torch.tensor(0.2), torch.tensor(4.0))
    still = render(gaussians, camera, lens=thin, background=BACKGROUND, options=options)
    path = MotionPath.constant_velocity(torch.zeros(6, requires_grad=True), reach=1.0)
    shutter = Shutter(sub_frames=sub_frames, readout=readout)
    for way, seen in ((path, gaussians), (None, lambda time: gaussians), (None, gaussians)):
        found = expose(seen, way, camera, lens=thin, shutter=shutter, background=BACKGROUND, options=options)
        if readout == 0 or (way is None and seen is gaussians):
            assert_same_bits(found, still)
        else:  # windows of rows differ from the whole picture by rounding
            for name, expected in maps(still).items():
                torch.testing.assert_close(maps(found)[name], expected, atol=1e-5, rtol=1e-5, msg=name)


@pytest.mark.parametrize("time", [0.0, 0.3])
def test_a_duration_of_zero_is_the_still_frame_of_its_time(time: float) -> None:
    gaussians, camera = random_gaussians(80), ring_of_cameras(2)
    path = MotionPath.constant_velocity(VELOCITY)
    then = replace(camera, world_to_camera=path.at(torch.tensor([time])) @ camera.world_to_camera)
    shutter = Shutter(duration=0.0, time=time, path=path)
    assert_same_bits(render(gaussians, camera, shutter=shutter), render(gaussians, then))


# --- invariants ---


@pytest.mark.parametrize("lens", [None, ThinLens(torch.tensor(0.15), torch.tensor(3.0))])
def test_light_is_neither_made_nor_lost(lens: ThinLens | None) -> None:
    camera = pinhole(64, 48, FOCAL_PX)
    path = moving([0, 0, 0.5, 0.4, 0.2, 0])
    blurred = render(light(), camera, lens=lens, shutter=Shutter(path=path), options=NO_CUT).color
    still = render(light(), camera, lens=lens, options=NO_CUT).color
    assert float(blurred.sum() / still.sum()) == pytest.approx(1, abs=1e-4)
    assert float(blurred.max() / still.max()) < 0.6


def test_the_path_may_be_passed_backwards() -> None:
    gaussians, camera = random_gaussians(80), ring_of_cameras(2)
    poses = MotionPath.constant_velocity(VELOCITY).poses
    there, back = (
        render(gaussians, camera, shutter=Shutter(sub_frames=7, path=MotionPath(p))) for p in (poses, poses.flip(0))
    )
    for name in ("color", "alpha", "depth_expected", "radii_px"):
        torch.testing.assert_close(getattr(there, name), getattr(back, name), atol=2e-5, rtol=1e-5)


def test_sub_frames_may_come_in_any_order_and_in_any_number_of_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    gaussians, camera = random_gaussians(80), ring_of_cameras(2)
    shutter = Shutter(sub_frames=7, path=MotionPath.constant_velocity(VELOCITY), linear_light=False)
    together = render(gaussians, camera, shutter=shutter, options=RenderOptions(weight_sum=True))
    assert shutter.path is not None
    moments = shutter.moments((0, 30), 30)[torch.tensor([4, 0, 6, 2, 5, 1, 3])]
    stills = [
        render(
            gaussians,
            replace(camera, world_to_camera=motion @ camera.world_to_camera),
            options=RenderOptions(weight_sum=True),
        )
        for motion in shutter.path.at(moments)
    ]
    for name in ("color", "alpha", "weight_sum"):
        mean = torch.stack([getattr(still, name) for still in stills]).mean(0)
        torch.testing.assert_close(getattr(together, name), mean, atol=2e-6, rtol=1e-5)
    torch.testing.assert_close(together.radii_px, torch.stack([still.radii_px for still in stills]).amax(0))
    monkeypatch.setattr(shutter_module, "_MOST_PER_CALL", 2 * 2 * 40 * 30)  # two sub-frames of two views
    apart = render(gaussians, camera, shutter=shutter, options=RenderOptions(weight_sum=True))
    for name, expected in maps(together).items():
        torch.testing.assert_close(maps(apart)[name], expected, atol=1e-6, rtol=1e-6, msg=name)


def test_gaussians_that_pass_by_are_a_camera_that_passes_by() -> None:
    gaussians, camera = random_gaussians(80, sh_degree=0), pinhole(40, 30, FOCAL_PX)
    camera = replace(camera, world_to_camera=rigid(torch.eye(3), torch.tensor([0.0, 0, 4])))
    shift = torch.tensor([0.3, -0.2, 0.1])

    def passing(time: float) -> Gaussians:
        return replace(gaussians, means=gaussians.means + time * shift)

    def changing(time: float) -> Gaussians:
        return replace(passing(time), scales=gaussians.scales.clone())

    shutter = Shutter(sub_frames=5, readout=0.4, bands=3)
    path = moving([0, 0, 0, *shift.tolist()], reach=0.7)
    expected = expose(gaussians, path, camera, shutter=shutter)
    for seen in (passing, changing):
        found = expose(seen, None, camera, shutter=shutter)
        for name in ("color", "alpha", "depth_expected"):
            torch.testing.assert_close(getattr(found, name), getattr(expected, name), atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("readout", [0.0, 0.5])
def test_a_batch_is_its_views_each_with_its_path_and_lens(readout: float) -> None:
    gaussians, camera = random_gaussians(80), ring_of_cameras(3)
    velocities = torch.stack((VELOCITY, -2 * VELOCITY, VELOCITY.flip(0)))
    thin = ThinLens(torch.tensor([0.0, 0.2, 0.4]), torch.tensor([3.0, 4.0, 5.0]))
    options = RenderOptions(opacity_law="energy", features=torch.rand(80, 2), weight_sum=True)
    shutter = Shutter(sub_frames=4, readout=readout)
    together = expose(
        gaussians, MotionPath.constant_velocity(velocities, reach=1.0), camera,
        shutter=shutter, lens=thin, options=options,
    )  # fmt: skip
    for i in range(3):
        path = MotionPath.constant_velocity(velocities[i], reach=1.0)
        alone = expose(gaussians, path, camera[i], shutter=shutter, lens=thin[i], options=options)
        for name, expected in maps(alone).items():
            torch.testing.assert_close(maps(together)[name][i], expected, atol=1e-6, rtol=1e-6, msg=name)


def test_tensors_by_view_go_with_every_sub_frame() -> None:
    gaussians, camera = random_gaussians(40), ring_of_cameras(2)
    by_view = RenderOptions(
        means=gaussians.means + 0.1 * torch.randn(2, 40, 3),
        colors=torch.rand(2, 40, 3),
        variance_px2=torch.rand(2, 40),
        error_map=torch.rand(2, 30, 40),
    )
    shutter = Shutter(sub_frames=3, path=MotionPath.constant_velocity(VELOCITY))
    together = render(gaussians, camera, shutter=shutter, options=by_view)
    for i in range(2):
        names = ("means", "colors", "variance_px2", "error_map")
        own = RenderOptions(**{name: getattr(by_view, name)[i : i + 1] for name in names})
        alone = render(gaussians, camera[i : i + 1], shutter=shutter, options=own)
        for name, expected in maps(alone).items():
            torch.testing.assert_close(maps(together)[name][i], expected[0], atol=1e-6, rtol=1e-6, msg=name)


def test_a_window_of_rows_is_these_rows_of_the_whole() -> None:
    gaussians, camera = random_gaussians(80), ring_of_cameras(1)[0]
    path = MotionPath.constant_velocity(VELOCITY, reach=1.0)
    shutter = Shutter(sub_frames=3, readout=1.0, bands=4, path=path)
    whole = render(gaussians, camera, shutter=shutter)
    window = render(gaussians, camera, shutter=shutter, options=RenderOptions(row_window=(6, 19)))
    for name in ("color", "alpha", "depth_expected", "depth_median"):
        torch.testing.assert_close(getattr(window, name), getattr(whole, name)[6:19], atol=1e-6, rtol=1e-6)


# --- gradients and twins ---


def exposed(
    backend: str, dtype: torch.dtype, path_of: Callable[[Tensor], MotionPath]
) -> tuple[list[Tensor], dict[str, Tensor]]:
    """Return the pictures that a backend takes, and the gradients of a fixed weighting of them."""
    gaussians = random_gaussians(50)
    leaves = {name: t.to(dtype).clone().requires_grad_() for name, t in gaussians.tensors().items()}
    twists = (torch.arange(-1.5, 2.0).unsqueeze(1) * VELOCITY + 0.01 * torch.eye(4, 6)).to(dtype).requires_grad_()
    thin = ThinLens(torch.tensor([0.2, 0.5], dtype=dtype), torch.tensor([3.5, 4.5], dtype=dtype))
    lens_leaves = {"aperture": thin.aperture_diameter.requires_grad_(), "focus": thin.focus_distance.requires_grad_()}
    out = expose(
        replace(gaussians, **leaves),  # pyright: ignore[reportArgumentType]
        path_of(twists),
        ring_of_cameras(2).to(dtype=dtype),
        lens=thin,
        shutter=Shutter(sub_frames=3, readout=0.3, bands=2, duration=0.5),
        background=BACKGROUND.to(dtype),
        backend=backend,  # pyright: ignore[reportArgumentType]
        options=RenderOptions(alpha_cut=0.0, relative_cut=False, opacity_law="energy"),
    )
    images = [out.color, out.alpha, out.depth_expected]
    g = torch.Generator().manual_seed(5)
    total = sum((torch.randn(image.shape, generator=g).to(dtype) * image).sum() for image in images)
    leaves |= {"twists": twists, **lens_leaves}
    gradients = torch.autograd.grad(total, list(leaves.values()))  # pyright: ignore[reportArgumentType]
    return [image.detach() for image in images], dict(zip(leaves, gradients, strict=True))


@pytest.mark.parametrize("degree", [1, 3])
def test_the_core_is_the_twin_of_the_reference_with_path_and_lens(degree: int) -> None:
    def path_of(twists: Tensor) -> MotionPath:
        return MotionPath(rigid_from_twist(twists), degree)  # pyright: ignore[reportArgumentType]

    (pictures, gradients), (true_pictures, true_gradients) = (
        exposed(*which, path_of) for which in (("cpu", torch.float32), ("reference", F64))
    )
    for picture, truth in zip(pictures, true_pictures, strict=True):
        assert float((picture.double() - truth).norm() / truth.norm()) < 2e-5
    for name, truth in true_gradients.items():
        assert float((gradients[name].double() - truth).norm() / truth.norm()) < 3e-4, name


@pytest.mark.parametrize("speed", [0.0, 1.0])
def test_gradients_of_path_lens_and_gaussians_are_those_of_differences(speed: float) -> None:
    gaussians = random_gaussians(5, dtype=F64, sh_degree=0)
    camera = ring_of_cameras(1, 8, 6, dtype=F64)[0]
    twists = speed * torch.arange(4.0, dtype=F64).unsqueeze(1) * VELOCITY.double()

    weights = torch.randn(6, 8, 3, dtype=F64)

    def picture(twists: Tensor, aperture: Tensor, means: Tensor) -> tuple[Tensor, Tensor]:
        out = expose(
            replace(gaussians, means=means),
            MotionPath(rigid_from_twist(twists), 3),
            camera,
            lens=ThinLens(aperture, torch.tensor(3.5, dtype=F64)),
            shutter=Shutter(sub_frames=3, readout=0.3, bands=2, duration=0.6),
            backend="reference",
            options=RenderOptions(alpha_cut=0.0, relative_cut=False, opacity_law="energy"),
        )
        # Where alpha is nothing, the depth is rounding.
        return (weights * out.color).sum(), (weights[..., 0] * out.depth_expected * out.alpha).sum()

    inputs = (twists, torch.tensor(0.3, dtype=F64), gaussians.means)
    assert torch.autograd.gradcheck(picture, tuple(t.clone().requires_grad_() for t in inputs), atol=1e-6)


def test_wrong_combinations_are_refused_with_the_reason() -> None:
    gaussians, camera = random_gaussians(5), ring_of_cameras(2)
    path = MotionPath.constant_velocity(VELOCITY)
    with pytest.raises(BadInputError, match=r"its path goes from -0\.5 to 0\.5"):
        render(gaussians, camera, shutter=Shutter(readout=1.0, path=path))
    with pytest.raises(ValueError, match="path of its own"):
        expose(gaussians, None, camera, shutter=Shutter(path=path))
    with pytest.raises(ValueError, match="for 3 views, and the camera 2"):
        expose(gaussians, MotionPath(path.poses.expand(3, 3, 4, 4)), camera, shutter=Shutter())
    three = ThinLens(torch.full((3,), 0.1), torch.full((3,), 2.0))
    with pytest.raises(ValueError, match="one a view, 2, got 3 lenses"):
        expose(gaussians, path, camera, shutter=Shutter(), lens=three)
    with pytest.raises(ValueError, match="Normals"):
        render(gaussians, camera, shutter=Shutter(path=path), normals=True)
    moved = RenderOptions(means=gaussians.means.expand(2, 5, 3))
    with pytest.raises(ValueError, match="stand still"):
        expose(lambda time: gaussians, None, camera, shutter=Shutter(), options=moved)
    with pytest.raises(ValueError, match="row_window"):
        render(gaussians, camera, shutter=Shutter(), options=RenderOptions(row_window=(0, 99)))
    with pytest.raises(ValueError, match="variance_px2"):
        render(gaussians, camera, shutter=Shutter(), options=RenderOptions(variance_px2=torch.zeros(3, 5)))
    with pytest.raises(ValueError, match="for a lens"):
        render(gaussians, camera, shutter=Shutter(path=path), options=RenderOptions(defocus="aperture"))
