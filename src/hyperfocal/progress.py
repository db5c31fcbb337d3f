"""How long-running functions say where they are. The command line draws bars from it; nobody else needs to listen."""

from typing import Protocol, runtime_checkable


@runtime_checkable
class Progress(Protocol):
    """Called as work goes on; must be cheap and must not raise."""

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Say that `done` of `total` units of `stage` (a short phrase for people) are finished."""
        ...


def silent(stage: str, done: int, total: int) -> None:
    """Ignore all progress."""
