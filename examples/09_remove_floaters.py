"""Remove floaters: Gaussians that hang alone, stand in a camera's way, or that no photograph shows.

`hyperfocal clean RESULT` does this with a whole result, and measures it on the photographs.
"""

import torch

import hyperfocal as hf
from hyperfocal import metrics
from hyperfocal.gaussians import concatenate, from_points
from hyperfocal.reconstruct.clean import clean
from hyperfocal.transforms import look_at

torch.manual_seed(0)
ball = torch.nn.functional.normalize(torch.randn(4000, 3), dim=1)
surface = from_points(ball, (ball + 1) / 2, torch.full((4000,), 0.08), opacity=0.9)
floaters = from_points(4 * torch.randn(40, 3), torch.ones(40, 3), torch.full((40,), 0.03), opacity=0.8)
scene = concatenate([surface, floaters])

eyes = [torch.tensor([4 * torch.sin(a), -1.0, -4 * torch.cos(a)]) for a in torch.arange(6.0)]
poses = [look_at(eye, target=torch.zeros(3), up=torch.tensor([0.0, -1.0, 0.0])) for eye in eyes]
cameras = [hf.Camera(pose, torch.tensor([200.0, 200.0]), torch.tensor([80.0, 60.0]), 160, 120) for pose in poses]
cleaned = clean(scene, tuple(cameras))

print(f"{len(scene)} Gaussians before, {len(cleaned.gaussians)} after: {cleaned.counts}")
print(f"of the {len(floaters)} floaters {int(cleaned.removed[len(surface) :].sum())} are gone")
truth = hf.render(surface, cameras[0]).color
for name, gaussians in (("before", scene), ("after", cleaned.gaussians)):
    print(f"{name}: {metrics.psnr(hf.render(gaussians, cameras[0]).color, truth):.1f} dB to the ball without floaters")
