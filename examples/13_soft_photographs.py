"""Reconstruct photographs that are out of focus in places: a sharp scene, the lens of each, and all of them in focus.

The photographs are those of captures/still_life, small and blurred by a lens whose focus is drawn by lot. This few
steps show that it works: foci are about right then, and the aperture is still too small.
"""

from dataclasses import replace
from pathlib import Path

import torch

import hyperfocal as hf
from hyperfocal.fit import CaptureConfig, InitialConfig, McmcConfig
from hyperfocal.reconstruct.sharp import write_sharp
from hyperfocal.render.layers import defocus_layers

torch.set_num_threads(1)  # for pictures as small as this, threads cost more than they do: they wait for each other
sharp = hf.read_scene(Path(__file__).parents[1] / "captures" / "still_life")
views, foci = [], (0.7 + 0.8 * torch.rand(len(sharp.views), generator=torch.Generator().manual_seed(0))).tolist()
for view, focus in zip(sharp.posed_views, foci, strict=True):
    small = hf.load_photograph(view, long_side=120)
    assert small.depth_z is not None, "the capture has depth maps"
    lens = hf.ThinLens(torch.tensor(0.06), torch.tensor(focus))
    soft = defocus_layers(small.image, small.depth_z, lens, float(small.camera.focal_px[0])).color.clamp(0, 1)
    views.append(replace(view, image=soft, camera=small.camera, distortion=None))
scene = replace(sharp, views=tuple(views))
# Later than usual, as there are few steps: a lens is found by what the scene looks like by then.
capture = CaptureConfig(lens="on", blur_start=0.4, blur_check=0.4)
start, densify = InitialConfig(opacity=0.5, depth_points=6_000), McmcConfig(cap=7_000)
config = hf.FitConfig(steps=300, sh_degree=0, resolution=((0.0, 1),), initial=start, densify=densify, capture=capture)
result = hf.reconstruct(scene, hf.ReconstructConfig(fit=config))
assert result.lenses is not None, "a lens was asked for"
print(*result.notes, sep="\n")
print(f"aperture {result.lenses[0].aperture_diameter:.3f} m, true 0.060 m")
for found, focus in zip(result.lenses, foci, strict=True):
    print(f"{found.name}: focus {found.focus_distance:.2f} m, true {focus:.2f} m")
write_sharp(Path("sharp"), result.gaussians, result.scene, result.lenses, long_side=None)
