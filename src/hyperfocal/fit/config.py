"""Settings of a fit, as plain values. This module loads no torch.

Times are fractions of the run (0 is its first step, 1 its end), so that short and long runs are both sensible.
"""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

Exposure: TypeAlias = Literal["off", "affine", "grid"]
Blur: TypeAlias = Literal["off", "on", "auto"]
_BLUR_RATES = ("aperture_rate", "focus_rate", "streak_rate_px")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


@dataclass(frozen=True)
class InitialConfig:
    """How the first Gaussians are made."""

    opacity: float = 0.1
    """Opacity of every Gaussian, in (0, 1)."""
    scale_factor: float = 1.0
    """Standard deviation as a multiple of the mean distance to the three nearest points."""
    random_points: int = 20_000
    """Points to scatter in the cameras' view when the scene has none."""
    depth_points: int = 30_000
    """Points to take from the depth maps that came with the photographs, beside those that the scene has."""
    sky: int = 0
    """Gaussians of a dome around the whole scene, for photographs that show the sky; 0 makes none. Only those that some
    photograph shows past the points of the scene are made. They count among the most that a fit may have."""
    sky_distance: float = 100.0
    """Radius of the dome as a multiple of the cameras' distance to what they look at. A viewer that frames everything
    starts as far away; half as far is where the sky begins."""

    def __post_init__(self) -> None:
        _require(0 < self.opacity < 1, f"`opacity` must be in (0, 1), got {self.opacity}.")
        _require(self.scale_factor > 0, f"`scale_factor` must be positive, got {self.scale_factor}.")
        _require(self.random_points > 0, f"`random_points` must be positive, got {self.random_points}.")
        _require(self.depth_points >= 0, f"`depth_points` must not be negative, got {self.depth_points}.")
        _require(self.sky >= 0, f"`sky` must not be negative, got {self.sky}.")
        _require(self.sky_distance > 2, f"`sky_distance` must be above 2, got {self.sky_distance}.")


@dataclass(frozen=True)
class LearningRates:
    """Adam's step sizes; of positions in units of the scene's extent, of the rest absolute.

    Positions and scales move faster than in Kerbl et al. 2023 (1.6e-4 to 1.6e-6, and 5e-3), whose runs are of 30,000
    steps: in 2,000 to 7,000 steps that gained 1 to 3 dB on views held out of generated captures.
    """

    means: float = 4e-3
    """Positions at the first step; decays exponentially to `means_final`."""
    means_final: float = 4e-5
    """Positions at the last step."""
    log_scales: float = 1e-2
    """Logs of the standard deviations."""
    quaternions: float = 1e-3
    """Orientations (quaternions of about unit length)."""
    opacity_logits: float = 5e-2
    """Logits of the opacities."""
    sh0: float = 2.5e-3
    """Colours: the constant coefficient."""
    sh_rest: float = 2.5e-3 / 20
    """Colours: the coefficients that depend on direction."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            _require(value >= 0, f"Learning rates must not be negative, got {name}={value}.")
        _require(self.means_final > 0 or self.means == 0, "`means_final` must be positive: the decay is exponential.")


@dataclass(frozen=True)
class McmcConfig:
    """Density control as Markov-chain Monte Carlo (Kheradmand et al. 2024): relocate, grow, shake."""

    cap: int = 100_000
    """Most Gaussians that the fit may have."""
    interval: int = 100
    """Steps between two rounds of relocation and growth."""
    start: float = 0.017
    """When the first round happens, as a fraction of the run."""
    grow_until: float = 0.5
    """When the cap should be reached; each round then grows by the same factor, but at least by `least_growth`."""
    stop: float = 0.83
    """When the last round happens."""
    least_growth: float = 0.05
    """Smallest growth of a round while below the cap, as a fraction of the Gaussians."""
    dead_opacity: float = 0.005
    """Gaussians of at most this opacity are moved to where opaque ones are."""
    noise: float = 80.0
    """Random walk of positions: standard deviation of a step is noise * covariance / extent at the first learning rate
    of the positions, and decays with it. Only nearly transparent Gaussians walk."""
    opacity_weight: float = 0.01
    """Weight of the mean opacity in the loss: what is not needed fades and is relocated."""
    opacity_until: float = 0.5
    """When that ends, as a fraction of the run: about when the cap is reached. From then on surfaces may close, which
    makes depth a fifth better on generated captures at the same PSNR."""
    scale_weight: float = 0.01
    """Weight of the mean standard deviation over the scene's extent in the loss."""

    def __post_init__(self) -> None:
        _require(self.cap > 0, f"`cap` must be positive, got {self.cap}.")
        _require(self.interval > 0, f"`interval` must be positive, got {self.interval}.")
        _require(
            0 <= self.start <= self.grow_until <= self.stop <= 1,
            f"Fractions must be in order, 0 <= start <= grow_until <= stop <= 1, "
            f"got {self.start}, {self.grow_until}, {self.stop}.",
        )
        _require(0 < self.dead_opacity < 1, f"`dead_opacity` must be in (0, 1), got {self.dead_opacity}.")
        _require(0 <= self.opacity_until <= 1, f"`opacity_until` must be in [0, 1], got {self.opacity_until}.")
        for name in ("least_growth", "noise", "opacity_weight", "scale_weight"):
            _require(getattr(self, name) >= 0, f"`{name}` must not be negative, got {getattr(self, name)}.")


