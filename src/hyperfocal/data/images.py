"""Decoding photographs: every file format and pixel type becomes sRGB floats, every failure names the file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image as Pillow
from torch import Tensor

from ..errors import BadInputError, has_package, missing_extra
from ..shapes import Image, Mask
from .exif import exif_orientation, read_exif
from .exr_files import EXR_SUFFIXES, decode_exr, has_openexr, read_exr_header
from .image_header import DAMAGED, ImageHeader
from .raw_files import RAW_SUFFIXES, check_raw_decodes, decode_raw, has_rawpy, read_raw_header

HEIF_SUFFIXES = frozenset({".heic", ".heif"})
PLAIN_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp"})
PHOTOGRAPH_SUFFIXES = PLAIN_SUFFIXES | HEIF_SUFFIXES | RAW_SUFFIXES | EXR_SUFFIXES

# Pillow warns above 89 megapixels and refuses above twice its limit, which is less than large cameras and stitched
# panoramas have. What lies above 1,000 megapixels would not fit into memory and is still refused.
if Pillow.MAX_IMAGE_PIXELS is not None:
    Pillow.MAX_IMAGE_PIXELS = max(Pillow.MAX_IMAGE_PIXELS, 500_000_000)


def missing_for(suffix: str) -> tuple[str, str] | None:
    """Return (what such files are, the extra that reads them) if files of this suffix cannot be read here."""
    if suffix in HEIF_SUFFIXES and not has_heif():
        return "HEIC photographs", "heif"
    if suffix in RAW_SUFFIXES and not has_rawpy():
        return "raw photographs", "raw"
    if suffix in EXR_SUFFIXES and not has_openexr():
        return "EXR pictures", "raw"
    return None


def has_heif() -> bool:
    """Return whether HEIC files can be decoded here."""
    if not has_package("pillow_heif"):
        return False
    import pillow_heif  # pyright: ignore[reportMissingImports]

    pillow_heif.register_heif_opener()
    return True


@contextmanager
def _opened(path: Path) -> Iterator[Pillow.Image]:
    """Yield the file opened by Pillow; every failure inside becomes a BadInputError that names it."""
    if (path.suffix.lower() in HEIF_SUFFIXES or _is_heif(path)) and not has_heif():
        raise missing_extra("pillow-heif", "heif")
    try:
        with Pillow.open(path) as opened:
            yield opened
    except FileNotFoundError as error:
        raise BadInputError(f"The photograph {path} does not exist (any more).") from error
    except PermissionError as error:
        raise BadInputError(f"{path} may not be read: {error.strerror}. Change its permissions.") from error
    except DAMAGED as error:
        raise BadInputError(
            f"The photograph {path} could not be decoded: {error}. The file is damaged, cut short or not an image; "
            "copy it again from the camera, or take it out of the folder."
        ) from error


def read_header(path: Path) -> ImageHeader:
    """Return size, orientation and EXIF of a photograph without decoding its pixels.

    Raises:
        BadInputError: not a readable image.
        MissingExtraError: reading it needs a package that is not installed.
    """
    if path.suffix.lower() in RAW_SUFFIXES:
        return read_raw_header(path)
    if path.suffix.lower() in EXR_SUFFIXES:
        return read_exr_header(path)
    with _opened(path) as opened:
        exif = opened.getexif()
        return ImageHeader(*opened.size, exif_orientation(exif), read_exif(exif))


def check_decodes(path: Path) -> None:
    """Decode a photograph as cheaply as its format allows, to find damage.

    Raises:
        BadInputError: the file is damaged or cut short.
        MissingExtraError: reading it needs a package that is not installed.
    """
    if path.suffix.lower() in RAW_SUFFIXES:
        return check_raw_decodes(path)
    if path.suffix.lower() in EXR_SUFFIXES:
        decode_exr(path)
        return None
    with _opened(path) as opened:
        opened.draft("L", (1, 1))  # a JPEG is parsed to its end but only one coefficient a block is transformed
        opened.load()
    return None


def decode(path: Path, orientation: int = 1) -> tuple[Image, Mask | None]:
    """Return (sRGB in [0, 1], opaque) of a photograph, turned by an EXIF orientation.

    Grey, palette, CMYK and 16-bit files are converted. `opaque` is where alpha is at least one half, None without it.

    Raises:
        BadInputError: the file is damaged, cut short or not an image.
        MissingExtraError: reading it needs a package that is not installed.
    """
    if path.suffix.lower() in RAW_SUFFIXES:
        rgb, alpha = decode_raw(path), None
    elif path.suffix.lower() in EXR_SUFFIXES:
        rgb, alpha = decode_exr(path)
    else:
        rgb, alpha = _decode_with_pillow(path)
    opaque = None if alpha is None else torch.from_numpy(turned(alpha >= 0.5, orientation))
    return torch.from_numpy(turned(rgb, orientation)), opaque


def _decode_with_pillow(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Return (rgb, alpha or None) in [0, 1], not turned."""
    with _opened(path) as opened:
        is_deep = opened.mode in {"RGB", "RGBA"} and ";16" in str(getattr(opened, "tile", ""))
        opened.load()
        deep = _sixteen_bit_colors(path) if is_deep else None
        if deep is None:
            return _to_rgb(opened)
        return deep[..., :3], deep[..., 3] if deep.shape[2] == 4 else None


