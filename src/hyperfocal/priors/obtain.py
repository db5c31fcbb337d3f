"""Bringing weights to the folder of weights: by download from the Hugging Face hub, or from the user's own files."""

import hashlib
import json
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from ..errors import BadInputError, HyperfocalError, first_line, has_package, missing_extra
from ..files import replacing
from ..progress import Progress, silent
from .registry import WeightFile, Weights
from .weights import load_foreign_weights, weights_folder

ANSWER_S = 15.0  # how long the hub may take to say what it has, name look-up included
_CHUNK_BYTES = 1 << 20


def copy_weights(weights: Weights, source: Path, *, progress: Progress = silent) -> tuple[Path, ...]:
    """Copy known weights from a file or folder of the user's into the folder of weights, once they are verified.

    Args:
        weights: What to bring.
        source: A folder that holds all of their files, each under its usual name; or the only file, under any name,
            or one of several files, under its usual name.
        progress: Told of every file.

    Returns:
        Where the copied files lie.

    Raises:
        BadInputError: a file is not there, damaged, or not the published one.
    """
    chosen = _chosen(weights, source)
    copied = []
    for done, (file, path) in enumerate(chosen.items()):
        progress("Copying weights", done, len(chosen))
        _verify(file, path, file.sha256)
        with _placing(file) as temporary:
            shutil.copyfile(path, temporary)
        copied.append(weights_folder() / file.path)
    progress("Copying weights", len(chosen), len(chosen))
    return tuple(copied)


def download_weights(weights: Weights, *, bars: bool = True) -> tuple[Path, ...]:
    """Download known weights into the folder of weights, and verify them by what the hub says they are.

    Args:
        weights: What to bring.
        bars: Let the hub's own client draw bars.

    Raises:
        BadInputError: they are not on the hub, there is no way to it (said at once, not after retries), or a file
            came damaged.
        MissingExtraError: huggingface-hub is not installed.
    """
    names = ", ".join(Path(file.path).name for file in weights.files)
    by_hand = f"Where you have them, `hyperfocal weights get {weights.name} --from PATH` takes them from there."
    if any(not file.hub for file in weights.files):
        raise BadInputError(f"{names} of {weights.network} is not on a hub: get it from {weights.page}. {by_hand}")
    if not has_package("huggingface_hub"):
        raise missing_extra("huggingface-hub", "priors")
    hub: Any = import_module("huggingface_hub")
    if not bars:
        hub.utils.disable_progress_bars()
    folder = _made(weights_folder())
    try:
        checksums = {name: _answer(partial(_checksums, hub, name)) for name in {file.hub for file in weights.files}}
        # To a folder aside first: what breaks off leaves nothing under a good name.
        with tempfile.TemporaryDirectory(dir=folder, prefix=".download-") as aside:
            for file in weights.files:
                got = Path(hub.hf_hub_download(file.hub, file.source, local_dir=aside, etag_timeout=ANSWER_S))
                _verify(file, got, file.sha256 or checksums[file.hub].get(file.source))
                with _placing(file) as temporary:
                    got.replace(temporary)
    except HyperfocalError:
        raise
    except Exception as error:  # of the hub, of its HTTP client and of the system, none with a base in common
        why = first_line(error).rstrip(".")
        raise BadInputError(
            f"{names} of {weights.network} could not be downloaded from {weights.page} ({why}). "
            f"Try again with a network, or get the files on another machine. {by_hand}"
        ) from error
    return tuple(folder / file.path for file in weights.files)


def _checksums(hub: Any, repository: str) -> dict[str, str]:
    """Return the SHA-256 of the large files of a repository, as the hub states them: one request, no retries."""
    stated = hub.HfApi().model_info(repository, files_metadata=True, timeout=ANSWER_S).siblings or []
    return {file.rfilename: file.lfs["sha256"] for file in stated if file.lfs}


def _answer(ask: Callable[[], dict[str, str]]) -> dict[str, str]:
    """Return what `ask` returns, or give up after `ANSWER_S`: looking a name up may take minutes to fail."""
    answers: list[dict[str, str] | Exception] = []

    def run() -> None:
        try:
            answers.append(ask())
        except Exception as error:  # handed to the caller below
            answers.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(ANSWER_S)
    if not answers:
        raise TimeoutError(f"no answer in {ANSWER_S:.0f} s")
    if isinstance(answers[0], Exception):
        raise answers[0]
    return answers[0]


def _chosen(weights: Weights, source: Path) -> dict[WeightFile, Path]:
    """Return which of the user's files is which."""
    usual = {Path(file.path).name: file for file in weights.files}
    names = ", ".join(usual)
    if source.is_dir():
        found = {
            file: path
            for file in weights.files
            # A copy of the repository has them in its folders, a copy of ours without.
            for path in (source / (file.source or file.path), source / Path(file.path).name)
            if path.is_file()
        }
        if len(found) < len(usual):
            missing = [name for name, file in usual.items() if file not in found]
            raise BadInputError(f"{source} holds no {', '.join(missing)}; the weights {weights.name} are {names}.")
        return found
    if not source.is_file():
        raise BadInputError(f"{source} does not exist. Say with --from where {names} is, or the folder that holds it.")
    if len(usual) == 1:
        return {weights.files[0]: source}
    if source.name not in usual:
        raise BadInputError(
            f"{source.name} is none of the files of {weights.name}: {names}. Name it so, or the folder that holds all."
        )
    return {usual[source.name]: source}


@contextmanager
def _placing(file: WeightFile) -> Iterator[Path]:
    """Yield a temporary path that becomes the file's place in the folder of weights."""
    place = weights_folder() / file.path
    _made(place.parent)
    with replacing(place) as temporary:
        yield temporary


def _made(folder: Path) -> Path:
    """Return a folder, made if it was not there.

    Raises:
        BadInputError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInputError(
            f"The folder of weights {folder} cannot be made: {error.strerror or error}. Choose another one with the "
            "environment variable HYPERFOCAL_WEIGHTS."
        ) from error
    return folder


def _verify(file: WeightFile, path: Path, sha256: str | None) -> None:
    """Raise unless a file has its published checksum or, where none is known, can be read as what it should be.

    Raises:
        BadInputError: as above.
    """
    remedy = "Download it again from where you got it."
    if sha256 is not None:
        if (found := file_sha256(path)) != sha256:
            raise BadInputError(
                f"{path} is not the published {Path(file.path).name}: its SHA-256 is {found}, expected {sha256}. "
                f"{remedy}"
            )
        return
    try:
        match path.suffix or Path(file.path).suffix:
            case ".json":
                json.loads(path.read_text(encoding="utf-8"))
            case ".safetensors":
                from safetensors import safe_open

                with safe_open(path, framework="np"):
                    pass
            case ".onnx":
                with path.open("rb") as model:
                    first = model.read(1)
                if first != b"\x08":  # a message with ir_version first
                    raise ValueError("no ONNX model")
            case _:
                load_foreign_weights(path)
    except BadInputError:
        raise
    except Exception as error:  # each format raises its own
        raise BadInputError(f"{path} is damaged ({first_line(error).rstrip('.')}). {remedy}") from error


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
