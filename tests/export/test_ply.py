"""PLY files: what is written comes back, and bad files are refused with a sentence."""

import struct
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hyperfocal.activations import opacities_from_logits, scales_from_logs
from hyperfocal.errors import BadInputError
from hyperfocal.export import read_ply, write_compressed_ply, write_ply
from hyperfocal.gaussians import Gaussians
from scenes import random_gaussians

Writer: TypeAlias = Callable[[Path, Gaussians], None]

NAMES = ["x", "y", "z", "f_dc_0", "f_dc_1", "f_dc_2", "opacity", "scale_0", "scale_1", "scale_2"]
NAMES += ["rot_0", "rot_1", "rot_2", "rot_3"]


def equal(a: Gaussians, b: Gaussians) -> bool:
    other = b.tensors()
    return a.color_space == b.color_space and all(torch.equal(t, other[k]) for k, t in a.tensors().items())


def as_fitted(gaussians: Gaussians) -> Gaussians:
    """The same Gaussians with values that logs and logits can name, as `fit` makes them."""
    return replace(
        gaussians,
        scales=scales_from_logs(gaussians.scales.log()),
        opacities=opacities_from_logits(gaussians.opacities.logit()),
    )


def header(count: object = 1, names: list[str] = NAMES, kind: str = "float", extra: str = "") -> bytes:
    properties = "".join(f"property {kind} {name}\n" for name in names)
    return (f"ply\nformat binary_little_endian 1.0\n{extra}element vertex {count}\n{properties}end_header\n").encode()


def row(names: list[str] = NAMES, **values: float) -> bytes:
    return struct.pack(f"<{len(names)}f", *(values.get(name, 0.0) for name in names))


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_writing_and_reading_changes_no_bit(tmp_path: Path, degree: int) -> None:
    g = as_fitted(random_gaussians(1000, sh_degree=degree))
    write_ply(tmp_path / "a.ply", g)
    assert equal(read_ply(tmp_path / "a.ply"), g)


def test_reading_a_written_file_again_changes_no_bit_whatever_was_in_it(tmp_path: Path) -> None:
    g = random_gaussians(1000)
    extremes = torch.tensor([0.0, 1e-40, 1.0, 1 - 2**-24, 1e-7])
    g.opacities[:5] = extremes
    g.scales[:5, 0] = extremes
    write_ply(tmp_path / "a.ply", g)
    once = read_ply(tmp_path / "a.ply")
    write_ply(tmp_path / "b.ply", once)
    assert equal(read_ply(tmp_path / "b.ply"), once)
    for name in ("means", "quaternions", "sh"):
        assert torch.equal(getattr(once, name), getattr(g, name))
    # A float32 log in [-128, 128] names a value to half of 2^-17.
    torch.testing.assert_close(once.scales, g.scales, rtol=2**-17, atol=0)
    torch.testing.assert_close(once.opacities, g.opacities, rtol=2**-17, atol=0)


def test_the_file_has_the_properties_and_the_order_that_viewers_expect(tmp_path: Path) -> None:
    g = random_gaussians(2)
    write_ply(tmp_path / "a.ply", g)
    data = (tmp_path / "a.ply").read_bytes()
    head, body = data.split(b"end_header\n", 1)
    lines = head.decode().splitlines()
    assert lines[:4] == [
        "ply",
        "format binary_little_endian 1.0",
        "comment hyperfocal color_space srgb",
        "element vertex 2",
    ]
    names = [line.removeprefix("property float ") for line in lines[4:]]
    rest = [f"f_rest_{i}" for i in range(45)]
    assert names == ["x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2", *rest, *NAMES[6:]]
    values = np.frombuffer(body, "<f4").reshape(2, 62)
    # f_rest is channel-major: 15 coefficients of red, then green, then blue.
    np.testing.assert_array_equal(values[:, 9 + 15], g.sh[:, 1, 1])
    np.testing.assert_array_equal(values[:, 9 + 2], g.sh[:, 3, 0])
    np.testing.assert_allclose(values[:, 54], g.opacities.logit(), rtol=1e-5)
    np.testing.assert_allclose(values[:, 55:58], g.scales.log(), rtol=1e-5)


def test_the_colour_space_is_kept(tmp_path: Path) -> None:
    g = as_fitted(replace(random_gaussians(3), color_space="linear"))
    write_ply(tmp_path / "a.ply", g)
    assert read_ply(tmp_path / "a.ply").color_space == "linear"


def test_no_gaussians_are_a_scene_too(tmp_path: Path) -> None:
    g = random_gaussians(0)
    write_ply(tmp_path / "a.ply", g)
    assert equal(read_ply(tmp_path / "a.ply"), g)


