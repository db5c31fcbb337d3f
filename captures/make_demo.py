"""Makes what `hyperfocal demo` reconstructs and is judged by: python captures/make_demo.py OUT.

OUT/photographs holds 24 photographs of 480 x 320 px, every one of them out of focus in places. OUT/sharp holds every
eighth view without blur, and OUT/truth.json how all were taken. The extra `synthetic` brings Mitsuba.
"""

import json
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image

from hyperfocal.bench.ray_tracing import stage
from hyperfocal.color import srgb_from_linear, to_uint8
from hyperfocal.synthetic.cameras import intrinsics, two_ring_path
from hyperfocal.synthetic.mitsuba_capture import DEPTH_UNIT, CaptureFiles, render_capture
from hyperfocal.synthetic.softness import Softness

SCENE_SEED, PATH_SEED, SOFT_SEED = 2, 0, 2
VIEWS, HELD_OUT_EVERY = 24, 8
SIZE, FOCAL_LENGTH_35MM = (480, 320), 35.0
CIRCLE_PX = 5.0  # median
SAMPLES, SAMPLES_OF_TRUTH = 128, 192  # light paths a pixel
JPEG_QUALITY = 92
ENDS = (0.05, 0.95)  # of 1 / z of all pixels, between which lies the scene's range
VARIANT = "llvm_ad_rgb"


def report(what: str, done: int, total: int) -> None:
    """Say how far it is."""
    sys.stderr.write(f"\r{what}: {done} of {total}   ")


def main(out: Path) -> None:
    """Render all of it."""
    with TemporaryDirectory() as folder:
        capture = Path(folder)
        path = render_capture(
            capture,
            scene_seed=SCENE_SEED,
            path_seed=PATH_SEED,
            views=VIEWS,
            width=SIZE[0],
            height=SIZE[1],
            samples=SAMPLES,
            softness=Softness(circle_px=CIRCLE_PX, seed=SOFT_SEED),
            focal_length_35mm=FOCAL_LENGTH_35MM,
            variant=VARIANT,
            files=CaptureFiles("jpeg", JPEG_QUALITY, subject_distance=False),
            on_progress=lambda done, total: report("soft", done, total),
        )
        for kind in ("photographs", "sharp"):
            (out / kind).mkdir(parents=True, exist_ok=True)
        for photograph in sorted(capture.glob("*.jpg")):
            shutil.copy(photograph, out / "photographs" / photograph.name)
        lens = json.loads((capture / "lens.json").read_text())
        steps = [np.asarray(Image.open(file)).astype(float) for file in sorted((capture / "depth").glob("*.png"))]
    inverse = np.concatenate([1 / (DEPTH_UNIT * z[z > 0]) for z in steps])
    truth = {
        "axes": "opencv",
        "units": "metres",
        "circle_px": lens["circle_px"],
        "inverse_range": float(np.diff(np.quantile(inverse, ENDS))[0]),
        "photographs": [
            {
                "image": taken["image"],
                "world_to_camera": pose.tolist(),
                "aperture_diameter": taken["aperture_diameter"],
                "focus_distance": taken["focus_distance"],
            }
            for taken, pose in zip(lens["photographs"], path.world_to_camera, strict=True)
        ],
    }
    (out / "truth.json").write_text(json.dumps(truth, indent=1) + "\n")
    write_sharp(out / "sharp")


def write_sharp(folder: Path) -> None:
    """Write every eighth view without blur, in 8 bits without loss."""
    poses = two_ring_path(VIEWS, seed=PATH_SEED)
    for view in range(0, VIEWS, HELD_OUT_EVERY):
        light = stage(SCENE_SEED).light(
            poses[view],
            intrinsics(*SIZE, FOCAL_LENGTH_35MM),
            SIZE,
            lens=None,
            seed=(1, view),
            samples=SAMPLES_OF_TRUTH,
            progress=report,
        )
        linear = torch.from_numpy(light).clamp(0, 1)
        Image.fromarray(to_uint8(srgb_from_linear(linear)).numpy()).save(folder / f"{view:04}.png", optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
