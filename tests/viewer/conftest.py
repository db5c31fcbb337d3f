"""What the tests of the page share: a headless Chromium, the built page, and a server of a page's files."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
import torch
from page_scene import toy_page, walls
from page_viewer import Viewer

from hyperfocal.bench.page_browser import browser, obstacle
from hyperfocal.errors import HyperfocalError
from hyperfocal.export.page import Page, bundle
from hyperfocal.gaussians import Gaussians
from hyperfocal.serve.server import PageServer, answers_of


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A headless Chromium that draws in software; skips where there is none, or no playwright to drive it."""
    reason = obstacle()
    if reason is not None:
        pytest.skip(reason)
    with browser() as chromium:
        yield chromium


@pytest.fixture(scope="session")
def page_file() -> bytes:
    """The built page without anything to show; skips where it was not built."""
    try:
        return bundle()
    except HyperfocalError:
        pytest.skip("the page is not built: cd viewer && npm ci && npm run build")


@pytest.fixture(scope="session")
def serve(page_file: bytes) -> Callable[[Page], AbstractContextManager[str]]:
    """Serve a page on loopback, as `hyperfocal view` does; the context gives its address."""
    return lambda page: PageServer(answers_of(page)).in_background()


@pytest.fixture(scope="session")
def toy_gaussians() -> Gaussians:
    """Three walls at known depths."""
    torch.manual_seed(0)
    return walls()


@pytest.fixture(scope="session")
def opened(
    chromium: Any, serve: Callable[[Page], AbstractContextManager[str]], toy_gaussians: Gaussians
) -> Iterator[Viewer]:
    """One page for all tests whose scene has a known scale: 1 unit is 0.1 m."""
    with serve(toy_page(toy_gaussians, metres_per_unit=0.1)) as url:
        viewer = Viewer(chromium, url, accept_downloads=True).ready()
        yield viewer
        viewer.close()


@pytest.fixture
def viewer(opened: Viewer) -> Iterator[Viewer]:
    """The page as it was when it had loaded. Whatever is done: no word on the console, no request to anybody else."""
    opened.start_over()
    yield opened
    assert opened.said == []
    assert opened.foreign == []
