"""Where the photographs of a fit lie that are not held in memory."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import BadInputError
from .config import ReconstructConfig
from .folder import remove_leftovers


@contextmanager
def photograph_folder(config: ReconstructConfig, out: Path | None) -> Iterator[Path | None]:
    """Yield a folder beside `out` that is gone afterwards; None unless photographs are to be kept on disk.

    Beside the result, as temporary files are often held in memory themselves.

    Raises:
        BadInputError: the place is read-only or full.
    """
    if not config.photographs_on_disk:
        yield None
        return
    try:
        if out is None:
            folder = Path(tempfile.mkdtemp(prefix="hyperfocal-photographs-"))
        else:
            place = out.absolute().parent
            remove_leftovers(place, f".{out.name}.*.photographs")
            folder = place / f".{out.name}.{os.getpid()}.photographs"
            folder.mkdir()
    except OSError as error:
        raise BadInputError(
            f"The photographs of the fit could not be kept beside {out}: {error.strerror or error}. Choose another "
            "--out, or allow more --memory."
        ) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
