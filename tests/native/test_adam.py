import pytest
import torch
from torch import Tensor

from hyperfocal.native.adam import adam_step_


def start(*shape: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor]:
    """A parameter and its moments."""
    values = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(dtype)
    return values, torch.zeros_like(values), torch.zeros_like(values)


def gradients(steps: int, *shape: int) -> list[Tensor]:
    """Gradients of very different sizes, some of them exactly 0."""
    generator = torch.Generator().manual_seed(1)
    sizes = 10 ** torch.empty(shape).uniform_(-7, 1, generator=generator)
    kept = torch.rand(shape, generator=generator) < 0.9
    return [torch.randn(shape, generator=generator) * sizes * kept for _ in range(steps)]


def run(shape: tuple[int, ...], rate: float | Tensor, threads: int | None = None, rows: Tensor | None = None) -> Tensor:
    parameter, m, v = start(*shape)
    for i, gradient in enumerate(gradients(5, *shape)):
        adam_step_(parameter, gradient, m, v, step=i + 1, learning_rate=rate, rows=rows, threads=threads)
    return torch.stack((parameter, m, v))


# 1003 rows of 48: the length of neither a row nor the whole is a multiple of 16 x 48; [n] has no columns.
@pytest.mark.parametrize("shape", [(1,), (37,), (50, 3), (1003, 16, 3), (7, 1, 3)])
def test_equals_torch(simd_level: str, shape: tuple[int, ...]) -> None:
    twin = torch.nn.Parameter(start(*shape)[0].clone())
    optimizer = torch.optim.Adam([twin], lr=0.01, eps=1e-15)
    for gradient in gradients(5, *shape):
        twin.grad = gradient.clone()
        optimizer.step()
    state = optimizer.state[twin]
    expected = torch.stack((twin.detach(), state["exp_avg"], state["exp_avg_sq"]))
    # The first moment may be a small difference of gradients of size 10, hence the absolute tolerance.
    assert torch.allclose(run(shape, 0.01), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("shape", [(1003, 3), (301, 16, 3), (90,)])
def test_every_column_has_its_own_rate(simd_level: str, shape: tuple[int, ...]) -> None:
    columns = start(*shape)[0][0].numel()
    rates = torch.linspace(0.001, 0.1, columns)
    result = run(shape, rates)[0].reshape(shape[0], columns)
    for column in {0, columns // 2, columns - 1}:
        alone = run(shape, float(rates[column]))[0].reshape(shape[0], columns)
        assert torch.allclose(result[:, column], alone[:, column], rtol=1e-6)


def test_other_rows_stay_as_they_are(simd_level: str) -> None:
    shape = (2500, 3)
    rows = torch.rand(2500, generator=torch.Generator().manual_seed(2)) < 0.4
    before, dense, sparse = torch.stack(start(*shape)), run(shape, 0.01), run(shape, 0.01, rows=rows)
    assert torch.equal(sparse[:, ~rows], before[:, ~rows])
    assert torch.equal(sparse[:, rows], dense[:, rows])


@pytest.mark.parametrize("rate", [0.01, torch.linspace(0.001, 0.1, 12)])
def test_does_not_depend_on_the_number_of_threads(rate: float | Tensor) -> None:
    results = [run((5000, 4, 3), rate, threads) for threads in (1, 2, 3, 16)]
    assert all(torch.equal(result, results[0]) for result in results[1:])


@pytest.mark.parametrize("rate", [0.01, torch.linspace(0.001, 0.1, 6, dtype=torch.float64)])
@pytest.mark.parametrize("masked", [False, True])
def test_other_tensors_go_through_torch(rate: float | Tensor, masked: bool) -> None:
    rows = torch.arange(40) % 3 == 0 if masked else None
    parameter, m, v = start(40, 2, 3, dtype=torch.float64)
    for i, gradient in enumerate(gradients(5, 40, 2, 3)):
        adam_step_(parameter, gradient.double(), m, v, step=i + 1, learning_rate=rate, rows=rows)
    native_rate = rate.float() if isinstance(rate, Tensor) else rate
    expected = run((40, 2, 3), native_rate, rows=rows)
    assert torch.allclose(torch.stack((parameter, m, v)).float(), expected, rtol=1e-5, atol=1e-6)


def test_a_parameter_that_requires_a_gradient_is_changed_in_place() -> None:
    parameter = torch.nn.Parameter(torch.ones(4, 3))
    product = (parameter * parameter).sum()
    adam_step_(
        parameter, torch.ones(4, 3), torch.zeros(4, 3), torch.zeros(4, 3), step=1, learning_rate=0.25
    )  # the first step is rate * sign(gradient)
    assert torch.allclose(parameter, torch.full((4, 3), 0.75))
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        product.backward()


def run_in_halves(shape: tuple[int, ...], steps: list[Tensor], threads: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    parameter = torch.zeros(shape)
    m, v = torch.zeros(shape, dtype=torch.bfloat16), torch.zeros(shape, dtype=torch.bfloat16)
    for i, gradient in enumerate(steps):
        adam_step_(parameter, gradient, m, v, step=i + 1, learning_rate=0.01, threads=threads)
    return parameter, m, v


def test_moments_in_half_the_memory_are_right_on_average(simd_level: str) -> None:
    # The same gradients for 20,000 values: what is left of the rounding is its mean.
    shape = (20_000,)
    steps = [torch.full(shape, g) for g in (0.3, -0.7, 0.01, 1.3, 0.2)]
    parameter, m, v = start(*shape)
    parameter.zero_()
    for i, gradient in enumerate(steps):
        adam_step_(parameter, gradient, m, v, step=i + 1, learning_rate=0.01)
    half_parameter, half_m, half_v = run_in_halves(shape, steps)
    assert half_m.float().std() > 0
    for got, exact in ((half_m, m), (half_v, v), (half_parameter, parameter)):
        # A rounding errs by less than 2^-7 of the value: the mean of 20,000 by a few hundred-thousandths.
        assert got.float().mean().item() == pytest.approx(exact[0].item(), rel=4e-4)


def test_the_second_moment_sinks_in_half_the_memory(simd_level: str) -> None:
    steps = [torch.ones(1000)] + [torch.zeros(1000)] * 700
    _, _, v = run_in_halves((1000,), steps)
    assert v.float().mean().item() == pytest.approx(0.001 * 0.999**700, rel=0.02)


def test_moments_in_half_the_memory_do_not_depend_on_the_number_of_threads() -> None:
    steps = gradients(5, 5000, 4, 3)
    expected = run_in_halves((5000, 4, 3), steps)
    for threads in (2, 3, 16):
        for got, alone in zip(run_in_halves((5000, 4, 3), steps, threads), expected, strict=True):
            assert torch.equal(got, alone)


def test_moments_of_half_the_size_need_float32_parameters() -> None:
    parameter = torch.zeros(4, 3, dtype=torch.float64)
    m, v = torch.zeros(4, 3, dtype=torch.bfloat16), torch.zeros(4, 3, dtype=torch.bfloat16)
    with pytest.raises(ValueError, match="bfloat16 need contiguous float32"):
        adam_step_(parameter, parameter.clone(), m, v, step=1, learning_rate=0.1)


def test_no_rows_are_no_work() -> None:
    empty = torch.zeros(0, 3)
    adam_step_(empty, empty, empty.clone(), empty.clone(), step=1, learning_rate=0.1)


def test_wrong_settings_are_refused() -> None:
    parameter, m, v = start(4, 3)
    with pytest.raises(ValueError, match="counts from 1"):
        adam_step_(parameter, parameter.clone(), m, v, step=0, learning_rate=0.1)
    with pytest.raises(ValueError, match="each of 3 columns, got 2"):
        adam_step_(parameter, parameter.clone(), m, v, step=1, learning_rate=torch.ones(2))
