"""The native core's autograd functions, one file per kernel. Only these files import the binary `_core`."""
