"""The loss of one step: every term, its weight and its mask, on one screen."""

from jaxtyping import Float
from torch import Tensor

from ..gaussians import Gaussians
from ..losses.photometric import l1_ssim_loss
from ..rendering import Rendering
from ..scene import Photograph
from .config import FitConfig
from .densify import Densifier


def loss_terms(
    rendering: Rendering,
    photograph: Photograph,
    gaussians: Gaussians,
    extent: float,
    config: FitConfig,
    densifier: Densifier,
    threads: int,
    share: float,
) -> dict[str, Float[Tensor, ""]]:
    """Return the weighted terms by name; their sum is the loss.

    Args:
        rendering: Of `gaussians` by the photograph's camera.
        photograph: Pixels that are not valid do not count.
        gaussians: As rendered.
        extent: Size of the scene in scene units.
        config: Weights.
        densifier: Its regularisers are terms too.
        threads: Of the native kernel.
        share: Of the run that is over.
    """
    photometric = photometric_loss(rendering, photograph, config, threads)
    return {"photometric": photometric, **densifier.regularizers(gaussians, extent, share)}


def photometric_loss(
    rendering: Rendering, photograph: Photograph, config: FitConfig, threads: int
) -> Float[Tensor, ""]:
    """Return how unlike a render (in sRGB) a photograph is, over its valid pixels."""
    return l1_ssim_loss(
        rendering.color,
        photograph.image,
        ssim_weight=config.ssim_weight,
        valid=photograph.valid,
        threads=threads,
    )
