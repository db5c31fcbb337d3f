"""How a photograph comes about: Gaussians, a lens, a shutter, an exposure."""

from dataclasses import replace

from jaxtyping import Float
from torch import Tensor

from ..color import srgb_from_linear
from ..gaussians import Gaussians
from ..render import render
from ..rendering import Rendering, RenderOptions
from ..scene import Photograph
from .capture import as_photographed, corrected_camera, lens_of, shutter_of
from .config import CaptureConfig


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
    camera = photograph.camera
    rendering = render(
        gaussians,
        corrected_camera(camera, row["pose"]) if "pose" in row else camera,
        lens=lens_of(row),
        shutter=shutter_of(row, config),
        background=background,
        # This law is smooth, and costs a quarter of `light_kept`; apertures are found with it to a few percent.
        options=replace(options, opacity_law="optical_depth"),
    )
    color = srgb_from_linear(rendering.color) if gaussians.color_space == "linear" else rendering.color
    return replace(rendering, color=as_photographed(color, row))
