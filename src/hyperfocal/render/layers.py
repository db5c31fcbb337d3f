"""`defocus_layers`: any picture with depth as a lens would have taken it, out of focus where it should be.

Image-space defocus by scattering: every pixel spreads over its own circle of confusion, in layers of depth that cover
each other from near to far. Differentiable in the picture, its depth and the lens: equations 21 to 23 of theory.md.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ..color import ColorSpace, linear_from_srgb, srgb_from_linear
from ..lens import ThinLens
from ..native.layers import scatter_layers
from ..shapes import Image, Map
from .disc import disc_stencils, level_of_diameter
from .layers_reference import scatter_layers_reference

MOST_LAYERS = 64
_TABLE_STEP = 32  # tables of discs are made in steps of so many levels, so that a moving focus does not make new ones


@dataclass(frozen=True)
class Defocused:
    """A picture through a lens."""

    color: Image
    """In the colour space of the source."""
    alpha: Map
    """How much of a pixel's light was known, in [0, 1]: below 1 where the lens sees past an edge to what the picture
    hides, and at the picture's border."""


def defocus_layers(
    image: Image,
    depth_z: Map,
    lens: ThinLens,
    focal_px: float | Float[Tensor, ""],
    *,
    color_space: ColorSpace = "srgb",
    layers: int | None = None,
    z_range: tuple[float, float] | None = None,
    largest_circle_px: float = 128.0,
    native: bool | None = None,
    threads: int | None = None,
) -> Defocused:
    """Return `image` as `lens` would have taken it, differentiable in the image, its depth and the lens.

    Args:
        image: A sharp picture. Its light is spread in linear space.
        depth_z: Camera z of its pixels in the lens's unit. 0 is unknown, and taken as infinitely far, as a sky is: fill
            in what is known better.
        lens: A single lens; aperture 0 gives the image back.
        focal_px: Focal length in pixels.
        color_space: Of the image and the result. A linear image may have values above 1: bright lights become discs.
        layers: How many layers of depth, evenly spaced in 1 / z, decide what covers what. None is one a pixel of
            difference in circles, 2 to 64. Circles themselves are those of each pixel, whatever the number.
        z_range: Nearest and farthest z of the layers; what is beyond belongs to the last one. None is the picture's;
            give it for films, so that the layers stand still.
        largest_circle_px: Larger circles are drawn with this diameter.
        native: Use the C++ core, which takes float32 on the CPU; None uses it where it can be used.
        threads: Of the core; torch's number if None. The result does not depend on it.

    Raises:
        ValueError: sizes that do not agree, values that are no finite numbers, or impossible settings.
    """
    h, w = depth_z.shape
    if tuple(image.shape[:2]) != (h, w):
        raise ValueError(f"`image` is {list(image.shape[:2])} pixels and `depth_z` {[h, w]}: both must have one size.")
    if layers is not None and layers < 1:
        raise ValueError(f"`layers` must be at least 1, got {layers}.")
    if z_range is not None and not 0 < z_range[0] <= z_range[1]:
        raise ValueError(f"`z_range` must be (nearest, farthest) with 0 < nearest <= farthest, got {z_range}.")
    if not bool(torch.isfinite(image).all()):
        raise ValueError("`image` has values that are no finite numbers; a circle would spread them over the picture.")
    known = torch.where(depth_z > 0, depth_z, torch.inf)
    circle_px = lens.coc_diameter_px(known, torch.as_tensor(focal_px, dtype=image.dtype, device=image.device))
    if not bool(torch.isfinite(circle_px).all()):
        raise ValueError("The circles of confusion are no finite numbers: the aperture and 1 / focus must be finite.")
    circle_px = circle_px.clamp(-largest_circle_px, largest_circle_px)
    inverse_z = 1 / known
    nearest, farthest = _bounds(inverse_z.detach(), z_range)
    if layers is None:
        layers = _layers_for(circle_px.detach())
    place = ((inverse_z - farthest) / max(nearest - farthest, 1e-12) * (layers - 1)).clamp(0, layers - 1)

    light = linear_from_srgb(image) if color_space == "srgb" else image
    sources = (light.unsqueeze(0), level_of_diameter(circle_px).unsqueeze(0), place.unsqueeze(0))
    served = all(tensor.dtype == torch.float32 and tensor.device.type == "cpu" for tensor in sources)
    if native and not served:
        raise ValueError("The native core takes float32 tensors on the CPU; leave `native` None for others.")
    if served and native is not False:
        levels = int(sources[1].detach().max()) + 1
        stencils = disc_stencils(-(-levels // _TABLE_STEP) * _TABLE_STEP)
        seen, alpha = scatter_layers(*sources, stencils, layers=layers, threads=threads)
    else:
        seen, alpha = scatter_layers_reference(*sources, layers=layers)
    return Defocused(srgb_from_linear(seen) if color_space == "srgb" else seen, alpha)


def _bounds(inverse_z: Map, z_range: tuple[float, float] | None) -> tuple[float, float]:
    """Return 1 / z of the nearest and the farthest layer."""
    if z_range is not None:
        return 1 / z_range[0], 1 / z_range[1]
    return float(inverse_z.max()), float(inverse_z.min())


def _layers_for(circle_px: Map) -> int:
    """Return how many layers are at most a pixel of (signed) circle apart."""
    span = float(circle_px.max() - circle_px.min())
    return min(max(int(span) + 2, 2), MOST_LAYERS)
