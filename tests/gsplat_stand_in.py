"""The stages of gsplat 1.5.3 in plain torch, for tests of the cuda backend's adapter without a GPU.

Same signatures, same culling, same tiles, same rules of the kernels: the calibration gets no gradient, boxes choose
tiles, a tile's pixels meet only what is in its list, alpha is cut at a constant, and a pixel ends before its
transmittance falls to 1e-4. Where there is nothing to draw the kernels return unwritten memory, which here is NaN.
"""

from itertools import pairwise

import torch
from torch import Tensor

from hyperfocal import sh as spherical_harmonics_of_ours
from hyperfocal.render.cuda_stages import Stages
from hyperfocal.transforms import rotation_from_quaternion


def stand_in(alpha_cut: float = 1 / 255) -> Stages:
    """The stages as a build with this cut would have them."""

    def rasterize(means2d: Tensor, conics: Tensor, colors: Tensor, opacities: Tensor, *lists, backgrounds=None):
        return rasterize_to_pixels(means2d, conics, colors, opacities, *lists, backgrounds, alpha_cut=alpha_cut)

    def indices(start: int, end: int, transmittances: Tensor, *rest):
        assert start == 0
        assert end > 1_000_000
        return rasterize_to_indices(transmittances, *rest, alpha_cut=alpha_cut)

    return Stages(
        fully_fused_projection=fully_fused_projection,
        spherical_harmonics=spherical_harmonics,
        isect_tiles=isect_tiles,
        isect_offset_encode=isect_offset_encode,
        rasterize_to_pixels=rasterize,
        rasterize_to_indices_in_range=indices,
        alpha_cut=alpha_cut,
    )


def fully_fused_projection(
    means, covars, quats, scales, viewmats, Ks, width, height, eps2d=0.3, near_plane=0.01, far_plane=1e10, *, packed
):
    """Return (batch, camera and Gaussian ids, radii, 2D means, depths, conics, compensations) of what is in view."""
    assert covars is None
    assert packed
    assert viewmats.shape == (1, 4, 4)
    assert Ks.shape == (1, 3, 3)
    K, R, t = Ks[0].detach(), viewmats[0, :3, :3], viewmats[0, :3, 3]
    M = rotation_from_quaternion(quats) * scales.unsqueeze(1)
    inside = means @ R.T + t
    x, y, z = inside.unbind(1)
    fx, fy, cx, cy = K[0, 0], K[1, 1], K[0, 2], K[1, 2]
    tan_x, tan_y = 0.5 * width / fx, 0.5 * height / fy
    tx = z * torch.clamp(x / z, -(cx / fx + 0.3 * tan_x), (width - cx) / fx + 0.3 * tan_x)
    ty = z * torch.clamp(y / z, -(cy / fy + 0.3 * tan_y), (height - cy) / fy + 0.3 * tan_y)
    zero = torch.zeros_like(z)
    J = torch.stack((fx / z, zero, -fx * tx / z**2, zero, fy / z, -fy * ty / z**2), 1).reshape(-1, 2, 3)
    covariances = J @ R @ M @ M.transpose(1, 2) @ R.T @ J.transpose(1, 2) + eps2d * torch.eye(2, dtype=z.dtype)
    means2d = torch.stack((fx * x / z + cx, fy * y / z + cy), 1)
    a, b, c = covariances[:, 0, 0], covariances[:, 0, 1], covariances[:, 1, 1]
    determinant = a * c - b * b
    radii = torch.ceil(3.33 * torch.stack((a, c), 1).detach().sqrt())
    # Written as what is culled, so that a NaN is not, as in the kernels.
    size = torch.tensor([width, height])
    culled = (z < near_plane) | (z > far_plane) | (determinant <= 0) | (radii <= 0).all(1)
    culled |= ((means2d + radii <= 0) | (means2d - radii >= size)).any(1)
    ids = (~culled).nonzero().squeeze(1)
    conics = torch.stack((c, -b, a), 1) / determinant.unsqueeze(1)
    none = torch.zeros_like(ids)
    return none, none, ids, radii[ids].nan_to_num(0).int(), means2d[ids], z[ids], conics[ids], None


def spherical_harmonics(degree: int, dirs: Tensor, coeffs: Tensor) -> Tensor:
    """Return the sums without the one half and without the clamp."""
    assert len(dirs) == len(coeffs)
    basis = spherical_harmonics_of_ours.basis(torch.nn.functional.normalize(dirs, dim=-1), degree)
    return (basis.unsqueeze(-1) * coeffs[:, : basis.shape[1]]).sum(1)


@torch.no_grad()
def isect_tiles(means2d, radii, depths, tile_size, tile_width, tile_height):
    """Return (tiles per Gaussian, (tile, depth) of every meeting, which Gaussian), sorted by tile, depth and index."""
    assert means2d.shape[0] == 1
    assert radii.dtype == torch.int32
    meetings = []
    first = torch.floor((means2d[0] - radii[0]) / tile_size).tolist()
    last = torch.ceil((means2d[0] + radii[0]) / tile_size).tolist()
    for g in (radii[0] > 0).all(1).nonzero().flatten().tolist():
        for i in range(max(int(first[g][1]), 0), min(int(last[g][1]), tile_height)):
            for j in range(max(int(first[g][0]), 0), min(int(last[g][0]), tile_width)):
                meetings.append((i * tile_width + j, float(depths[0, g]), g))
    meetings.sort()
    tiles = torch.tensor([tile for tile, _, _ in meetings], dtype=torch.int64)
    return None, tiles, torch.tensor([g for _, _, g in meetings], dtype=torch.int32)


