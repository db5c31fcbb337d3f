"""`Scene`: photographs with what is known about their cameras, as the readers return it."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from .camera import Camera
from .distortion import Distortion
from .shapes import Image, Map, Mask


@dataclass(frozen=True)
class Exif:
    """What a photograph's file says about how it was taken; None is unknown."""

    focal_length_mm: float | None = None
    focal_length_35mm: float | None = None
    f_number: float | None = None
    exposure_s: float | None = None
    focus_distance_m: float | None = None
    """`math.inf` where the camera says infinity."""
    make: str | None = None
    model: str | None = None


@dataclass(frozen=True)
class DepthFile:
    """A depth map that came with a photograph; 0 and what is not finite are unknown."""

    path: Path
    """A 16-bit picture, an EXR or a NumPy file; any size of the photograph's shape."""
    units_per_step: float
    """Scene units of one step of the file's numbers."""
    kind: Literal["z", "ray_distance"] = "z"
    """Along the optical axis, or along the ray."""


@dataclass(frozen=True)
class View:
    """One photograph and what is known about its camera."""

    name: str
    """Unique in the scene: the path below the photograph folder, with forward slashes."""
    image: Path | Image
    """The file, or the pixels themselves (sRGB in [0, 1])."""
    camera: Camera | None = None
    """Of the photograph as decoded (see `orientation`), before distortion is removed; None while unknown."""
    distortion: Distortion | None = None
    """None is an ideal pinhole."""
    mask: Path | Mask | None = None
    """True (or non-zero in the file) where the photograph counts; the other way round if `mask_is_inverted`."""
    exif: Exif = field(default_factory=Exif)
    orientation: int = 1
    """How the stored pixels of a file (and of its mask) are turned when decoded: an EXIF orientation, 1 to 8.

    1 leaves them as stored, which is how the tools that write poses see them; plain photographs are turned upright.
    """
    depth: DepthFile | None = None
    """Measured or estimated by whoever made the source."""
    time_s: float | None = None
    """When a frame of a video was taken, from the start of the video."""
    mask_is_inverted: bool = False
    """The mask marks what does not count."""
    is_test: bool = False
    """Published for measuring: never to be fitted."""


@dataclass(frozen=True)
class Photograph:
    """A decoded photograph without lens distortion, with the pinhole camera that fits it."""

    name: str
    image: Image
    """sRGB in [0, 1]."""
    valid: Mask
    """False where the undistorted picture has no source pixel, and where the view's mask says so."""
    camera: Camera
    depth_z: Map | None = None
    """The depth map that came with it: camera z in scene units, 0 where unknown. None without one."""
    exif: Exif = field(default_factory=Exif)
    """Photographs of equal focal length and f-number were taken through equal apertures."""


@dataclass(frozen=True)
class PointCloud:
    """Coloured points in scene units, usually from structure from motion."""

    positions: Float[Tensor, "p 3"]
    colors: Float[Tensor, "p 3"]
    """sRGB in [0, 1]."""

    def __len__(self) -> int:
        return len(self.positions)


@dataclass(frozen=True)
class Scene:
    """Photographs of one place. The world frame and scale are those of the source; nothing is recentred.

    Raises:
        ValueError: two views share a name.
    """

    source: Path
    """The folder or file it was read from."""
    views: tuple[View, ...]
    points: PointCloud | None = None
    metres_per_unit: float | None = None
    """None when the scale is unknown; never guessed."""
    up: tuple[float, float, float] | None = None
    """Unit vector against gravity, when the source says so."""
    kind: Literal["photographs", "video", "focal_stack"] = "photographs"
    """A focal stack is one view focused at many distances: there are no poses to find."""
    format: str = "photographs"
    """What the source was recognised as, for people: "a COLMAP model", "a video", ..."""
    notes: tuple[str, ...] = ()
    """What the reader skipped or repaired, a sentence each, for the user to see."""

    def __post_init__(self) -> None:
        names = [view.name for view in self.views]
        if len(set(names)) < len(names):
            twice = sorted({name for name in names if names.count(name) > 1})
            raise ValueError(f"View names must be unique, got {twice} more than once.")

    def __repr__(self) -> str:
        points = "no points" if self.points is None else f"{len(self.points):,} points"
        return f"Scene({self.source.name}: {len(self.posed_views)} of {len(self.views)} views posed, {points})"

    @property
    def posed_views(self) -> tuple[View, ...]:
        """The views whose camera is known."""
        return tuple(view for view in self.views if view.camera is not None)

    def with_notes(self, *notes: str) -> "Scene":
        """Return the scene with more notes for the user."""
        return replace(self, notes=(*self.notes, *notes))


def split_views(views: tuple[View, ...], every: int) -> tuple[tuple[View, ...], tuple[View, ...]]:
    """Return (training views, held-out views): every `every`-th by name, from the first; 0 holds nothing out.

    Where some views are published for testing (`View.is_test`), these are what is held out; with 0 they are in neither.

    Raises:
        ValueError: `every` is 1 or negative.
    """
    if every < 0 or every == 1:
        raise ValueError(f"`every` must be 0 (hold nothing out) or at least 2, got {every}.")
    ordered = sorted(views, key=lambda view: view.name)
    if any(view.is_test for view in ordered):
        test = tuple(view for view in ordered if view.is_test)
        return tuple(view for view in ordered if not view.is_test), test if every else ()
    if every == 0:
        return tuple(ordered), ()
    return tuple(v for i, v in enumerate(ordered) if i % every), tuple(ordered[::every])


def camera_extent(views: tuple[View, ...]) -> float:
    """Return 1.1 times the largest distance of a camera centre from their mean.

    It scales the learning rates of positions (Kerbl et al. 2023).
    """
    centers = torch.stack([view.camera.centers() for view in views if view.camera is not None])
    return 1.1 * float((centers - centers.mean(0)).norm(dim=1).max())
