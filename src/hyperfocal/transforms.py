"""Rotations and rigid transforms as pure functions. Quaternions are wxyz; transforms act on column vectors."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

# Below these squares the closed forms give way to their series, which are smooth at zero; terms that are left out are
# below the rounding of float64.
_SMALL_ANGLE2 = 0.5
_SMALL_SINE2 = 0.01
# Of (1 - (a / 2) cot(a / 2)) / a^2 in a^2: the Bernoulli numbers |B_2k| / (2k)!.
_COTANGENT = (1 / 12, 1 / 720, 1 / 30240, 1 / 1209600, 1 / 47900160, 691 / 1307674368000, 1 / 74724249600)
# Of asin(s) / s in s^2.
_ARC_SINE = tuple(math.comb(2 * k, k) / 4**k / (2 * k + 1) for k in range(8))


def rotation_from_quaternion(quaternions: Float[Tensor, "*n 4"]) -> Float[Tensor, "*n 3 3"]:
    """Return rotation matrices of wxyz quaternions, which need not be of unit length."""
    w, x, y, z = torch.nn.functional.normalize(quaternions, dim=-1).unbind(-1)
    rows = (
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    )  # fmt: skip
    return torch.stack(rows, dim=-1).unflatten(-1, (3, 3))


def quaternion_from_rotation(rotations: Float[Tensor, "*n 3 3"]) -> Float[Tensor, "*n 4"]:
    """Return unit wxyz quaternions with w >= 0 of rotation matrices."""
    m = rotations
    xx, yy, zz = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    wx, wy, wz = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]
    xy, xz, yz = m[..., 0, 1] + m[..., 1, 0], m[..., 0, 2] + m[..., 2, 0], m[..., 1, 2] + m[..., 2, 1]
    # Four times the outer product of the quaternion with itself: the row of the largest entry is the safest to use.
    rows = (
        1 + xx + yy + zz, wx, wy, wz,
        wx, 1 + xx - yy - zz, xy, xz,
        wy, xy, 1 - xx + yy - zz, yz,
        wz, xz, yz, 1 - xx - yy + zz,
    )  # fmt: skip
    products = torch.stack(rows, dim=-1).unflatten(-1, (4, 4))
    largest = torch.diagonal(products, dim1=-2, dim2=-1).argmax(-1)
    row = torch.take_along_dim(products, largest[..., None, None].expand(*largest.shape, 1, 4), dim=-2).squeeze(-2)
    unit = torch.nn.functional.normalize(row, dim=-1)
    return torch.where(unit[..., :1] < 0, -unit, unit)


def rigid(rotation: Float[Tensor, "*v 3 3"], translation: Float[Tensor, "*v 3"]) -> Float[Tensor, "*v 4 4"]:
    """Return the 4x4 transform x -> rotation x + translation."""
    top = torch.cat((rotation, translation.unsqueeze(-1)), dim=-1)
    bottom = torch.zeros_like(top[..., :1, :])
    bottom[..., 0, 3] = 1
    return torch.cat((top, bottom), dim=-2)


def invert_rigid(transform: Float[Tensor, "*v 4 4"]) -> Float[Tensor, "*v 4 4"]:
    """Return the inverse of rigid transforms (exact transpose, no solve)."""
    rotation = transform[..., :3, :3].transpose(-1, -2)
    return rigid(rotation, -(rotation @ transform[..., :3, 3:]).squeeze(-1))


def rigid_from_twist(twists: Float[Tensor, "*v 6"]) -> Float[Tensor, "*v 4 4"]:
    """Return the exponential of SE(3): the motion at constant velocity for one unit of time.

    A twist is the velocity: three numbers of the turn (axis times angle in radians), then three of the shift (scene
    units), in the axes that the transform leads to. Differentiable everywhere, and exactly the identity of zeros.

    Source: Rodrigues' formula and the left Jacobian of SO(3), as in Barfoot 2017, chapter 7.
    """
    turn, shift = twists[..., :3], twists[..., 3:]
    angle2 = turn.square().sum(-1, keepdim=True)
    first, second, third = _turn_factors(angle2)
    x, y, z = turn.unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack((zero, -z, y, z, zero, -x, -y, x, zero), dim=-1).unflatten(-1, (3, 3))
    identity = torch.eye(3, dtype=twists.dtype, device=twists.device)
    rotation = identity + first.unsqueeze(-1) * cross + second.unsqueeze(-1) * (cross @ cross)
    across = torch.linalg.cross(turn, shift)
    return rigid(rotation, shift + second * across + third * torch.linalg.cross(turn, across))


def twist_from_rigid(transforms: Float[Tensor, "*v 4 4"]) -> Float[Tensor, "*v 6"]:
    """Return the logarithm of SE(3): the twist of which `rigid_from_twist` makes these transforms.

    Turns come out as at most half a turn. Differentiable below that, and exactly zeros of the identity.
    """
    unit = quaternion_from_rotation(transforms[..., :3, :3])
    sine2 = unit[..., 1:].square().sum(-1, keepdim=True)
    small = sine2 < _SMALL_SINE2
    sine = torch.where(small, 1.0, sine2).sqrt()
    half = torch.where(small, _polynomial(sine2, _ARC_SINE), torch.atan2(sine, unit[..., :1]) / sine)
    turn, shift = 2 * half * unit[..., 1:], transforms[..., :3, 3]
    angle2 = turn.square().sum(-1, keepdim=True)
    small = angle2 < _SMALL_ANGLE2
    large2 = torch.where(small, 1.0, angle2)
    half_angle = large2.sqrt() / 2
    closed = (1 - half_angle / torch.tan(half_angle)) / large2
    factor = torch.where(small, _polynomial(angle2, _COTANGENT), closed)
    across = torch.linalg.cross(turn, shift)
    return torch.cat((turn, shift - across / 2 + factor * torch.linalg.cross(turn, across)), dim=-1)


def _turn_factors(angle2: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return sin(a) / a, (1 - cos(a)) / a^2 and (a - sin(a)) / a^3 of squared angles a^2."""
    small = angle2 < _SMALL_ANGLE2
    # Not the angle itself where it is small: the slope of its root is infinite at zero.
    angle = torch.where(small, 1.0, angle2).sqrt()
    closed = (
        angle.sin() / angle,
        2 * ((angle / 2).sin() / angle).square(),
        (angle - angle.sin()) / angle**3,
    )
    series = [tuple((-1) ** k / math.factorial(2 * k + i) for k in range(8)) for i in (1, 2, 3)]
    first, second, third = (
        torch.where(small, _polynomial(angle2, terms), value) for terms, value in zip(series, closed, strict=True)
    )
    return first, second, third


