"""XML from strangers: parsed by the standard library, after everything that an XML bomb is made of was refused."""

from pathlib import Path
from xml.etree import ElementTree
from xml.parsers import expat

from ..errors import BadInputError

_MOST_BYTES = 512 * 2**20


class _DoctypeError(ValueError):
    """The file declares a document type."""


def read_xml(path: Path) -> ElementTree.Element:
    """Return the root of an XML file.

    Entities, external files and document types are refused before anything is expanded: an export of cameras needs
    none.

    Raises:
        BadInputError: the file is damaged, too large, or declares a document type.
    """
    try:
        if (size := path.stat().st_size) > _MOST_BYTES:
            raise BadInputError(f"{path} has {size / 2**20:.0f} MiB; no list of cameras is that long. Export it again.")
        data = path.read_bytes()
        guard = expat.ParserCreate()
        guard.StartDoctypeDeclHandler = _refuse
        guard.EntityDeclHandler = _refuse
        guard.Parse(data, True)
        return ElementTree.fromstring(data)
    except _DoctypeError as error:
        raise BadInputError(
            f"{path} declares a document type or entities, which lists of cameras do not need and attacks do. Export "
            "it again, or remove its <!DOCTYPE ...>."
        ) from error
    except (expat.ExpatError, ElementTree.ParseError, UnicodeDecodeError, LookupError) as error:
        raise BadInputError(f"{path} is not valid XML: {error}. Export it again.") from error
    except OSError as error:
        raise BadInputError(f"{path} cannot be read: {error.strerror or error}.") from error


def _refuse(*_: object) -> None:
    raise _DoctypeError
