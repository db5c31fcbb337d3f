"""How a step uses the processor: the native kernels on all threads, torch's own operators on one."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def torch_on_one_thread() -> Iterator[int]:
    """Run torch's operators on one thread inside; yield how many there were, for the kernels that take a number.

    What a step leaves to torch are dozens of operators of a tenth of a millisecond. Its threads meet after each of them
    and spin while they wait: on a machine that is busy with other work that took ten times longer than the work itself.
    Sums also come out the same for any number of threads.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield threads
    finally:
        torch.set_num_threads(threads)
