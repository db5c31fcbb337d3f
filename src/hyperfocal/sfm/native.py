"""Calling pycolmap: imported late, without its log, and so that progress shows and Ctrl-C works."""

import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from types import ModuleType
from typing import Any, TypeVar

T = TypeVar("T")


def pycolmap() -> ModuleType:
    """Return the module, told to log nothing but crashes: what matters is reported by us."""
    on_terminate = signal.getsignal(signal.SIGTERM)
    import pycolmap

    pycolmap.logging.minloglevel = 3
    if threading.current_thread() is threading.main_thread() and on_terminate is not None:
        # Its logging library prints a stack trace when the process is told to end, as if that were a crash.
        signal.signal(signal.SIGTERM, on_terminate)
    return pycolmap


def run(call: Callable[[Any], T], report: Callable[[], None] = lambda: None) -> T:
    """Return the result of a long native call, made in a thread while `report` is called several times a second.

    Args:
        call: Gets the cancellation token to hand on; it is used when the user interrupts.
        report: Says how far the call is.
    """
    token = pycolmap().CancellationToken()
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(call, token)
        try:
            while True:
                try:
                    return future.result(timeout=0.2)
                except NotYet:
                    if future.done():
                        raise
                    report()
        except BaseException:
            token.cancel()
            raise
