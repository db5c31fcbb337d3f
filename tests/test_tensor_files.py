from pathlib import Path

import pytest
import torch

from hyperfocal.errors import BadInputError
from hyperfocal.tensor_files import read_tensors, write_tensors

TENSORS = {"a": torch.arange(6).reshape(2, 3).T, "b": torch.tensor([True, False]), "c": torch.rand(0, 3)}
PLAIN = {"name": "Ñandú", "steps": [1, 2.5, None]}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write_tensors(tmp_path / "t.safetensors", "hyperfocal test", 3, TENSORS, PLAIN)
    return tmp_path / "t.safetensors"


def test_tensors_and_values_come_back(file: Path) -> None:
    tensors, plain = read_tensors(file, "hyperfocal test", 3, remedy="Write it again.")
    assert plain == PLAIN
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert tensors[name].dtype == tensor.dtype
        assert torch.equal(tensors[name], tensor)


@pytest.mark.parametrize(("kind", "version"), [("hyperfocal test", 4), ("hyperfocal fit", 3)])
def test_another_kind_or_version_is_refused(file: Path, kind: str, version: int) -> None:
    expected = rf"'hyperfocal test' of version 3; expected '{kind}' of version {version}\. Write it again\.$"
    with pytest.raises(BadInputError, match=expected):
        read_tensors(file, kind, version, remedy="Write it again.")


def test_a_damaged_or_missing_file_is_named_with_its_remedy(file: Path) -> None:
    whole = file.read_bytes()
    # The last one lost the end of the JSON in its header.
    for damaged in (b"", whole[:7], whole[:-1], b"\xff" * 8 + whole[8:], whole.replace(b"null]}", b"null]]")):
        file.write_bytes(damaged)
        with pytest.raises(BadInputError, match=r"(?s)t\.safetensors cannot be read .*\. Write it again\.$"):
            read_tensors(file, "hyperfocal test", 3, remedy="Write it again.")
    file.unlink()
    with pytest.raises(BadInputError, match=r"t\.safetensors cannot be read .*Write it again\.$"):
        read_tensors(file, "hyperfocal test", 3, remedy="Write it again.")
