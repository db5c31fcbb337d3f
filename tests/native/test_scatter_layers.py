"""The core's defocus in layers against its twin in float64 torch."""

import pytest
import torch
from torch import Tensor

from hyperfocal.lens import ThinLens
from hyperfocal.native.layers import scatter_layers
from hyperfocal.render.disc import disc_stencils
from hyperfocal.render.layers import defocus_layers
from hyperfocal.render.layers_reference import scatter_layers_reference

Sources = tuple[Tensor, Tensor, Tensor]


def sources_of(planes: int, height: int, width: int, layers: int, most_level: float = 31.9) -> Sources:
    """Sources at random; of a second plane only some."""
    generator = torch.Generator().manual_seed(1000 * height + width)
    color = torch.rand(planes, height, width, 3, generator=generator)
    level = most_level * torch.rand(planes, height, width, generator=generator)
    level[1:][torch.rand(planes - 1, height, width, generator=generator) < 0.6] = -1
    layer = (layers - 1) * torch.rand(planes, height, width, generator=generator)
    return color, level, layer


def results(function, sources: Sources, **options: object) -> tuple[Tensor, ...]:
    """Colour, alpha and the gradients of a random sum of both."""
    given = [tensor.clone().requires_grad_() for tensor in sources]
    color, alpha = function(*given, **options)
    generator = torch.Generator().manual_seed(0)
    weights = [torch.randn(tensor.shape, generator=generator).to(tensor) for tensor in (color, alpha)]
    loss = (color * weights[0]).sum() + (alpha * weights[1]).sum()
    return color.detach(), alpha.detach(), *torch.autograd.grad(loss, given)


def relative(got: Tensor, expected: Tensor) -> float:
    return float((got - expected).norm() / expected.norm().clamp_min(1e-12))


# One pixel; fewer rows than a disc reaches; several bands.
@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 40), (40, 3), (37, 29), (70, 18)])
@pytest.mark.parametrize(("planes", "layers"), [(1, 2), (2, 5), (1, 1)])
def test_equals_the_torch_twin(simd_level: str, height: int, width: int, planes: int, layers: int) -> None:
    sources = sources_of(planes, height, width, layers)
    got = results(scatter_layers, sources, stencils=disc_stencils(32), layers=layers, threads=2)
    expected = results(scatter_layers_reference, tuple(tensor.double() for tensor in sources), layers=layers)
    for name, a, b in zip(("color", "alpha", "d_color", "d_level", "d_layer"), got, expected, strict=True):
        # With one layer a place has no meaning; a pixel alone has the same colour at any level.
        if float(b.norm()) < 1e-9:
            assert float(a.norm()) < 1e-4, name
        else:
            assert relative(a, b) < 3e-5, name


def test_does_not_depend_on_the_number_of_threads() -> None:
    sources = sources_of(2, 150, 90, 6)
    first, *others = [
        results(scatter_layers, sources, stencils=disc_stencils(32), layers=6, threads=n) for n in (1, 2, 3, 16)
    ]
    for other in others:
        for a, b in zip(first, other, strict=True):
            assert torch.equal(a, b)


def test_the_whole_function_has_the_twins_gradients() -> None:
    generator = torch.Generator().manual_seed(8)
    image, depth_z = torch.rand(33, 41, 3, generator=generator), 1 + 5 * torch.rand(33, 41, generator=generator)
    depth_z[4:20, 5:30] = 2.2

    def run(dtype: torch.dtype) -> list[Tensor]:
        given = [tensor.to(dtype).requires_grad_() for tensor in (image, depth_z, torch.tensor(0.3), torch.tensor(2.0))]
        result = defocus_layers(given[0], given[1], ThinLens(given[2], given[3]), 60.0, layers=7, z_range=(0.9, 6.5))
        weights = torch.rand(33, 41, 3, generator=torch.Generator().manual_seed(9)).to(dtype)
        return [result.color.detach(), *torch.autograd.grad((weights * result.color.square()).sum(), given)]

    for name, a, b in zip(
        ("color", "image", "depth", "aperture", "focus"), run(torch.float32), run(torch.float64), strict=True
    ):
        assert relative(a, b) < 3e-4, name


def test_a_bright_light_leaves_nothing_behind_its_disc() -> None:
    # A running sum in float32 would leave a streak to the right of it.
    color, level, layer = torch.zeros(1, 40, 200, 3), torch.full((1, 40, 200), 30.3), torch.zeros(1, 40, 200)
    color[0, 20, 30] = 1e6
    seen, _ = scatter_layers(color, level, layer, disc_stencils(32), layers=2)
    assert seen[:, 40:].abs().max() < 1e-6
    assert seen[20, 30].min() > 1e4


def test_alpha_alone_has_a_gradient_and_colour_alone_too() -> None:
    sources = [tensor.requires_grad_() for tensor in sources_of(1, 20, 20, 3)]
    color, alpha = scatter_layers(*sources, disc_stencils(32), layers=3)
    (of_alpha,) = torch.autograd.grad(alpha.sum(), sources[1], retain_graph=True)
    (of_color,) = torch.autograd.grad(color.sum(), sources[1], retain_graph=True)
    (of_both,) = torch.autograd.grad(color.sum() + alpha.sum(), sources[1])
    torch.testing.assert_close(of_alpha + of_color, of_both, rtol=1e-4, atol=1e-6)
    assert of_alpha.abs().max() > 0
