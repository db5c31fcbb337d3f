"""Stop a fit, keep it as a file, and go on later: the result has the same bits as one that was never stopped."""

import torch

import hyperfocal as hf
from hyperfocal.gaussians import from_points

torch.manual_seed(0)
ball = torch.nn.functional.normalize(torch.randn(300, 3), dim=1) + torch.tensor([0.0, 0.0, 4.0])
world = from_points(ball, torch.rand(300, 3), torch.full((300,), 0.1), opacity=0.9)
camera = hf.Camera(torch.eye(4), torch.tensor([80.0, 80.0]), torch.tensor([32.0, 32.0]), width=64, height=64)
image = hf.render(world, camera).color.detach().clamp(0, 1)
photographs = (hf.Photograph("front.png", image, torch.ones(64, 64, dtype=torch.bool), camera),)
start, config = (
    from_points(ball, torch.full((300, 3), 0.5), torch.full((300,), 0.1), opacity=0.5),
    hf.FitConfig(steps=60),
)

steps = hf.fit(photographs, start, config)
for _ in range(24):
    next(steps)
hf.write_checkpoint("fit.safetensors", next(steps).checkpoint())
*_, last = steps  # on to the end
never_stopped = last.gaussians()

checkpoint = hf.read_checkpoint("fit.safetensors")
*_, last = hf.fit(photographs, start, config, resume=checkpoint)
same = all(torch.equal(a, last.gaussians().tensors()[name]) for name, a in never_stopped.tensors().items())
print(f"stopped after {checkpoint.taken} of {checkpoint.steps} steps and gone on: same bits: {same}")
