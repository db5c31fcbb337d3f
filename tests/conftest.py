"""Fixtures that all tests share. Scenes of tensors are in scenes.py, files of photographs in photo_files.py."""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings

# Times vary with the machine's load, and a seed that differs from run to run makes a failure nobody else can repeat.
settings.register_profile(
    "hyperfocal",
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("hyperfocal")

# Test tensors are tiny: on a busy machine torch's threads wait for each other much longer (6 times, measured) than
# they help.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real photographs: HYPERFOCAL_DATA, or shared/data beside the repository; skips without it."""
    repository = Path(__file__).resolve().parents[1]
    folder = Path(os.environ.get("HYPERFOCAL_DATA", repository.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"the real photographs are not at {folder}; set HYPERFOCAL_DATA to their folder")
    return folder


@pytest.fixture(autouse=True)
def _random_state() -> Iterator[None]:
    """Start every test from the same random state and leave the one it found."""
    before = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002
    random.seed(0)
    yield
    torch.set_rng_state(before[0])
    np.random.set_state(before[1])  # noqa: NPY002
    random.setstate(before[2])
