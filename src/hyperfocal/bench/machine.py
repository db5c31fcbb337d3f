"""What a figure was measured on."""

import os
import platform
import sys
from pathlib import Path


def describe_machine() -> dict[str, str | int | float]:
    """Return processor, cores, instruction set of the core, memory and versions, without anything that names a host."""
    import torch

    from ..native import simd_level

    description: dict[str, str | int | float] = {
        "processor": processor_name(),
        "cores": os.cpu_count() or 1,
        "simd": simd_level(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "torch_threads": torch.get_num_threads(),
    }
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        description["memory_gib"] = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    if hasattr(os, "getloadavg"):
        description["load"] = round(os.getloadavg()[0], 2)
    return description


def processor_name() -> str:
    """Return the processor's model as the system knows it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def peak_memory_mib() -> float | None:
    """Return the most memory this process has held so far, in MiB; None where the system does not say."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
