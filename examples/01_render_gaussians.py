"""Make three Gaussians by hand, look at them with a camera, and save the picture."""

import torch
from PIL import Image

import hyperfocal as hf
from hyperfocal.color import to_uint8
from hyperfocal.gaussians import from_points
from hyperfocal.transforms import look_at

gaussians = from_points(
    positions=torch.tensor([[-0.6, 0.0, 0.0], [0.0, 0.0, 0.5], [0.6, 0.0, 0.0]]),
    colors=torch.tensor([[0.9, 0.2, 0.2], [0.2, 0.7, 0.3], [0.2, 0.3, 0.9]]),  # red, green, blue
    scales=torch.tensor([0.2, 0.3, 0.2]),
    opacity=0.9,
)
camera = hf.Camera(
    world_to_camera=look_at(eye=torch.tensor([0.0, -1.0, -3.0]), target=torch.zeros(3), up=torch.tensor([0.0, -1, 0])),
    focal_px=torch.tensor([400.0, 400.0]),
    center_px=torch.tensor([160.0, 120.0]),
    width=320,
    height=240,
)
rendering = hf.render(gaussians, camera, background=torch.ones(3))
Image.fromarray(to_uint8(rendering.color).numpy()).save("gaussians.png")
depth = rendering.depth_median[120, 160]
print(f"gaussians.png: {rendering.alpha.mean():.1%} of it is covered, depth in the middle {depth:.2f} units")
