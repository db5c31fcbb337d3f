"""Which photographs stereo compares with which, over which depths. See the theory page, "Stereo by plane sweep"."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ..camera import Camera, in_picture, project, relative_pose, unproject

# A wider angle at the point gives more disparity for the same error of a match, until the two pictures resemble each
# other too little.
_BEST_ANGLE_DEG = 9.0
_SIGMA_BELOW_DEG = 4.0
_SIGMA_ABOVE_DEG = 9.0
# Beyond the depths of the points, as a share of their range of inverse depth: they are where texture is, not all.
_MARGIN = 0.15
_QUANTILE = 0.01  # of the points at either end that may be wrong
LEAST_POINTS = 20
_ENOUGH_POINTS = 1000  # to tell which photographs see the same
# Of the widest range in inverse depth, where nothing is known: the far end, which should be infinity.
_FARTHEST = 1 / 64


@dataclass(frozen=True)
class InverseRange:
    """An interval of inverse depth, 0 < far < near."""

    far: float
    near: float

    def planes(self, count: int) -> Float[Tensor, " planes"]:
        """Return inverse depths at equal spacing, both ends included, the farthest first."""
        return torch.linspace(self.far, self.near, count)

    def spacing(self, count: int) -> float:
        """Return the distance of two planes in inverse depth."""
        return (self.near - self.far) / max(count - 1, 1)


def induced_maps(reference: Camera, source: Camera) -> tuple[Float[Tensor, "3 3"], Float[Tensor, "3"]]:
    """Return (H, a) so that a pixel (x, y) at inverse depth rho is seen in the source at H (x, y, 1) + rho a."""
    R, t = relative_pose(reference, source)
    K_source = source.intrinsics().double()
    K_inverse = torch.linalg.inv(reference.intrinsics().double())
    return K_source @ R @ K_inverse, K_source @ t


def range_of_points(camera: Camera, points: Float[Tensor, "p 3"]) -> InverseRange | None:
    """Return the range of depths that a camera sees points at, with a margin; None if it sees fewer than 20."""
    pixels, depth_z = project(camera, points)
    inverse = 1 / depth_z[in_picture(camera, pixels, depth_z)].double()
    if len(inverse) < LEAST_POINTS:
        return None
    far, near = torch.quantile(inverse, torch.tensor([_QUANTILE, 1 - _QUANTILE], dtype=torch.float64)).tolist()
    margin = _MARGIN * (near - far) + 0.02 * near
    return InverseRange(max(far - margin, _FARTHEST * near), near + margin)


def widest_ranges(cameras: list[Camera]) -> list[InverseRange]:
    """Return for each camera all depths at which its neighbours may see the same: nothing but the cameras is known.

    The nearest depth moves a point by half of the picture's width between neighbours, beside what their turning does.
    """
    centers = torch.stack([camera.centers() for camera in cameras]).double()
    forward = torch.stack([camera.world_to_camera[2, :3] for camera in cameras]).double()
    distance = torch.cdist(centers, centers)
    ranges = []
    for i, camera in enumerate(cameras):
        order = distance[i].argsort(stable=True)
        others = [int(j) for j in order if j != i and distance[i, j] > 0][:4]
        if not others:
            raise ValueError("Stereo needs cameras at different places: all of these are at one.")
        baseline = float(distance[i, others].median())
        turn = float(torch.arccos((forward[others] @ forward[i]).clamp(-1, 1)).median())
        near = (camera.width / 2 / float(camera.focal_px[0]) + turn) / baseline
        ranges.append(InverseRange(_FARTHEST * near, near))
    return ranges


def points_to_ask(camera: Camera, inverse_range: InverseRange) -> Float[Tensor, "p 3"]:
    """Return a coarse grid of places that a camera may see, where no points are known."""
    small = camera.resized(6, 6)
    planes = inverse_range.planes(7)[1:]
    return torch.cat([unproject(small, torch.full((6, 6), 1 / float(rho))).reshape(-1, 3) for rho in planes])


def choose_sources(cameras: list[Camera], seen: list[Float[Tensor, "p 3"]], count: int) -> list[tuple[int, ...]]:
    """Return for each camera the `count` others, best first, that see most of what it sees from a useful angle.

    Args:
        cameras: Of the photographs.
        seen: World points that each camera sees, or may see.
        count: At most so many; fewer where fewer share a point.
    """
    centers = torch.stack([camera.centers() for camera in cameras])
    chosen = []
    for i, camera in enumerate(cameras):
        pixels, depth_z = project(camera, seen[i])
        points = seen[i][in_picture(camera, pixels, depth_z)]
        points = points[:: max(1, len(points) // _ENOUGH_POINTS)]
        own = torch.nn.functional.normalize(points - centers[i], dim=1)
        scores = torch.zeros(len(cameras), dtype=torch.float64)
        for j, other in enumerate(cameras):
            if j == i:
                continue
            pixels, depth_z = project(other, points)
            both = in_picture(other, pixels, depth_z)
            rays = torch.nn.functional.normalize(points - centers[j], dim=1)
            angle = torch.rad2deg(torch.arccos((own * rays).sum(1).clamp(-1, 1)))
            sigma = torch.where(angle < _BEST_ANGLE_DEG, _SIGMA_BELOW_DEG, _SIGMA_ABOVE_DEG)
            # Twins at one place show no depth, whatever they share.
            weight = torch.exp(-0.5 * ((angle - _BEST_ANGLE_DEG) / sigma).square()) * (angle > 0.2)
            near, far = (points - centers[i]).norm(dim=1), (points - centers[j]).norm(dim=1)
            likeness = torch.minimum(near / far, far / near)
            scores[j] = float((weight * likeness * both).double().sum())
        order = scores.argsort(descending=True, stable=True).tolist()
        chosen.append(tuple(j for j in order[:count] if scores[j] > 0))
    return chosen
