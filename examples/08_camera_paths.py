"""Fly around a scene: cameras on a smooth path through a few given ones, as pictures and as a file.

`orbit`, `swing` and `spiral` make paths of photographs' cameras in the same way, and `write_path` keeps one for
`hyperfocal render RESULT --path FILE`.
"""

import torch
from PIL import Image

import hyperfocal as hf
from hyperfocal.camera import stack
from hyperfocal.color import to_uint8
from hyperfocal.export.path_json import write_path
from hyperfocal.gaussians import from_points
from hyperfocal.paths import CameraPath, Keyframe, through
from hyperfocal.transforms import look_at

torch.manual_seed(0)
ball = torch.nn.functional.normalize(torch.randn(2000, 3), dim=1)
gaussians = from_points(ball, (ball + 1) / 2, torch.full((2000,), 0.05), opacity=0.9)

eyes = torch.tensor([[0.0, -1.0, -4.0], [3.0, -2.0, -2.5], [4.0, 0.0, 0.0], [2.0, 1.0, 2.0]])
poses = [look_at(eye, target=torch.zeros(3), up=torch.tensor([0.0, -1.0, 0.0])) for eye in eyes]
cameras = [hf.Camera(pose, torch.tensor([200.0, 200.0]), torch.tensor([80.0, 60.0]), 160, 120) for pose in poses]
write_path("path.json", CameraPath(tuple(Keyframe(2.0 * i, c) for i, c in enumerate(cameras)), seconds=6.0))

film = through(stack(cameras), 24)
frames = [Image.fromarray(to_uint8(hf.render(gaussians, film[i]).color).numpy()) for i in range(24)]
frames[0].save("flight.webp", save_all=True, append_images=frames[1:], duration=80, loop=0)
steps = film.centers().diff(dim=0).norm(dim=1)
print(f"flight.webp: {len(frames)} frames, {steps.min():.2f} to {steps.max():.2f} units from one to the next")
