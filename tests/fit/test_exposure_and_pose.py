from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from test_loop import last, photographs_of, small, world

from hyperfocal.bench.quality import STANDSTILL
from hyperfocal.fit import CaptureConfig, McmcConfig, fit
from hyperfocal.fit.capture import as_captured, corrected_camera, exposed
from hyperfocal.fit.loop import Step
from hyperfocal.transforms import rigid, rotation_from_quaternion
from scenes import pinhole


def test_zeros_are_the_photograph_as_it_came() -> None:
    start = as_captured(3).values
    camera = replace(pinhole(), world_to_camera=rigid(torch.eye(3), torch.tensor([0.1, -0.2, 3.0])))
    assert torch.equal(corrected_camera(camera, start.pose[0]).world_to_camera, camera.world_to_camera)
    color = torch.rand(4, 5, 3)
    assert torch.equal(exposed(color, start.exposure[1]), color)


def test_a_correction_turns_and_shifts_the_camera() -> None:
    # A quarter of a degree about y, then a shift along x: a point straight ahead moves by sin and by the shift.
    angle = 0.25 * torch.pi / 180
    moved = corrected_camera(pinhole(), torch.tensor([0.0, angle, 0.0, 0.01, 0.0, 0.0]))
    ahead = moved.world_to_camera @ torch.tensor([0.0, 0.0, 2.0, 1.0])
    assert ahead[0].item() == pytest.approx(2 * angle + 0.01, rel=1e-4)
    assert ahead[1].item() == 0


def test_an_exposure_is_an_affine_change_of_colour() -> None:
    exposure = torch.tensor([[0.1, 0.0, 0.0, 0.02], [0.0, -0.2, 0.0, 0.0], [0.3, 0.0, 0.0, -0.01]])
    color = torch.tensor([[[0.5, 0.4, 0.2]]])
    assert exposed(color, exposure)[0, 0].tolist() == pytest.approx([0.57, 0.32, 0.34])


def losses(steps: Iterator[Step]) -> list[float]:
    return [step.loss_terms["photometric"] for step in steps]


def test_photographs_of_changing_exposure_are_explained_by_exposures() -> None:
    gains = torch.linspace(0.75, 1.25, 8)
    photographs = tuple(
        replace(p, image=(p.image * gain).clamp(0, 1)) for p, gain in zip(photographs_of(world()), gains, strict=True)
    )
    config = small(240, background="black", capture=CaptureConfig(exposure="affine", exposure_rate=1e-2))
    plain = losses(fit(photographs, world(), replace(config, capture=CaptureConfig())))
    step = last(fit(photographs, world(), config))
    with_exposure = losses(fit(photographs, world(), config))
    assert sum(with_exposure[-40:]) < 0.6 * sum(plain[-40:])
    found = 1 + step.checkpoint().capture.values.exposure.diagonal(dim1=1, dim2=2)[:, :3].mean(1)
    # What all share may go into the Gaussians' colours: the ratios count.
    assert torch.corrcoef(torch.stack((found, gains)))[0, 1] > 0.97


def test_wrong_poses_are_corrected() -> None:
    generator = torch.Generator().manual_seed(3)
    exact = photographs_of(world())
    photographs = []
    for p in exact:
        turn = rotation_from_quaternion(torch.cat((torch.ones(1), 0.004 * torch.randn(3, generator=generator))))
        wrong = rigid(turn, 0.01 * torch.randn(3, generator=generator)) @ p.camera.world_to_camera
        photographs.append(replace(p, camera=replace(p.camera, world_to_camera=wrong)))
    config = small(
        500,
        background="black",
        capture=CaptureConfig(pose=True, pose_rate=2e-3),
        learning_rates=STANDSTILL,
        densify=McmcConfig(cap=300, start=0.9, grow_until=0.9, stop=0.9),
    )
    step = last(fit(tuple(photographs), world(), config))
    poses = step.checkpoint().capture.values.pose
    for p, truth, pose in zip(photographs, exact, poses, strict=True):
        before = (p.camera.world_to_camera - truth.camera.world_to_camera).norm()
        after = (corrected_camera(p.camera, pose).world_to_camera - truth.camera.world_to_camera).norm()
        assert after < 0.3 * before
