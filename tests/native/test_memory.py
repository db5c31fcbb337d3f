"""The scratch memory that the core keeps: given back when asked, and never missed."""

import subprocess
import sys

import pytest
import torch

from hyperfocal.native import release_memory
from hyperfocal.native.rasterize import RasterOutputs, rasterize


def draw(means: torch.Tensor) -> RasterOutputs:
    """Many small grey Gaussians in a picture of 64 x 64 pixels."""
    n = len(means)
    return rasterize(
        means=means,
        quaternions=torch.tensor([[1.0, 0.0, 0.0, 0.0]]).repeat(n, 1),
        scales=torch.full((n, 3), 0.01),
        opacities=torch.full((n,), 0.5),
        colors=torch.full((n, 3), 0.5),
        world_to_camera=torch.eye(4)[None],
        focal_px=torch.full((1, 2), 64.0),
        center_px=torch.full((1, 2), 32.0),
        width=64,
        height=64,
    )


def points(n: int) -> torch.Tensor:
    """Points in front of the camera."""
    return torch.rand(n, 3) + torch.tensor([-0.5, -0.5, 1.0])


def test_what_a_drawing_leaves_is_released_once():
    draw(points(20_000))  # the row of one Gaussian alone is 64 bytes
    assert release_memory() >= 64 * 20_000
    assert release_memory() == 0


def test_a_drawing_keeps_what_its_gradient_needs():
    means = points(20_000).requires_grad_()
    (expected,) = torch.autograd.grad(draw(means).color.sum(), means)
    out = draw(means)
    release_memory()
    torch.full((2_000_000,), 7.0)  # whoever gets the memory now writes on it
    (got,) = torch.autograd.grad(out.color.sum(), means)
    assert torch.equal(got, expected)


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux how much memory the process has")
def test_the_system_has_the_memory_back():
    # In a process of its own: the test suite's heap is too full of other things to tell.
    code = """
import sys; sys.path[:0] = PATH
from test_memory import draw, points, release_memory
def resident(): return int(open("/proc/self/statm").read().split()[1]) * 4096
draw(points(300_000))
before = resident()
released = release_memory()
assert released > 64 * 300_000, released
print((before - resident()) / released)
"""
    code = code.replace("PATH", repr(sys.path))
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    # Pages that were never written were never there: the share is not exactly 1.
    assert float(done.stdout) > 0.7
