from pathlib import Path
from typing import Any

import pytest

from hyperfocal.errors import BadInputError
from hyperfocal.files import read_json, read_json_object


@pytest.mark.parametrize(
    ("data", "content"), [(b'{"a": [1, 2.5, null]}', {"a": [1, 2.5, None]}), (b"\xef\xbb\xbf[1]", [1]), (b"null", None)]
)
def test_json_is_read_with_and_without_a_byte_order_mark(tmp_path: Path, data: bytes, content: Any) -> None:
    (tmp_path / "a.json").write_bytes(data)
    assert read_json(tmp_path / "a.json", remedy="Export it again.") == content


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b"[" * 1_000_000, b"9" * 5000])
def test_what_is_no_json_is_named_with_its_remedy(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.json").write_bytes(data)
    with pytest.raises(BadInputError, match=r"(?s)a\.json is not valid JSON: .+\. Export it again\.$"):
        read_json(tmp_path / "a.json", remedy="Export it again.")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"none\.json cannot be read: No such file or directory\.$"):
        read_json(tmp_path / "none.json", remedy="Export it again.")


def test_what_is_no_object_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[1]")
    with pytest.raises(BadInputError, match=r"a\.json should hold a JSON object, got a list\. Export it again\.$"):
        read_json_object(tmp_path / "a.json", remedy="Export it again.")
    (tmp_path / "a.json").write_text('{"a": 1}')
    assert read_json_object(tmp_path / "a.json", remedy="Export it again.") == {"a": 1}
