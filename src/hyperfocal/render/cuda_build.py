"""A build of gsplat with a lower alpha cut, made once on the user's machine and kept in the cache folder.

gsplat drops every alpha below 1/255 by a constant that its kernels are compiled with. Defocus spreads a splat's light
over a larger area at a lower alpha, so that constant takes most of it away. Nothing but a changed source can alter it:
`hyperfocal doctor --build-cuda` takes the published sources, changes that one line and compiles them.
"""

import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TypeAlias

import torch

from ..errors import BadInputError
from ..files import cache_folder
from ..progress import Progress, silent

GSPLAT_VERSION = "1.5.3"  # private names and exact signatures are used, so no other will do
STOCK_CUT = 1 / 255  # of the published gsplat
LOWERED_CUT = 1e-6  # the floor of the relative cut: nothing that the reference keeps is lost
HEADER = "gsplat/cuda/include/Common.h"
STOCK_LINE = "#define ALPHA_THRESHOLD (1.f / 255.f)"
ABOUT_FILE = "hyperfocal_build.json"
NEEDED = ("projection_ewa_3dgs_packed_fwd", "intersect_tile", "rasterize_to_pixels_3dgs_bwd", "spherical_harmonics_bwd")

Compile: TypeAlias = Callable[[Path, Path, Progress], None]
"""(source folder, folder to install the package into, progress)."""


@dataclass(frozen=True)
class Build:
    """A compiled gsplat in the cache."""

    folder: Path
    """Holds the package; goes to the front of the import path."""
    alpha_cut: float
    """What its kernels drop."""


def build_folder(alpha_cut: float = LOWERED_CUT) -> Path:
    """Return where the build for this Python, this torch and this cut is, or would be: it fits nothing else."""
    python = f"cp{sys.version_info.major}{sys.version_info.minor}"
    system = f"{platform.system()}_{platform.machine()}".lower()
    return cache_folder() / f"gsplat-{GSPLAT_VERSION}-cut{alpha_cut:g}-torch{torch.__version__}-{python}-{system}"


def find_build() -> Build | None:
    """Return the build for this Python and torch; None if `build_gsplat` has not made one."""
    folder = build_folder()
    if not (folder / ABOUT_FILE).is_file():
        return None
    return Build(folder, float(json.loads((folder / ABOUT_FILE).read_text(encoding="utf-8"))["alpha_cut"]))


def lower_cut(source: Path, alpha_cut: float = LOWERED_CUT) -> None:
    """Change the one line of gsplat's sources that holds the cut.

    Raises:
        BadInputError: the line is not there exactly once: these are not the sources of this version.
    """
    header = source / HEADER
    text = header.read_text(encoding="utf-8") if header.is_file() else ""
    if text.splitlines().count(STOCK_LINE) != 1:
        raise BadInputError(
            f"{header} was expected to hold the line `{STOCK_LINE}` exactly once, as gsplat {GSPLAT_VERSION} does. "
            "These are other sources; nothing was built."
        )
    header.write_text(text.replace(STOCK_LINE, f"#define ALPHA_THRESHOLD ({alpha_cut!r}f)"), encoding="utf-8")


def unpack(sdist: Path, folder: Path) -> Path:
    """Unpack a source archive into `folder` and return its top folder.

    Raises:
        BadInputError: it is not an archive with a single folder in it.
    """
    try:
        with tarfile.open(sdist) as archive:
            archive.extractall(folder, filter="data")
    except (tarfile.TarError, OSError) as error:
        raise BadInputError(f"{sdist} could not be unpacked ({error}); download it again.") from error
    tops = [path for path in folder.iterdir() if path.is_dir()]
    if len(tops) != 1:
        raise BadInputError(f"{sdist} was expected to hold one folder, as source archives do, got {len(tops)}.")
    return tops[0]


