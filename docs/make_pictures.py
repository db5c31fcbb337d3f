"""Makes docs/images/demo.webp from a result folder: python docs/make_pictures.py hyperfocal_demo."""

import sys
from pathlib import Path

import torch
from PIL import Image

import hyperfocal as hf
from hyperfocal.color import to_uint8
from hyperfocal.reconstruct.pictures import depth_picture, depth_range

GAP_PX = 6
OUT = Path(__file__).parent / "images" / "demo.webp"

result = hf.read_result(sys.argv[1])
view = result.scored_views[0]
photograph = hf.load_photograph(view, long_side=result.config.long_side)
with torch.no_grad():
    rendering = hf.render(result.gaussians, photograph.camera)
span = depth_range([rendering.depth_median])
assert span is not None, "the view shows nothing"
gap = torch.ones(photograph.camera.height, GAP_PX, 3)
row = (photograph.image, gap, rendering.color, gap, depth_picture(rendering.depth_median, span))
Image.fromarray(to_uint8(torch.cat(row, dim=1)).numpy()).save(OUT, "WEBP", quality=84, method=6)
sys.stdout.write(f"{OUT}: view {view.name}, {OUT.stat().st_size / 1000:.0f} kB\n")
