"""What EXIF tells about a lens, and what is not believed of it."""

import io
import math
from dataclasses import replace

import pytest
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from hyperfocal.data.exif import read_exif
from hyperfocal.errors import BadInputError
from hyperfocal.exif_lens import believable, known_lens, physical_lens_from_exif
from hyperfocal.scene import Exif

FULL_FRAME = Exif(focal_length_mm=50.0, focal_length_35mm=50.0, f_number=1.8, focus_distance_m=2.0)
PHONE = Exif(focal_length_mm=4.25, focal_length_35mm=26.0, f_number=1.8, focus_distance_m=math.inf)
INFINITE = 0xFFFFFFFF
FOCAL, FOCAL_35MM, F_NUMBER, DISTANCE = 0x920A, 0xA405, 0x829D, 0x9206


def written(**tags: object) -> Exif:
    """Return what is read of a JPEG file with these EXIF numbers."""
    exif, buffer = Image.Exif(), io.BytesIO()
    numbers = {"focal": FOCAL, "focal_35mm": FOCAL_35MM, "f_number": F_NUMBER, "distance": DISTANCE}
    exif.get_ifd(0x8769).update({numbers[key]: value for key, value in tags.items()})
    Image.new("RGB", (8, 8)).save(buffer, "JPEG", exif=exif)
    with Image.open(buffer) as opened:
        return read_exif(opened.getexif())


def test_full_frame_is_36_mm_wide_and_its_lens_as_engraved():
    lens = physical_lens_from_exif(FULL_FRAME, 6000, 4000)
    assert lens.sensor_width_m == pytest.approx(0.036)
    assert lens.aperture_diameter_m == pytest.approx(0.05 / 1.8)
    assert (lens.focal_length_m, lens.focus_distance_m) == (pytest.approx(0.05), 2.0)
    upright = physical_lens_from_exif(FULL_FRAME, 4000, 6000)
    assert upright.sensor_width_m == pytest.approx(0.024)
    assert upright.focal_px(4000) == pytest.approx(lens.focal_px(6000))  # the pixels are the same


def test_35_mm_equivalents_are_by_the_diagonal():
    lens = physical_lens_from_exif(PHONE, 4032, 3024)
    diagonal = math.hypot(36, 24) * 4.25 / 26  # 7.07 mm
    assert math.hypot(1, 3 / 4) * lens.sensor_width_m == pytest.approx(1e-3 * diagonal)
    # The definition itself: as much along the diagonal of the picture as 26 mm before film of 43.27 mm.
    assert math.hypot(4032, 3024) / lens.focal_px(4032) == pytest.approx(math.hypot(36, 24) / 26)


@pytest.mark.parametrize(
    ("unknown", "missing"),
    [
        ({"focal_length_mm": None}, ("focal_length_m", "sensor_width_m")),
        ({"focal_length_35mm": None}, ("sensor_width_m",)),
        ({"f_number": None}, ("f_number",)),
        ({"focus_distance_m": None}, ("focus_distance_m",)),
        ({}, ()),
    ],
)
def test_what_is_missing_is_named(unknown, missing):
    exif = replace(FULL_FRAME, **unknown)
    assert known_lens(exif, 6000, 4000).missing == missing
    assert (physical_lens_from_exif(exif, 6000, 4000) is None) == bool(missing)


def test_a_focus_that_is_known_otherwise_completes_the_lens():
    known = known_lens(replace(FULL_FRAME, focus_distance_m=None), 6000, 4000)
    assert known.lens() is None
    assert known.lens(focus_distance_m=3.0).focus_distance_m == 3.0
    assert known.customary_circle_m == pytest.approx(28.8e-6, rel=2e-3)
    with pytest.raises(BadInputError, match=r"cannot be focused at 0\.01 m"):
        known.lens(focus_distance_m=0.01)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("f_number", value) for value in (0.0, -2.8, math.nan, math.inf, 0.3, 129.0, 1e9)),
        *(("focal_length_mm", value) for value in (0.0, -50.0, math.nan, math.inf, 10_001.0)),
        *(("focal_length_35mm", value) for value in (0.0, -1.0, math.nan, 65_535.0)),
        *(("focus_distance_m", value) for value in (0.0, -1.0, math.nan, -math.inf, 0.05, 0.01, 4e9)),
    ],
)
def test_nonsense_is_unknown(field, value):
    exif = replace(FULL_FRAME, **{field: value})
    assert getattr(believable(exif), field) is None
    assert physical_lens_from_exif(exif, 6000, 4000) is None
    assert believable(FULL_FRAME) == FULL_FRAME


@pytest.mark.parametrize("equivalent", [0.5, 9000.0])
def test_a_sensor_of_no_camera_is_unknown(equivalent):
    known = known_lens(replace(FULL_FRAME, focal_length_mm=9.0, focal_length_35mm=equivalent), 6000, 4000)
    assert known.missing == ("sensor_width_m",)
    assert known.customary_circle_m is None


def test_a_photograph_without_pixels_is_refused():
    with pytest.raises(BadInputError, match="got 0 x 4000"):
        known_lens(FULL_FRAME, 0, 4000)


@pytest.mark.parametrize(("top", "bottom", "metres"), [(INFINITE, 1, math.inf), (INFINITE, 0, math.inf), (5, 2, 2.5)])
def test_infinity_is_the_largest_numerator(top, bottom, metres):
    assert written(distance=IFDRational(top, bottom), focal=50.0).focus_distance_m == metres


@pytest.mark.parametrize(("top", "bottom"), [(0, 1), (0, 0), (1, 0), (1, 50), (4_000_000_000, 1)])
def test_distances_that_cannot_be_are_unknown(top, bottom):
    assert written(distance=IFDRational(top, bottom), focal=50.0).focus_distance_m is None


def test_a_file_with_numbers_that_no_camera_means_tells_nothing():
    assert written(f_number=IFDRational(0, 1), focal=IFDRational(0, 0), focal_35mm=0) == Exif()
    assert written(f_number=655.35, focal=20_000.0, focal_35mm=65_535) == Exif()
