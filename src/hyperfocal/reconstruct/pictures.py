"""Maps as pictures: perceptually even colour ramps, and images as data URIs for a page that loads nothing."""

import base64
import io
import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image as PillowImage
from torch import Tensor

from ..color import srgb_from_linear, to_uint8
from ..shapes import Image, Map, Mask


@dataclass(frozen=True)
class Ramp:
    """256 colours at even steps of lightness: equal steps of a value look equal, and a grey print still reads."""

    colors: Float[Tensor, "256 3"]

    def __call__(self, values: Map) -> Image:
        """Return the sRGB picture of values in [0, 1]; outside they are clamped."""
        return self.colors[(values.clamp(0, 1) * 255).round().long()]

    def css(self, stops: int = 12) -> str:
        """Return the ramp as the stops of a CSS gradient, from 0 to 1."""
        picked = to_uint8(self.colors[torch.linspace(0, 255, stops).round().long()])
        return ", ".join("#" + "".join(f"{channel:02x}" for channel in color) for color in picked.tolist())


def oklab_ramp(lightness: tuple[float, float], hue_deg: tuple[float, float], chroma: float) -> Ramp:
    """Return a straight walk in Oklab lightness while the hue turns; the chroma yields where sRGB ends.

    Oklab: Ottosson 2020, https://bottosson.github.io/posts/oklab/.
    """
    t = torch.linspace(0, 1, 256)
    level = lightness[0] + t * (lightness[1] - lightness[0])
    hue = torch.deg2rad(hue_deg[0] + t * (hue_deg[1] - hue_deg[0]))
    # The largest chroma inside sRGB, by bisection: the gamut's boundary has no closed form worth writing.
    low, high = torch.zeros(256), torch.full((256,), chroma)
    for _ in range(20):
        middle = (low + high) / 2
        linear = _linear_from_oklab(level, middle * hue.cos(), middle * hue.sin())
        inside = ((linear >= 0) & (linear <= 1)).all(1)
        low, high = torch.where(inside, middle, low), torch.where(inside, high, middle)
    # Where the walk meets the gamut's edge the eye sees a line; the mean of a moving minimum rounds it, still inside.
    window = 41
    padded = torch.nn.functional.pad(low.view(1, 1, -1), (window - 1, window - 1), mode="replicate")
    smallest = -torch.nn.functional.max_pool1d(-padded, window, stride=1)
    even = torch.nn.functional.avg_pool1d(smallest, window, stride=1).view(-1)
    return Ramp(srgb_from_linear(_linear_from_oklab(level, even * hue.cos(), even * hue.sin()).clamp(0, 1)))


def _linear_from_oklab(level: Tensor, a: Tensor, b: Tensor) -> Tensor:
    cone = torch.stack(
        (
            level + 0.3963377774 * a + 0.2158037573 * b,
            level - 0.1055613458 * a - 0.0638541728 * b,
            level - 0.0894841775 * a - 1.2914855480 * b,
        ),
        dim=1,
    )
    to_linear = level.new_tensor(
        [
            [4.0767416621, -3.3077115913, 0.2309699292],
            [-1.2684380046, 2.6097574011, -0.3413193965],
            [-0.0041960863, -0.7034186147, 1.7076147010],
        ]
    )
    return cone**3 @ to_linear.T


DEPTH_RAMP = oklab_ramp((0.24, 0.93), (300.0, 95.0), 0.16)  # far and dark violet to near and light yellow
ERROR_RAMP = oklab_ramp((0.16, 0.97), (300.0, 450.0), 0.2)  # black violet over red to light yellow
UNKNOWN = (0.55, 0.55, 0.58)  # sRGB where a map has no value


@dataclass(frozen=True)
class DepthRange:
    """The depths at the two ends of a depth picture, shared by all pictures of a page so that they compare."""

    near: float
    far: float

    def ticks(self, count: int = 5) -> list[float]:
        """Return the depths at even steps of the picture's scale, far to near."""
        return [1 / (1 / self.far + i / (count - 1) * (1 / self.near - 1 / self.far)) for i in range(count)]


def depth_range(depths: list[Map]) -> DepthRange | None:
    """Return the range that holds all but the outermost 1 % of the known depths; None when nothing is known."""
    known = torch.cat([torch.zeros(0), *(depth[depth > 0] for depth in depths)])
    if known.numel() == 0:
        return None
    # numpy's quantile, since torch's refuses more than 16 million values.
    near, far = np.quantile(known.numpy(), (0.01, 0.99))
    # An empty range (a flat wall seen head-on) would divide by zero.
    return DepthRange(float(near), max(float(far), 1.001 * float(near)))


def depth_picture(depth_z: Map, span: DepthRange) -> Image:
    """Return a z-depth map in colours, even in 1/z as stereo sees it: near is light; grey where unknown."""
    known = depth_z > 0
    nearness = (1 / depth_z.where(known, torch.ones(())) - 1 / span.far) / (1 / span.near - 1 / span.far)
    return _with_unknown(DEPTH_RAMP(nearness), known)


def error_picture(rendered: Image, photograph: Image, valid: Mask, full_scale: float) -> Image:
    """Return the mean absolute difference of the channels in colours; light is `full_scale` and above."""
    error = (rendered - photograph).abs().mean(-1)
    return _with_unknown(ERROR_RAMP(error / full_scale), valid)


def alpha_picture(alpha: Map) -> Image:
    """Return coverage in greys: white is opaque."""
    return alpha.clamp(0, 1).unsqueeze(-1).expand(-1, -1, 3)


def data_uri(picture: Image, *, long_side: int, quality: int = 82) -> str:
    """Return the picture as WebP in a data URI, reduced so that its longer side is at most `long_side` pixels."""
    image = PillowImage.fromarray(to_uint8(picture).numpy())
    ratio = min(1.0, long_side / max(image.size))
    if ratio < 1:
        width, height = (max(1, math.floor(side * ratio)) for side in image.size)
        image = image.resize((width, height), PillowImage.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=quality, method=4)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def jpeg(picture: Image, *, quality: int) -> bytes:
    """Return an sRGB picture as a JPEG file."""
    buffer = io.BytesIO()
    PillowImage.fromarray(to_uint8(picture).numpy()).save(buffer, "JPEG", quality=quality, optimize=True)
    return buffer.getvalue()


def _with_unknown(picture: Image, known: Mask) -> Image:
    return torch.where(known.unsqueeze(-1), picture, picture.new_tensor(UNKNOWN))
