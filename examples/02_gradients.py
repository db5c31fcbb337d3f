"""Find out where a camera stood, from its picture alone.

`render` is a function with gradients to every input that is a tensor, the camera's pose included. Here a camera starts
in the wrong place, and gradient descent moves it until its picture is the one that was taken.
"""

from dataclasses import replace

import torch

import hyperfocal as hf
from hyperfocal.gaussians import from_points
from hyperfocal.transforms import rigid, rotation_from_quaternion

torch.manual_seed(0)
positions = torch.rand(400, 3) * torch.tensor([4.0, 3.0, 2.0]) + torch.tensor([-2.0, -1.5, 4.0])
gaussians = from_points(positions, torch.rand(400, 3), torch.full((400,), 0.12), opacity=0.8)
true_camera = hf.Camera(torch.eye(4), torch.tensor([100.0, 100.0]), torch.tensor([64.0, 48.0]), width=128, height=96)
photograph = hf.render(gaussians, true_camera).color.detach()

quaternion = torch.tensor([1.0, 0.02, -0.03, 0.01], requires_grad=True)
translation = torch.tensor([0.10, -0.08, 0.12], requires_grad=True)
optimizer = torch.optim.Adam([quaternion, translation], lr=0.005)
for step in range(151):
    pose = rigid(rotation_from_quaternion(quaternion), translation)
    loss = (hf.render(gaussians, replace(true_camera, world_to_camera=pose)).color - photograph).abs().mean()
    if step % 50 == 0:
        print(f"step {step}: picture off by {loss:.4f}, camera off by {translation.detach().norm():.4f} units")
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
