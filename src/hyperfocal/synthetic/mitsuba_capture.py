"""Renders a still life into a capture: photographs, exact depth and exact cameras in a folder."""

import dataclasses
import io
import json
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Float32

from ..errors import BadInputError
from ..files import write_bytes
from . import cameras
from .cameras import CameraPath
from .mitsuba_scene import (
    SAMPLES_PER_PASS,
    CaptureLens,
    load_mitsuba,
    mean_light,
    mitsuba_scene,
    trace_depth,
)
from .softness import Exposure, Softness, lens_json, plan_exposures
from .still_life import build_still_life

DEPTH_UNIT = 1e-4  # metres a step of the 16-bit depth pictures
EXIF_IFD, EXIF_FOCAL_LENGTH, EXIF_FOCAL_LENGTH_35MM, EXIF_F_NUMBER = 0x8769, 0x920A, 0xA405, 0x829D
EXIF_MAKE, EXIF_MODEL, EXIF_SUBJECT_DISTANCE = 0x010F, 0x0110, 0x9206


@dataclasses.dataclass(frozen=True)
class CaptureFiles:
    """What a capture writes besides cameras.json, transforms.json and, of soft photographs, lens.json."""

    photographs: Literal["png8", "png16", "jpeg"] = "png8"
    jpeg_quality: int = 92
    linear: bool = False  # also linear/NAME.npz, float32 `linear` [h, w, 3]
    depth: Literal["png16", "npz", "none"] = "png16"  # npz holds float32 `z` [h, w], metres
    cameras: bool = True
    subject_distance: bool = True  # in the EXIF of JPEG photographs with a lens


def render_capture(
    out_dir: Path,
    *,
    scene_seed: int = 0,
    views: int = 24,
    width: int = 320,
    height: int = 240,
    samples: int = 256,
    lens: CaptureLens | None = None,
    softness: Softness | None = None,
    focal_length_35mm: float = 35.0,
    path_seed: int = 0,
    render_seed: int = 0,
    variant: str = "scalar_rgb",
    files: CaptureFiles | None = None,
    detail: float = 1.0,
    on_progress: Callable[[int, int], None] | None = None,
) -> CameraPath:
    """Render a still life from a loop of cameras into `out_dir` and return the cameras.

    Args:
        out_dir: Made if missing; files of the same names are replaced, each at once.
        scene_seed: Which still life.
        views: Photographs.
        width: Pixels.
        height: Pixels.
        samples: Light paths a pixel, shared by the moments of an exposure; of more than `SAMPLES_PER_PASS` a moment, in
            whole passes of that many.
        lens: Thin lens for all photographs; `None` is the pinhole. Depth is always that of the pinhole.
        softness: A lens for each photograph and a moving camera, in place of `lens`. The cameras are then those in the
            middle of each exposure, and depth is theirs.
        focal_length_35mm: Millimetres for a frame 36 mm wide.
        path_seed: Unevenness of the camera path.
        render_seed: Noise; the same seed and variant give the same files.
        variant: Of Mitsuba.
        files: Which files in which form.
        detail: Factor on the resolution of all textures.
        on_progress: Called with passes done and passes in all.

    Raises:
        BadInputError: both a lens and softness, or softness that cannot be had.
    """
    if lens is not None and softness is not None:
        raise BadInputError("A capture was given both `lens` and `softness`, which chooses the lenses; expected one.")
    files = files or CaptureFiles()
    mitsuba = load_mitsuba(variant)
    scene = mitsuba_scene(mitsuba, build_still_life(scene_seed, detail=detail))
    poses = cameras.two_ring_path(views, seed=path_seed)
    path = CameraPath(poses, cameras.intrinsics(width, height, focal_length_35mm), width, height)
    soft = lens is not None or softness is not None
    depths = []
    if soft or files.depth != "none":
        depths = [trace_depth(mitsuba, scene, pose, path.K, (width, height)) for pose in poses]
    if softness is not None:
        exposures = plan_exposures(softness, poses, path.K, depths)
    else:
        exposures = tuple(Exposure(lens, np.zeros(6), pose) for pose in poses)
    moments = softness.sub_frames if softness is not None and any(e.moves for e in exposures) else 1
    passes = max(round(samples / moments / SAMPLES_PER_PASS), 1)

    def passed(view: int, done: int) -> None:
        if on_progress:
            on_progress(view * moments * passes + done, views * moments * passes)

    names = []
    for view, exposure in enumerate(exposures):
        light = mean_light(
            mitsuba,
            scene,
            [exposure.pose((moment + 0.5) / moments) for moment in range(moments) for _ in range(passes)],
            path.K,
            (width, height),
            samples=min(math.ceil(samples / moments), SAMPLES_PER_PASS),
            seed=(render_seed, view),
            lens=exposure.lens,
            on_pass=partial(passed, view),
        )
        names.append(_write_photograph(out_dir, f"{view:04d}", light, files, focal_length_35mm, exposure.lens))
        if files.depth != "none":
            _write_depth(out_dir, f"{view:04d}", depths[view], files)
    if files.cameras:
        write_cameras(out_dir, names, path, depth=files.depth)
        if soft:
            truth = lens_json(names, exposures, path.K, depths, sub_frames=moments)
            _write(out_dir / "lens.json", (json.dumps(truth, indent=1) + "\n").encode())
    return path


