"""What is fitted for each photograph beside the Gaussians: colours, a correction of its pose, its lens and motion."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..camera import Camera
from ..lens import ThinLens
from ..native.adam import adam_step_
from ..scene import Exif
from ..shapes import Image
from ..shutter import MotionPath, Shutter
from ..transforms import rigid, rotation_from_quaternion
from . import bilateral_grid
from .config import CaptureConfig

FARTHEST = 1e-3  # focus, in units of the scene's range of 1 / z: beyond is infinity, for all that can be seen


@dataclass(frozen=True)
class CaptureParameters:
    """One row for each photograph; zeros are the photograph as it came."""

    exposure: Float[Tensor, "v 3 4"]
    """[A - 1 | b] of the colour A c + b that the photograph shows of a colour c."""
    pose: Float[Tensor, "v 6"]
    """Turn (axis times angle, where it is small) and shift (scene units) of the camera, after its world_to_camera."""
    grid: Float[Tensor, "v 3 4 luma rows columns"]
    """[A - 1 | b] as of `exposure`, at the nodes of a bilateral grid; no nodes where none is fitted."""
    aperture: Float[Tensor, "v 1"]
    """Logarithm of the aperture's diameter in scene units, the same in all of a group."""
    focus: Float[Tensor, "v 1"]
    """1 / focus distance in scene units; 0 where no lens is known, which is the pinhole."""
    motion: Float[Tensor, "v 6"]
    """Twist of the camera from shutter open to shutter closed, in camera axes: radians, then scene units."""

    def __len__(self) -> int:
        return len(self.pose)

    def row(self, photograph: int, names: Iterable[str]) -> dict[str, Tensor]:
        """Return some fields of one photograph, by name."""
        return {name: getattr(self, name)[photograph] for name in names}

    @property
    def blur_names(self) -> tuple[str, ...]:
        """The fields about blur that was found."""
        return (("aperture", "focus") if self.has_lens else ()) + (("motion",) if self.has_motion else ())

    @property
    def has_lens(self) -> bool:
        """Whether a lens was found."""
        return bool((self.focus > 0).any())

    @property
    def has_motion(self) -> bool:
        """Whether motion was found."""
        return bool((self.motion != 0).any())

    def tensors(self) -> dict[str, Tensor]:
        """Return the fields by name."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


@dataclass(frozen=True)
class TrainableCapture:
    """The parameters of all photographs with Adam's moments; changed in place by `step_`."""

    values: CaptureParameters
    first: CaptureParameters
    second: CaptureParameters
    visits: Int[Tensor, " v"]
    """Steps that each photograph has had."""
    groups: Int[Tensor, " v"]
    """Of photographs that share an aperture."""


def as_captured(
    count: int, config: CaptureConfig | None = None, groups: Int[Tensor, " v"] | None = None
) -> TrainableCapture:
    """Return the parameters of `count` photographs taken as they came.

    Args:
        count: Of the photographs.
        config: None is the default.
        groups: Of photographs that share an aperture; None is one group.
    """
    nodes = grid_nodes(config or CaptureConfig())

    def zeros() -> CaptureParameters:
        return CaptureParameters(
            exposure=torch.zeros(count, 3, 4),
            pose=torch.zeros(count, 6),
            grid=torch.zeros(count, 3, 4, *nodes),
            aperture=torch.zeros(count, 1),
            focus=torch.zeros(count, 1),
            motion=torch.zeros(count, 6),
        )

    none = torch.zeros(count, dtype=torch.int64)
    return TrainableCapture(zeros(), zeros(), zeros(), none, none.clone() if groups is None else groups)


def aperture_groups(exifs: Sequence[Exif]) -> Int[Tensor, " v"]:
    """Return a number for each photograph, the same for those of equal focal length and f-number, or unknown ones."""
    stops = [(exif.make, exif.model, exif.focal_length_mm, exif.f_number) for exif in exifs]
    numbers = {stop: number for number, stop in enumerate(dict.fromkeys(stops))}
    return torch.tensor([numbers[stop] for stop in stops], dtype=torch.int64)


def grid_nodes(config: CaptureConfig) -> tuple[int, int, int]:
    """Return the nodes of `CaptureParameters.grid` along luma, y and x."""
    columns, rows, luma = config.grid
    return (luma, rows, columns) if config.exposure == "grid" else (0, 0, 0)


def fitted(config: CaptureConfig, values: CaptureParameters) -> tuple[str, ...]:
    """Return the fields of `CaptureParameters` that are fitted: blur only from when it was found on."""
    names = {"off": (), "affine": ("exposure",), "grid": ("grid",)}[config.exposure]
    return names + (("pose",) if config.pose else ()) + values.blur_names


