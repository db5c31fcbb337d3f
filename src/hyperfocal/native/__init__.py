"""The native core's autograd functions, one file per kernel. Only these files import the binary `_core`."""

from .memory import release_memory as release_memory

__all__ = ["release_memory"]
