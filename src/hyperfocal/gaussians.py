"""`Gaussians`: a set of 3D Gaussians with activated, physical values."""

from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Float
from torch import Tensor

from . import sh as spherical_harmonics
from .color import ColorSpace
from .transforms import quaternion_from_rotation, rotation_from_quaternion


@dataclass(frozen=True)
class Gaussians:
    """Anisotropic 3D Gaussians with colour, as *activated* values; logs and logits exist only in `fit` and in files.

    Raises:
        ValueError: the tensors disagree about the number of Gaussians.
    """

    means: Float[Tensor, "n 3"]
    """Centres in scene units."""
    quaternions: Float[Tensor, "n 4"]
    """Orientation, wxyz; need not be of unit length."""
    scales: Float[Tensor, "n 3"]
    """Standard deviations along the own axes in scene units, > 0."""
    opacities: Float[Tensor, " n"]
    """Peak opacity in (0, 1)."""
    sh: Float[Tensor, "n k 3"]
    """Spherical-harmonics coefficients, k = (degree + 1)^2."""
    color_space: ColorSpace = "srgb"
    """The space of the colours: what a render of them is in."""

    def __post_init__(self) -> None:
        counts = {name: len(tensor) for name, tensor in self.tensors().items()}
        if len(set(counts.values())) > 1:
            raise ValueError(f"Every field of Gaussians must describe the same Gaussians, got lengths {counts}.")
        spherical_harmonics.degree_of(self.sh.shape[1])

    def __len__(self) -> int:
        return len(self.means)

    def __repr__(self) -> str:
        return f"Gaussians({len(self):,}, SH degree {self.sh_degree}, {self.color_space}, {self.means.device})"

    @property
    def sh_degree(self) -> int:
        """Degree of the spherical harmonics, 0 to 3."""
        return spherical_harmonics.degree_of(self.sh.shape[1])

    @property
    def device(self) -> torch.device:
        """Where the tensors live."""
        return self.means.device

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensor fields by name."""
        return {f.name: value for f in fields(self) if isinstance(value := getattr(self, f.name), Tensor)}

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> "Gaussians":
        """Return the same Gaussians on another device or in another floating-point type."""
        return replace(self, **{k: t.to(device=device, dtype=dtype) for k, t in self.tensors().items()})

    def detach(self) -> "Gaussians":
        """Return the same values without gradient history."""
        return replace(self, **{k: t.detach() for k, t in self.tensors().items()})

    def select(self, index: Tensor) -> "Gaussians":
        """Return the Gaussians at a boolean mask or at integer positions."""
        return replace(self, **{k: t[index] for k, t in self.tensors().items()})

    def covariances(self) -> Float[Tensor, "n 3 3"]:
        """Return the covariance matrices R diag(scales^2) R^T."""
        half = rotation_from_quaternion(self.quaternions) * self.scales.unsqueeze(-2)
        return half @ half.transpose(-1, -2)

    def transformed(self, scale: float, rotation: Float[Tensor, "3 3"], translation: Float[Tensor, "3"]) -> "Gaussians":
        """Return the Gaussians moved by x -> scale rotation x + translation; colours must not depend on direction.

        Raises:
            ValueError: the colours depend on direction; call `with_sh_degree(0)` first.
        """
        if self.sh_degree > 0:
            raise ValueError("Rotating view-dependent colours is not served; call with_sh_degree(0) first.")
        turned = rotation @ rotation_from_quaternion(self.quaternions)
        return replace(
            self,
            means=scale * self.means @ rotation.T + translation,
            scales=scale * self.scales,
            quaternions=quaternion_from_rotation(turned),
        )

    def with_sh_degree(self, degree: int) -> "Gaussians":
        """Return the Gaussians with coefficients cut or zero-filled to `degree`."""
        k = spherical_harmonics.coefficient_count(degree)
        kept = self.sh[:, :k]
        return replace(self, sh=torch.nn.functional.pad(kept, (0, 0, 0, k - kept.shape[1])))


def concatenate(parts: list[Gaussians]) -> Gaussians:
    """Return all Gaussians of `parts` as one set, at the highest degree among them.

    Raises:
        ValueError: no parts, or parts in different colour spaces.
    """
    spaces = {part.color_space for part in parts}
    if len(spaces) != 1:
        raise ValueError(f"Only Gaussians of one colour space can be joined, got {sorted(spaces)}.")
    degree = max(part.sh_degree for part in parts)
    columns = [part.with_sh_degree(degree).tensors() for part in parts]
    return Gaussians(**{k: torch.cat([c[k] for c in columns]) for k in columns[0]}, color_space=parts[0].color_space)


def from_points(
    positions: Float[Tensor, "n 3"],
    colors: Float[Tensor, "n 3"],
    scales: Float[Tensor, " n"],
    *,
    opacity: float = 0.1,
    sh_degree: int = 3,
) -> Gaussians:
    """Return round Gaussians at coloured points.

    Args:
        positions: Centres in scene units.
        colors: sRGB in [0, 1].
        scales: Standard deviation of each, in scene units.
        opacity: Opacity of all of them.
        sh_degree: Degree of the coefficients; those above 0 start at zero.
    """
    n = len(positions)
    identity = positions.new_zeros(n, 4)
    identity[:, 0] = 1
    return Gaussians(
        means=positions,
        quaternions=identity,
        scales=scales.unsqueeze(-1).expand(n, 3).contiguous(),
        opacities=positions.new_full((n,), opacity),
        sh=spherical_harmonics.dc_from_color(colors).unsqueeze(1),
    ).with_sh_degree(sh_degree)
