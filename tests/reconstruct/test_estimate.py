from dataclasses import replace
from pathlib import Path

import pytest
import torch

from hyperfocal.camera import Camera, reduced_size
from hyperfocal.data.photo_size import photo_size, reduced_camera
from hyperfocal.fit.config import FitConfig, McmcConfig
from hyperfocal.reconstruct import estimate
from hyperfocal.reconstruct.config import ReconstructConfig
from hyperfocal.reconstruct.estimate import Costs, StepCost, estimate_costs
from hyperfocal.scene import Scene, View

FIT = FitConfig(steps=1000, densify=McmcConfig(cap=50_000))


@pytest.fixture
def unposed(monkeypatch: pytest.MonkeyPatch) -> Scene:
    """Sixteen photographs of 600 x 400 pixels, on a machine where a step costs 1 ms and 10 ns a Gaussian or pixel."""
    monkeypatch.setattr(estimate, "measure_step", lambda: StepCost(1e-3, 1e-8, 1e-8))
    image = torch.zeros(400, 600, 3)
    return Scene(Path("photos"), tuple(View(f"{i:02}.jpg", image) for i in range(16)))


def test_the_time_of_a_fit_grows_with_its_steps_gaussians_and_pixels(unposed: Scene) -> None:
    def fit_s(**changes: object) -> float:
        config = ReconstructConfig(fit=replace(FIT, **changes))  # pyright: ignore[reportArgumentType]
        return estimate_costs(unposed, config).seconds["fit"]

    base = fit_s()
    assert fit_s(steps=2000) == pytest.approx(2 * base, rel=1e-3)
    assert fit_s(densify=McmcConfig(cap=100_000)) > base
    assert fit_s(resolution=((0.0, 1),)) > base
    # Each step costs at least its constant, and at most that of the cap at full size.
    assert 1.0 < base < 1000 * (1e-3 + 1e-8 * (50_000 + 600 * 400))


def test_blur_costs_its_factor_from_when_it_is_fitted_and_the_search_for_it(unposed: Scene) -> None:
    def fit_s(**changes: object) -> float:
        capture = replace(FIT.capture, **changes)  # pyright: ignore[reportArgumentType]
        return estimate_costs(unposed, ReconstructConfig(fit=replace(FIT, capture=capture))).seconds["fit"]

    sharp, soft, moved = fit_s(), fit_s(lens="on"), fit_s(motion="on", sub_frames=7)
    assert 1.4 * sharp < soft < 2 * sharp
    assert 6 * sharp < moved < 10 * sharp
    assert fit_s(lens="on", motion="on") > moved + soft - sharp
    assert fit_s(motion="off", sub_frames=20) == sharp


def test_auto_costs_its_trial_and_the_rest_only_where_blur_is_kept(unposed: Scene) -> None:
    def costs(**changes: object) -> Costs:
        capture = replace(FIT.capture, **changes)  # pyright: ignore[reportArgumentType]
        return estimate_costs(unposed, ReconstructConfig(fit=replace(FIT, capture=capture)))

    sharp, soft, auto = costs(), costs(lens="on"), costs(lens="auto")
    assert sharp.more_if_soft_s == soft.more_if_soft_s == 0
    assert sharp.seconds["fit"] < auto.seconds["fit"] < soft.seconds["fit"]
    assert auto.seconds["fit"] + auto.more_if_soft_s == pytest.approx(soft.seconds["fit"])


def test_motion_takes_the_memory_of_its_sub_frames(unposed: Scene) -> None:
    moved = ReconstructConfig(fit=replace(FIT, capture=replace(FIT.capture, motion="on")))
    assert (
        estimate_costs(unposed, moved).memory_mib > 1.2 * estimate_costs(unposed, ReconstructConfig(fit=FIT)).memory_mib
    )


def test_known_cameras_cost_no_time(unposed: Scene) -> None:
    camera = Camera(torch.eye(4), torch.full((2,), 500.0), torch.tensor([300.0, 200.0]), 600, 400)
    posed = replace(unposed, views=tuple(replace(view, camera=camera) for view in unposed.views))
    assert "cameras" in estimate_costs(unposed, ReconstructConfig(fit=FIT)).seconds
    assert "cameras" not in estimate_costs(posed, ReconstructConfig(fit=FIT)).seconds


def test_sizes_and_counts_are_those_of_the_fit(unposed: Scene) -> None:
    costs = estimate_costs(unposed, ReconstructConfig(long_side=300, fit=FIT))
    assert costs.stored_px == (600, 400)
    assert costs.fitted_px == (300, 200)
    assert costs.gaussians == (16 * estimate.POINTS_PER_PHOTOGRAPH, 50_000)
    assert estimate_costs(unposed, ReconstructConfig(long_side=None, fit=FIT)).memory_mib > costs.memory_mib


def test_a_step_can_be_measured_here() -> None:
    cost = estimate.measure_step()
    assert 0 < cost.seconds(100_000, 1_000_000) < 60


@pytest.mark.parametrize(
    ("size", "long_side", "reduced"),
    [((600, 400), 300, (300, 200)), ((400, 600), 300, (200, 300)), ((600, 400), None, (600, 400)), ((5, 4), 9, (5, 4))],
)
def test_photographs_are_reduced_and_never_enlarged(
    size: tuple[int, int], long_side: int | None, reduced: tuple[int, int]
) -> None:
    assert reduced_size(size, long_side) == reduced
    camera = Camera(torch.eye(4), torch.full((2,), 500.0), torch.full((2,), 100.0), *size)
    assert (reduced_camera(camera, long_side).width, reduced_camera(camera, long_side).height) == reduced
    assert photo_size(View("a", torch.zeros(size[1], size[0], 3))) == size
