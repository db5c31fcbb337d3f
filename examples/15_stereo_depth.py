"""Depth of photographs whose cameras are known, from each other: no network, no weights.

The photographs here are renders of a bumpy, coloured wall, so that the depth is known. Yours come from
`hf.read_scene(FOLDER)`, `hf.estimate_poses` where their cameras are unknown, and `hf.load_photograph`.
"""

import numpy as np
import torch
from PIL import Image

import hyperfocal as hf
from hyperfocal.gaussians import from_points
from hyperfocal.priors.stereo import stereo_depth

generator = torch.Generator().manual_seed(0)
xy = torch.rand(20_000, 2, generator=generator) * torch.tensor([6.0, 4.5]) - torch.tensor([3.0, 2.25])
z = 4 + 0.4 * torch.sin(2 * xy[:, :1]) * torch.cos(2 * xy[:, 1:])
colors = torch.rand(len(xy), 3, generator=generator)
wall = from_points(torch.cat((xy, z), 1), colors, torch.full((len(xy),), 0.025), opacity=0.95)

photographs, truth = [], []
for i in range(5):
    pose = torch.eye(4)
    pose[0, 3] = 0.25 * (i - 2)
    camera = hf.Camera(pose, torch.tensor([150.0, 150.0]), torch.tensor([80.0, 60.0]), width=160, height=120)
    rendering = hf.render(wall, camera)
    photographs.append(hf.Photograph(f"{i}.png", rendering.color.clamp(0, 1), rendering.alpha > 0.5, camera))
    truth.append(rendering.depth_expected)

depths = stereo_depth(photographs)  # held-out photographs are not given to it
depth, right = depths[2], truth[2]
wrong = ((depth.values - right).abs() / right)[depth.valid]
print(f"{depth.valid.float().mean():.0%} of the pixels have a depth; its median error is {wrong.median():.2%}")
picture = torch.cat((depth.values, right), dim=1) / right.max() * 255
Image.fromarray(picture.clamp(0, 255).byte().numpy().astype(np.uint8)).save("stereo_depth.png")