@contextmanager
def locked(path: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold the lock file `path`, which ends with the process however that ends; call `waiting` while another has it."""
    import fcntl  # not on Windows, where nothing of this is served

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                waiting()
                time.sleep(0.2)
        yield


def build_gsplat(
    *,
    sdist: Path | None = None,
    alpha_cut: float = LOWERED_CUT,
    compile_package: Compile | None = None,
    progress: Progress = silent,
) -> Build:
    """Return the build of this Python and torch, made now unless it is in the cache. One process at a time.

    Args:
        sdist: The source archive of gsplat; downloaded with pip if left out.
        alpha_cut: What the kernels shall drop.
        compile_package: Compiles a source folder into a package folder; nvcc by way of pip if left out.
        progress: Told of every compiled file.

    Raises:
        BadInputError: something that the build needs is missing, or it failed; the message says what.
    """
    folder = build_folder(alpha_cut)
    with locked(folder.with_name(f"{folder.name}.lock"), lambda: progress("waiting for another build", 0, 1)):
        if not (folder / ABOUT_FILE).is_file():
            if compile_package is None:
                check_tools()
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix="build-") as temporary:
                work = Path(temporary)
                sdist = sdist or download(work / "sdist", progress)
                source = unpack(sdist, _made(work / "source"))
                lower_cut(source, alpha_cut)
                package = _made(work / "package")
                (compile_package or compile_with_nvcc)(source, package, progress)
                about = {"gsplat": GSPLAT_VERSION, "alpha_cut": alpha_cut, "torch": str(torch.__version__)}
                (package / ABOUT_FILE).write_text(json.dumps(about) + "\n", encoding="utf-8")
                shutil.rmtree(folder, ignore_errors=True)  # the remains of something that was never finished
                package.rename(folder)
    return Build(folder, alpha_cut)


@dataclass(frozen=True)
class Toolkit:
    """What compiling CUDA needs of this machine."""

    cuda_home: str
    architectures: str
    """As torch's TORCH_CUDA_ARCH_LIST."""


def check_tools() -> Toolkit:
    """Return the tools of the build.

    Raises:
        BadInputError: some are missing; the message names each.
    """
    missing = [f"the Python package {name}" for name in ("pip", "setuptools", "ninja") if find_spec(name) is None]
    if torch.version.cuda is None:
        missing.append(f"a torch with CUDA (this one is {torch.__version__}, which has none)")
    if shutil.which(os.environ.get("CXX", "g++")) is None:
        missing.append("a C++ compiler (g++, or the one that CXX names)")
    home = find_cuda_home()
    if home is None:
        missing.append("the CUDA toolkit with nvcc and its headers (set CUDA_HOME to its folder)")
    elif torch.version.cuda is not None and _major(nvcc_version(home)) != _major(torch.version.cuda):
        missing.append(f"a CUDA toolkit of torch's version {torch.version.cuda} ({home} is {nvcc_version(home)})")
    architectures = os.environ.get("TORCH_CUDA_ARCH_LIST", "")
    if not architectures and torch.cuda.is_available():
        architectures = "{}.{}".format(*torch.cuda.get_device_capability())
    if not architectures:
        missing.append("a GPU to compile for (or TORCH_CUDA_ARCH_LIST with its architecture, such as 9.0)")
    if missing:
        raise BadInputError(f"gsplat cannot be built here. Missing: {'; '.join(missing)}.")
    return Toolkit(str(home), architectures)


def find_cuda_home() -> Path | None:
    """Return the folder of the CUDA toolkit; None if there is none with nvcc and headers."""
    nvcc = shutil.which("nvcc")
    places = [os.environ.get("CUDA_HOME"), os.environ.get("CUDA_PATH"), "/usr/local/cuda"]
    if nvcc is not None:
        places.append(str(Path(nvcc).resolve().parents[1]))
    for place in filter(None, places):
        # A lone nvcc on the path may be a link from a folder without headers, with which torch fails halfway.
        if (Path(place) / "bin" / "nvcc").is_file() and (Path(place) / "include" / "cuda_runtime.h").is_file():
            return Path(place)
    return None


def nvcc_version(cuda_home: Path) -> str:
    """Return the release of a toolkit, such as 13.0; "unknown" where it does not say."""
    said = subprocess.run([cuda_home / "bin" / "nvcc", "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"release ([\d.]+)", said)
    return found[1] if found else "unknown"


def download(folder: Path, progress: Progress) -> Path:
    """Return gsplat's source archive, fetched with pip from where pip is told to look.

    Raises:
        BadInputError: pip failed.
    """
    progress("downloading gsplat's sources", 0, 1)
    options = ("--no-deps", "--no-build-isolation", "--no-binary", "gsplat", "--dest", str(folder))
    _run(("-m", "pip", "download", *options, f"gsplat=={GSPLAT_VERSION}"), log=folder.with_suffix(".log"))
    progress("downloading gsplat's sources", 1, 1)
    return next(folder.glob("gsplat-*.tar.gz"))


def compile_with_nvcc(source: Path, package: Path, progress: Progress) -> None:
    """Compile `source` and install it into the folder `package`; checks that the result can be loaded.

    Raises:
        BadInputError: a step failed; the message shows the end of its log.
    """
    tools = check_tools()
    jobs = os.environ.get("MAX_JOBS") or str(os.cpu_count() or 1)
    changes = {"CUDA_HOME": tools.cuda_home, "TORCH_CUDA_ARCH_LIST": tools.architectures, "MAX_JOBS": jobs}
    files = len([p for kind in ("*.cu", "*.cpp") for p in (source / "gsplat" / "cuda" / "csrc").glob(kind)]) + 1
    wheels = package.with_name("wheel")

    def report() -> None:
        # One less than all until the linker is done, so that the bar does not stand at its end.
        progress("compiling gsplat", min(len(list(source.rglob("*.o"))), files - 1), files)

    quiet = ("-m", "pip", "--disable-pip-version-check")
    wheel = ("wheel", "--no-build-isolation", "--no-deps", "--wheel-dir", str(wheels), str(source))
    _run((*quiet, *wheel), log=source.with_suffix(".log"), environment=changes, report=report)
    progress("compiling gsplat", files, files)
    (built,) = wheels.glob("gsplat-*.whl")
    _run((*quiet, "install", "--no-deps", "--target", str(package), str(built)), log=source.with_suffix(".log"))
    check = f"import torch; from gsplat import csrc; [getattr(csrc, name) for name in {NEEDED}]"
    _run(("-c", check), log=source.with_suffix(".log"), environment={"PYTHONPATH": str(package)})


def _run(
    arguments: tuple[str, ...],
    *,
    log: Path,
    environment: dict[str, str] | None = None,
    report: Callable[[], None] = lambda: None,
) -> None:
    """Run this Python with `arguments`, its words going to `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as said:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            stdout=said,
            stderr=said,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
        try:
            while process.poll() is None:
                report()
                time.sleep(0.2)
        finally:
            if process.poll() is None:  # interrupted: end the compilers, too, which are children of children
                os.killpg(process.pid, signal.SIGTERM)
                process.wait()
    if process.returncode:
        lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
        errors = [line for line in lines if re.search(r"\berror\b", line, re.IGNORECASE)]
        command = " ".join(("python", *arguments[:3]))
        raise BadInputError(
            f"gsplat could not be built: `{command}` ended with {process.returncode}. It said: "
            f"{' | '.join((errors or lines)[-6:]) or 'nothing'}. The published gsplat goes on working without it."
        )


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def _major(version: str) -> str:
    return version.split(".")[0]
