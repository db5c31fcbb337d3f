"""Still lifes by Mitsuba, for benches that need a lens nobody here wrote: rendered once, kept as files."""

import ctypes.util
import math
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from ..files import replacing
from ..metrics import psnr
from ..progress import Progress
from ..shapes import Image, Mask
from ..synthetic.mitsuba_scene import (
    SAMPLES_PER_PASS,
    CaptureLens,
    load_mitsuba,
    mean_light,
    mitsuba_scene,
    render_light,
    trace_depth,
)
from ..synthetic.still_life import build_still_life


class Stage:
    """One still life in Mitsuba; ask `stage` for it.

    Pixels are square, and the principal point is in the middle.
    """

    def __init__(self, scene_seed: int) -> None:
        self._mitsuba: Any = vectorised_mitsuba()
        self._scene = mitsuba_scene(self._mitsuba, build_still_life(scene_seed))

    def depth_z(
        self, pose: Float[np.ndarray, "4 4"], K: Float[np.ndarray, "3 3"], size: tuple[int, int]
    ) -> Float[np.ndarray, "h w"]:
        """Return the pinhole's camera z in metres, 0 where nothing is. `pose` is world_to_camera."""
        return trace_depth(self._mitsuba, self._scene, pose, K, size)

    def light(
        self,
        pose: Float[np.ndarray, "4 4"],
        K: Float[np.ndarray, "3 3"],
        size: tuple[int, int],
        *,
        lens: CaptureLens | None,
        seed: tuple[int, int],
        samples: int,
        progress: Progress,
    ) -> Float[np.ndarray, "h w 3"]:
        """Return linear light, the mean of passes.

        Args:
            pose: world_to_camera.
            K: Pixels.
            size: (width, height), pixels.
            lens: None is the pinhole.
            seed: Of the noise.
            samples: Light paths a pixel.
            progress: Told of every pass.
        """
        passes = max(samples // SAMPLES_PER_PASS, 1)
        light = mean_light(
            self._mitsuba,
            self._scene,
            [pose] * passes,
            K,
            size,
            samples=min(samples, SAMPLES_PER_PASS),
            seed=seed,
            lens=lens,
            on_pass=lambda done: progress("ray tracing", done, passes),
        )
        return light.astype(np.float32)

    def frame(
        self,
        pose: Float[np.ndarray, "4 4"],
        K: Float[np.ndarray, "3 3"],
        size: tuple[int, int],
        *,
        lens: CaptureLens | None,
        seed: int,
        samples: int,
    ) -> Float[np.ndarray, "h w 3"]:
        """Return linear light of one pass; arguments are those of `light`."""
        return render_light(self._mitsuba, self._scene, pose, K, size, samples=samples, seed=seed, lens=lens)


@lru_cache(maxsize=1)
def stage(scene_seed: int) -> Stage:
    """Return a still life, built once for all pictures of it: that takes as long as one of them."""
    return Stage(scene_seed)


def noise_of_mean_db(one: Image, other: Image, valid: Mask | None = None) -> float:
    """Return the PSNR of the mean of two pictures of equal noise, against one without.

    The pictures differ by twice the variance of each, and their mean has half of it.
    """
    return psnr(one, other, valid) + 10 * math.log10(4)


def vectorised_mitsuba() -> Any:
    """Return Mitsuba, vectorised where libLLVM is found: the same pictures, many times as fast."""
    return load_mitsuba("llvm_ad_rgb" if ctypes.util.find_library("LLVM") else "scalar_rgb")


def kept(path: Path, make: Callable[[], np.ndarray]) -> np.ndarray:
    """Return the array of a file, made first if it is not there."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        array = make()
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.save(file, array)
    return np.load(path, allow_pickle=False)
