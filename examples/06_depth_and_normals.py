"""Measure depth maps: a slanted wall of Gaussians whose distance is known at every pixel.

The median depth is the depth of single Gaussians, so it has steps, and its normals (`rendering.normals`) need Gaussians
of about a pixel. The expected depth is smooth, and so are normals made of it.
"""

import numpy as np
import torch
from PIL import Image

import hyperfocal as hf
from hyperfocal.camera import pixel_centers
from hyperfocal.depth import normals_from_depth
from hyperfocal.gaussians import from_points

# A wall z = 3 + x / 2 of Gaussians with a standard deviation of their distance to the next.
x, y = torch.meshgrid(torch.arange(-3, 3, 0.03), torch.arange(-2, 2, 0.03), indexing="ij")
positions = torch.stack((x, y, 3 + x / 2), dim=-1).reshape(-1, 3)
n = len(positions)
wall = from_points(positions, torch.full((n, 3), 0.5), torch.full((n,), 0.03), opacity=0.95)
camera = hf.Camera(torch.eye(4), torch.tensor([200.0, 200.0]), torch.tensor([80.0, 60.0]), width=160, height=120)
rendering = hf.render(wall, camera)

slope = (pixel_centers(160, 120)[..., 0] - 80) / 200  # x / z along the ray of each pixel
truth = 3 / (1 - slope / 2)
for name, depth in (("expected", rendering.depth_expected), ("median", rendering.depth_median)):
    print(f"{name} depth: mean error {((depth - truth).abs() / truth).mean():.2%}")
normals = normals_from_depth(camera, rendering.depth_expected)
middle = torch.nn.functional.normalize(normals[20:-20, 20:-20].mean((0, 1)), dim=0)
print("normal:", [round(value, 2) for value in middle.tolist()], "where [0.45, 0.0, -0.89] is right")

pictures = torch.cat(((rendering.depth_expected / 6).unsqueeze(-1).expand(-1, -1, 3), (normals + 1) / 2), dim=1)
Image.fromarray((pictures.numpy().clip(0, 1) * 255).astype(np.uint8)).save("depth_and_normals.png")