def test_order_types_extra_properties_and_extra_elements_do_not_matter(tmp_path: Path) -> None:
    names = [*NAMES[::-1], "mood"]
    before = "element intrinsic 9\nproperty double value\n"
    after = b"element disparity 2\nproperty list uchar float values\nend_header\n"
    values = {name: float(i) for i, name in enumerate(NAMES)}
    body = struct.pack("<11d", *[values.get(name, 7.0) for name in names[:11]])
    body += struct.pack("<4d", *[values.get(name, 7.0) for name in names[11:]])
    data = header(1, names, "double", before).replace(b"end_header\n", after) + bytes(72) + body + b"lists"
    (tmp_path / "a.ply").write_bytes(data)
    g = read_ply(tmp_path / "a.ply")
    assert g.means.tolist() == [[0, 1, 2]]
    assert g.sh[0, 0].tolist() == [3, 4, 5]
    assert g.quaternions.tolist() == [[10, 11, 12, 13]]
    torch.testing.assert_close(g.scales, torch.tensor([[7.0, 8.0, 9.0]]).exp())


def test_windows_line_ends_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.ply").write_bytes(header().replace(b"\n", b"\r\n") + row(x=2.0))
    assert read_ply(tmp_path / "a.ply").means.tolist() == [[2, 0, 0]]


def test_an_infinite_logit_is_an_opacity_of_one(tmp_path: Path) -> None:
    (tmp_path / "a.ply").write_bytes(header() + row(opacity=float("inf")))
    assert read_ply(tmp_path / "a.ply").opacities.tolist() == [1.0]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "starts with"),
        (b"solid teapot", "starts with"),
        (b"ply\nformat ascii 1.0\nend_header\n", "format ascii"),
        (b"ply\nformat binary_big_endian 1.0\nend_header\n", "format binary_big_endian"),
        (b"ply\nend_header\n", "no format line"),
        (b"ply\nformat binary_little_endian 1.0\nend_header\n", "element 'vertex'"),
        (b"ply\nformat binary_little_endian 1.0\n" + b"comment x\n" * 9000, "no 'end_header'"),
        (header(10**14), "promises"),
        (header("9" * 5000), "header line"),
        (header("-1"), "header line"),
        (header(1.5), "header line"),
        (header(1, kind="float128"), "header line"),
        (header(1, NAMES[1:]), "no property x"),
        (header(1, [*NAMES, "f_rest_0"]), "f_rest"),
        (header(1, [*NAMES, "x"]), "twice"),
        (header(1).replace(b"property float x", b"property list uchar int x"), "list"),
        (header(0, extra="element face 1\nproperty list uchar int i\n"), "list properties in element 'face'"),
        (header(2) + row(), "promises"),
        (header() + row(x=float("nan")), "means that are not finite"),
        (header() + row(scale_1=100.0), "scales that are not finite"),
        (header() + row(opacity=float("nan")), "opacities that are not finite"),
        (header(extra="comment hyperfocal color_space purple\n") + row(), "color_space 'purple'"),
    ],
)
def test_bad_files_are_refused_with_their_name_and_a_reason(tmp_path: Path, data: bytes, reason: str) -> None:
    path = tmp_path / "bad.ply"
    path.write_bytes(data)
    with pytest.raises(BadInputError) as caught:
        read_ply(path)
    assert str(path) in str(caught.value)
    assert reason in str(caught.value)
    assert "Choose a binary little-endian PLY" in str(caught.value)


@pytest.mark.parametrize("write", [write_ply, write_compressed_ply])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_file_cut_anywhere_is_refused(tmp_path: Path, write: Writer, data: st.DataObject) -> None:
    path = tmp_path / "cut.ply"
    write(path, random_gaussians(4, sh_degree=1))
    whole = path.read_bytes()
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(BadInputError):
        read_ply(path)


@pytest.mark.parametrize("write", [write_ply, write_compressed_ply])
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(0, 1000), garbage=st.binary(min_size=1, max_size=8))
def test_a_damaged_file_never_ends_in_another_error(
    tmp_path: Path, write: Writer, position: int, garbage: bytes
) -> None:
    path = tmp_path / "damaged.ply"
    write(path, random_gaussians(4, sh_degree=1))
    whole = path.read_bytes()
    path.write_bytes(whole[:position] + garbage + whole[position + len(garbage) :])
    try:
        assert len(read_ply(path)) >= 0
    except BadInputError as error:
        assert str(path) in str(error)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none.ply", tmp_path):
        with pytest.raises(BadInputError, match=path.name):
            read_ply(path)


def test_a_missing_folder_is_a_sentence_not_a_traceback(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="Could not write"):
        write_ply(tmp_path / "none" / "a.ply", random_gaussians(1))


def test_a_million_gaussians_are_written_within_seconds(tmp_path: Path) -> None:
    few = as_fitted(random_gaussians(1000)).select(torch.arange(200_000) % 1000)
    began = time.process_time()  # of all threads: a busy machine does not count
    write_ply(tmp_path / "a.ply", few)
    # A fifth of a million; all of it takes about 1 s, so the bound leaves a factor of ten.
    assert time.process_time() - began < 2
