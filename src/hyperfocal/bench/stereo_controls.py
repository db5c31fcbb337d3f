"""What stereo has to beat: the scene's points alone, and OpenCV's stereo of rectified pairs."""

import cv2
import numpy as np
import torch
from jaxtyping import Float
from scipy.interpolate import LinearNDInterpolator, NearestNDInterpolator
from torch import Tensor

from ..camera import Camera, pixel_centers, relative_pose
from ..color import to_uint8
from ..depth import Depth
from ..priors.alignment import visible_points
from ..priors.stereo_views import InverseRange, choose_sources, range_of_points
from ..scene import Photograph

_CANDIDATES = 6


def interpolated_depth(camera: Camera, points: Float[Tensor, "p 3"]) -> Depth:
    """Return depth from the points that a camera sees: linear in inverse depth between them, the nearest's outside."""
    seen = visible_points(camera, points)
    if len(seen.depth_z) < 4:
        return Depth(torch.zeros(camera.height, camera.width), "scene")
    places, inverse = seen.pixels_px.double().numpy(), 1 / seen.depth_z.double().numpy()
    pixels = pixel_centers(camera.width, camera.height).reshape(-1, 2).double().numpy()
    linear = LinearNDInterpolator(places, inverse)(pixels)
    nearest = NearestNDInterpolator(places, inverse)(pixels)
    values = np.where(np.isfinite(linear), linear, nearest).reshape(camera.height, camera.width)
    return Depth(torch.from_numpy(1 / values).float(), "scene")


def rectified_pair_depth(photographs: list[Photograph], points: Float[Tensor, "p 3"]) -> list[Depth]:
    """Return the depth of every photograph from that of its best sources that lies most beside it, by OpenCV's SGBM."""
    cameras = [photograph.camera for photograph in photographs]
    sources = choose_sources(cameras, [points] * len(cameras), _CANDIDATES)
    depths = []
    for i, chosen in enumerate(sources):
        inverse_range = range_of_points(cameras[i], points)
        if not chosen or inverse_range is None:
            depths.append(Depth(torch.zeros(cameras[i].height, cameras[i].width), "scene"))
            continue
        sideways = {j: relative_pose(cameras[i], cameras[j])[1] for j in chosen}
        best = max(chosen, key=lambda j: float(sideways[j][0].abs() / sideways[j].norm()))
        depths.append(_of_pair(photographs[i], photographs[best], inverse_range))
    return depths


def _of_pair(first: Photograph, second: Photograph, inverse_range: InverseRange) -> Depth:
    R, t = (tensor.numpy() for tensor in relative_pose(first.camera, second.camera))
    K = [photograph.camera.intrinsics().double().numpy() for photograph in (first, second)]
    for matrix in K:
        matrix[:2, 2] -= 0.5  # OpenCV counts from the centre of the first pixel
    size = (first.camera.width, first.camera.height)
    none = np.zeros(5)
    R1, R2, P1, P2, *_ = cv2.stereoRectify(
        K[0], none, K[1], none, size, R, t.reshape(3, 1), flags=cv2.CALIB_ZERO_DISPARITY, alpha=-1
    )
    turned = []
    for photograph, matrix, R_new, P in ((first, K[0], R1, P1), (second, K[1], R2, P2)):
        maps = cv2.initUndistortRectifyMap(matrix, none, R_new, P, size, cv2.CV_32FC1)
        turned.append(cv2.remap(to_uint8(photograph.image).numpy(), *maps, cv2.INTER_LINEAR))
    # Disparity is positive where the second camera is to the right of the first, and that of a depth is f b / z.
    focal_times_base = -P2[0, 3]
    ends = sorted((focal_times_base * inverse_range.far, focal_times_base * inverse_range.near))
    lowest = int(np.floor(ends[0])) - 1
    count = 16 * int(np.ceil((ends[1] + 1 - lowest) / 16))
    matcher = cv2.StereoSGBM.create(
        minDisparity=lowest, numDisparities=count, blockSize=5, P1=8 * 3 * 25, P2=32 * 3 * 25, disp12MaxDiff=1,
        uniquenessRatio=5, speckleWindowSize=50, speckleRange=2, mode=cv2.STEREO_SGBM_MODE_HH,
    )  # fmt: skip
    disparity = matcher.compute(*turned).astype(np.float32) / 16
    # Each pixel of the photograph in the rectified one, and its depth back.
    pixels = pixel_centers(*size).double().numpy() - 0.5
    rays = np.concatenate((pixels, np.ones_like(pixels[..., :1])), -1) @ np.linalg.inv(K[0]).T @ R1.T
    places = (rays / rays[..., 2:]) @ P1[:, :3].T
    columns, rows = (places[..., k].astype(np.float32) for k in (0, 1))
    found = cv2.remap(disparity, columns, rows, cv2.INTER_NEAREST, borderValue=lowest - 1)
    inverse = found / focal_times_base
    known = (found > lowest - 0.5) & (inverse > 0)
    # Depth along the rectified axis; the ray has z = 1 along the photograph's own.
    depth_z = np.where(known, 1 / np.where(known, inverse, 1) / rays[..., 2], 0)
    return Depth(torch.from_numpy(depth_z).float(), "scene")