def _polynomial(x: Tensor, coefficients: tuple[float, ...]) -> Tensor:
    """Return the sum of `coefficients[k] x^k`."""
    total = torch.zeros_like(x)
    for coefficient in reversed(coefficients):
        total = total * x + coefficient
    return total


def world_to_camera_from_opengl(
    rotation: Float[Tensor, "*v 3 3"], position: Float[Tensor, "*v 3"]
) -> Float[Tensor, "*v 4 4"]:
    """Return world_to_camera of a camera-to-world pose with OpenGL's axes: x right, y up, looking along -z.

    ARKit's and RealityScan's cameras have them, too. OpenCV's are the same camera with its y and z axes turned round.
    """
    return invert_rigid(rigid(rotation * rotation.new_tensor([1, -1, -1]), position))


def apply_rigid(transform: Float[Tensor, "4 4"], points: Float[Tensor, "*p 3"]) -> Float[Tensor, "*p 3"]:
    """Return `points` moved by one rigid transform."""
    return points @ transform[:3, :3].T + transform[:3, 3]


def look_at(eye: Float[Tensor, "3"], target: Float[Tensor, "3"], up: Float[Tensor, "3"]) -> Float[Tensor, "4 4"]:
    """Return the world_to_camera of a camera at `eye` that looks at `target`, with `up` upwards in the picture."""
    forward = torch.nn.functional.normalize(target - eye, dim=0)
    right = torch.nn.functional.normalize(torch.linalg.cross(forward, up), dim=0)
    down = torch.linalg.cross(forward, right)
    rotation = torch.stack((right, down, forward))
    return rigid(rotation, -(rotation @ eye))


def nearest_to_lines(points: Float[Tensor, "l 3"], directions: Float[Tensor, "l 3"]) -> Float[Tensor, "3"]:
    """Return the point nearest to lines in the least-squares sense, each given by a point on it and a unit direction.

    Of lines that are all parallel, one of the nearest points.
    """
    across = torch.eye(3, dtype=points.dtype) - directions.unsqueeze(2) * directions.unsqueeze(1)
    return torch.linalg.lstsq(across.sum(0), (across @ points.unsqueeze(2)).sum(0)).solution[:, 0]


def align_similarity(
    source: Float[Tensor, "p 3"], target: Float[Tensor, "p 3"]
) -> tuple[float, Float[Tensor, "3 3"], Float[Tensor, "3"]]:
    """Return (scale, rotation, translation) that best maps `source` onto `target` in the least-squares sense.

    Source: Umeyama 1991, equations 40 to 42, with the reflection fix. Computed in float64.
    """
    a, b = source.double(), target.double()
    a_mean, b_mean = a.mean(0), b.mean(0)
    a, b = a - a_mean, b - b_mean
    u, singular, vt = torch.linalg.svd(b.T @ a / len(a))
    sign = torch.ones(3, dtype=torch.float64)
    sign[2] = torch.sign(torch.linalg.det(u) * torch.linalg.det(vt))
    rotation = u @ torch.diag(sign) @ vt
    scale = float((singular * sign).sum() / a.square().sum(1).mean())
    translation = b_mean - scale * rotation @ a_mean
    return scale, rotation.to(source.dtype), translation.to(source.dtype)
