"""Camera paths for films: ways of a camera through space, as batches of `Camera`. Nothing is rendered here."""

import math
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from .camera import Camera, stack
from .transforms import (
    invert_rigid,
    look_at,
    nearest_to_lines,
    quaternion_from_rotation,
    rigid,
    rotation_from_quaternion,
)

_REACH = 4  # standard deviations of a Gaussian kernel: what is left out weighs 6e-5
_PIECES = 32  # straight pieces of a segment between two keyframes, for its length: 0.1 % off on a quarter of a circle
_LEVEL_WEIGHT = 0.01  # of the cameras' mean up beside what their level horizons say; see `up_direction`
_PARALLEL = 1e-3  # least mean squared sine of the angle between optical axes: about 2 degrees


@dataclass(frozen=True)
class Keyframe:
    """Where a camera is at one moment of a film."""

    time_s: float
    camera: Camera
    focus_distance: float | None = None
    """Camera z in focus, in scene units."""
    aperture_diameter: float | None = None
    """Scene units."""
    f_number: float | None = None
    """Focal length over aperture, in place of `aperture_diameter` where the scale of the scene is known."""


@dataclass(frozen=True)
class CameraPath:
    """Keyframes in the order of their times, which a camera passes smoothly.

    Raises:
        ValueError: no keyframes, times that do not grow, or cameras of different sizes.
    """

    keyframes: tuple[Keyframe, ...]
    seconds: float
    """How long the film is; a closed path is back at its first keyframe then."""
    closed: bool = False
    fps: float | None = None
    """Frames a second that the maker of the path had in mind."""

    def __post_init__(self) -> None:
        times = [keyframe.time_s for keyframe in self.keyframes]
        if not times or not all(a < b for a, b in pairwise(times)):
            raise ValueError(f"A path needs keyframes whose times grow, got the times {times}.")
        if not self.seconds > 0:
            raise ValueError(f"A film must last longer than {self.seconds} seconds.")
        if self.closed and not self.seconds > times[-1] - times[0]:
            raise ValueError(
                f"A closed path of {self.seconds:g} s must return after its last keyframe, which is "
                f"{times[-1] - times[0]:g} s after the first."
            )
        sizes = {(keyframe.camera.width, keyframe.camera.height) for keyframe in self.keyframes}
        if len(sizes) > 1:
            raise ValueError(f"The cameras of a path must be of one size, got {sorted(sizes)}.")


def framed(camera: Camera, width: int, height: int) -> Camera:
    """Return the camera with a picture of another shape: the middle part of what it showed, nothing beyond it."""
    ratio = max(width / camera.width, height / camera.height)
    middle, old_middle = camera.center_px.new_tensor([[width, height], [camera.width, camera.height]]) / 2
    return replace(
        camera,
        focal_px=camera.focal_px * ratio,
        center_px=middle + ratio * (camera.center_px - old_middle),
        width=width,
        height=height,
    )


def sample(path: CameraPath, count: int) -> Camera:
    """Return `count` cameras at even times: from the first keyframe to the last, or once round a closed path."""
    keyframes = path.keyframes
    times = torch.tensor([keyframe.time_s for keyframe in keyframes], dtype=torch.float64)
    cameras = stack([keyframe.camera for keyframe in keyframes])
    if path.closed:
        at = times[0] + path.seconds * torch.arange(count, dtype=torch.float64) / count
        return _evaluated(*_wrapped(times, cameras, path.seconds), at)
    return _evaluated(times, cameras, torch.linspace(float(times[0]), float(times[-1]), count, dtype=torch.float64))


