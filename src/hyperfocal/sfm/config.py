"""Settings of structure from motion (loads neither torch nor pycolmap)."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from .scale_spec import parse_scale

Capture: TypeAlias = Literal[
    "auto",  # what the scene says it is: a video, a drone's photographs (maker and GPS), else photographs
    "photographs",  # in any order
    "video",  # frames in order, one camera, places that are passed again
    "drone",  # photographs with GPS, of which near ones overlap
    "walk-round",  # photographs in order around something, the last beside the first
]
Matching: TypeAlias = Literal["auto", "exhaustive", "sequential", "revisiting", "loop", "nearby"]


@dataclass(frozen=True)
class SfmConfig:
    """How cameras are found from photographs.

    Raises:
        ValueError: a setting is out of range, or `scale` is not understood.
    """

    capture: Capture = "auto"
    """How the photographs were taken; decides what the settings below leave open ("auto" or none)."""
    matching: Matching = "auto"
    """Which pairs of photographs are compared. exhaustive: all. sequential: neighbours by name. revisiting: those and
    similar ones. loop: the same, and the last are neighbours of the first. nearby: nearest by GPS, and similar ones.
    auto: by capture; for photographs all of up to 60, of larger sets the similar ones."""
    sequential_overlap: int = 8
    """Neighbours by name that a photograph is compared with in sequential matching."""
    max_image_size_px: int = 1600
    """Photographs are searched for features at no more than this long side; positions keep full resolution."""
    max_features: int | None = None
    """Features a photograph; None is 8192 for up to 30 photographs, drones and walk-rounds, and 4096 for others."""
    thresholds: Literal["usual", "relaxed"] = "usual"
    """What a photograph must share with the others to be placed: 30 points and 25 % of its matches, or 15 and 15 %.
    Relaxed also lets a reconstruction begin with two photographs that see their points 4 degrees apart, not 16."""
    retry: bool = True
    """Where few photographs can be placed, try more pairs, relaxed thresholds and more features."""
    scale: str | None = None
    """Where metres come from. gps: positions in the photographs' EXIF. aruco:DICT,SIZE: printed markers of that
    dictionary and size, as aruco:4x4_50,0.05m. FILE: positions of cameras (CSV or JSON). Or a distance between two
    points that are named by their pixels in two or more photographs each: "A.jpg:x,y B.jpg:x,y / A.jpg:x,y B.jpg:x,y
    1.20m"."""
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
        if self.scale is not None:
            parse_scale(self.scale)