@torch.no_grad()
def isect_offset_encode(isect_ids, n_images, tile_width, tile_height):
    """Return where each tile's list begins."""
    assert n_images == 1
    tiles = torch.arange(tile_width * tile_height)
    return torch.searchsorted(isect_ids, tiles).reshape(1, tile_height, tile_width).int()


def rasterize_to_pixels(
    means2d, conics, colors, opacities, width, height, tile_size, offsets, flatten_ids, backgrounds, *, alpha_cut
):
    """Return (blended channels, alpha), tile by tile."""
    n = means2d.shape[1]
    assert means2d.shape == (1, n, 2)
    assert conics.shape == (1, n, 3)
    assert opacities.shape == (1, n)
    assert colors.shape[:2] == (1, n)
    assert backgrounds is None or backgrounds.shape == (1, colors.shape[2])
    channels = torch.full((height, width, colors.shape[2]), torch.nan, dtype=means2d.dtype)
    alpha = torch.full((height, width), torch.nan, dtype=means2d.dtype)
    if len(flatten_ids) == 0:
        return channels.unsqueeze(0), alpha[None, :, :, None]
    for rows, columns, ids in _tiles(width, height, tile_size, offsets, flatten_ids):
        weights, remaining, _ = _blend(means2d[0], conics[0], opacities[0], rows, columns, ids, alpha_cut)
        blended = weights @ colors[0, ids]
        if backgrounds is not None:
            blended = blended + remaining.unsqueeze(1) * backgrounds[0]
        place = (torch.arange(height) // tile_size == rows[0] // tile_size).nonzero()
        place = place * width + (torch.arange(width) // tile_size == columns[0] // tile_size).nonzero().T
        channels = channels.reshape(height * width, -1).index_put((place.flatten(),), blended).reshape(channels.shape)
        alpha = alpha.flatten().index_put((place.flatten(),), 1 - remaining).reshape(alpha.shape)
    return channels.unsqueeze(0), alpha[None, :, :, None]


@torch.no_grad()
def rasterize_to_indices(
    transmittances, means2d, conics, opacities, width, height, tile_size, offsets, flatten_ids, *, alpha_cut
):
    """Return (Gaussian, pixel, image) of every meeting: by pixel, and front to back in each."""
    assert transmittances.shape == (1, height, width)
    assert bool((transmittances == 1).all())
    found = []
    for rows, columns, ids in _tiles(width, height, tile_size, offsets, flatten_ids):
        weights, _, added = _blend(means2d[0], conics[0], opacities[0], rows, columns, ids, alpha_cut)
        pixels = (rows.unsqueeze(1) * width + columns).flatten()
        for p, k in added.nonzero().tolist():
            found.append((int(pixels[p]), k, int(ids[k])))
            assert float(weights[p, k]) > 0
    found.sort()
    columns_of = torch.tensor(found, dtype=torch.int64).reshape(-1, 3)
    return columns_of[:, 2], columns_of[:, 0], torch.zeros(len(found), dtype=torch.int64)


def _tiles(width: int, height: int, tile_size: int, offsets: Tensor, flatten_ids: Tensor):
    """Yield (rows, columns, Gaussians) of every tile."""
    bounds = [*offsets.flatten().tolist(), len(flatten_ids)]
    for number, (start, end) in enumerate(pairwise(bounds)):
        i, j = divmod(number, offsets.shape[2])
        rows = torch.arange(i * tile_size, min((i + 1) * tile_size, height))
        columns = torch.arange(j * tile_size, min((j + 1) * tile_size, width))
        yield rows, columns, flatten_ids[start:end].long()


def _blend(means2d, conics, opacities, rows, columns, ids, alpha_cut):
    """Return (weights, transmittance left, which are added) of a tile's list at each of its pixels."""
    y, x = torch.meshgrid(rows + 0.5, columns + 0.5, indexing="ij")
    dx, dy = (means2d[ids, k] - pixel.reshape(-1, 1).to(means2d.dtype) for k, pixel in ((0, x), (1, y)))
    xx, xy, yy = conics[ids].unbind(1)
    sigma = 0.5 * (xx * dx * dx + yy * dy * dy) + xy * dx * dy
    alpha = (opacities[ids] * torch.exp(-sigma)).clamp_max(0.999)
    alpha = torch.where((sigma.detach() >= 0) & (alpha.detach() >= alpha_cut), alpha, 0)
    after = torch.cumprod(1 - alpha, 1)
    before = torch.cat((torch.ones_like(after[:, :1]), after[:, :-1]), 1)
    added = (after.detach() > 1e-4) & (alpha.detach() > 0)
    alpha = torch.where(added, alpha, 0)
    return alpha * before, (1 - alpha).prod(1), added