def through(cameras: Camera, count: int) -> Camera:
    """Return `count` cameras on a smooth way through a batch of cameras, in their order, at an even speed.

    Centres, rotations (as quaternions on one hemisphere), focal lengths and principal points follow a centripetal
    Catmull-Rom spline (Yuksel et al. 2011), which has no loops or cusps between keyframes. A turn by one radian counts
    as long as the root mean square distance of the cameras from their middle.
    """
    radius = float((cameras.centers() - cameras.centers().mean(0)).norm(dim=1).square().mean().sqrt()) or 1.0
    steps = _lengths(cameras, radius)
    kept = torch.cat((torch.ones(1, dtype=torch.bool), steps > 1e-6 * radius))  # two photographs from one tripod
    cameras = cameras[kept]
    if len(cameras.world_to_camera) == 1:
        return cameras[torch.zeros(count, dtype=torch.long)]
    knots = torch.cat((torch.zeros(1, dtype=torch.float64), _lengths(cameras, radius).sqrt().cumsum(0)))
    fine = torch.linspace(0, 1, _PIECES + 1, dtype=torch.float64)[:-1]
    dense = torch.cat(((knots[:-1, None] + fine * knots.diff()[:, None]).flatten(), knots[-1:]))
    way = torch.cat(
        (torch.zeros(1, dtype=torch.float64), _lengths(_evaluated(knots, cameras, dense), radius).cumsum(0))
    )
    wanted = torch.linspace(0, float(way[-1]), count, dtype=torch.float64)
    piece = (torch.searchsorted(way, wanted, right=True) - 1).clamp(0, len(way) - 2)
    share = (wanted - way[piece]) / (way[piece + 1] - way[piece]).clamp_min(1e-300)
    return _evaluated(knots, cameras, dense[piece] + share * (dense[piece + 1] - dense[piece]))


def smoothed(cameras: Camera, sigma: float) -> Camera:
    """Return the cameras of a batch, in their order, without their jitter.

    Centres, rotations, focal lengths and principal points are averaged with those of the cameras before and after. The
    weights are those of a Gaussian g of `sigma` cameras applied to what it leaves over as well, 2 g - g * g (Tukey's
    twicing), which follows bends. Beyond the first and last camera the track is continued by its reflection in that
    camera, so both ends stay where they are, and steady motion and turning stay as they are. Independent shifts of the
    cameras shrink to 0.638 / sqrt(sigma) for sigma of 1 or more, the radius of a circle to 1 - (1 - exp(-a^2 / 2))^2,
    where a is the angle of `sigma` cameras.

    Args:
        cameras: One track, at about even distances.
        sigma: Standard deviation in cameras; 0 changes nothing.

    Raises:
        ValueError: `sigma` is negative.
    """
    if sigma < 0:
        raise ValueError(f"`sigma` must not be negative, got {sigma}.")
    count = len(cameras.world_to_camera)
    reach = min(math.ceil(_REACH * math.sqrt(2) * sigma), count - 1)
    if reach == 0:
        return cameras
    away = torch.arange(-reach, reach + 1, dtype=torch.float64) / sigma
    once, twice = (torch.exp(-(away**2) / (2 * variance)) for variance in (1, 2))
    weights = 2 * once / once.sum() - twice / twice.sum()

    def average(values: Tensor) -> Tensor:
        return (values.unfold(0, 2 * reach + 1, 1) * weights).sum(-1)

    def continued(values: Tensor) -> Tensor:
        before, after = values[1 : reach + 1].flip(0), values[-reach - 1 : -1].flip(0)
        return torch.cat((2 * values[:1] - before, values, 2 * values[-1:] - after))

    turned = cameras.world_to_camera[:, :3, :3].double()
    before, after = turned[1 : reach + 1].flip(0).mT, turned[-reach - 1 : -1].flip(0).mT
    # As much to the other side: R0 Ri^-1 R0 is to R0 what R0 is to Ri.
    turned = torch.cat((turned[:1] @ before @ turned[:1], turned, turned[-1:] @ after @ turned[-1:]))
    rotation = rotation_from_quaternion(average(_one_hemisphere(turned)))
    centers = average(continued(cameras.centers().double()))
    dtype = cameras.world_to_camera.dtype
    return replace(
        cameras,
        world_to_camera=invert_rigid(rigid(rotation.mT, centers)).to(dtype),
        focal_px=average(continued(cameras.focal_px.double().log())).exp().to(dtype),
        center_px=average(continued(cameras.center_px.double())).to(dtype),
    )


