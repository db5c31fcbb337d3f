"""Write Gaussians as the PLY file that viewers read, and get the same picture back from it."""

import torch

import hyperfocal as hf
from hyperfocal.gaussians import concatenate, from_points
from hyperfocal.transforms import look_at

torch.manual_seed(0)
ground = torch.rand(500, 3) * torch.tensor([2.0, 0.02, 2.0]) - torch.tensor([1.0, 0.0, 1.0])
ball = torch.nn.functional.normalize(torch.randn(500, 3), dim=1) * 0.4 - torch.tensor([0.0, 0.4, 0.0])
gaussians = concatenate(
    [
        from_points(ground, torch.rand(500, 3) * 0.3 + 0.3, torch.full((500,), 0.05), opacity=0.9),
        from_points(ball, ball + torch.tensor([0.5, 0.9, 0.5]), torch.full((500,), 0.04), opacity=0.9),
    ]
)
hf.write_ply("ball.ply", gaussians)
again = hf.read_ply("ball.ply")

pose = look_at(eye=torch.tensor([1.5, -1.5, -2.0]), target=torch.zeros(3), up=torch.tensor([0.0, -1.0, 0.0]))
camera = hf.Camera(pose, torch.tensor([250.0, 250.0]), torch.tensor([128.0, 96.0]), width=256, height=192)
difference = (hf.render(gaussians, camera).color - hf.render(again, camera).color).abs().max()
print(f"{again} from ball.ply; the pictures differ by {difference:.1e} at most")
