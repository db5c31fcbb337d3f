"""Compressed PLY files: what is written comes back to half a step, and bad files are refused with a sentence."""

import math
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from hyperfocal.errors import BadInputError
from hyperfocal.export import read_ply, write_compressed_ply, write_ply
from hyperfocal.export.compressed_ply import CHUNK
from hyperfocal.gaussians import Gaussians
from hyperfocal.render import render
from hyperfocal.sh import C0
from scenes import pinhole, random_gaussians, ring_of_cameras

RANGES = [f"{end}_{kind}{axis}" for kind in ("", "scale_") for end in ("min", "max") for axis in "xyz"]
COLORS = [f"{end}_{c}" for end in ("min", "max") for c in "rgb"]
PACKED = ["packed_position", "packed_rotation", "packed_scale", "packed_color"]


def file_of(
    chunks: list[list[float]], rows: list[list[int]], *, colors: bool = True, count: object = None, extra: str = ""
) -> bytes:
    """A file made by hand from its published description, independently of the writer."""
    names = RANGES + (COLORS if colors else [])
    head = f"ply\nformat binary_little_endian 1.0\nelement chunk {len(chunks)}\n"
    head += "".join(f"property float {name}\n" for name in names)
    head += f"element vertex {len(rows) if count is None else count}\n"
    head += "".join(f"property uint {name}\n" for name in PACKED) + extra + "end_header\n"
    body = b"".join(struct.pack(f"<{len(names)}f", *chunk) for chunk in chunks)
    return head.encode() + body + b"".join(struct.pack("<4I", *row) for row in rows)


# x -1 to 1, y 0 to 4, z 10 to 20; scales exp(-4) to 1; colours 0 to 2.
CHUNK_OF_ONE = [-1.0, 0, 10, 1, 4, 20, -4, -4, -4, 0, 0, 0, 0, 0, 0, 2, 2, 2]


def in_order_of(g: Gaussians, like: Gaussians) -> Gaussians:
    """The Gaussians in the order of others at about the same places."""
    nearest = torch.cdist(like.means.double(), g.means.double()).argmin(1)
    assert len(set(nearest.tolist())) == len(g)
    return g.select(nearest)


def test_a_file_worked_out_on_paper(tmp_path: Path) -> None:
    position = (2047 << 21) | (0 << 11) | 2047  # the largest x, the least y, the largest z
    rotation = (1 << 30) | (512 << 20) | (512 << 10) | 512  # x is the largest, the others as good as 0
    scale = (0 << 21) | (1023 << 11) | 0
    color = (255 << 24) | (0 << 16) | (51 << 8) | 102
    (tmp_path / "a.ply").write_bytes(file_of([CHUNK_OF_ONE], [[position, rotation, scale, color]]))
    g = read_ply(tmp_path / "a.ply")
    assert g.means.tolist() == [[1, 0, 20]]
    torch.testing.assert_close(g.scales, torch.tensor([[math.exp(-4), 1, math.exp(-4)]]))
    torch.testing.assert_close(g.opacities, torch.tensor([0.4]))
    torch.testing.assert_close(g.sh[0, 0] * C0 + 0.5, torch.tensor([2, 0, 0.4]))
    small = (512 / 1023 - 0.5) * math.sqrt(2)
    expected = torch.tensor([[small, math.sqrt(1 - 3 * small**2), small, small]])
    torch.testing.assert_close(g.quaternions, expected)


@pytest.mark.parametrize("largest", range(4))
def test_the_largest_component_of_a_rotation_is_the_one_left_out(tmp_path: Path, largest: int) -> None:
    rotation = (largest << 30) | (700 << 20) | (600 << 10) | 400
    (tmp_path / "a.ply").write_bytes(file_of([CHUNK_OF_ONE], [[0, rotation, 0, 0]]))
    others = [(v / 1023 - 0.5) * math.sqrt(2) for v in (700, 600, 400)]
    expected = [*others[:largest], math.sqrt(1 - sum(v * v for v in others)), *others[largest:]]
    torch.testing.assert_close(read_ply(tmp_path / "a.ply").quaternions, torch.tensor([expected]))