def viewed_point(cameras: Camera) -> Float[Tensor, "3"]:
    """Return the point nearest to all optical axes of a batch, in the least-squares sense.

    Raises:
        ValueError: the axes are nearly parallel, or most cameras look away from that point.
    """
    axes = cameras.world_to_camera[:, 2, :3].double()
    centers = cameras.centers().double()
    # The mean squared cosine of the angles to the direction that the axes are nearest to.
    if float(torch.linalg.eigvalsh(axes.T @ axes / len(axes))[-1]) > 1 - _PARALLEL:
        raise ValueError("The cameras look in nearly parallel directions, so there is no point that they look at.")
    point = nearest_to_lines(centers, axes)
    in_front = ((point - centers) * axes).sum(1) > 0
    if float(in_front.double().mean()) <= 0.5:
        raise ValueError("The cameras look away from each other, so there is no point that they look at.")
    return point.to(cameras.world_to_camera.dtype)


def up_direction(cameras: Camera) -> Float[Tensor, "3"]:
    """Return the unit vector upwards that a batch of cameras held level would have.

    It is at right angles to the cameras' horizontal axes, as well as these allow. Where all of them agree (cameras side
    by side) many directions would do; a slight weight on the mean of the cameras' own up directions decides.
    """
    right = cameras.world_to_camera[:, 0, :3].double()
    own = -cameras.world_to_camera[:, 1, :3].double().mean(0)
    own = torch.nn.functional.normalize(own, dim=0)
    matrix = (right.unsqueeze(2) * right.unsqueeze(1)).mean(0)
    matrix = matrix + _LEVEL_WEIGHT * (torch.eye(3, dtype=torch.float64) - torch.outer(own, own))
    up = torch.linalg.eigh(matrix)[1][:, 0]
    return (up * torch.sign(up @ own + 1e-12)).to(cameras.world_to_camera.dtype)


@dataclass(frozen=True)
class Circle:
    """The level circle that a batch of cameras stands on, more or less."""

    middle: Float[Tensor, "3"]
    """The point that they look at."""
    up: Float[Tensor, "3"]
    across: Float[Tensor, "3"]
    """Where the angle is a quarter of a turn."""
    ahead: Float[Tensor, "3"]
    """Where the angle is 0."""
    height: float
    """Median of the cameras' heights above the middle, along `up`."""
    radius: float
    """Median of their distances from the axis."""
    first: float
    """Angle of the first camera in radians."""
    start: float
    """Angle at one end of the largest gap between cameras; the photographs lie from there to `start + covered`."""
    covered: float
    """Angle that the cameras span: a whole turn less the largest gap."""

    def at(self, angles: Float[Tensor, " m"]) -> Float[Tensor, "m 3"]:
        """Return the points of the circle at angles in radians."""
        ring = angles.sin().unsqueeze(1) * self.across + angles.cos().unsqueeze(1) * self.ahead
        return self.middle + self.height * self.up + self.radius * ring


def circle_of(cameras: Camera, up: Float[Tensor, "3"] | None = None) -> Circle:
    """Return the circle around the point that a batch of cameras looks at, in float64.

    Args:
        cameras: Photographs' cameras.
        up: Against gravity; None is `up_direction`.

    Raises:
        ValueError: there is no such point.
    """
    middle = viewed_point(cameras).double()
    up = torch.nn.functional.normalize((up_direction(cameras) if up is None else up).double(), dim=0)
    least = torch.eye(3, dtype=torch.float64)[int(up.abs().argmin())]
    across = torch.nn.functional.normalize(torch.linalg.cross(up, least), dim=0)
    ahead = torch.linalg.cross(up, across)
    offsets = cameras.centers().double() - middle
    radius = float((offsets - (offsets @ up).unsqueeze(1) * up).norm(dim=1).median())
    angles = torch.atan2(offsets @ across, offsets @ ahead)
    ordered = angles.sort().values
    gaps = torch.cat((ordered, ordered[:1] + 2 * math.pi)).diff()
    widest = int(gaps.argmax())
    return Circle(
        middle, up, across, ahead, height=float((offsets @ up).median()), radius=radius, first=float(angles[0]),
        start=float(ordered[(widest + 1) % len(ordered)]), covered=2 * math.pi - float(gaps[widest]),
    )  # fmt: skip


