"""Photograph a row of lights with a shaking hand, out of focus as well, and find the shake again from the picture."""

import numpy as np
import torch
from PIL import Image

import hyperfocal as hf
from hyperfocal.color import to_uint8
from hyperfocal.gaussians import from_points

torch.set_num_threads(1)  # for pictures as small as this, threads cost more than they do: they wait for each other
places = torch.tensor([[0.45 * (i % 5) - 0.9, 0.5 * (i // 5) - 0.5, 2.0 + 0.3 * i] for i in range(15)])
lights = from_points(places, torch.rand(15, 3, generator=torch.manual_seed(1)), torch.full((15,), 0.02), opacity=0.9)
camera = hf.Camera(torch.eye(4), torch.tensor([66.0, 66.0]), torch.tensor([48.0, 36.0]), width=96, height=72)
lens = hf.ThinLens(aperture_diameter=torch.tensor(0.1), focus_distance=torch.tensor(4.0))
shutter = hf.Shutter(sub_frames=8, readout=0.25)  # open for 1, and the last row opens 0.25 after the first


def photograph(velocity: torch.Tensor) -> torch.Tensor:
    """Return the picture that a camera takes which moves at this velocity."""
    path = hf.MotionPath.constant_velocity(velocity, reach=0.625)  # three radians, then three scene units
    return hf.expose(lights, path, camera, shutter=shutter, lens=lens).color


true_velocity = torch.tensor([0.02, 0.05, 0.15, 0.02, 0.0, 0.1])
picture = photograph(true_velocity).detach()
velocity = torch.tensor([0.01, 0.03, 0.1, 0.0, 0.0, 0.0], requires_grad=True)
optimizer = torch.optim.Adam([velocity], lr=0.005)
for step in range(41):
    loss = (photograph(velocity) - picture).square().mean()
    if step % 20 == 0:
        turn = (velocity - true_velocity).detach()[:3].norm()
        print(f"step {step}: picture off by {loss.sqrt():.5f}, turn off by {turn:.4f} radians")
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
Image.fromarray(np.asarray(to_uint8(picture))).save("shaken.png")