def _write_photograph(
    out_dir: Path,
    stem: str,
    linear: Float[np.ndarray, "h w 3"],
    files: CaptureFiles,
    focal_length_35mm: float,
    lens: CaptureLens | None,
) -> str:
    """Write one photograph and return its path from `out_dir`."""
    import cv2
    import torch
    from PIL import Image

    from ..color import srgb_from_linear

    encoded = srgb_from_linear(torch.from_numpy(np.clip(linear, 0, 1))).numpy()
    if files.linear:
        buffer = io.BytesIO()
        np.savez_compressed(buffer, linear=linear.astype(np.float32))
        _write(out_dir / "linear" / f"{stem}.npz", buffer.getvalue())
    eight = np.round(encoded * 255).astype(np.uint8)
    buffer = io.BytesIO()
    if files.photographs == "jpeg":
        exif = Image.Exif()
        exif[EXIF_MAKE], exif[EXIF_MODEL] = "hyperfocal", "hyperfocal synthetic"
        details = exif.get_ifd(EXIF_IFD)
        details[EXIF_FOCAL_LENGTH], details[EXIF_FOCAL_LENGTH_35MM] = focal_length_35mm, round(focal_length_35mm)
        if lens:
            details[EXIF_F_NUMBER] = focal_length_35mm / 2000 / lens.aperture_radius
            if files.subject_distance:
                details[EXIF_SUBJECT_DISTANCE] = lens.focus_distance
        Image.fromarray(eight).save(buffer, "JPEG", quality=files.jpeg_quality, subsampling=0, optimize=True, exif=exif)
        name = f"{stem}.jpg"
    elif files.photographs == "png8":
        Image.fromarray(eight).save(buffer, "PNG", optimize=True)
        name = f"images/{stem}.png"
    else:
        done, data = cv2.imencode(".png", np.round(encoded[..., ::-1] * 65535).astype(np.uint16))
        assert done
        buffer.write(data.tobytes())
        name = f"images/{stem}.png"
    _write(out_dir / name, buffer.getvalue())
    return name


def _write_depth(out_dir: Path, stem: str, z: Float32[np.ndarray, "h w"], files: CaptureFiles) -> None:
    """Write the camera z of one view."""
    from PIL import Image

    buffer = io.BytesIO()
    if files.depth == "npz":
        np.savez_compressed(buffer, z=z)
        _write(out_dir / "depth" / f"{stem}.npz", buffer.getvalue())
        return
    steps = np.round(z.astype(float) / DEPTH_UNIT)
    if steps.max() > 65535:
        raise BadInputError(
            f"Depth of view {stem} reaches {z.max():.2f} m, beyond {65535 * DEPTH_UNIT:.2f} m of png16; use npz."
        )
    Image.fromarray(steps.astype(np.uint16)).save(buffer, "PNG", optimize=True)
    _write(out_dir / "depth" / f"{stem}.png", buffer.getvalue())


def write_cameras(out_dir: Path, names: list[str], path: CameraPath, *, depth: Literal["png16", "npz", "none"]) -> None:
    """Write cameras.json (OpenCV world_to_camera) and transforms.json (nerfstudio: OpenGL camera-to-world)."""
    size = {"width": path.width, "height": path.height}
    views: list[dict[str, Any]] = [
        {"image": name, **size, "K": path.K.tolist(), "world_to_camera": pose.tolist()}
        for name, pose in zip(names, path.world_to_camera, strict=True)
    ]
    if depth == "png16":
        for view in views:
            view["depth"] = {"file": f"depth/{Path(view['image']).stem}.png", "units_per_step": DEPTH_UNIT}
    plain: dict[str, Any] = {"axes": "opencv", "units": "metres", "metres_per_unit": 1.0, "up": [0.0, 0.0, 1.0]}
    plain |= {"photographs": ".", "views": views}
    frames = []
    for name, pose in zip(names, path.world_to_camera, strict=True):
        frame = {"file_path": name, "transform_matrix": (np.linalg.inv(pose) @ np.diag([1.0, -1, -1, 1])).tolist()}
        if depth != "none":
            frame["depth_file_path"] = f"depth/{Path(name).stem}.{depth[:3]}"
        frames.append(frame)
    nerfstudio: dict[str, Any] = {
        "camera_model": "PINHOLE",
        "fl_x": path.K[0, 0],
        "fl_y": path.K[1, 1],
        "cx": path.K[0, 2],
        "cy": path.K[1, 2],
        "w": path.width,
        "h": path.height,
        "frames": frames,
    }
    if depth == "png16":
        nerfstudio = {"depth_unit_scale_factor": DEPTH_UNIT} | nerfstudio
    _write(out_dir / "cameras.json", (json.dumps(plain, indent=1) + "\n").encode())
    _write(out_dir / "transforms.json", (json.dumps(nerfstudio, indent=1) + "\n").encode())


def _write(target: Path, data: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(target, data)
