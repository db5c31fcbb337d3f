"""Makes docs/images/demo.webp of what `hyperfocal demo` wrote: python docs/make_pictures.py hyperfocal_demo."""

import sys
from pathlib import Path

from PIL import Image

from hyperfocal.reconstruct.demo import COMPARISON

OUT = Path(__file__).parent / "images" / "demo.webp"

with Image.open(Path(sys.argv[1]) / COMPARISON) as picture:
    picture.save(OUT, "WEBP", quality=84, method=6)
sys.stdout.write(f"{OUT}: {OUT.stat().st_size / 1000:.0f} kB\n")
