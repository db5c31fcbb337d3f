"""NumPy files from strangers: never a pickle, never more memory than the file has bytes, one kind of error."""

from pathlib import Path
from tokenize import TokenError

import numpy as np

from ..errors import BadInputError


def read_npy(path: Path) -> np.ndarray:
    """Return the array of a .npy file.

    Raises:
        BadInputError: not an array of plain numbers, or damaged.
    """
    try:
        # Mapped first, so that a header which promises more than the file holds is found before anything is allocated.
        found = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(found, np.ndarray):
            raise ValueError("it is an archive of arrays")
        return np.array(found)
    # The header is a Python expression, so damage to it raises whatever Python's parser does.
    except (
        OSError,
        ValueError,
        EOFError,
        SyntaxError,
        TokenError,
        TypeError,
        KeyError,
        OverflowError,
        Warning,
    ) as error:
        raise BadInputError(f"{path} cannot be read: {error}. Write it again as a plain array of numbers.") from error
