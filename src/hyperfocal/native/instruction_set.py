"""Which instruction set the core uses."""

from .. import _core


def instruction_set() -> str:
    """Return "base", "v3" (AVX2 and FMA) or "v4" (AVX-512): the best that this build and this processor share."""
    return _core.simd_level()
