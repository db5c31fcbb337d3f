"""`load_photograph`: from a view's file to the undistorted picture of a pinhole camera."""

from dataclasses import replace
from functools import lru_cache

import cv2
import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from ..camera import Camera, pixel_centers, reduced_size
from ..distortion import Distortion, distort, fold_radius
from ..errors import BadInputError
from ..scene import Photograph, View
from ..shapes import Image, Mask
from .depth_files import load_depth
from .images import decode, decode_mask


def load_photograph(view: View, *, long_side: int | None = None, depth: bool = True) -> Photograph:
    """Decode a photograph, remove its lens distortion and make it at most `long_side` pixels long.

    The pinhole keeps the size, focal lengths and principal point of the view's camera, so the middle of the picture
    keeps its resolution; what the lens saw outside that frame is lost, and pixels of the frame that the lens did not
    see are not `valid`. Downsampling averages areas (of sRGB values); nothing is ever enlarged.

    Args:
        view: A view with a known camera.
        long_side: Upper bound of the larger of width and height in pixels; None keeps the size.
        depth: Also decode the depth map that came with the photograph, if there is one, and make it fit (`load_depth`).

    Raises:
        BadInputError: the view has no camera, a file cannot be decoded, or its size is not the camera's.
        ValueError: `long_side` is not positive.
    """
    if long_side is not None and long_side < 1:
        raise ValueError(f"long_side must be at least 1 pixel, got {long_side}.")
    if view.camera is None:
        raise BadInputError(f"The camera of {view.name} is unknown. Estimate poses first, or leave this view out.")
    image, opaque = load_pixels(view)
    valid = load_mask(view, image)
    if opaque is not None:
        valid = valid & opaque
    if tuple(image.shape[:2]) != (view.camera.height, view.camera.width):
        raise BadInputError(
            f"The photograph {view.name} has {image.shape[1]} x {image.shape[0]} pixels, but its camera is for "
            f"{view.camera.width} x {view.camera.height}. The file changed after its camera was read: read it again."
        )
    if view.distortion is not None and not view.distortion.is_none:
        image, valid = _undistorted(image, valid, view.camera, view.distortion)
    photograph = Photograph(name=view.name, image=image, valid=valid, camera=view.camera, exif=view.exif)
    if long_side is not None:
        photograph = _downsampled(photograph, long_side)
    measured = load_depth(view, long_side=long_side) if depth else None
    return photograph if measured is None else replace(photograph, depth_z=measured.values)


def load_pixels(view: View) -> tuple[Image, Mask | None]:
    """Return (sRGB in [0, 1], opaque or None) of a view, distortion included.

    Raises:
        BadInputError: the file cannot be decoded.
    """
    if isinstance(view.image, torch.Tensor):
        return view.image, None
    return decode(view.image, view.orientation)


def load_mask(view: View, image: Image) -> Mask:
    """Return where a view's mask lets the photograph count (everywhere without one), at the size of `image`.

    Raises:
        BadInputError: the mask cannot be decoded or has another size than the photograph.
    """
    if view.mask is None:
        return torch.ones(image.shape[:2], dtype=torch.bool)
    if isinstance(view.mask, torch.Tensor):
        mask = fitting_mask(view.mask, image, f"the mask of {view.name}")
    else:
        mask = fitting_mask(decode_mask(view.mask, view.orientation), image, str(view.mask))
    return ~mask if view.mask_is_inverted else mask


def fitting_mask(mask: Bool[Tensor, "mask_h mask_w"], image: Image, described: str) -> Mask:
    """Return the mask, which must have the size of its photograph.

    Raises:
        BadInputError: it has another size; names it as `described`.
    """
    if mask.shape != image.shape[:2]:
        raise BadInputError(
            f"A mask needs the size of its photograph: {described} has {mask.shape[1]} x {mask.shape[0]} pixels, the "
            f"photograph {image.shape[1]} x {image.shape[0]}. Resize it, or leave it out."
        )
    return mask


def _undistorted(image: Image, valid: Mask, camera: Camera, distortion: Distortion) -> tuple[Image, Mask]:
    """Return image and mask as an ideal lens in front of the same sensor would have given them."""
    rows_columns = (camera.height, camera.width)
    source_px, unfolded = _source_pixels(
        *rows_columns, *camera.focal_px.tolist(), *camera.center_px.tolist(), distortion=distortion
    )
    # The mask first: outside the photograph it is 0, so it also says where there is no source.
    weight = valid.numpy().astype(np.float32)
    counts = cv2.remap(weight, *source_px, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    # Cubic keeps the sharpness that defocus estimation lives on; its overshoot is cut off.
    picture = cv2.remap(image.numpy(), *source_px, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return torch.from_numpy(picture.clip(0, 1)), torch.from_numpy((counts > 0.999) & unfolded)


@lru_cache(maxsize=2)  # photographs of one camera come in a row, and a map of 24 megapixels holds 200 MB
def _source_pixels(
    height: int, width: int, fx: float, fy: float, cx: float, cy: float, *, distortion: Distortion
) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """Return (cv2 indices (x, y) of ideal pixels in the distorted photograph, where the lens maps one to one)."""
    focal, center = torch.tensor([fx, fy]), torch.tensor([cx, cy])
    plane = (pixel_centers(width, height) - center) / focal
    # cv2 counts from the centre of the first pixel, we from its corner.
    x, y = (distort(distortion, plane) * focal + center - 0.5).unbind(-1)
    unfolded = plane.norm(dim=-1) < fold_radius(distortion)
    return (x.contiguous().numpy(), y.contiguous().numpy()), unfolded.numpy()


def _downsampled(photograph: Photograph, long_side: int) -> Photograph:
    """Return a photograph of at most `long_side` pixels; a pixel counts if all of its area does."""
    camera = photograph.camera
    size = reduced_size((camera.width, camera.height), long_side)
    if size == (camera.width, camera.height):
        return photograph
    picture = cv2.resize(photograph.image.numpy(), size, interpolation=cv2.INTER_AREA)
    counts = cv2.resize(photograph.valid.numpy().astype(np.float32), size, interpolation=cv2.INTER_AREA)
    return replace(
        photograph,
        image=torch.from_numpy(picture.clip(0, 1)),
        valid=torch.from_numpy(counts > 0.999),
        camera=camera.resized(*size),
    )
