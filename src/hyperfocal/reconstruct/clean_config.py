"""What cleaning removes, as plain values. This module loads no torch."""

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class CleanConfig:
    """Rules for Gaussians to remove, each on its own; 0 turns a rule off.

    The defaults are cautious: they take what photographs cannot show, or what hangs alone in the air.
    """

    min_opacity: float = 0.005
    """Remove what is less opaque than this, 0 to 1."""
    min_weight: float = 0.05
    """Remove what the fitted photographs hardly show: less than this many pixels in all of them together. (Summed
    blending weights; needs the cameras of a result.)"""
    near: float = 0.1
    """Remove what stands in a camera's way: within its picture and nearer than this share of its median depth (a sky
    does not count). (Needs the cameras of a result.)"""
    isolation: float = 8.0
    """Remove what hangs alone: as many standard deviations away from its third-nearest neighbour (the sum of both)."""
    max_size: float = 0.0
    """Remove what is huge: a standard deviation above this share of the scene's diagonal (98 % of the centres).
    Off by default, since a sky is huge, and rightly so."""
    crop: tuple[float, float, float, float, float, float] | None = None
    """Keep only centres in the box from (X0, Y0, Z0) to (X1, Y1, Z1), in scene units."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name != "crop" and not value >= 0:
                raise ValueError(f"`{field.name}` must be at least 0, got {value}.")
        if self.min_opacity > 1:
            raise ValueError(f"`min_opacity` must be at most 1, got {self.min_opacity}.")
        if self.near >= 1:
            raise ValueError(f"`near` must be a share below 1 of the median depth, got {self.near}.")
        if self.crop is not None and not all(a < b for a, b in zip(self.crop[:3], self.crop[3:], strict=True)):
            raise ValueError(f"`crop` must be two corners X0 Y0 Z0 X1 Y1 Z1 with X0 < X1 and so on, got {self.crop}.")
