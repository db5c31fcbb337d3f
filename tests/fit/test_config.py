"""Settings and schedules of a fit."""

import subprocess
import sys

import pytest

from hyperfocal.fit import CaptureConfig, ClassicConfig, FitConfig, InitialConfig, LearningRates, McmcConfig
from hyperfocal.fit.schedules import means_rate, sh_degree, shrink_factor


def test_the_configuration_loads_no_torch() -> None:
    code = "import hyperfocal.fit.config, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: FitConfig(steps=0), "steps"),
        (lambda: FitConfig(ssim_weight=1.5), "ssim_weight"),
        (lambda: FitConfig(sh_degree=4), "sh_degree"),
        (lambda: FitConfig(resolution=()), "resolution"),
        (lambda: FitConfig(resolution=((0.1, 2),)), "resolution"),
        (lambda: FitConfig(resolution=((0.0, 2), (0.0, 1))), "resolution"),
        (lambda: FitConfig(resolution=((0.0, 0),)), "resolution"),
        (lambda: InitialConfig(opacity=1.0), "opacity"),
        (lambda: FitConfig(clear_view=1.0), "clear_view"),
        (lambda: InitialConfig(sky=-1), "sky"),
        (lambda: InitialConfig(sky_distance=1.0), "sky_distance"),
        (lambda: LearningRates(sh0=-1.0), "sh0"),
        (lambda: LearningRates(means_final=0.0), "means_final"),
        (lambda: McmcConfig(cap=0), "cap"),
        (lambda: McmcConfig(stop=0.1), "stop"),
        (lambda: McmcConfig(noise=-1.0), "noise"),
        (lambda: CaptureConfig(grid=(8, 1, 4)), "grid"),
        (lambda: CaptureConfig(grid_smoothness=-1.0), "grid_smoothness"),
        (lambda: ClassicConfig(interval=0), "interval"),
        (lambda: ClassicConfig(gradient_threshold=0.0), "gradient_threshold"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(make, name: str) -> None:
    with pytest.raises(ValueError, match=name):
        make()


def test_the_rate_of_positions_falls_exponentially() -> None:
    rates = LearningRates(means=1e-2, means_final=1e-4)
    assert [means_rate(rates, t) for t in (0.0, 0.5, 1.0)] == pytest.approx([1e-2, 1e-3, 1e-4])
    assert means_rate(LearningRates(means=0.0), 0.5) == 0


def test_the_degree_rises_by_one_at_each_interval() -> None:
    config = FitConfig(sh_interval=0.1)
    assert [sh_degree(config, t) for t in (0.0, 0.09, 0.1, 0.2, 0.3, 0.9)] == [0, 0, 1, 2, 3, 3]
    assert sh_degree(FitConfig(sh_interval=0.0), 0.0) == 3
    assert sh_degree(FitConfig(sh_interval=0.1, sh_degree=0), 0.9) == 0


def test_photographs_grow_in_the_course_of_the_run() -> None:
    config = FitConfig(resolution=((0.0, 4), (0.25, 2), (0.5, 1)))
    assert [shrink_factor(config, t) for t in (0.0, 0.24, 0.25, 0.5, 0.99)] == [4, 4, 2, 1, 1]
