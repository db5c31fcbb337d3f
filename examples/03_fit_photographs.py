"""Fit Gaussians to photographs whose cameras are known, one step at a time.

`fit` is an iterator: printing, saving, drawing and stopping are up to you. The photographs are those of
captures/still_life; give another folder with known cameras as the first argument. This few steps and Gaussians only
show that it works.
"""

import sys
from pathlib import Path

import hyperfocal as hf
from hyperfocal import metrics
from hyperfocal.fit import InitialConfig, McmcConfig
from hyperfocal.scene import split_views

folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "captures" / "still_life"
training, held_out = split_views(hf.read_scene(folder).posed_views, every=8)
photographs = tuple(hf.load_photograph(view, long_side=160) for view in training)
unseen = hf.load_photograph(held_out[0], long_side=160)

config = hf.FitConfig(steps=300, densify=McmcConfig(cap=10_000), initial=InitialConfig(random_points=5_000))
gaussians = hf.initialize_gaussians(hf.Scene(source=folder, views=training), config)
for step in hf.fit(photographs, gaussians, config):
    if step.index % 100 == 0 or step.is_last:
        gaussians = step.gaussians()
        picture = hf.render(gaussians, unseen.camera).color
        psnr_db = metrics.psnr(picture, unseen.image, unseen.valid)
        print(f"step {step.index}: loss {step.loss:.4f}, {step.count:,} Gaussians, unseen view {psnr_db:.2f} dB")
hf.write_ply("still_life.ply", gaussians)
