"""The fit as a whole, on small scenes with a known answer."""

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from torch import Tensor

from hyperfocal.errors import BadInputError, NothingUsableError
from hyperfocal.export import read_ply, write_ply
from hyperfocal.fit import ClassicConfig, FitConfig, InitialConfig, LearningRates, McmcConfig, Step, fit
from hyperfocal.fit.pyramid import PhotographStore
from hyperfocal.gaussians import Gaussians
from hyperfocal.metrics import psnr
from hyperfocal.render import render
from hyperfocal.scene import Photograph, Scene, View
from scenes import random_gaussians, ring_of_cameras

WIDTH, HEIGHT, HELD_OUT = 64, 48, 3


def world(count: int = 300) -> Gaussians:
    """Small nearly opaque Gaussians on a sphere of radius 0.9: few layers, so that eight views determine them."""
    g = random_gaussians(count, seed=1, sh_degree=0, size=0.08)
    means = 0.9 * torch.nn.functional.normalize(g.means, dim=1)
    return replace(g, means=means, opacities=0.75 + 0.2 * g.opacities)


def photographs_of(gaussians: Gaussians, views: int = 8) -> tuple[Photograph, ...]:
    cameras = ring_of_cameras(views, WIDTH, HEIGHT)
    valid = torch.ones(HEIGHT, WIDTH, dtype=torch.bool)
    with torch.no_grad():
        pictures = [render(gaussians, cameras[i]).color.clamp(0, 1) for i in range(views)]
    return tuple(Photograph(f"{i}", pictures[i], valid, cameras[i]) for i in range(views))


def perturbed(g: Gaussians) -> Gaussians:
    """A start as from structure from motion: places and colours about right, all else unknown."""
    generator = torch.Generator().manual_seed(0)

    def noise(like: Tensor, size: float) -> Tensor:
        return size * torch.randn(like.shape, generator=generator)

    return Gaussians(
        means=g.means + noise(g.means, 0.03),
        quaternions=torch.tensor([[1.0, 0, 0, 0]]).expand(len(g), 4),
        scales=torch.full((len(g), 3), 0.1),
        opacities=torch.full((len(g),), 0.5),
        sh=g.sh + noise(g.sh, 0.3),
    )


def last(steps: Iterator[Step]) -> Step:
    return deque(steps, maxlen=1).pop()


def quality(gaussians: Gaussians, photograph: Photograph) -> float:
    with torch.no_grad():
        return float(psnr(render(gaussians, photograph.camera).color.clamp(0, 1), photograph.image))


def small(steps: int = 40, **changes: Any) -> FitConfig:
    config = FitConfig(steps=steps, sh_degree=0, resolution=((0.0, 1),), densify=McmcConfig(cap=400, interval=10))
    return replace(config, **changes)


@pytest.mark.parametrize(
    ("densify", "moments"),
    [
        (McmcConfig(cap=600, interval=50), "float32"),
        (ClassicConfig(cap=600, interval=50), "float32"),
        (McmcConfig(cap=600, interval=50), "bfloat16"),
    ],
    ids=["mcmc", "classic", "half the memory"],
)
def test_a_scene_is_recovered_from_its_photographs(
    densify: McmcConfig | ClassicConfig, moments: Literal["float32", "bfloat16"]
) -> None:
    truth = world()
    photographs = photographs_of(truth)
    training = tuple(p for i, p in enumerate(photographs) if i != HELD_OUT)
    start = perturbed(truth)
    rates = LearningRates(means=1e-3, means_final=1e-5)
    config = FitConfig(
        steps=500,
        sh_degree=0,
        learning_rates=rates,
        resolution=((0.0, 1),),
        densify=densify,
        moments=moments,
        background="black",  # as in the photographs: this world has gaps to look through
    )
    fitted = last(fit(training, start, config)).gaussians()
    before, after = quality(start, photographs[HELD_OUT]), quality(fitted, photographs[HELD_OUT])
    assert before < 26
    assert after > 32
    assert len(fitted) <= 600


def test_equal_seeds_give_equal_bits_and_other_seeds_do_not() -> None:
    truth = world(100)
    photographs = photographs_of(truth)
    config = small(background="random")
    a, b, c = (last(fit(photographs, perturbed(truth), replace(config, seed=seed))).gaussians() for seed in (1, 1, 2))
    assert all(torch.equal(t, getattr(b, name)) for name, t in a.tensors().items())
    assert not torch.equal(a.means, c.means)


def test_the_global_random_state_is_neither_used_nor_changed() -> None:
    truth = world(50)
    photographs = photographs_of(truth)
    before = torch.get_rng_state()
    a = last(fit(photographs, perturbed(truth), small(20, background="random"))).gaussians()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(123)
    b = last(fit(photographs, perturbed(truth), small(20, background="random"))).gaussians()
    assert torch.equal(a.means, b.means)


