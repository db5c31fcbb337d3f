"""How good a result is: image and depth errors as plain numbers, for tables.

Images are `[h, w, 3]` sRGB in [0, 1]. Other programs compare the 8-bit images they wrote: pass both images through
`as_photograph` first to get numbers that stand beside theirs.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from .color import to_uint8
from .native.ssim import fused_l1_ssim_loss
from .shapes import Image, Map, Mask

FLIP_PIXELS_PER_DEGREE = 67.0
"""FLIP's own default: a 0.7 m wide display of 3840 pixels, seen from 0.7 m."""

# What LPIPS loads its VGG-16 features from; torchvision would download it (528 MB) if it were not there.
_LPIPS_BACKBONE = "vgg16-397923af.pth"


def as_photograph(image: Float[Tensor, "*c"]) -> Float[Tensor, "*c"]:
    """Return the image as an 8-bit file would give it back: cut to [0, 1] and rounded to steps of 1/255."""
    return to_uint8(image).to(image.dtype) / 255


def psnr(rendered: Image, truth: Image, valid: Mask | None = None) -> float:
    """Return the peak signal-to-noise ratio in dB for a peak of 1, over valid pixels; infinite for equal images."""
    squares = (rendered.detach().double() - truth.detach().double()).square()
    error = float((squares if valid is None else squares[_at_least_one(valid)]).mean())
    return -10 * math.log10(error) if error > 0 else math.inf


def ssim(rendered: Image, truth: Image, valid: Mask | None = None) -> float:
    """Return the mean structural similarity over valid pixels, 1 for equal images.

    The definition of 3D Gaussian Splatting's own evaluation: `native/ssim.py` has the formula. The image is surrounded
    by zeros and border pixels count; programs that average over whole windows only differ in the third digit.
    Invalid pixels of `rendered` are taken to equal `truth`, as in the loss.
    """
    images = (image.detach().float().cpu() for image in (rendered, truth))
    counted = None if valid is None else _at_least_one(valid).cpu()
    return 1 - float(fused_l1_ssim_loss(*images, ssim_weight=1.0, valid=counted))


def flip(
    rendered: Image, truth: Image, valid: Mask | None = None, *, pixels_per_degree: float = FLIP_PIXELS_PER_DEGREE
) -> float:
    """Return the mean LDR-FLIP error over valid pixels: 0 for equal images, 1 for black against white.

    Source: Andersson et al. 2020, "FLIP: A Difference Evaluator for Alternating Images", by its authors' program. It
    takes sRGB images, which are cut to [0, 1] here.

    Args:
        rendered: The image to judge.
        truth: What it should be.
        valid: True where the truth is known. Elsewhere the rendering is taken to equal it.
        pixels_per_degree: Of visual angle, at the distance the images are looked at from.
    """
    import flip_evaluator  # only who asks for it pays for the import

    if valid is not None:
        rendered = torch.where(_at_least_one(valid).unsqueeze(-1), rendered, truth)
    reference, test = (image.detach().float().clamp(0, 1).cpu().contiguous().numpy() for image in (truth, rendered))
    error_map, _, _ = flip_evaluator.evaluate(
        reference, test, "LDR", applyMagma=False, computeMeanError=False, parameters={"ppd": pixels_per_degree}
    )
    errors = torch.from_numpy(error_map).squeeze(-1).double()
    return float((errors if valid is None else errors[valid.cpu()]).mean())


def lpips_obstacle() -> str | None:
    """Return why LPIPS cannot be computed on this machine, in one sentence; None if it can."""
    for package in ("lpips", "torchvision"):
        if find_spec(package) is None:
            return f"LPIPS needs the package {package}, which is not installed."
    backbone = Path(torch.hub.get_dir()) / "checkpoints" / _LPIPS_BACKBONE
    return None if backbone.is_file() else f"LPIPS needs its backbone's weights, and there is no {backbone}."


def lpips(rendered: Image, truth: Image) -> float | None:
    """Return LPIPS (Zhang et al. 2018, version 0.1, VGG-16), 0 for equal images; None where `lpips_obstacle` says why.

    Nothing is downloaded. Untested against the real package and weights.
    """
    if lpips_obstacle() is not None:
        return None
    a, b = (image.detach().float().cpu().movedim(-1, 0).unsqueeze(0) for image in (rendered, truth))
    with torch.no_grad():
        return float(_lpips_network()(a, b, normalize=True))


@cache
def _lpips_network() -> Callable[..., Tensor]:
    return import_module("lpips").LPIPS(net="vgg", verbose=False)


@dataclass(frozen=True)
class DepthErrors:
    """Errors of a depth map, in the customary three numbers (Eigen, Puhrsch, Fergus 2014)."""

    abs_rel: float
    """Mean of |estimate - truth| / truth."""
    delta1: float
    """Share of pixels with max(estimate / truth, truth / estimate) < 1.25."""
    rmse_log: float
    """Root of the mean squared difference of natural logarithms."""


def depth_errors(estimate: Map, truth: Map, valid: Mask | None = None) -> DepthErrors:
    """Return the errors of an estimate that is in the truth's unit and measured along the same axis.

    A scale-free estimate is aligned by the caller, who then says so in the table.

    Args:
        estimate: Positive and finite wherever it is judged.
        truth: The same, or 0 where it is unknown.
        valid: True where the estimate is judged; where the truth is known if None.

    Raises:
        ValueError: no pixel is judged, or one where a depth is not positive and finite.
    """
    judged = _at_least_one(truth > 0 if valid is None else valid)
    estimated, true = estimate.detach()[judged].double(), truth.detach()[judged].double()
    for name, values in (("estimate", estimated), ("truth", true)):
        unusable = int((~(values.isfinite() & (values > 0))).sum())
        if unusable:
            raise ValueError(
                f"`{name}` must be positive and finite wherever it is judged, but is not at {unusable} of "
                f"{values.numel()} pixels; leave them out of `valid`."
            )
    log_ratio = (estimated / true).log()
    return DepthErrors(
        abs_rel=float(((estimated - true) / true).abs().mean()),
        delta1=float((log_ratio.abs() < math.log(1.25)).double().mean()),
        rmse_log=float(log_ratio.square().mean().sqrt()),
    )


def _at_least_one(valid: Mask) -> Mask:
    """Return the mask; an error of no pixels is no number."""
    if not valid.any():
        raise ValueError("`valid` has no true pixel: there is nothing to compare.")
    return valid
