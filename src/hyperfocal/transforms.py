"""Rotations and rigid transforms as pure functions. Quaternions are wxyz; transforms act on column vectors."""

import torch
from jaxtyping import Float
from torch import Tensor


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
