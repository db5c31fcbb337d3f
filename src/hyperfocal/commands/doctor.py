"""`hyperfocal doctor`: what is here, what is missing, and what to install for it."""

import os
import platform
import re
import time
from importlib import metadata

import torch
from rich.console import Console

from .. import __version__
from ..camera import Camera
from ..gaussians import from_points
from ..progress import Progress, silent
from ..reconstruct.machine import memory_gib, processor_name
from ..render import render
from ..render.cuda import describe as describe_cuda
from ..render.cuda_build import build_gsplat
from .display import say, show_facts

LIBRARIES = ("numpy", "pillow", "opencv-python-headless", "pycolmap", "scipy", "flip-evaluator", "tyro", "rich")


def doctor(*, build_cuda: bool = False, console: Console, progress: Progress = silent) -> int:
    """Say what hyperfocal found on this machine; 0 if the core renders.

    Args:
        build_cuda: First make the build of gsplat that the cuda backend prefers.
        console: Where the facts go.
        progress: Told of every file that is compiled.

    Raises:
        BadInputError: gsplat was to be built, and something for that is missing or failed.
    """
    if build_cuda:
        build_gsplat(progress=progress)
    memory = memory_gib()
    show_facts(
        console,
        "Machine",
        {
            "processor": processor_name(),
            "cores": f"{os.cpu_count()}, of which torch uses {torch.get_num_threads()}",
            "memory": "unknown" if memory is None else f"{memory:.1f} GiB",
            "GPU": torch.cuda.get_device_name() if torch.cuda.is_available() else "none (none is needed)",
            "cuda backend": describe_cuda(),
            "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        },
    )
    versions = {name: _version(name) or "missing: pip install hyperfocal again" for name in LIBRARIES}
    show_facts(
        console,
        "Software",
        {
            "hyperfocal": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            **versions,
        },
    )
    show_facts(console, "Extras", _extras())
    return _check_core(console)


def _check_core(console: Console) -> int:
    from ..native.instruction_set import instruction_set

    gaussians = from_points(torch.tensor([[0.0, 0.0, 2.0]]), torch.ones(1, 3), torch.tensor([0.3]), opacity=0.9)
    camera = Camera(torch.eye(4), torch.full((2,), 64.0), torch.full((2,), 32.0), 64, 64)
    began = time.perf_counter()
    middle = float(render(gaussians, camera).alpha[32, 32])
    milliseconds = 1e3 * (time.perf_counter() - began)
    works = abs(middle - 0.9) < 0.01
    state = "works" if works else f"DOES NOT WORK: the middle of a splat of opacity 0.9 came out as {middle:.3f}"
    show_facts(
        console,
        "Core",
        {"instruction set": instruction_set(), "test render": f"{state} ({milliseconds:.1f} ms)"},
    )
    if not works:
        say(console, "Please report this with all lines above.", "red")
    return 0 if works else 1


def _extras() -> dict[str, str]:
    """Return, for each extra of the package, what it has or how to install it."""
    try:
        declared = metadata.requires("hyperfocal") or []
    except metadata.PackageNotFoundError:
        return {"unknown": "hyperfocal is not installed, only found on the path"}
    packages: dict[str, list[str]] = {}
    for line in declared:
        extra = re.search(r"extra == ['\"]([\w-]+)['\"]", line)
        name = re.match(r"[\w.-]+", line)
        if extra and name:
            packages.setdefault(extra[1], []).append(name[0])
    facts = {}
    for extra, names in packages.items():
        missing = [name for name in names if _version(name) is None]
        found = ", ".join(f"{name} {_version(name)}" for name in names if name not in missing)
        remedy = f"missing {', '.join(missing)}: pip install 'hyperfocal[{extra}]'" if missing else ""
        facts[extra] = "; ".join(filter(None, (found, remedy)))
    return facts


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
