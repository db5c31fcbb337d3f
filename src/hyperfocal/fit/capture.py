"""What is fitted for each photograph beside the Gaussians: its exposure and a correction of its pose."""

from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..camera import Camera
from ..native.adam import adam_step_
from ..shapes import Image
from ..transforms import rigid, rotation_from_quaternion
from .config import CaptureConfig


@dataclass(frozen=True)
class CaptureParameters:
    """One row for each photograph; zeros are the photograph as it came."""

    exposure: Float[Tensor, "v 3 4"]
    """[A - 1 | b] of the colour A c + b that the photograph shows of a colour c."""
    pose: Float[Tensor, "v 6"]
    """Turn (axis times angle, where it is small) and shift (scene units) of the camera, after its world_to_camera."""

    def __len__(self) -> int:
        return len(self.pose)

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


def as_captured(count: int) -> TrainableCapture:
    """Return the parameters of `count` photographs taken as they came."""

    def zeros() -> CaptureParameters:
        return CaptureParameters(torch.zeros(count, 3, 4), torch.zeros(count, 6))

    return TrainableCapture(zeros(), zeros(), zeros(), torch.zeros(count, dtype=torch.int64))


def corrected_camera(camera: Camera, pose: Float[Tensor, "6"]) -> Camera:
    """Return a single camera moved by a row of `CaptureParameters.pose`."""
    turn = rotation_from_quaternion(torch.cat((torch.ones_like(pose[:1]), pose[:3] / 2)))
    correction = rigid(turn, pose[3:])
    return replace(camera, world_to_camera=correction @ camera.world_to_camera)


def exposed(color: Image, exposure: Float[Tensor, "3 4"]) -> Image:
    """Return colours as a photograph with a row of `CaptureParameters.exposure` shows them."""
    return color + color @ exposure[:, :3].T + exposure[:, 3]


def step_(
    state: TrainableCapture,
    photograph: int,
    gradients: dict[str, Tensor],
    config: CaptureConfig,
    *,
    share: float,
    extent: float,
    threads: int,
) -> None:
    """Take one step of Adam on the row of one photograph, in place.

    Args:
        state: Of all photographs.
        photograph: Whose row it is.
        gradients: By the fields that are fitted.
        config: Rates at the first step; all fall to a hundredth by the last.
        share: How much of the run is over, in [0, 1].
        extent: Size of the scene, the unit of shifts.
        threads: Of the native kernel.
    """
    row = slice(photograph, photograph + 1)
    state.visits[row] += 1
    fall = 0.01**share
    turn, shift = config.pose_rate * fall, config.pose_rate * fall * extent
    rates: dict[str, float | Tensor] = {
        "exposure": config.exposure_rate * fall,
        "pose": torch.tensor([turn] * 3 + [shift] * 3),
    }
    values, first, second = state.values.tensors(), state.first.tensors(), state.second.tensors()
    for name, gradient in gradients.items():
        adam_step_(
            values[name][row],
            gradient.unsqueeze(0).contiguous(),
            first[name][row],
            second[name][row],
            step=int(state.visits[photograph]),
            learning_rate=rates[name],
            threads=threads,
        )
