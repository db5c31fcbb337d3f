"""How a photograph comes about: Gaussians, a lens, a shutter, an exposure."""

from dataclasses import replace

from jaxtyping import Float
from torch import Tensor

from ..color import displayed
from ..gaussians import Gaussians
from ..render import render
from ..rendering import OpacityLaw, Rendering, RenderOptions
from ..scene import Photograph
from .capture import as_photographed, camera_of, lens_of, shutter_of
from .config import CaptureConfig

LAW: OpacityLaw = "optical_depth"
"""By which lenses are fitted, and what they found is looked through: smooth, and a quarter of the cost of `light_kept`.
Apertures are found with it to a few percent."""


def photographed(
    gaussians: Gaussians,
    photograph: Photograph,
    row: dict[str, Tensor],
    config: CaptureConfig,
    options: RenderOptions,
    *,
    background: Float[Tensor, "3"] | None = None,
) -> Rendering:
    """Return what the camera of a photograph makes of Gaussians, in sRGB.

    Args:
        gaussians: What is seen.
        photograph: Whose camera it is.
        row: Of `CaptureParameters`, what is known of this photograph; what is missing did not happen.
        config: Sub-frames.
        options: Of the renderer.
        background: Behind the Gaussians, in their colour space; black by default.
    """
    rendering = render(
        gaussians,
        camera_of(photograph.camera, row),
        lens=lens_of(row),
        shutter=shutter_of(row, config),
        background=background,
        options=replace(options, opacity_law=LAW),
    )
    return replace(rendering, color=as_photographed(displayed(rendering.color, gaussians.color_space), row))
