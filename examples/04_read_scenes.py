"""Read a COLMAP model, a nerfstudio transforms.json or plain photographs: always the same kind of `Scene`.

Reading never guesses: a camera that the source does not know is `None`, and what was skipped or repaired is in the
notes.
"""

import sys
from pathlib import Path

import hyperfocal as hf

folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "captures" / "still_life"
scene = hf.read_scene(folder)
print(scene)
print("scale:", "unknown" if scene.metres_per_unit is None else f"{scene.metres_per_unit} metres a unit")
for note in scene.notes:
    print("note:", note)
for view in scene.views[:3]:
    print(view.name, view.camera, view.distortion or "no distortion")

photograph = hf.load_photograph(scene.views[0], long_side=160)  # without distortion, with the camera that fits it
print(photograph.name, tuple(photograph.image.shape), f"{photograph.valid.float().mean():.0%} of the pixels count")
