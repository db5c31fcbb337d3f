"""Which instruction set the core uses."""

from collections.abc import Iterator
from contextlib import contextmanager

from .. import _core


def instruction_set() -> str:
    """Return "base", "v3" (AVX2 and FMA) or "v4" (AVX-512): the best that this build and this processor share."""
    return _core.simd_level()


@contextmanager
def using_instruction_set(name: str) -> Iterator[bool]:
    """Use another instruction set meanwhile; yield False, and change nothing, where it cannot be had."""
    before = _core.simd_level()
    served = _core.set_simd_level(name)
    try:
        yield served
    finally:
        _core.set_simd_level(before)