def test_any_number_of_threads_gives_the_same_bits_and_is_left_as_it_was() -> None:
    truth = world(100)
    photographs, usual = photographs_of(truth), torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            for step in fit(photographs, perturbed(truth), small(20)):
                assert torch.get_num_threads() == threads
                if step.is_last:
                    results.append(step.gaussians())
    finally:
        torch.set_num_threads(usual)
    for other in results[1:]:
        assert all(torch.equal(t, getattr(other, name)) for name, t in results[0].tensors().items())


def test_torch_is_on_one_thread_while_photographs_are_fetched() -> None:
    threads: list[int] = []

    class Noting(PhotographStore):
        def photograph(self, i: int, factor: int = 1) -> Photograph:
            threads.append(torch.get_num_threads())
            return super().photograph(i, factor)

    truth, usual = world(20), torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        last(fit(Noting(photographs_of(truth)), perturbed(truth), small(5)))
    finally:
        torch.set_num_threads(usual)
    assert threads == [1] * 5


def test_the_result_survives_a_file_bit_for_bit(tmp_path: Path) -> None:
    truth = world(100)
    fitted = last(fit(photographs_of(truth), perturbed(truth), small())).gaussians()
    write_ply(tmp_path / "a.ply", fitted)
    back = read_ply(tmp_path / "a.ply")
    assert all(torch.equal(t, getattr(back, name)) for name, t in fitted.tensors().items())


def test_steps_tell_what_happened() -> None:
    truth = world(100)
    steps = list(fit(photographs_of(truth), perturbed(truth), small(20)))
    assert [step.index for step in steps] == list(range(20))
    assert [step.is_last for step in steps] == [False] * 19 + [True]
    assert {step.photograph for step in steps[:8]} == {str(i) for i in range(8)}
    assert set(steps[0].loss_terms) == {"photometric", "opacity", "scale"}
    assert steps[0].loss == pytest.approx(sum(steps[0].loss_terms.values()))
    assert steps[-1].means_rate < steps[0].means_rate


def test_gaussians_of_a_step_that_is_over_are_refused() -> None:
    truth = world(20)
    steps = fit(photographs_of(truth), perturbed(truth), small(5))
    first = next(steps)
    copy = first.gaussians()
    kept = copy.means.clone()
    next(steps)
    assert torch.equal(copy.means, kept)
    with pytest.raises(RuntimeError, match="before taking the next step"):
        first.gaussians()


def test_the_start_is_not_changed() -> None:
    truth = world(20)
    start = perturbed(truth)
    before = {name: tensor.clone() for name, tensor in start.tensors().items()}
    last(fit(photographs_of(truth), start, small(5)))
    assert all(torch.equal(t, before[name]) for name, t in start.tensors().items())


def test_pixels_that_are_not_valid_do_not_count() -> None:
    truth = world(50)
    clean = photographs_of(truth)
    valid = torch.ones(HEIGHT, WIDTH, dtype=torch.bool)
    valid[:, :20] = False
    spoiled = tuple(replace(p, valid=valid, image=p.image.where(valid.unsqueeze(-1), 9.0)) for p in clean)
    masked = tuple(replace(p, valid=valid) for p in clean)
    # Without the structural term, whose windows reach over the edge of the mask.
    a, b = (last(fit(p, perturbed(truth), small(10, ssim_weight=0.0))).gaussians() for p in (spoiled, masked))
    torch.testing.assert_close(a.means, b.means, rtol=0, atol=1e-6)


def test_views_of_a_scene_are_loaded_and_those_without_a_camera_left_out() -> None:
    truth = world(20)
    photographs = photographs_of(truth, 3)
    views = [View(p.name, p.image, p.camera) for p in photographs]
    scene = Scene(Path("x"), (*views, View("lost", photographs[0].image)))
    stages: list[tuple[str, int, int]] = []

    def note(stage: str, done: int, total: int) -> None:
        stages.append((stage, done, total))

    names = {step.photograph for step in fit(scene, perturbed(truth), small(6), progress=note)}
    assert names == {"0", "1", "2"}
    assert ("loading photographs", 3, 3) in stages
    assert stages[-1] == ("fitting", 6, 6)


def test_spherical_harmonics_get_the_degree_of_the_configuration() -> None:
    truth = world(20)
    config = small(6, sh_degree=2, initial=InitialConfig())
    assert last(fit(photographs_of(truth), perturbed(truth), config)).gaussians().sh_degree == 2


def test_nothing_to_fit_is_said_at_once() -> None:
    with pytest.raises(NothingUsableError, match="no photograph"):
        fit((), world(10))
    with pytest.raises(NothingUsableError, match="no Gaussians"):
        fit(photographs_of(world(10)), random_gaussians(0))


def test_a_loss_that_is_not_finite_stops_the_fit_with_the_name_of_the_photograph() -> None:
    photographs = photographs_of(world(10), 1)
    photographs[0].image[0, 0] = torch.nan
    with pytest.raises(FloatingPointError, match="photograph 0"):
        next(fit(photographs, perturbed(world(10)), small(photographs="float32")))
    with pytest.raises(BadInputError, match="photograph 0 has pixels that are no numbers"):
        fit(photographs, perturbed(world(10)), small(photographs="uint8"))
