"""Settings of structure from motion (loads neither torch nor pycolmap)."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class SfmConfig:
    """How cameras are found from photographs."""

    matching: Literal["auto", "exhaustive", "sequential"] = "auto"
    """Which pairs of photographs are compared: all of them, neighbours by name (video), or, for "auto", all of up to
    60 photographs and the most similar ones of larger sets."""
    sequential_overlap: int = 8
    """Neighbours by name that a photograph is compared with in sequential matching."""
    max_image_size_px: int = 1600
    """Photographs are searched for features at no more than this long side; positions keep full resolution."""
    max_features: int | None = None
    """Features a photograph; None is 8192 for up to 30 photographs and 4096 for more."""
    camera_sharing: Literal["auto", "single", "per_photograph"] = "auto"
    """Which photographs share focal length and distortion: those of one size, EXIF camera and EXIF focal length, all of
    one size, or none."""
    camera_model: Literal["auto", "pinhole", "simple_radial", "opencv", "fisheye"] = "auto"
    """Lens model to estimate; "auto" is opencv for a camera that took at least 8 photographs, else simple_radial."""
    threads: int | None = None
    """CPU threads; None is all."""
    seed: int = 0
    """Of every random choice. Bundle adjustment adds in an order that depends on the threads: with more than one,
    results repeat to rounding only."""

    def __post_init__(self) -> None:
        for name in ("sequential_overlap", "max_image_size_px", "max_features", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}.")
