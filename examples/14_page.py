"""Write one HTML file that shows Gaussians in any browser, offline, through a lens to focus and stop down."""

import torch

import hyperfocal as hf
from hyperfocal.gaussians import from_points

torch.manual_seed(0)
ball = torch.nn.functional.normalize(torch.randn(3000, 3), dim=1)
gaussians = from_points(ball, (ball + 1) / 2, torch.full((3000,), 0.05), opacity=0.9)
hf.write_page("ball.html", gaussians)  # hf.read_ply("scene.ply") would do as well
hf.write_compressed_ply("ball.compressed.ply", gaussians)
print(f"ball.html shows {gaussians}; open it in a browser")