def decode_mask(path: Path, orientation: int = 1) -> Mask:
    """Return where a mask file is not black, turned by an EXIF orientation.

    Raises:
        BadInputError: the file is damaged, cut short or not an image.
    """
    with _opened(path) as opened:
        grey = np.asarray(opened.convert("L"))
    return torch.from_numpy(turned(grey > 0, orientation))


def turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Return stored pixels [h, w, ...] turned upright as EXIF tag 0x0112 says (a contiguous array)."""
    match orientation:
        case 2:
            pixels = pixels[:, ::-1]
        case 3:
            pixels = pixels[::-1, ::-1]
        case 4:
            pixels = pixels[::-1]
        case 5:
            pixels = pixels.swapaxes(0, 1)
        case 6:
            pixels = np.rot90(pixels, -1)
        case 7:
            pixels = pixels[::-1, ::-1].swapaxes(0, 1)
        case 8:
            pixels = np.rot90(pixels)
    return np.ascontiguousarray(pixels)


def grey_uint8(image: Tensor) -> np.ndarray:
    """Return the 8-bit luma (BT.601) of an sRGB image [h, w, 3], as feature detectors want it."""
    return cv2.cvtColor((image.detach().cpu().numpy() * 255 + 0.5).clip(0, 255).astype(np.uint8), cv2.COLOR_RGB2GRAY)


def _to_rgb(opened: Pillow.Image) -> tuple[np.ndarray, np.ndarray | None]:
    """Return (rgb, alpha or None) in [0, 1] of any Pillow mode."""
    if opened.mode.startswith("I") or opened.mode == "F":
        # "I;16" and its kin hold 16 bits; "I" is 32 bits wide but comes from 16-bit files; "F" is already in [0, 1].
        grey = np.asarray(opened, dtype=np.float32) / (1 if opened.mode == "F" else 65535)
        return np.repeat(grey.clip(0, 1)[..., None], 3, axis=2), None
    if "A" in opened.getbands() or "a" in opened.getbands() or "transparency" in opened.info:
        rgba = _unit_floats(opened.convert("RGBA"))
        return rgba[..., :3], rgba[..., 3]
    return _unit_floats(opened if opened.mode == "RGB" else opened.convert("RGB")), None


def _unit_floats(opened: Pillow.Image) -> np.ndarray:
    """Return 8-bit pixels as floats in [0, 1]; in place, since 100 megapixels are 1.2 GB of floats."""
    pixels = np.asarray(opened).astype(np.float32)
    pixels /= 255
    return pixels


def _is_heif(path: Path) -> bool:
    """Return whether a file is HEIC by its content: phones and mail programs like to name it .jpg."""
    try:
        with path.open("rb") as file:
            start = file.read(12)
    except OSError:
        return False
    return start[4:8] == b"ftyp" and start[8:12] in {b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"}


def _sixteen_bit_colors(path: Path) -> np.ndarray | None:
    """Return [h, w, 3 or 4] in [0, 1] of a TIFF or PNG of which Pillow keeps only the upper 8 bits; None if not one."""
    # Not cv2.imread, which does not find names beyond ASCII on Windows.
    pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.ndim != 3 or pixels.dtype != np.uint16:
        return None
    return pixels[..., [2, 1, 0, 3][: pixels.shape[2]]].astype(np.float32) / 65535
