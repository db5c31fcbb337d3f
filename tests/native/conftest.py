from collections.abc import Iterator

import pytest

from hyperfocal.native.instruction_set import using_instruction_set


@pytest.fixture(params=["base", "v3", "v4"])
def simd_level(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each instruction set that the core has kernels for; skips what this machine lacks."""
    with using_instruction_set(request.param) as served:
        if not served:
            pytest.skip(f"no {request.param} here")
        yield request.param