@dataclass(frozen=True)
class ClassicConfig:
    """Density control by image-plane gradients (Kerbl et al. 2023): clone, split, prune, reset opacities."""

    cap: int = 100_000
    """Most Gaussians that the fit may have; of the candidates, those with the largest gradients grow."""
    interval: int = 100
    """Steps between two rounds."""
    start: float = 0.017
    """When the first round happens, as a fraction of the run."""
    stop: float = 0.5
    """When the last round happens."""
    gradient_threshold: float = 2e-4
    """Mean gradient of the loss by the 2D centre, in half images (normalised device units), above which to densify."""
    split_scale: float = 0.01
    """Gaussians larger than this fraction of the extent are split in two, smaller ones cloned."""
    prune_opacity: float = 0.005
    """Gaussians of lower opacity are removed at every round."""
    prune_scale: float = 0.1
    """Gaussians larger than this fraction of the extent are removed, once opacities have been reset."""
    reset_every: float = 0.1
    """Time between two resets of all opacities to `reset_opacity`, as a fraction of the run but at least 500 steps;
    none in the last such interval before `stop`."""
    reset_opacity: float = 0.01
    """Upper bound that a reset puts on every opacity."""

    def __post_init__(self) -> None:
        _require(self.cap > 0, f"`cap` must be positive, got {self.cap}.")
        _require(self.interval > 0, f"`interval` must be positive, got {self.interval}.")
        _require(
            0 <= self.start <= self.stop <= 1,
            f"Fractions must be in order, 0 <= start <= stop <= 1, got {self.start}, {self.stop}.",
        )
        for name in ("gradient_threshold", "split_scale", "prune_scale", "reset_every"):
            _require(getattr(self, name) > 0, f"`{name}` must be positive, got {getattr(self, name)}.")
        _require(
            0 < self.prune_opacity < self.reset_opacity < 1,
            f"Opacities must satisfy 0 < prune_opacity < reset_opacity < 1, or a reset removes everything; "
            f"got {self.prune_opacity} and {self.reset_opacity}.",
        )


