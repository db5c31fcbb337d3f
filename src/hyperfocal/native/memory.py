"""The scratch memory that the core keeps."""

import math

import torch
from torch import Tensor

from .. import _core

_LARGE_BYTES = 1 << 20


def release_memory() -> int:
    """Give the scratch memory that the core keeps for its next call back to the system; return how many bytes.

    The core keeps up to 1 GiB, as fresh memory costs more than the kernels that fill it. Worth calling when rendering
    and fitting are done and the process lives on. What a drawing still holds for its gradient stays, and the next call
    takes new memory: nothing but its speed changes.
    """
    return _core.release_memory()


def empty(*shape: int) -> Tensor:
    """Return an uninitialised float32 tensor, in the core's kept memory if it is large.

    Memory that torch gets from the system for a large tensor is new each time, and its pages are cleared when they are
    first written: for the gradients of a million Gaussians that takes longer than to compute them.
    """
    if 4 * math.prod(shape) < _LARGE_BYTES:
        return torch.empty(shape, dtype=torch.float32)
    return _core.empty(list(shape))
