"""Random inputs of the native rasteriser, for property tests."""

from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor

from hyperfocal.native.rasterize import RasterOutputs, rasterize

LEAVES = ("means", "quaternions", "scales", "opacities", "sh", "colors", "features")
CAMERA = ("world_to_camera", "focal_px", "center_px")
DIFFERENTIABLE = (*LEAVES, *CAMERA, "background", "variance_px2", "opacity_factor", "mean_offsets_px")
# No pixel can fall on another side of the cut by rounding where there is none.
NO_CUT: dict[str, Any] = {"alpha_cut": 0.0, "relative_cut": False}


class Drawn:
    """Arguments of `rasterize`, for one view."""

    def __init__(self, inputs: dict[str, Any]):
        self.inputs = inputs

    def __repr__(self) -> str:
        shapes = {k: list(v.shape) if isinstance(v, Tensor) else v for k, v in self.inputs.items()}
        return f"Drawn({shapes})"  # hypothesis says which arguments made it

    @property
    def n(self) -> int:
        return len(self.inputs["opacities"])

    def but(self, **changes: Any) -> "Drawn":
        """Return the same with other inputs."""
        return Drawn(self.inputs | changes)

    def gaussians(self, index: Tensor | list[int]) -> "Drawn":
        """Return the same with these Gaussians, in this order."""
        return self.but(**{name: self.inputs[name][index] for name in LEAVES if name in self.inputs})

    def without(self, index: int) -> "Drawn":
        """Return the same without one Gaussian."""
        return self.gaussians([i for i in range(self.n) if i != index])

    def draw(self, **options: Any) -> RasterOutputs:
        """Return what is drawn."""
        return rasterize(**(self.inputs | options))

    def gradients(self, names: tuple[str, ...] = DIFFERENTIABLE, **options: Any) -> dict[str, Tensor]:
        """Return the gradients of a fixed weighting of all images by those of the inputs that are there."""
        leaves = {name: self.inputs[name].clone().requires_grad_() for name in names if name in self.inputs}
        total = weighting(self.but(**leaves).draw(**options))
        return dict(zip(leaves, torch.autograd.grad(total, list(leaves.values())), strict=True))


def outputs(out: RasterOutputs) -> dict[str, Tensor]:
    """Return all outputs that there are."""
    return {name: value for name, value in vars(out).items() if value is not None}


def images(out: RasterOutputs) -> dict[str, Tensor]:
    """Return the differentiable outputs: one value or more at every pixel."""
    return {name: value for name, value in outputs(out).items() if value.dim() > 2}


def weighting(out: RasterOutputs) -> Tensor:
    """Return a number that depends on every pixel of every image."""
    g = torch.Generator().manual_seed(9)
    drawn = images(out).values()
    return sum(((torch.randn(image.shape, generator=g) * image).sum() for image in drawn), torch.zeros(()))


def same_bits(got: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """Fail, with the name, unless two sets of tensors are equal bit for bit."""
    assert got.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(got[name], value), f"{name} differs by up to {(got[name] - value).abs().max():.2e}"


def make_drawn(n: int, width: int, height: int, *, seed: int = 0, sh: bool = False, size: float = 0.05) -> Drawn:
    """Return Gaussians of all shapes seen from the origin along +z, some beside the view.

    Their depths are distinct, and their means multiples of 2^-10: sums with small fractions of two stay exact.
    """
    g = torch.Generator().manual_seed(seed)

    def grid(value: Tensor) -> Tensor:
        return (value * 1024).round() / 1024

    z = 1.5 + torch.randperm(max(n, 1), generator=g)[:n] / 1024 + torch.randint(3, (1,), generator=g)
    xy = (2 * torch.rand(n, 2, generator=g) - 1) * 0.6 * z[:, None]
    inputs: dict[str, Any] = {
        "means": torch.cat((grid(xy), z[:, None]), 1),
        "quaternions": torch.randn(n, 4, generator=g),
        "scales": size * (0.2 + 2 * torch.rand(n, 3, generator=g)),
        "opacities": 0.02 + 0.97 * torch.rand(n, generator=g),
        "world_to_camera": torch.eye(4)[None],
        "focal_px": torch.full((1, 2), 0.9 * max(width, height)),
        "center_px": torch.tensor([[width / 2, height / 2]]),
        "width": width,
        "height": height,
        "background": torch.rand(1, 3, generator=g),
    }
    if sh:
        inputs["sh"] = 0.4 * torch.randn(n, 16, 3, generator=g)
    else:
        inputs["colors"] = torch.rand(n, 3, generator=g)
    return Drawn(inputs)


# Around the sizes of blocks (4), half rows of a tile (16) and tiles (32).
SIZES = st.sampled_from([1, 2, 3, 4, 5, 15, 16, 17, 31, 32, 33, 47, 64, 65])
SEEDS = st.integers(0, 10_000)


@st.composite
def drawn_scenes(draw: st.DrawFn, *, least: int = 0, most: int = 60, sh: bool | None = None) -> Drawn:
    """Return any `make_drawn`."""
    return make_drawn(
        draw(st.integers(least, most)),
        draw(SIZES),
        draw(SIZES),
        seed=draw(SEEDS),
        sh=draw(st.booleans()) if sh is None else sh,
        size=draw(st.sampled_from([0.003, 0.05, 1.0])),
    )