@dataclass(frozen=True)
class CaptureConfig:
    """What is fitted for each photograph beside the Gaussians."""

    exposure: Exposure = "off"
    """Fit a change of colour for each photograph. affine: one for the whole picture, for automatic exposure and white
    balance. grid: one that depends on the place in it and on brightness (a bilateral grid), for what cameras and phones
    do beyond that: vignettes, tone curves, local tone mapping."""
    grid: tuple[int, int, int] = (8, 8, 4)
    """Nodes of a bilateral grid along x, y and luma. Half of the 16 x 16 x 8 of Wang et al. 2024 each way: shading and
    tone curves are smooth, few photographs determine few numbers, and a step costs half as much."""
    pose: bool = False
    """Correct the camera poses."""
    exposure_rate: float = 1e-3
    """Adam's step size of exposures, affine or grid, at the first step; falls to a hundredth, as that of poses does."""
    exposure_weight: float = 0.1
    """Weight of the squared change of colour in the loss: what all photographs share belongs to the Gaussians."""
    grid_smoothness: float = 1.0
    """Weight of the squared differences of neighbouring nodes of a grid in the loss (total variation), about that of
    Wang et al. 2024."""
    pose_rate: float = 1e-4
    """Adam's step size of poses at the first step: radians, and shifts in units of the scene's extent."""
    lens: Blur = "off"
    """Fit a lens: one aperture, and for each photograph the distance that it is focused at. auto: if it is worth it."""
    motion: Blur = "off"
    """Fit for each photograph how the camera moved while the shutter was open, at a constant velocity. auto: if it is
    worth it."""
    blur_start: float = 0.1
    """When lens and motion are looked for by trying some, as a fraction of the run. Until then photographs count as
    sharp; from then on gradients refine what was found, which do not lead from one side of the focus to the other."""
    blur_check: float = 0.2
    """When motion is looked for once more, now that the scene is sharper, and auto keeps what has proved worth it."""
    circle_px: float = 3.0
    """Circle of confusion of the first aperture, in photographs of full size, at an end of the scene's depth of what is
    in focus at the other end. Half and up to four times it are tried too."""
    streak_px: float = 4.0
    """Length of the first streaks in photographs of full size. Half and up to four times it are tried too."""
    worth: float = 0.01
    """By how much blur has to lower the loss to be kept, with auto, as a fraction, when it is checked. Measured on
    generated captures: 0.05 to 0.09 for blur that is there, at most 0.0004 for blur that is not."""
    exif_weight: float = 1e-4
    """Weight in the loss of what EXIF says about apertures and focus distances: of deviations by standard deviations of
    10 % and 25 %, log(1 + d^2). What photographs show well outweighs it."""
    sub_frames: int = 7
    """Moments of an exposure that are rendered, if motion is fitted."""
    aperture_rate: float = 2e-2
    """Adam's step size of the aperture's logarithm at the first step; falls to a hundredth, as the others do."""
    focus_rate: float = 0.1
    """Adam's step size of 1 / focus distance at the first step, in units of the scene's range of 1 / z."""
    streak_rate_px: float = 0.3
    """Adam's step size of motions at the first step, as the length of a streak in photographs of full size."""

    @property
    def wants_blur(self) -> bool:
        """Whether lens or motion are looked for."""
        return (self.lens, self.motion) != ("off", "off")

    def __post_init__(self) -> None:
        known = get_args(Exposure)
        _require(self.exposure in known, f"`exposure` must be one of {', '.join(known)}, got {self.exposure!r}.")
        _require(
            len(self.grid) == 3 and min(self.grid) >= 1 and min(self.grid[:2]) >= 2,
            f"`grid` must be at least 2 nodes along x and y, and 1 of luma, got {self.grid}.",
        )
        for name in ("lens", "motion"):
            value, modes = getattr(self, name), get_args(Blur)
            _require(value in modes, f"`{name}` must be one of {', '.join(modes)}, got {value!r}.")
        _require(0 <= self.worth < 1, f"`worth` must be in [0, 1), got {self.worth}.")
        for name in ("exposure_rate", "exposure_weight", "grid_smoothness", "pose_rate", "exif_weight", *_BLUR_RATES):
            _require(getattr(self, name) >= 0, f"`{name}` must not be negative, got {getattr(self, name)}.")
        for name in ("circle_px", "streak_px"):
            _require(getattr(self, name) > 0, f"`{name}` must be positive, got {getattr(self, name)}.")
        _require(0 <= self.blur_start < 1, f"`blur_start` must be in [0, 1), got {self.blur_start}.")
        _require(
            self.blur_start <= self.blur_check < 1,
            f"`blur_check` must be in [blur_start, 1) = [{self.blur_start}, 1), got {self.blur_check}.",
        )
        _require(self.sub_frames >= 2, f"`sub_frames` must be at least 2, got {self.sub_frames}.")


