"""The C++ core behind `render`: float32 tensors on the CPU."""

from jaxtyping import Float
from torch import Tensor

from ..camera import Camera
from ..gaussians import Gaussians
from ..native.rasterize import rasterize
from ..rendering import Rendering, RenderOptions


def render_cpu(
    gaussians: Gaussians, camera: Camera, background: Float[Tensor, "v 3"], options: RenderOptions
) -> Rendering:
    """Render a batch of views with the core.

    Raises:
        TypeError: tensors that are not float32 on the CPU.
    """
    raster = rasterize(
        gaussians.means if options.means is None else options.means,
        gaussians.quaternions if options.quaternions is None else options.quaternions,
        gaussians.scales,
        gaussians.opacities,
        camera.world_to_camera,
        camera.focal_px,
        camera.center_px,
        camera.width,
        camera.height,
        sh=gaussians.sh if options.colors is None else None,
        colors=options.colors,
        sh_degree=options.sh_degree,
        background=background,
        variance_px2=options.variance_px2,
        opacity_factor=options.opacity_factor,
        mean_offsets_px=options.mean_offsets_px,
        features=options.features,
        row_window=options.row_window,
        error_map=options.error_map,
        weight_sum=options.weight_sum,
        low_pass_px2=options.low_pass_px2,
        near=options.near,
        far=options.far,
        alpha_cut=options.alpha_cut,
        relative_cut=options.relative_cut,
        opacity_law=options.opacity_law or "none",
        threads=options.threads,
    )
    return Rendering(
        color=raster.color,
        alpha=raster.alpha,
        depth_expected=raster.depth_expected,
        depth_median=raster.depth_median,
        normals=None,
        features=raster.features,
        radii_px=raster.radii,
        weight_sum=raster.weight_sum,
        error_sum=raster.error_sum,
    )
