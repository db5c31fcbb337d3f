"""The random scene of the speed benches, and how many pairs of Gaussians and pixels it takes to draw it."""

import numpy as np
import torch

from ..camera import Camera
from ..gaussians import Gaussians
from ..render.reference import ALPHA_MAX, TRANSMITTANCE_STOP, project_gaussians
from ..rendering import RenderOptions

BLOCK_PX = 4  # pixels that one vector of 16 holds: 4 x 4


def random_scene(count: int, width: int, height: int, seed: int = 0) -> tuple[Gaussians, Camera, torch.Tensor]:
    """Return (Gaussians, camera, gradient of a loss by the image): the same numbers from the same seed, everywhere.

    Centres fill the view between z = 2 and 10; footprints have a standard deviation of 1.5 to 3 px along each axis;
    opacities lie between 0.1 and 0.9; colours are of degree 3. The order of the draws is part of the definition.
    """
    random = np.random.default_rng(seed)
    focal_px, center = 0.8 * width, np.array([width / 2, height / 2])
    depth = random.uniform(2, 10, count)
    pixels = np.stack([random.uniform(0, width, count), random.uniform(0, height, count)], axis=1)
    footprint_px = np.exp(random.uniform(np.log(1.5), np.log(3.0), (count, 3)))
    quaternions = random.normal(size=(count, 4))
    opacities = random.uniform(0.1, 0.9, count)
    coefficients = np.zeros((count, 16, 3))
    coefficients[:, 0] = random.normal(0, 0.8, (count, 3))
    coefficients[:, 1:] = random.normal(0, 0.1, (count, 15, 3))
    image_gradient = random.normal(size=(height, width, 3)) / (height * width)

    means = np.concatenate([(pixels - center) / focal_px * depth[:, None], depth[:, None]], axis=1)
    quaternions /= np.linalg.norm(quaternions, axis=1, keepdims=True)
    gaussians = Gaussians(
        means=_float(means),
        quaternions=_float(quaternions),
        scales=_float(footprint_px * depth[:, None] / focal_px),
        opacities=_float(opacities),
        sh=_float(coefficients),
    )
    camera = Camera(
        world_to_camera=torch.eye(4),
        focal_px=torch.tensor([focal_px, focal_px]),
        center_px=_float(center),
        width=width,
        height=height,
    )
    return gaussians, camera, _float(image_gradient)


@torch.no_grad()
def lane_pairs(gaussians: Gaussians, camera: Camera) -> int:
    """Return the pairs that vectors of 4 x 4 pixels must evaluate: 16 for every block and Gaussian that meet.

    They meet where the alpha of the Gaussian reaches the cut at a pixel of the block that is not finished. One Gaussian
    after the other in float64, and nothing of the core: this is the work, whoever does it.
    """
    exact = gaussians.to(dtype=torch.float64)
    footprints = project_gaussians(
        exact.means, exact.covariances(), exact.opacities, camera.to(dtype=torch.float64), RenderOptions()
    )
    order = torch.nonzero(footprints.visible).squeeze(1)
    order = order[footprints.depths_z[order].argsort(stable=True)]
    centers, peaks, cuts = (t[order].numpy() for t in (footprints.means_px, footprints.peaks, footprints.cuts))
    precisions = torch.linalg.inv(footprints.covariances_px2[order]).numpy()
    reach = torch.diagonal(footprints.covariances_px2[order], dim1=1, dim2=2).numpy()
    reach = np.sqrt(2 * np.log(peaks / cuts)[:, None] * reach)

    size = np.array([camera.width, camera.height])
    low = np.clip(np.floor((centers - reach - 0.5) / BLOCK_PX), 0, None).astype(int)
    high = np.minimum(np.floor((centers + reach - 0.5) / BLOCK_PX).astype(int) + 1, -(-size // BLOCK_PX))
    padded = -(-size // BLOCK_PX) * BLOCK_PX
    transmittance = np.zeros((padded[1], padded[0]))  # of finished pixels, and of those outside the image: 0
    transmittance[: camera.height, : camera.width] = 1.0
    blocks = 0
    for (x0, y0), (x1, y1), center, precision, peak, cut in zip(
        low, high, centers, precisions, peaks, cuts, strict=True
    ):
        if x1 <= x0 or y1 <= y0:
            continue
        here = transmittance[BLOCK_PX * y0 : BLOCK_PX * y1, BLOCK_PX * x0 : BLOCK_PX * x1]
        dx = np.arange(BLOCK_PX * x0, BLOCK_PX * x1) + 0.5 - center[0]
        dy = (np.arange(BLOCK_PX * y0, BLOCK_PX * y1) + 0.5 - center[1])[:, None]
        distance2 = precision[0, 0] * dx * dx + 2 * precision[0, 1] * dx * dy + precision[1, 1] * dy * dy
        alpha = np.minimum(peak * np.exp(-0.5 * distance2), ALPHA_MAX)
        met = (alpha >= cut) & (here > 0)
        blocks += int(met.reshape(y1 - y0, BLOCK_PX, x1 - x0, BLOCK_PX).any((1, 3)).sum())
        after = here * (1 - alpha)
        here[met] = np.where(after > TRANSMITTANCE_STOP, after, 0.0)[met]
    return blocks * BLOCK_PX**2


def _float(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array.astype(np.float32))