def orbit(cameras: Camera, count: int, *, up: Float[Tensor, "3"] | None = None) -> Camera:
    """Return `count` cameras once around the point that a batch looks at, closed, starting at the first camera's side.

    Height and radius are the medians of the cameras', and so is the focal length.

    Args:
        cameras: Photographs' cameras.
        count: Frames.
        up: Against gravity; None is `up_direction`.

    Raises:
        ValueError: there is no such point.
    """
    circle = circle_of(cameras, up)
    angles = circle.first + 2 * math.pi * torch.arange(count, dtype=torch.float64) / count
    return _looking(cameras, circle.at(angles), circle.middle, circle.up)


def swing(cameras: Camera, count: int, *, up: Float[Tensor, "3"] | None = None) -> Camera:
    """Return `count` cameras to and fro on the part of `orbit` that has photographs, closed and slow at the turns.

    Args:
        cameras: Photographs' cameras.
        count: Frames.
        up: Against gravity; None is `up_direction`.

    Raises:
        ValueError: there is no point that they look at.
    """
    circle = circle_of(cameras, up)
    to_and_fro = (1 - torch.cos(2 * math.pi * torch.arange(count, dtype=torch.float64) / count)) / 2
    return _looking(cameras, circle.at(circle.start + circle.covered * to_and_fro), circle.middle, circle.up)


def spiral(
    cameras: Camera, count: int, *, focus_depth: float, up: Float[Tensor, "3"] | None = None, turns: int = 2
) -> Camera:
    """Return `count` cameras on a closed spiral about the mean camera, looking at a point before it.

    As LLFF (Mildenhall et al. 2019, `render_path_spiral`): the radii are the 90th percentiles of the cameras' offsets
    from the mean along its axes, and the camera moves back and forth once in two turns.

    Args:
        cameras: Photographs' cameras, which look in about one direction.
        count: Frames.
        focus_depth: Distance of the point that stays in the middle, in scene units.
        up: Against gravity; None is `up_direction`.
        turns: Rounds, an even number for a closed path.

    Raises:
        ValueError: the cameras look in all directions.
    """
    axes = cameras.world_to_camera[:, 2, :3].double().mean(0)
    if float(axes.norm()) < 0.5:
        raise ValueError("The cameras look in all directions, so there is no mean direction for a spiral.")
    up = (up_direction(cameras) if up is None else up).double()
    middle = cameras.centers().double().mean(0)
    pose = look_at(middle, middle + axes, up)
    offsets = (cameras.centers().double() - middle) @ pose[:3, :3].T
    radii = offsets.abs().quantile(0.9, dim=0)
    theta = 2 * math.pi * turns * torch.arange(count, dtype=torch.float64) / count
    around = torch.stack((theta.cos(), theta.sin(), (theta / 2).sin()), dim=1) * radii
    eyes = middle + around @ pose[:3, :3]
    return _looking(cameras, eyes, middle + focus_depth * pose[2, :3], up)


def _looking(cameras: Camera, eyes: Tensor, target: Tensor, up: Tensor) -> Camera:
    """Return cameras at `eyes` that look at `target`, with the median focal length and the middle as the centre."""
    poses = torch.stack([look_at(eye, target, up) for eye in eyes])
    middle = cameras.center_px.new_tensor([cameras.width / 2, cameras.height / 2])
    return replace(
        cameras,
        world_to_camera=poses.to(cameras.world_to_camera.dtype),
        focal_px=cameras.focal_px.median(0).values.expand(len(eyes), 2),
        center_px=middle.expand(len(eyes), 2),
    )