def lens_of(row: dict[str, Tensor]) -> ThinLens | None:
    """Return the lens of one photograph; `row` is given by field. None is the pinhole."""
    if "focus" not in row or not float(row["focus"].detach()) > 0:
        return None
    return ThinLens(row["aperture"][0].exp(), 1 / row["focus"][0])


def shutter_of(row: dict[str, Tensor], config: CaptureConfig) -> Shutter | None:
    """Return the shutter of one photograph; `row` is given by field. None is the still frame."""
    if "motion" not in row:
        return None
    return Shutter(sub_frames=config.sub_frames, path=MotionPath.constant_velocity(row["motion"]))


def camera_of(camera: Camera, row: dict[str, Tensor]) -> Camera:
    """Return where a photograph was taken, whose row of the fitted `CaptureParameters` is given by field."""
    return corrected_camera(camera, row["pose"]) if "pose" in row else camera


def corrected_camera(camera: Camera, pose: Float[Tensor, "6"]) -> Camera:
    """Return a single camera moved by a row of `CaptureParameters.pose`."""
    turn = rotation_from_quaternion(torch.cat((torch.ones_like(pose[:1]), pose[:3] / 2)))
    correction = rigid(turn, pose[3:])
    return replace(camera, world_to_camera=correction @ camera.world_to_camera)


def exposed(color: Image, exposure: Float[Tensor, "3 4"]) -> Image:
    """Return colours as a photograph with a row of `CaptureParameters.exposure` shows them."""
    return color + color @ exposure[:, :3].T + exposure[:, 3]


def as_photographed(color: Image, row: dict[str, Tensor]) -> Image:
    """Return colours as a photograph shows them, whose row of the fitted `CaptureParameters` is given by field."""
    if "exposure" in row:
        color = exposed(color, row["exposure"])
    return bilateral_grid.sliced(color, row["grid"]) if "grid" in row else color


def regularizers(row: dict[str, Tensor], config: CaptureConfig) -> dict[str, Float[Tensor, ""]]:
    """Return the weighted terms of the loss, by name, about one photograph's row of the fitted parameters."""
    terms: dict[str, Tensor] = {}
    if "exposure" in row:
        terms["exposure"] = config.exposure_weight * row["exposure"].square().sum()
    if "grid" in row:
        # The mean over nodes: a grid that is the same everywhere costs what that exposure costs.
        terms["exposure"] = config.exposure_weight * row["grid"].square().sum((0, 1)).mean()
        terms["grid"] = config.grid_smoothness * bilateral_grid.roughness(row["grid"])
    return terms


@dataclass(frozen=True)
class Units:
    """Sizes in the scene by which the rates of `CaptureConfig` are multiplied."""

    extent: float
    """Of the scene: shifts of poses."""
    inverse_range: float
    """Of 1 / z in the scene: focus."""
    distance: float
    """Usual camera z: shifts while the shutter is open."""
    focal_px: float
    """Of the photographs at full size: streaks."""
    metres: float | None = None
    """In a scene unit: what EXIF says of lenses. None is not known."""


def step_(
    state: TrainableCapture,
    photograph: int,
    gradients: dict[str, Tensor],
    config: CaptureConfig,
    *,
    share: float,
    units: Units,
    threads: int,
) -> None:
    """Take one step of Adam on the row of one photograph, in place.

    Args:
        state: Of all photographs.
        photograph: Whose row it is.
        gradients: By the fields that are fitted.
        config: Rates at the first step; all fall to a hundredth by the last.
        share: How much of the run is over, in [0, 1].
        units: Of the rates.
        threads: Of the native kernel.
    """
    row = slice(photograph, photograph + 1)
    state.visits[row] += 1
    fall = 0.01**share
    turn, shift = config.pose_rate, config.pose_rate * units.extent
    streak = config.streak_rate_px / units.focal_px
    rates: dict[str, float | Tensor] = {
        "exposure": config.exposure_rate,
        "grid": config.exposure_rate,
        "pose": torch.tensor([turn] * 3 + [shift] * 3),
        "aperture": config.aperture_rate,
        "focus": config.focus_rate * units.inverse_range,
        "motion": torch.tensor([streak] * 3 + [streak * units.distance] * 3),
    }
    values, first, second = state.values.tensors(), state.first.tensors(), state.second.tensors()
    for name, gradient in gradients.items():
        adam_step_(
            values[name][row],
            gradient.unsqueeze(0).contiguous(),
            first[name][row],
            second[name][row],
            step=int(state.visits[photograph]),
            learning_rate=rates[name] * fall,
            threads=threads,
        )
        if name == "aperture":
            together = state.groups == state.groups[photograph]
            for tensors in (values, first, second):
                tensors[name][together] = tensors[name][photograph].clone()
    if "focus" in gradients:
        values["focus"][row].clamp_min_(FARTHEST * units.inverse_range)