def test_older_files_without_ranges_of_colours_are_read(tmp_path: Path) -> None:
    color = (255 << 24) | (0 << 16) | (51 << 8) | 255
    (tmp_path / "a.ply").write_bytes(file_of([CHUNK_OF_ONE[:12]], [[0, 0, 0, color]], colors=False))
    torch.testing.assert_close(read_ply(tmp_path / "a.ply").sh[0, 0] * C0 + 0.5, torch.tensor([1, 0, 0.2]))


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_every_value_comes_back_to_half_a_step(tmp_path: Path, degree: int) -> None:
    g = random_gaussians(700, sh_degree=degree)  # two chunks and a part of one
    write_compressed_ply(tmp_path / "a.ply", g)
    read = read_ply(tmp_path / "a.ply")
    assert read.sh_degree == degree
    g = in_order_of(g, read)
    for start in range(0, len(g), CHUNK):
        part, back = (x.select(torch.arange(start, min(start + CHUNK, len(g)))) for x in (g, read))
        for name, steps in (("means", (2047, 1023, 2047)), ("scales", (2047, 1023, 2047))):
            a, b = getattr(part, name), getattr(back, name)
            a, b = (a.log(), b.log()) if name == "scales" else (a, b)
            half = (a.amax(0) - a.amin(0)) / torch.tensor(steps) / 2
            assert bool(((a - b).abs() <= 1.001 * half + 1e-6).all()), name
        color = part.sh[:, 0]
        half = (color.amax(0) - color.amin(0)) / 255 / 2
        assert bool(((color - back.sh[:, 0]).abs() <= 1.001 * half + 1e-6).all())
    assert float((g.opacities - read.opacities).abs().max()) <= 0.5 / 255 + 1e-6
    assert float((g.sh[:, 1:] - read.sh[:, 1:]).abs().max() if degree else 0) <= 1 / 64 + 1e-6
    angle = 2 * torch.acos((normalize(g.quaternions) * read.quaternions).sum(1).abs().clamp(max=1).double())
    assert float(angle.max()) < 0.005  # radians


def test_a_picture_of_what_was_read_looks_like_one_of_what_was_written(tmp_path: Path) -> None:
    g = random_gaussians(500, sh_degree=3)
    write_compressed_ply(tmp_path / "a.ply", g)
    camera = ring_of_cameras(3)[1]
    error = render(g, camera).color - render(read_ply(tmp_path / "a.ply"), camera).color
    assert -10 * math.log10(float(error.square().mean())) > 45


def test_the_file_is_a_quarter_of_the_usual_one_or_less(tmp_path: Path) -> None:
    g = random_gaussians(2000)
    write_ply(tmp_path / "a.ply", g)
    write_compressed_ply(tmp_path / "b.ply", g)
    assert (tmp_path / "b.ply").stat().st_size < 0.26 * (tmp_path / "a.ply").stat().st_size


def test_degrees_that_are_zero_throughout_are_left_out(tmp_path: Path) -> None:
    g = random_gaussians(10, sh_degree=1).with_sh_degree(3)
    write_compressed_ply(tmp_path / "a.ply", g)
    assert read_ply(tmp_path / "a.ply").sh_degree == 1


def test_coefficients_of_zero_add_up_to_zero(tmp_path: Path) -> None:
    g = random_gaussians(100)
    g.sh[:, 1:] = 0
    g.sh[0, 15] = 1
    write_compressed_ply(tmp_path / "a.ply", g)
    rest = read_ply(tmp_path / "a.ply").sh[:, 1:-1]
    torch.testing.assert_close(rest.abs(), torch.full_like(rest, 1 / 64))
    assert float(rest.mean(0).abs().max()) < 0.002
    assert float(rest.mean((1, 2)).abs().max()) < 0.002


def test_the_colour_space_is_kept(tmp_path: Path) -> None:
    write_compressed_ply(tmp_path / "a.ply", replace(random_gaussians(3), color_space="linear"))
    assert read_ply(tmp_path / "a.ply").color_space == "linear"


@pytest.mark.parametrize("count", [0, 1, CHUNK, CHUNK + 1])
def test_any_number_of_gaussians_is_a_file(tmp_path: Path, count: int) -> None:
    write_compressed_ply(tmp_path / "a.ply", random_gaussians(count))
    assert len(read_ply(tmp_path / "a.ply")) == count


def test_extreme_values_stay_numbers(tmp_path: Path) -> None:
    g = random_gaussians(8)
    g.scales[0] = 0
    g.scales[1] = 1e30
    g.opacities[:2] = torch.tensor([0.0, 1.0])
    g.quaternions[2] = 0
    g.sh[3] = 100
    g.means[:] = g.means[:1]  # all at one place
    write_compressed_ply(tmp_path / "a.ply", g)
    read = read_ply(tmp_path / "a.ply")
    assert all(bool(tensor.isfinite().all()) for tensor in read.tensors().values())
    assert {0.0, 1.0} <= set(read.opacities.tolist())
    assert torch.equal(read.means, g.means)


def test_equal_gaussians_make_equal_files(tmp_path: Path) -> None:
    for name in ("a.ply", "b.ply"):
        write_compressed_ply(tmp_path / name, random_gaussians(300))
    assert (tmp_path / "a.ply").read_bytes() == (tmp_path / "b.ply").read_bytes()


