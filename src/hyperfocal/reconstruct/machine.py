"""What a figure was measured on, and how much memory it took."""

import os
import platform
import re
import sys
from pathlib import Path


def describe_machine() -> dict[str, str | int | float]:
    """Return processor, cores, memory and versions; nothing that names the host or its user."""
    import torch

    from .. import __version__
    from ..native.instruction_set import instruction_set

    description: dict[str, str | int | float] = {
        "processor": processor_name(),
        "cores": os.cpu_count() or 1,
        "instruction_set": instruction_set(),
        "system": f"{platform.system()} {platform.machine()}",
        "hyperfocal": __version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "threads": torch.get_num_threads(),
    }
    if torch.cuda.is_available():
        description["gpu"] = torch.cuda.get_device_name()
    memory = memory_gib()
    return description if memory is None else {**description, "memory_gib": round(memory, 1)}


def processor_name() -> str:
    """Return the processor's model as the system knows it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def memory_gib() -> float | None:
    """Return the machine's memory; None where the system does not say."""
    if "SC_PHYS_PAGES" not in getattr(os, "sysconf_names", {}):
        return None
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def peak_memory_mib() -> float | None:
    """Return the most memory this process has held so far; None where the system does not say."""
    if sys.platform == "win32":
        return None
    # Not getrusage where this is there: what that says outlives exec, so a large parent's memory would count as ours.
    status = Path("/proc/self/status")
    if status.is_file():
        found = re.search(r"^VmHWM:\s+(\d+) kB", status.read_text(), re.MULTILINE)
        if found:
            return int(found[1]) / 2**10
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
