"""Stopping a fit and going on: all that it needs, as a value and as a file.

The file is one of `tensor_files`: no code in it, tensors by name, and the numbers as JSON in its header.
"""

from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from jaxtyping import Float, Int, UInt8
from torch import Tensor

from ..color import ColorSpace
from ..errors import BadInputError
from ..tensor_files import read_tensors, write_tensors
from .capture import CaptureParameters, TrainableCapture, Units
from .parameters import Parameters, Trainable

FORMAT, VERSION = "hyperfocal fit", 4


@dataclass(frozen=True)
class Checkpoint:
    """A fit between two steps. Going on from it gives the bits that going on at once would have given."""

    taken: int
    """Steps taken."""
    steps: int
    """Of the whole run."""
    photographs: tuple[str, ...]
    """Names, in their order."""
    color_space: ColorSpace
    units: Units
    clear_depths: Float[Tensor, " v"]
    """Camera z up to which the view of each camera is kept clear (`FitConfig.clear_view`)."""
    gaussians: Trainable
    capture: TrainableCapture
    blur_gains: dict[str, float]
    """By how much a lens and motion lowered the loss when they were found, as fractions; what was not looked for is
    missing."""
    memory: dict[str, Tensor | bool]
    """Of the density control, by the names of its fields."""
    order: Int[Tensor, " left"]
    """Photographs that are left of this epoch."""
    random_state: UInt8[Tensor, " bytes"]
    """Of the generator of every random choice."""


def write_checkpoint(path: Path | str, checkpoint: Checkpoint) -> None:
    """Write a checkpoint, whole or not at all.

    Raises:
        BadInputError: the folder is missing, read-only or full.
    """
    tensors: dict[str, Tensor] = {name: getattr(checkpoint, name) for name in ("order", "random_state", "clear_depths")}
    for group in ("values", "first", "second"):
        for part in ("gaussians", "capture"):
            named = getattr(getattr(checkpoint, part), group).tensors()
            tensors |= {f"{part}.{group}.{name}": tensor for name, tensor in named.items()}
    for name in ("visits", "groups"):
        tensors[f"capture.{name}"] = getattr(checkpoint.capture, name)
    flags = {}
    for name, value in checkpoint.memory.items():
        if isinstance(value, Tensor):
            tensors[f"memory.{name}"] = value
        else:
            flags[name] = value
    plain = {name: getattr(checkpoint, name) for name in ("taken", "steps", "photographs", "color_space")}
    plain |= {"units": asdict(checkpoint.units), "blur_gains": checkpoint.blur_gains}
    write_tensors(Path(path), FORMAT, VERSION, tensors, plain | {"memory": flags})


def read_checkpoint(path: Path | str) -> Checkpoint:
    """Return the checkpoint of a file.

    Raises:
        BadInputError: no such file, damaged, or of another version.
    """
    remedy = "Start the fit anew."
    tensors, plain = read_tensors(Path(path), FORMAT, VERSION, remedy=remedy)
    try:
        return _checked(_assembled(plain, tensors))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadInputError(
            f"The checkpoint {path} cannot be read ({type(error).__name__}: {error}). {remedy}"
        ) from error


def remember(memory: Any) -> dict[str, Tensor | bool]:
    """Return the memory of a density control, None or a frozen dataclass of tensors and flags, by field."""
    if memory is None:
        return {}
    return {
        f.name: value.clone() if isinstance(value := getattr(memory, f.name), Tensor) else value for f in fields(memory)
    }


def recall(fresh: Any, remembered: dict[str, Tensor | bool]) -> Any:
    """Return `fresh`, an empty memory of the same density control, with what was remembered in its place."""
    return fresh if fresh is None else replace(fresh, **remembered)


def _assembled(plain: dict[str, Any], tensors: dict[str, Tensor]) -> Checkpoint:
    def group(part: str, kind: type, name: str) -> Any:
        return kind(**{f.name: tensors[f"{part}.{name}.{f.name}"] for f in fields(kind)})

    memory = {name.removeprefix("memory."): t for name, t in tensors.items() if name.startswith("memory.")}
    return Checkpoint(
        taken=int(plain["taken"]),
        steps=int(plain["steps"]),
        photographs=tuple(map(str, plain["photographs"])),
        color_space=plain["color_space"],
        units=Units(**{f.name: _number(plain["units"][f.name]) for f in fields(Units)}),
        clear_depths=tensors["clear_depths"],
        gaussians=Trainable(*(group("gaussians", Parameters, name) for name in ("values", "first", "second"))),
        capture=TrainableCapture(
            values=group("capture", CaptureParameters, "values"),
            first=group("capture", CaptureParameters, "first"),
            second=group("capture", CaptureParameters, "second"),
            visits=tensors["capture.visits"],
            groups=tensors["capture.groups"],
        ),
        blur_gains={str(name): float(gain) for name, gain in plain["blur_gains"].items()},
        memory=memory | {name: bool(value) for name, value in plain["memory"].items()},
        order=tensors["order"],
        random_state=tensors["random_state"],
    )


def _number(plain: Any) -> Any:
    return None if plain is None else float(plain)


def _checked(checkpoint: Checkpoint) -> Checkpoint:
    """Return a checkpoint whose parts fit together.

    Raises:
        ValueError: they do not.
    """
    n, v = len(checkpoint.gaussians), len(checkpoint.photographs)
    for group in (checkpoint.gaussians.values, checkpoint.gaussians.first, checkpoint.gaussians.second):
        shapes = {name: tuple(t.shape) for name, t in group.tensors().items()}
        k = shapes["sh"][1]
        expected = {
            "means": (n, 3),
            "quaternions": (n, 4),
            "log_scales": (n, 3),
            "opacity_logits": (n,),
            "sh": (n, k, 3),
        }
        if shapes != expected:
            raise ValueError(f"shapes {shapes}, expected {expected}")
    if not 0 <= checkpoint.taken <= checkpoint.steps or checkpoint.color_space not in ("srgb", "linear"):
        raise ValueError(f"step {checkpoint.taken} of {checkpoint.steps} in {checkpoint.color_space!r}")
    if (
        len(checkpoint.capture.values) != v
        or len(checkpoint.clear_depths) != v
        or bool((checkpoint.order < 0).any() | (checkpoint.order >= v).any())
    ):
        raise ValueError(f"parameters of {len(checkpoint.capture.values)} photographs for {v}")
    if not checkpoint.gaussians.values.means.isfinite().all():
        raise ValueError("positions that are no numbers")
    return checkpoint
