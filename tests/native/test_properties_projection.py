"""What must hold of projection and sorting, whatever the scene."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from drawn_scenes import LEAVES, NO_CUT, SEEDS, Drawn, drawn_scenes, images, make_drawn, same_bits

EXAMPLES = settings(max_examples=40)
FEWER = settings(max_examples=20)


def moved(scene: Drawn, offset: Tensor) -> Drawn:
    """The same picture from somewhere else: world and camera both moved."""
    pose = scene.inputs["world_to_camera"].clone()
    pose[:, :3, 3] -= pose[:, :3, :3] @ offset
    return scene.but(means=scene.inputs["means"] + offset, world_to_camera=pose)


@EXAMPLES
@given(drawn_scenes(), st.tuples(*[st.integers(-32, 32)] * 3))
def test_moving_world_and_camera_together_changes_no_bit(scene: Drawn, quarters: tuple[int, int, int]):
    # Means are multiples of 2^-10, so adding quarters is exact, and so is taking them off again.
    other = moved(scene, torch.tensor(quarters) / 4)
    same_bits(images(other.draw()), images(scene.draw()))
    # By the camera's rotation the gradient does depend on where the world's origin is.
    leaves = ("means", "scales", "opacities", "focal_px")
    same_bits(other.gradients(leaves), scene.gradients(leaves))


@FEWER
@given(drawn_scenes(), st.integers(0, 1000))
def test_turning_world_and_camera_together_changes_nothing_but_rounding(scene: Drawn, seed: int):
    q = torch.nn.functional.normalize(torch.randn(4, generator=torch.Generator().manual_seed(seed)), dim=0)
    pose = torch.eye(4)[None].clone()
    pose[0, :3, :3] = rotation(q).T  # camera = R^T (R x)
    quaternions = product(q, scene.inputs["quaternions"])
    scene = scene.but(colors=torch.ones(scene.n, 3), sh=None) if "sh" in scene.inputs else scene
    turned = scene.but(means=scene.inputs["means"] @ rotation(q).T, quaternions=quaternions, world_to_camera=pose)
    # Gaussians of nearly one depth may change places, where the two differ by as much as they weigh.
    got, expected = turned.draw(**NO_CUT).alpha, scene.draw(**NO_CUT).alpha
    assert (got - expected).abs().max().item() < 2e-4


def rotation(q: Tensor) -> Tensor:
    """The rotation matrix of a unit quaternion wxyz."""
    w, x, y, z = q.tolist()
    return torch.tensor(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def product(a: Tensor, b: Tensor) -> Tensor:
    """The quaternions a b, for one a and many b."""
    w = a[0] * b[:, :1] - (b[:, 1:] @ a[1:])[:, None]
    xyz = a[0] * b[:, 1:] + b[:, :1] * a[1:] + torch.linalg.cross(a[1:].expand(len(b), 3), b[:, 1:])
    return torch.cat((w, xyz), 1)


@EXAMPLES
@given(drawn_scenes(), st.sampled_from([1 / 64, 0.5, 2.0, 1024.0]))
def test_a_scene_of_another_scale_gives_the_same_image(scene: Drawn, scale: float):
    # Powers of two change exponents only, so not a bit of the image may differ; depths are in scene units.
    pose = scene.inputs["world_to_camera"].clone()
    pose[:, 2, 3] = 0.25
    scene = scene.but(world_to_camera=pose)
    scaled_pose = pose.clone()
    scaled_pose[:, :3, 3] *= scale
    larger = scene.but(
        means=scale * scene.inputs["means"], scales=scale * scene.inputs["scales"], world_to_camera=scaled_pose
    )
    got, expected = images(larger.draw(near=0.01 * scale)), images(scene.draw())
    same_bits(got, {name: scale * t if "depth" in name else t for name, t in expected.items()})


@EXAMPLES
@given(drawn_scenes(least=1, most=25), st.data())
def test_radii_bound_what_a_gaussian_changes(scene: Drawn, data: st.DataObject):
    index = data.draw(st.integers(0, scene.n - 1))
    out, rest = scene.draw(), scene.without(index).draw()
    x, y, z = scene.inputs["means"][index].double().tolist()
    f, (cx, cy) = scene.inputs["focal_px"][0, 0].item(), scene.inputs["center_px"][0].tolist()
    across = (torch.arange(scene.inputs["width"]) + 0.5 - (f * x / z + cx)).abs()
    down = (torch.arange(scene.inputs["height"]) + 0.5 - (f * y / z + cy)).abs()
    outside = torch.maximum(across[None, :], down[:, None]) > out.radii[0, index] + 0.01
    for name, image in images(out).items():
        assert torch.equal(image[0][outside], images(rest)[name][0][outside]), name


@EXAMPLES
@given(drawn_scenes())
def test_what_weighs_nothing_gets_no_gradient_and_what_is_culled_changes_nothing(scene: Drawn):
    out = scene.draw(weight_sum=True)
    assert out.weight_sum is not None
    unseen, culled = out.weight_sum[0] == 0, out.radii[0] == 0
    assert bool(unseen[culled].all())
    for name, gradient in scene.gradients(LEAVES).items():
        assert not gradient[unseen].any(), name
    # Not all that is unseen: a Gaussian may end a pixel by the stop rule and have no weight in it.
    rest = scene.gaussians(torch.nonzero(~culled)[:, 0])
    same_bits(images(rest.draw()), images(out))


@EXAMPLES
@given(drawn_scenes(most=40), SEEDS)
def test_the_order_of_the_inputs_does_not_change_a_bit(scene: Drawn, seed: int):
    order = torch.randperm(scene.n, generator=torch.Generator().manual_seed(seed))
    assert_order_is_nothing(scene, order)


@pytest.mark.parametrize("n", [1024, 5000])
def test_the_order_of_thousands_of_inputs_does_not_change_a_bit(n: int):
    # Several chunks, and several parts of the sort.
    scene = make_drawn(n, 70, 50, size=0.01)
    assert_order_is_nothing(scene, torch.randperm(n), threads=3)


def assert_order_is_nothing(scene: Drawn, order: Tensor, **options: Any) -> None:
    """Shuffling the Gaussians shuffles their gradients and nothing else."""
    shuffled = scene.gaussians(order)
    same_bits(images(shuffled.draw(**options)), images(scene.draw(**options)))
    got, expected = shuffled.gradients(**options), scene.gradients(**options)
    for name, gradient in expected.items():
        if name in LEAVES:
            assert torch.equal(got[name], gradient[order]), name
        else:  # sums over Gaussians, in their order
            assert torch.allclose(got[name], gradient, rtol=1e-3, atol=1e-3 * gradient.abs().max().item()), name


@EXAMPLES
@given(st.integers(1, 40), SEEDS)
def test_gaussians_behind_each_other_composite_by_depth(n: int, seed: int):
    # On the axis through the middle of the central pixel: colour = sum of c a T, nearest first, until T reaches 1e-4.
    scene = make_drawn(n, 33, 33, seed=seed)
    means = scene.inputs["means"].clone()
    means[:, :2] = 0
    got = scene.but(means=means, background=None).draw().color[0, 16, 16]
    color, left = torch.zeros(3, dtype=torch.float64), 1.0
    for i in means[:, 2].argsort().tolist():
        alpha = min(scene.inputs["opacities"][i].item(), 0.999)
        if left * (1 - alpha) <= 1e-4:
            break
        color += scene.inputs["colors"][i].double() * alpha * left
        left *= 1 - alpha
    # What the stop rule leaves out weighs at most 1e-4 / (1 - 0.999); only rounding could move the stop.
    assert torch.allclose(got.double(), color, atol=1e-5)


@FEWER
@given(drawn_scenes(least=2, most=30), SEEDS)
def test_gaussians_of_one_depth_keep_their_order(scene: Drawn, seed: int):
    # Ties are drawn in the order of the tensors: the picture of a stack is that of the same stack pulled apart.
    means = scene.inputs["means"].clone()
    means[:, 2] = 2.0
    step = torch.arange(scene.n) * 2.0**-20
    apart = means.clone()
    apart[:, 2] += step
    tied, spread = scene.but(means=means).draw(**NO_CUT), scene.but(means=apart).draw(**NO_CUT)
    assert (tied.color - spread.color).abs().max().item() < 5e-4
