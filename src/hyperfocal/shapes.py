"""The vocabulary of named tensor shapes.

Dimension names used throughout the library:

| name | meaning |
|---|---|
| `n` | Gaussians |
| `v` | views; `*v` is "no view dimension, or one" |
| `h`, `w` | image rows and columns |
| `k` | spherical-harmonics coefficients, `(degree + 1) ** 2` |
| `c` | channels |
| `p` | points |

A literal number (`3`, `4`) is a size that is fixed by meaning: xyz, rgb, a wxyz quaternion.
"""

from typing import TypeAlias

from jaxtyping import Bool, Float
from torch import Tensor

Image: TypeAlias = Float[Tensor, "h w 3"]  # red, green, blue; [0, 1] unless the colour space is linear
Images: TypeAlias = Float[Tensor, "*v h w 3"]
Map: TypeAlias = Float[Tensor, "h w"]  # one value a pixel
Maps: TypeAlias = Float[Tensor, "*v h w"]
Mask: TypeAlias = Bool[Tensor, "h w"]  # True where the pixel counts
Points3: TypeAlias = Float[Tensor, "*p 3"]
Pose: TypeAlias = Float[Tensor, "*v 4 4"]  # rigid transform acting on column vectors
