"""Structural similarity: its definition in torch, and the fused L1 + SSIM loss of the native core.

Source: Wang, Bovik, Sheikh, Simoncelli 2004, equation 13 with a Gaussian window of 11 pixels and sigma 1.5, in the form
that the training loss and the evaluation of 3D Gaussian Splatting use: every channel by itself, zeros around the image,
biased variances, values in [0, 1].
"""

import torch
from jaxtyping import Float
from torch import Tensor

WINDOW_PX = 11
SIGMA_PX = 1.5
C1 = 0.01**2  # keeps the ratio of means finite where both images are black
C2 = 0.03**2  # the same for the ratio of variances where both are flat


def ssim_map(rendered: Float[Tensor, "h w c"], target: Float[Tensor, "h w c"]) -> Float[Tensor, "h w c"]:
    """Return the structural similarity at every pixel and channel: 1 where the images agree.

    Plain torch, any device and float type: the definition that the native kernel is tested against.
    """
    offsets = torch.arange(WINDOW_PX, dtype=torch.float64) - WINDOW_PX // 2
    weights = torch.exp(-offsets.square() / (2 * SIGMA_PX**2))
    weights = (weights / weights.sum()).to(rendered)

    x, y = rendered.movedim(-1, 0), target.movedim(-1, 0)
    planes = torch.stack((x, y, x * x, y * y, x * y)).flatten(0, 1).unsqueeze(1)
    planes = torch.nn.functional.conv2d(planes, weights.view(1, 1, -1, 1), padding=(WINDOW_PX // 2, 0))
    planes = torch.nn.functional.conv2d(planes, weights.view(1, 1, 1, -1), padding=(0, WINDOW_PX // 2))
    mean_x, mean_y, mean_xx, mean_yy, mean_xy = planes.unflatten(0, (5, -1)).squeeze(2)

    likeness = (2 * mean_x * mean_y + C1) * (2 * (mean_xy - mean_x * mean_y) + C2)
    variances = (mean_xx - mean_x.square()) + (mean_yy - mean_y.square())
    return (likeness / ((mean_x.square() + mean_y.square() + C1) * (variances + C2))).movedim(0, -1)