@dataclass(frozen=True)
class FitConfig:
    """Everything that decides a fit; equal values and photographs give equal bits on one machine."""

    steps: int = 7_000
    """Optimisation steps, one photograph each."""
    seed: int = 0
    """Of every random choice: order of photographs, backgrounds, density control."""
    ssim_weight: float = 0.2
    """Share of the structural term, 1 - SSIM, in the photometric loss; the rest is the mean absolute error."""
    sh_degree: int = 3
    """Highest degree of the spherical harmonics, 0 (colours that do not depend on direction) to 3."""
    sh_interval: float = 1 / 30
    """Time between two raises of the degree from 0, as a fraction of the run."""
    resolution: tuple[tuple[float, int], ...] = ((0.0, 4), (0.05, 2), (0.2, 1))
    """Coarse to fine: (from this fraction of the run, photographs are shrunk by this factor)."""
    background: Literal["black", "random"] = "random"
    """What is behind the Gaussians in training. A random colour for each step keeps surfaces from being see-through in
    dark places, where black would hide it: depth needs them opaque. Measured on the demo: coverage above 0.999 in place
    of 0.83, for 0.3 dB."""
    clear_view: float = 0.0
    """Keep the space in front of each camera clear, against floaters: up to this share of the depth of the nearest
    points in its picture; 0 is off. What is there is not drawn for this camera's photograph and fades, unless other
    photographs need it. 0.5 leaves room for things nearer than any point of the start."""
    spread_weight: float = 0.05
    """Weight in the loss of how far apart in depth is what each pixel sees (`losses.depth_spread`): photographs do not
    tell a closed surface from one that is seen through. Measured on generated captures: depth a fifth (sharp ones) to a
    half (soft ones) better, for 0.1 dB at most. 0 is off."""
    spread_start: float = 0.5
    """When that begins, as a fraction of the run: earlier it hinders surfaces that are still on their way."""
    photographs: Literal["uint8", "float32"] = "float32"
    """How photographs are held while they are fitted: as decoded, or rounded to 8 bits in a quarter of the memory.

    8 bits make fits of small pictures a third slower, as measured.
    """
    moments: Literal["float32", "bfloat16"] = "float32"
    """Type of Adam's moments; bfloat16 halves their memory, a third of what a fit holds for its Gaussians."""
    initial: InitialConfig = field(default_factory=InitialConfig)
    learning_rates: LearningRates = field(default_factory=LearningRates)
    capture: CaptureConfig = field(default_factory=CaptureConfig)
    densify: McmcConfig | ClassicConfig = field(default_factory=McmcConfig)

    def __post_init__(self) -> None:
        _require(self.steps > 0, f"`steps` must be positive, got {self.steps}.")
        _require(0 <= self.ssim_weight <= 1, f"`ssim_weight` must be in [0, 1], got {self.ssim_weight}.")
        _require(0 <= self.sh_degree <= 3, f"`sh_degree` must be 0 to 3, got {self.sh_degree}.")
        _require(self.sh_interval >= 0, f"`sh_interval` must not be negative, got {self.sh_interval}.")
        _require(self.spread_weight >= 0, f"`spread_weight` must not be negative, got {self.spread_weight}.")
        _require(0 <= self.spread_start <= 1, f"`spread_start` must be in [0, 1], got {self.spread_start}.")
        _require(0 <= self.clear_view < 1, f"`clear_view` must be in [0, 1), got {self.clear_view}.")
        times = [time for time, _ in self.resolution]
        _require(
            times == sorted(set(times)) and times[:1] == [0.0] and times[-1] < 1,
            f"`resolution` must start at 0.0 and its times must rise and stay below 1, got {times}.",
        )
        _require(
            all(factor >= 1 for _, factor in self.resolution),
            f"`resolution` factors must be at least 1, got {[factor for _, factor in self.resolution]}.",
        )
