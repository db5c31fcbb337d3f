"""Weights on disk: the registry, bringing them by copy or download, and the command about them."""

import hashlib
import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from hyperfocal.cli import main
from hyperfocal.errors import BadInputError, MissingExtraError
from hyperfocal.priors import obtain
from hyperfocal.priors.depth_priors import load_depth_prior, ready_depth_prior
from hyperfocal.priors.obtain import copy_weights, download_weights
from hyperfocal.priors.registry import WEIGHTS, known_weights
from hyperfocal.priors.weights import fingerprint, require_weights, weights_on_disk


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of weights."""
    place = tmp_path / "weights"
    monkeypatch.setenv("HYPERFOCAL_WEIGHTS", str(place))
    return place


def test_the_registry_is_consistent() -> None:
    names = [weights.name for weights in WEIGHTS]
    assert len(set(names)) == len(names)
    places = [file.path for weights in WEIGHTS for file in weights.files]
    assert len(set(places)) == len(places)
    for weights in WEIGHTS:
        assert weights.files
        assert weights.megabytes > 0
        assert weights.licence
        for file in weights.files:
            assert not Path(file.path).is_absolute()
            assert file.sha256 is None or len(bytes.fromhex(file.sha256)) == 32
            assert bool(file.hub) == bool(file.source)
        forbids = any(word in weights.licence.lower() for word in ("nc", "non-commercial", "research", "not stated"))
        assert weights.commercial != forbids


def test_the_registry_loads_no_torch() -> None:
    code = (
        "import sys; import hyperfocal.priors.registry, hyperfocal.priors.weights, hyperfocal.priors.obtain; "
        "assert not {'torch', 'transformers', 'kornia', 'onnxruntime', 'huggingface_hub'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_missing_weights_are_named_with_the_command_that_gets_them(folder: Path) -> None:
    with pytest.raises(BadInputError) as told:
        require_weights("zoedepth")
    for word in ("ZoeDepth", "zoedepth/model.safetensors", str(folder), "hyperfocal weights get zoedepth", "--from"):
        assert word in str(told.value)
    with pytest.raises(BadInputError, match=r"No weights are called 'zoe'; there are .*zoedepth"):
        known_weights("zoe")
    with pytest.raises(BadInputError, match="those of no depth prior"):
        load_depth_prior("xfeat")
    assert ready_depth_prior() is None


def test_a_licence_is_said_once(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    from hyperfocal.priors.weights import say_licence

    say_licence.cache_clear()
    for _ in range(2):
        say_licence("depth-pro")
    assert [record.message for record in caplog.records] == [
        "Depth Pro: weights by their authors, licence: Apple's licence for machine learning research models: research "
        "only."
    ]


def test_a_folder_of_files_is_verified_and_copied(folder: Path, tmp_path: Path) -> None:
    weights = known_weights("depth-anything-v2-metric-indoor")
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "config.json").write_text("{}")
    with pytest.raises(BadInputError, match=r"holds no model\.safetensors"):
        copy_weights(weights, mine)
    (mine / "model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(BadInputError, match=r"model\.safetensors is damaged"):
        copy_weights(weights, mine)
    save_file({"one": torch.ones(2)}, mine / "model.safetensors")
    copied = copy_weights(weights, mine)
    assert copied == weights_on_disk(weights)
    assert [path.read_bytes() for path in copied] == [
        (mine / name).read_bytes() for name in ("config.json", "model.safetensors")
    ]
    before = fingerprint(copied)
    save_file({"one": torch.ones(20)}, copied[1])
    assert fingerprint(copied) != before


def test_a_file_with_another_checksum_is_refused(folder: Path, tmp_path: Path) -> None:
    mine = tmp_path / "xfeat.pt"
    torch.save({"weight": torch.zeros(3)}, mine)
    with pytest.raises(BadInputError, match=r"not the published xfeat\.pt: its SHA-256 is [0-9a-f]{64}, expected 0f51"):
        copy_weights(known_weights("xfeat"), mine)
    assert not list(folder.rglob("*.pt"))


def test_single_files_go_by_their_names(folder: Path, tmp_path: Path) -> None:
    weights = known_weights("disk-lightglue")
    mine = tmp_path / "disk_lightglue.pth"
    torch.save({"weight": torch.zeros(3)}, mine)
    assert copy_weights(weights, mine) == (folder / "disk_lightglue.pth",)
    assert weights_on_disk(weights) is None  # the detector's are still missing
    renamed = mine.rename(tmp_path / "other.pth")
    with pytest.raises(BadInputError, match=r"other\.pth is none of the files of disk-lightglue: depth-save\.pth"):
        copy_weights(weights, renamed)
    with pytest.raises(BadInputError, match="does not exist"):
        copy_weights(weights, tmp_path / "nothing")
    # The only file may have any name, and is checked for what it is.
    onnx = tmp_path / "mine.onnx"
    onnx.write_bytes(b"<html>")
    with pytest.raises(BadInputError, match="no ONNX model"):
        copy_weights(known_weights("metric3d-v2-small"), onnx)


class Hub:
    """Stands in for huggingface_hub: some files, and what it says about them."""

    def __init__(self, content: dict[str, bytes], stated: dict[str, bytes] | None = None) -> None:
        self._content, self._stated = content, stated or content
        self.utils = SimpleNamespace(disable_progress_bars=lambda: None)

    def HfApi(self) -> "Hub":
        return self

    def model_info(self, repository: str, *, files_metadata: bool, timeout: float) -> Any:
        large = {name: {"sha256": hashlib.sha256(data).hexdigest()} for name, data in self._stated.items()}
        listed = [SimpleNamespace(rfilename=name, lfs=lfs) for name, lfs in large.items() if name != "config.json"]
        return SimpleNamespace(siblings=[*listed, SimpleNamespace(rfilename="config.json", lfs=None)])

    def hf_hub_download(self, repository: str, name: str, *, local_dir: str, etag_timeout: float) -> str:
        place = Path(local_dir) / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(self._content[name])
        return str(place)


def with_hub(monkeypatch: pytest.MonkeyPatch, hub: Any) -> None:
    monkeypatch.setattr(obtain, "has_package", lambda name: True)
    monkeypatch.setattr(obtain, "import_module", lambda name: hub)


def test_downloads_are_verified_and_put_in_place(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = known_weights("depth-pro")
    content = {"config.json": b"{}", "model.safetensors": b"any bytes, as their checksum is stated"}
    with_hub(monkeypatch, Hub(content))
    paths = download_weights(weights)
    assert [path.read_bytes() for path in paths] == list(content.values())
    assert sorted(path.name for path in folder.rglob("*")) == ["config.json", "depth-pro", "model.safetensors"]


def test_a_damaged_download_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = known_weights("metric3d-v2-small")
    with_hub(monkeypatch, Hub({"onnx/model.onnx": b"half"}, {"onnx/model.onnx": b"\x08whole"}))
    with pytest.raises(BadInputError, match="not the published"):
        download_weights(weights)
    assert not list(folder.rglob("*.onnx"))


def test_without_a_network_it_ends_at_once_with_one_paragraph(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub({})
    monkeypatch.setattr(hub, "model_info", lambda *_, **__: time.sleep(60))
    monkeypatch.setattr(obtain, "ANSWER_S", 0.1)
    with_hub(monkeypatch, hub)
    began = time.monotonic()
    with pytest.raises(BadInputError) as told:
        download_weights(known_weights("depth-pro"))
    assert time.monotonic() - began < 5
    message = str(told.value)
    for word in ("model.safetensors", "apple/DepthPro-hf", "no answer in 0 s", "weights get depth-pro --from PATH"):
        assert word in message
    assert "\n" not in message

    def refused(*_: object, **__: object) -> None:
        raise ConnectionError("cannot reach it\nand much more")

    monkeypatch.setattr(hub, "model_info", refused)
    with pytest.raises(BadInputError, match=r"\(cannot reach it\)"):
        download_weights(known_weights("depth-pro"))


def test_weights_that_are_on_no_hub_say_where_they_are(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInputError, match=r"xfeat\.pt of XFeat is not on a hub: get it from https://"):
        download_weights(known_weights("xfeat"))
    monkeypatch.setattr(obtain, "has_package", lambda name: False)
    with pytest.raises(MissingExtraError, match=r"hyperfocal\[priors\]"):
        download_weights(known_weights("zoedepth"))


def test_the_command_lists_gets_and_finds(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights"]) == 0
    listed = capsys.readouterr().out
    assert all(weights.name in listed for weights in WEIGHTS)
    assert "unknown" in listed
    assert main(["weights", "list", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in record["weights"]] == [weights.name for weights in WEIGHTS]
    assert record["weights"][0]["files"][1]["sha256"] == WEIGHTS[0].files[1].sha256
    assert record["weights"][0]["files"][0]["sha256"] == "unknown"
    assert main(["weights", "path", "disk-lightglue"]) == 2
    assert "hyperfocal weights get disk-lightglue" in capsys.readouterr().err
    mine = tmp_path / "mine"
    mine.mkdir()
    for name in ("disk_lightglue.pth", "depth-save.pth"):
        torch.save({"weight": torch.zeros(3)}, mine / name)
    assert main(["weights", "get", "disk-lightglue", "--from", str(mine / "disk_lightglue.pth")]) == 0
    assert "more of its files are missing" in capsys.readouterr().out
    assert main(["weights", "get", "disk-lightglue", "--from", str(mine)]) == 2  # not the published detector
    assert "not the published depth-save.pth" in capsys.readouterr().err


def test_the_command_prints_paths_for_scripts(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = known_weights("loftr")
    mine = tmp_path / "any.ckpt"
    torch.save({"state_dict": {}}, mine)
    assert main(["weights", "get", "loftr", "--from", str(mine), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["here"] is True
    assert main(["weights", "path", "loftr"]) == 0
    assert capsys.readouterr().out.strip() == str(folder / weights.files[0].path)
    # What is here is not downloaded again.
    monkeypatch.setattr(obtain, "has_package", lambda name: False)
    assert main(["weights", "get", "loftr"]) == 0


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["list", "xfeat"], "takes nothing more"),
        (["get"], "Say which weights"),
        (["path", "xfeat", "--from", "file"], "--from belongs to"),
        (["get", "nothing"], "No weights are called"),
    ],
)
def test_words_that_make_no_sense_are_explained(
    words: list[str], reason: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["weights", *words]) == 2
    assert reason in capsys.readouterr().err


def test_an_unwritable_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    monkeypatch.setenv("HYPERFOCAL_WEIGHTS", str(blocked / "weights"))
    mine = tmp_path / "loftr.ckpt"
    torch.save({}, mine)
    with pytest.raises(BadInputError, match="HYPERFOCAL_WEIGHTS"):
        copy_weights(known_weights("loftr"), mine)


def test_entries_are_values() -> None:
    weights = known_weights("depth-pro")
    assert weights.size == "1.9 GB"
    assert replace(weights, megabytes=6.2).size == "6 MB"
