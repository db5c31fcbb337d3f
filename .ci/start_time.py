"""Fails unless `hyperfocal --help` starts fast and without torch: run with the Python that has hyperfocal installed."""

import subprocess
import sys
import time
from pathlib import Path

LIMIT_S = 0.6
HELP = [str(Path(sys.executable).with_name("hyperfocal")), "--help"]
LOADED = "import sys, hyperfocal.cli; sys.exit('torch' in sys.modules and 'hyperfocal.cli loads torch')"


def seconds(command: list[str]) -> float:
    """Return how long a command takes that must succeed."""
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


best = min(seconds(HELP) for _ in range(3))
sys.stdout.write(f"hyperfocal --help: {best:.2f} s, best of 3 (limit {LIMIT_S} s)\n")
subprocess.run([sys.executable, "-c", LOADED], check=True)
sys.exit(best > LIMIT_S)
