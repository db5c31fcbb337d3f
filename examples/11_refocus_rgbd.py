"""Refocus a picture with depth: a row of lights, near to far, through a lens focused on the middle one.

Any picture with depth will do. This one is linear, with lights far brighter than white, so that they become discs.
"""

import numpy as np
import torch
from PIL import Image

import hyperfocal as hf
from hyperfocal.color import srgb_from_linear, to_uint8
from hyperfocal.render.layers import defocus_layers

y, x = torch.meshgrid(torch.arange(120.0), torch.arange(200.0), indexing="ij")
image = 0.05 + 0.1 * ((x // 10 + y // 10) % 2).unsqueeze(-1) * torch.tensor([0.5, 0.7, 1.0])
depth_z = torch.full((120, 200), 8.0)
for i, z in enumerate((6.0, 4.0, 3.0, 2.0, 1.5)):  # in front of a wall, each on a pole
    pole, light = (x - 20 - 40 * i).abs() < 4, torch.hypot(x - 20 - 40 * i, y - 40) < 4
    image[pole & (y > 40)], depth_z[pole & (y > 40)] = 0.02, z
    image[light], depth_z[light] = torch.tensor([30.0, 18.0, 6.0]), z

lens = hf.ThinLens(aperture_diameter=torch.tensor(0.25, requires_grad=True), focus_distance=torch.tensor(3.0))
refocused = defocus_layers(image, depth_z, lens, focal_px=220.0, color_space="linear")
circles_px = lens.coc_diameter_px(depth_z[60, 20::40], torch.tensor(220.0)).detach()
print("circles of the lights in px, negative before the focus:", circles_px.round(decimals=1).tolist())
print(f"least alpha {refocused.alpha.min():.2f}: beside the poles the lens sees what the picture hides")
refocused.color.square().mean().backward()
print(f"the sharper, the brighter: d(mean square)/d(aperture) = {lens.aperture_diameter.grad:.2f}")

pictures = torch.cat((srgb_from_linear(image), srgb_from_linear(refocused.color.detach())), dim=1)
Image.fromarray(np.asarray(to_uint8(pictures))).save("refocused.png")