def _lengths(cameras: Camera, radius: float) -> Float[Tensor, " s"]:
    """Return how far each camera of a batch is from the one before, a turn by one radian counting as `radius`."""
    moved = cameras.centers().double().diff(dim=0).norm(dim=1)
    rotations = cameras.world_to_camera[:, :3, :3].double()
    # |A - B|_F = 2 sqrt(2) sin(angle / 2), which keeps its digits at small angles, where the trace has lost them.
    chord = (rotations[1:] - rotations[:-1]).flatten(1).norm(dim=1) / (2 * math.sqrt(2))
    turned = 2 * torch.asin(chord.clamp_max(1))
    return (moved**2 + (radius * turned) ** 2).sqrt()


def _wrapped(times: Tensor, cameras: Camera, period: float) -> tuple[Tensor, Camera]:
    """Return two rounds more of a closed path, one before and one after, so that its spline has no ends."""
    count = len(times)
    order = torch.arange(3 * count) % count
    return torch.cat((times - period, times, times + period)), cameras[order]


def _one_hemisphere(rotations: Float[Tensor, "n 3 3"]) -> Float[Tensor, "n 4"]:
    """Return quaternions of rotations in order, each of the two signs that is nearer to its predecessor."""
    quaternions = quaternion_from_rotation(rotations)
    signs = torch.where((quaternions[1:] * quaternions[:-1]).sum(1) < 0, -1.0, 1.0).double().cumprod(0)
    return torch.cat((quaternions[:1], quaternions[1:] * signs.unsqueeze(1)))


def _evaluated(knots: Tensor, cameras: Camera, at: Tensor) -> Camera:
    """Return the cameras of the spline through a batch at the parameters `at`."""
    if len(knots) == 1:
        return cameras[torch.zeros(len(at), dtype=torch.long)]
    quaternions = _one_hemisphere(cameras.world_to_camera[:, :3, :3].double())
    # Logs of focal lengths, so that zooming is even and never overshoots to nothing.
    columns = (cameras.centers().double(), quaternions, cameras.focal_px.double().log(), cameras.center_px.double())
    centers, turned, focals, middles = _spline(knots, torch.cat(columns, dim=1), at).split((3, 4, 2, 2), dim=1)
    rotation = rotation_from_quaternion(turned)
    poses = invert_rigid(rigid(rotation.transpose(1, 2), centers))
    dtype = cameras.world_to_camera.dtype
    return replace(
        cameras, world_to_camera=poses.to(dtype), focal_px=focals.exp().to(dtype), center_px=middles.to(dtype)
    )


def _spline(knots: Float[Tensor, " k"], values: Float[Tensor, "k c"], at: Float[Tensor, " m"]) -> Float[Tensor, "m c"]:
    """Return a Catmull-Rom spline through `values` at uneven `knots`: a cubic Hermite one, straight at its ends.

    The tangent at a knot is that of the parabola through it and its neighbours.
    """
    gaps = knots.diff().unsqueeze(1)
    slopes = values.diff(dim=0) / gaps
    inner = (gaps[1:] * slopes[:-1] + gaps[:-1] * slopes[1:]) / (gaps[1:] + gaps[:-1])
    tangents = torch.cat((slopes[:1], inner, slopes[-1:]))
    i = (torch.searchsorted(knots, at, right=True) - 1).clamp(0, len(knots) - 2)
    gap = gaps[i]
    t = (at - knots[i]).unsqueeze(1) / gap
    start, end = values[i], values[i + 1]
    bent = (1 - t) * (gap * tangents[i] - (end - start)) - t * (gap * tangents[i + 1] - (end - start))
    return (1 - t) * start + t * end + t * (1 - t) * bent
