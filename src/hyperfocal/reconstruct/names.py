"""Names of the files that belong to views."""

from pathlib import Path

from ..errors import BadInputError


def file_names(views: list[str]) -> list[str]:
    """Return file names without ending for views; two views that differ only in their ending keep it.

    Raises:
        BadInputError: a name leads out of the folder.
    """
    for name in views:
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise BadInputError(
                f"The result names a view {name!r}, which would be written outside the folder of renders."
            )
    stems = [Path(name).with_suffix("").as_posix() for name in views]
    return [stem if stems.count(stem) == 1 else name for stem, name in zip(stems, views, strict=True)]
