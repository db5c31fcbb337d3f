"""What the bench `lens` looks at: sheets of Gaussians, the random scene in one plane, and a fit of real photographs."""

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import torch

from ..camera import Camera
from ..data import read_scene
from ..data.photo_size import reduced_camera
from ..errors import BadInputError
from ..gaussians import Gaussians
from ..lens import ThinLens
from ..progress import Progress
from ..reconstruct import read_result, reconstruct
from ..reconstruct.config import DEMO_QUICK
from ..reconstruct.looks import rendering_of
from ..reconstruct.result import Result
from ..sh import dc_from_color
from .random_scene import random_scene

SHIPPED_PHOTOGRAPHS = Path("captures/photographs")
SHEET_PX = 128
SHEET_SPACING_PX = 3.0
FOCI = {"near": 0.1, "middle": 0.5, "far": 0.9}  # shares of the pixels that are nearer than the focus
CIRCLE_SHARE = 0.95  # of the pixels, whose circles are at most as large as asked for
_FOCAL_PX = 100.0
_SHEET_Z = 1.0


@dataclass(frozen=True)
class Shot:
    """Gaussians, who photographs them through which lens, and what is behind them."""

    gaussians: Gaussians
    camera: Camera
    lens: ThinLens
    background: torch.Tensor


def sheet(sigma_per_spacing: float, opacity: float, circle_px: float) -> Shot:
    """Return a regular sheet of white Gaussians 3 px apart before black, out of focus by one circle everywhere.

    It reaches so far beyond the picture that its end is out of sight, blurred or not.
    """
    camera = _camera(SHEET_PX, SHEET_PX, _FOCAL_PX)
    spacing = SHEET_SPACING_PX * _SHEET_Z / _FOCAL_PX
    beyond_px = circle_px + 4 * sigma_per_spacing * SHEET_SPACING_PX  # 4 standard deviations of either
    count = int((SHEET_PX + 2 * beyond_px) / SHEET_SPACING_PX) + 2
    steps = (torch.arange(count) - count / 2 + 0.37) * spacing  # no centre on a pixel's
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    scales = torch.full((count**2, 3), sigma_per_spacing * spacing)
    scales[:, 2] *= 0.01
    gaussians = Gaussians(
        means=torch.stack((x.flatten(), y.flatten(), torch.full((count**2,), _SHEET_Z)), 1),
        quaternions=torch.tensor([[1.0, 0, 0, 0]]).expand(count**2, 4).contiguous(),
        scales=scales,
        opacities=torch.full((count**2,), opacity),
        sh=dc_from_color(torch.ones(count**2, 1, 3)),
    )
    return Shot(gaussians, camera, _lens(circle_px, _FOCAL_PX, _SHEET_Z), torch.zeros(3))


def flat_random_scene(count: int, width: int, height: int, circle_px: float) -> tuple[Shot, torch.Tensor]:
    """Return the random scene with the same circle for every Gaussian, and the gradient of a loss by the image.

    Between z = 2 and 10 no lens gives all the same circle. So each Gaussian is moved along its ray into a slab at z = 1
    and made smaller in proportion: its footprint and, up to rounding, its place in the order of depths stay as
    they were, and the circles agree to 0.2 %.
    """
    gaussians, camera, image_gradient = random_scene(count, width, height)
    depth_z = gaussians.means[:, 2:]
    slab_z = 1 + 1e-3 * (depth_z - 2) / 8
    ratio = slab_z / depth_z
    flat = replace(gaussians, means=gaussians.means * ratio, scales=gaussians.scales * ratio)
    lens = _lens(circle_px, float(camera.focal_px[0]), 1.0)
    return Shot(flat, camera, lens, torch.zeros(3)), image_gradient


@cache
def trained(data: Path | None, progress: Progress) -> Result:
    """Return the result in a folder, or a quick fit of the photographs that come with a checkout.

    Raises:
        BadInputError: the folder is no result, or this is no checkout.
    """
    if data is not None:
        return read_result(data)
    if not SHIPPED_PHOTOGRAPHS.is_dir():
        raise BadInputError(
            f"There is no folder {SHIPPED_PHOTOGRAPHS} here to train a scene on. Run the bench in a checkout, or name "
            "a result of your own with --data."
        )
    return reconstruct(read_scene(SHIPPED_PHOTOGRAPHS), DEMO_QUICK, progress=progress)


def shot_of(result: Result, view: int, focus: str, circle_px: float) -> Shot:
    """Return a trained scene through a lens, before magenta.

    Args:
        result: The scene.
        view: Number of one of its cameras.
        focus: One of `FOCI`.
        circle_px: The 95th percentile of the circles of all pixels whose median depth is known.

    Raises:
        BadInputError: nothing is seen there, or all of it is at one depth.
    """
    camera = result.scene.posed_views[view].camera
    assert camera is not None, "the views are posed"
    camera = reduced_camera(camera, result.config.long_side)
    depth_z = rendering_of(result.gaussians, camera).depth_median
    known = depth_z[depth_z > 0].double()
    if len(known) == 0:
        raise BadInputError(f"View {view} of {result.scene.source} shows nothing; expected a trained scene.")
    focus_z = float(known.quantile(FOCI[focus]))
    focal_px = float(camera.round_focal_px)
    reach = float((focal_px * (1 / focus_z - 1 / known)).abs().quantile(CIRCLE_SHARE))
    if not reach > 0:
        raise BadInputError(f"View {view} of {result.scene.source} is all at one depth, which no lens blurs unevenly.")
    lens = ThinLens(torch.tensor(circle_px / reach), torch.tensor(focus_z))
    return Shot(result.gaussians, camera, lens, torch.tensor([1.0, 0.0, 1.0]))


def _lens(circle_px: float, focal_px: float, depth_z: float) -> ThinLens:
    """Return a lens focused at twice this depth that blurs it by this circle."""
    return ThinLens(torch.tensor(circle_px / focal_px * 2 * depth_z), torch.tensor(2 * depth_z))


def _camera(width: int, height: int, focal_px: float) -> Camera:
    return Camera(
        world_to_camera=torch.eye(4),
        focal_px=torch.tensor([focal_px, focal_px]),
        center_px=torch.tensor([width / 2, height / 2]),
        width=width,
        height=height,
    )
