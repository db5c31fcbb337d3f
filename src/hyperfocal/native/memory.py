"""The scratch memory that the core keeps."""

from .. import _core


def release_memory() -> int:
    """Give the scratch memory that the core keeps for its next call back to the system; return how many bytes.

    The core keeps up to 1 GiB, as fresh memory costs more than the kernels that fill it. Worth calling when rendering
    and fitting are done and the process lives on. What a drawing still holds for its gradient stays, and the next call
    takes new memory: nothing but its speed changes.
    """
    return _core.release_memory()