@pytest.mark.parametrize(("name", "count"), [("biker", 152_746), ("guitar", 90_854)])
def test_files_that_others_wrote_are_read_and_written_again(
    shared_data: Path, tmp_path: Path, name: str, count: int
) -> None:
    path = shared_data / "splats" / f"{name}.compressed.ply"
    if not path.is_file():
        pytest.skip(f"there is no {path}")
    g = read_ply(path)
    assert len(g) == count
    assert g.sh_degree == 0
    assert 0 < float(g.scales.median()) < float((g.means.amax(0) - g.means.amin(0)).max()) / 20
    torch.testing.assert_close(g.quaternions.norm(dim=1), torch.ones(count))
    write_compressed_ply(tmp_path / "again.ply", g)
    again = read_ply(tmp_path / "again.ply")
    camera = replace(pinhole(48, 48, 40), world_to_camera=torch.eye(4))
    middle, reach = g.means.median(0).values, float(g.means.std())
    camera.world_to_camera[:3, 3] = -middle + torch.tensor([0, 0, 4 * reach])
    pictures = [render(each, camera).color for each in (g, again)]
    assert float(pictures[0].std()) > 0.02
    assert float((pictures[0] - pictures[1]).square().mean()) < 10**-4.5


def altered(old: bytes, new: bytes) -> bytes:
    whole = file_of([CHUNK_OF_ONE], [[0, 0, 0, 0]])
    assert old in whole
    return whole.replace(old, new, 1)


SH = "element sh {}\n" + "".join(f"property {{}} f_rest_{i}\n" for i in range(9))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (file_of([CHUNK_OF_ONE], [[0, 0, 0, 0]])[:-1], "promises"),
        (file_of([CHUNK_OF_ONE], [[0, 0, 0, 0]], count=10**14), "chunks for"),
        (altered(b"element chunk 1", b"element chunk 99999999999"), "promises"),
        (file_of([CHUNK_OF_ONE], [[0, 0, 0, 0]] * 257), "1 chunks for 257 Gaussians; expected 2 chunks"),
        (altered(b"element chunk 1", b"element chunk 0"), "0 chunks"),
        (altered(b"property float min_x", b"property float least_x"), "no property min_x"),
        (altered(b"property float max_scale_z", b"property float biggest"), "no property max_scale_z"),
        (altered(b"property float max_b", b"property float most_b"), "no property max_b"),
        (altered(b"uint packed_color", b"int packed_color"), "packed_color"),
        (altered(b"uint packed_rotation", b"ushort packed_rotation"), "packed_rotation"),
        (altered(b"property uint packed_scale\n", b""), "packed_scale"),
        (altered(b"property float min_y", b"property list uchar float min_y"), "list"),
        (altered(b"property uint packed_scale", b"property list uchar uint packed_scale"), "list"),
        (file_of([CHUNK_OF_ONE], [[0] * 4], extra=SH.format(2, *["uchar"] * 9)), "coefficients of 2"),
        (file_of([CHUNK_OF_ONE], [[0] * 4], extra=SH.format(1, *["float"] * 9)), "as uchar"),
        (file_of([CHUNK_OF_ONE], [[0] * 4], extra="element sh 1\nproperty uchar f_rest_0\n"), "1 properties"),
        (file_of([CHUNK_OF_ONE], [[0] * 4], extra=SH.format(1, *["uchar"] * 9)), "promises"),
        (file_of([[math.nan, *CHUNK_OF_ONE[1:]]], [[0, 0, 0, 0]]), "means that are not finite"),
        (file_of([[*CHUNK_OF_ONE[:9], 1e9, 0, 0, *CHUNK_OF_ONE[12:]]], [[0, 0, 2047 << 21, 0]]), "scales that are"),
        (file_of([[*CHUNK_OF_ONE[:15], math.inf, 2, 2]], [[0, 0, 0, 255 << 24]]), "sh that are not finite"),
    ],
)
def test_bad_compressed_files_are_refused_with_their_name_and_a_reason(
    tmp_path: Path, data: bytes, reason: str
) -> None:
    path = tmp_path / "bad.ply"
    path.write_bytes(data)
    with pytest.raises(BadInputError) as caught:
        read_ply(path)
    assert str(path) in str(caught.value)
    assert reason in str(caught.value)


def test_a_file_that_lies_about_its_size_allocates_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = file_of([CHUNK_OF_ONE], [[0, 0, 0, 0]], count=10**12)
    (tmp_path / "a.ply").write_bytes(whole.replace(b"element chunk 1", b"element chunk 4000000000"))
    monkeypatch.setattr(np, "fromfile", lambda *_, **__: pytest.fail("it would have been read"))
    with pytest.raises(BadInputError, match="promises"):
        read_ply(tmp_path / "a.ply")


def test_a_missing_folder_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="Could not write"):
        write_compressed_ply(tmp_path / "none" / "a.ply", random_gaussians(1))
