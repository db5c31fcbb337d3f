"""The compiled core, as native/ calls it. Arrays are contiguous CPU tensors; shapes are checked by the callers."""

from enum import Enum
from typing import final

from torch import Tensor

def simd_level() -> str: ...
def set_simd_level(name: str) -> bool: ...
def release_memory() -> int: ...

class OpacityLaw(Enum):
    none = 0
    energy = 1
    optical_depth = 2

@final
class Rasterization:
    @staticmethod
    def prepare(
        means: Tensor,
        quaternions: Tensor,
        scales: Tensor,
        opacities: Tensor,
        world_to_camera: Tensor,
        focal_px: Tensor,
        center_px: Tensor,
        width: int,
        height: int,
        first_row: int,
        image_height: int,
        sh: Tensor | None,
        colors: Tensor | None,
        sh_degree: int,
        background: Tensor | None,
        variance_px2: Tensor | None,
        opacity_factor: Tensor | None,
        mean_offsets_px: Tensor | None,
        features: Tensor | None,
        low_pass_px2: float,
        near: float,
        far: float,
        alpha_cut: float,
        relative_cut: bool,
        opacity_law: OpacityLaw,
    ) -> Rasterization: ...
    def forward(
        self,
        threads: int,
        color: Tensor,
        alpha: Tensor,
        depth_expected: Tensor,
        depth_median: Tensor,
        features: Tensor | None,
        radii_px: Tensor,
        error_map: Tensor | None,
        weight_sum: Tensor | None,
        error_sum: Tensor | None,
    ) -> None: ...
    def backward(
        self,
        threads: int,
        color: Tensor,
        alpha: Tensor,
        depth_expected: Tensor,
        features: Tensor | None,
        d_color: Tensor | None,
        d_alpha: Tensor | None,
        d_depth_expected: Tensor | None,
        d_depth_median: Tensor | None,
        d_features: Tensor | None,
        d_means: Tensor | None,
        d_quaternions: Tensor | None,
        d_scales: Tensor | None,
        d_opacities: Tensor | None,
        d_sh: Tensor | None,
        d_colors: Tensor | None,
        d_world_to_camera: Tensor | None,
        d_focal_px: Tensor | None,
        d_center_px: Tensor | None,
        d_background: Tensor | None,
        d_variance_px2: Tensor | None,
        d_opacity_factor: Tensor | None,
        d_mean_offsets_px: Tensor | None,
        d_feature_rows: Tensor | None,
    ) -> None: ...

def empty(shape: list[int]) -> Tensor: ...
def limit_forward(threads: int, repeats: int) -> float: ...
def limit_backward(threads: int, repeats: int) -> float: ...
def exp(logs: Tensor, scales: Tensor, threads: int) -> None: ...
def sigmoid(logits: Tensor, opacities: Tensor, threads: int) -> None: ...
def photometric_loss(
    rendered: Tensor,
    target: Tensor,
    valid: Tensor | None,
    gradient: Tensor | None,
    ssim_weight: float,
    threads: int,
) -> float: ...
def adam_step_bfloat16(
    parameter: Tensor,
    gradient: Tensor,
    first_moment: Tensor,
    second_moment: Tensor,
    rates: Tensor,
    rows: Tensor | None,
    step: int,
    beta1: float,
    beta2: float,
    epsilon: float,
    threads: int,
) -> None: ...
def adam_step(
    parameter: Tensor,
    gradient: Tensor,
    first_moment: Tensor,
    second_moment: Tensor,
    rates: Tensor,
    rows: Tensor | None,
    step: int,
    beta1: float,
    beta2: float,
    epsilon: float,
    threads: int,
) -> None: ...
def draw_layers(
    color: Tensor,
    level: Tensor,
    layer: Tensor,
    layers: int,
    reach: Tensor,
    first_row: Tensor,
    row_start: Tensor,
    dx: Tensor,
    base: Tensor,
    slope: Tensor,
    threads: int,
    out_color: Tensor,
    out_alpha: Tensor,
    state: Tensor,
) -> None: ...
def undraw_layers(
    color: Tensor,
    level: Tensor,
    layer: Tensor,
    layers: int,
    reach: Tensor,
    first_row: Tensor,
    row_start: Tensor,
    dx: Tensor,
    base: Tensor,
    slope: Tensor,
    threads: int,
    out_color: Tensor,
    out_alpha: Tensor,
    state: Tensor,
    d_color: Tensor | None,
    d_alpha: Tensor | None,
    to_color: Tensor,
    to_level: Tensor,
    to_layer: Tensor,
) -> None: ...
def sweep_planes(
    grey: Tensor,
    sources: Tensor,
    sizes: Tensor,
    maps: Tensor,
    radius: int,
    noise_power: float,
    inverse_depth: Tensor,
    threads: int,
    cost: Tensor,
) -> None: ...
def semi_global(
    grey: Tensor, cost: Tensor, step: int, jump: int, edge: float, threads: int, place: Tensor, margin: Tensor
) -> None: ...
def refine_slants(
    grey: Tensor,
    sources: Tensor,
    sizes: Tensor,
    maps: Tensor,
    radius: int,
    noise_power: float,
    anchor: Tensor,
    spacing: float,
    anchor_weight: float,
    grey_sigma: float,
    window_radius: int,
    stride: int,
    rounds: int,
    threads: int,
    inverse_depth: Tensor,
    along_x: Tensor,
    along_y: Tensor,
    cost: Tensor,
) -> None: ...
