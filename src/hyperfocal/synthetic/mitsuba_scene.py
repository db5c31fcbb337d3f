"""Mitsuba 3 for our own scenes: from arrays to a scene, from a pose to linear light and to camera depth.

Mitsuba is a development extra and is imported inside the functions. Its camera axes are x left, y up, z forward, so
that a pose is turned half round about z at this border and nowhere else.
"""

import dataclasses
import importlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Float32

from ..errors import BadInputError, missing_extra
from .meshes import Mesh
from .still_life import StillLife, Surface

NEAR, FAR = 0.01, 100.0  # metres
SAMPLES_PER_PASS = 64  # more would need gigabytes in the vectorised variants
PATH_DEPTH = 5  # light paths of up to four bounces


@dataclasses.dataclass(frozen=True)
class CaptureLens:
    """A thin lens for the renderer."""

    aperture_radius: float  # metres
    focus_distance: float  # metres along the optical axis

    def __post_init__(self) -> None:
        for name in ("aperture_radius", "focus_distance"):
            if not getattr(self, name) > 0:
                raise BadInputError(f"`CaptureLens({name}=...)` must be above 0 metres, got {getattr(self, name)}.")


def load_mitsuba(variant: str = "scalar_rgb") -> Any:
    """Return the mitsuba module set to a variant; `scalar_rgb` runs everywhere, `llvm_ad_rgb` needs a good libLLVM."""
    try:
        mitsuba = importlib.import_module("mitsuba")
    except ImportError as error:
        raise missing_extra("mitsuba", "synthetic") from error
    if variant not in mitsuba.variants():
        raise BadInputError(f"Mitsuba has no variant {variant!r}; it has {', '.join(mitsuba.variants())}.")
    if mitsuba.variant() != variant:
        mitsuba.set_variant(variant)
    return mitsuba


def _reflectance(mitsuba: Any, surface: Surface) -> dict[str, Any]:
    """Return the two-sided material of a surface."""
    texels = np.ascontiguousarray(surface.texture[::-1])  # Mitsuba's v runs up the picture, ours down
    texture = {
        "type": "bitmap",
        "bitmap": mitsuba.Bitmap(np.round(np.clip(texels, 0, 1) * 255).astype(np.uint8)),
        "filter_type": "bilinear",
        "wrap_mode": "repeat",
    }
    if surface.roughness is None:
        material = {"type": "diffuse", "reflectance": texture}
    else:
        material = {
            "type": "roughplastic",
            "diffuse_reflectance": texture,
            "alpha": surface.roughness,
            "nonlinear": False,
        }
    return {"type": "twosided", "material": material}


def mitsuba_mesh(mitsuba: Any, name: str, mesh: Mesh, **attached: dict[str, Any]) -> Any:
    """Return a Mitsuba shape; `attached` holds plugin dictionaries (bsdf=..., emitter=...)."""
    properties = mitsuba.Properties()
    for kind, plugin in attached.items():
        properties[f"mesh_{kind}"] = mitsuba.load_dict(plugin)
    shape = mitsuba.Mesh(
        name, len(mesh.vertices), len(mesh.faces), props=properties, has_vertex_normals=True, has_vertex_texcoords=True
    )
    parameters = mitsuba.traverse(shape)
    parameters["vertex_positions"] = np.ascontiguousarray(mesh.vertices.ravel())
    parameters["vertex_normals"] = np.ascontiguousarray(mesh.normals.ravel())
    parameters["vertex_texcoords"] = np.ascontiguousarray((mesh.uv * [1, -1]).astype(np.float32).ravel())
    parameters["faces"] = np.ascontiguousarray(mesh.faces.astype(np.uint32).ravel())
    parameters.update()
    return shape


def mitsuba_scene(mitsuba: Any, still_life: StillLife) -> Any:
    """Return the loaded Mitsuba scene (without a sensor)."""
    world: dict[str, Any] = {"type": "scene", "ambient": {"type": "constant", "radiance": _rgb(still_life.ambient)}}
    for surface in still_life.surfaces:
        world[surface.name] = mitsuba_mesh(mitsuba, surface.name, surface.mesh, bsdf=_reflectance(mitsuba, surface))
    for number, lamp in enumerate(still_life.lamps):
        toward_table = mitsuba.ScalarTransform4f().look_at(origin=list(lamp.position), target=[0, 0, 0], up=[0, 0, 1])
        world[f"lamp_{number}"] = {
            "type": "rectangle",
            "to_world": toward_table @ mitsuba.ScalarTransform4f().scale(lamp.size / 2),
            "emitter": {"type": "area", "radiance": _rgb(lamp.radiance)},
        }
    return mitsuba.load_dict(world)


def _rgb(color: tuple[float, float, float]) -> dict[str, Any]:
    return {"type": "rgb", "value": list(color)}


def mean_light(
    mitsuba: Any,
    scene: Any,
    poses: Sequence[Float[np.ndarray, "4 4"]],
    K: Float[np.ndarray, "3 3"],
    size: tuple[int, int],
    *,
    samples: int,
    seed: tuple[int, int],
    lens: CaptureLens | None = None,
    on_pass: Callable[[int], None],
) -> Float[np.ndarray, "h w 3"]:
    """Return the mean of one pass of `render_light` from each pose, every one with noise of its own.

    Args:
        mitsuba: From `load_mitsuba`.
        scene: From `mitsuba_scene`.
        poses: world_to_camera in OpenCV axes, metres.
        K: Pixels.
        size: (width, height), pixels.
        samples: A pixel and pass.
        seed: Of the noise of all.
        lens: `None` is the pinhole.
        on_pass: Called with the passes done.
    """
    total = np.zeros((size[1], size[0], 3))
    for number, pose in enumerate(poses):
        own = int(np.random.SeedSequence([*seed, number]).generate_state(1)[0] >> 1)
        total += render_light(mitsuba, scene, pose, K, size, samples=samples, seed=own, lens=lens)
        on_pass(number + 1)
    return total / len(poses)


def render_light(
    mitsuba: Any,
    scene: Any,
    world_to_camera: Float[np.ndarray, "4 4"],
    K: Float[np.ndarray, "3 3"],
    size: tuple[int, int],
    *,
    samples: int,
    seed: int = 0,
    lens: CaptureLens | None = None,
) -> Float32[np.ndarray, "h w 3"]:
    """Return linear red, green, blue of one pass, the exact average over each pixel's square (box filter).

    Args:
        mitsuba: From `load_mitsuba`.
        scene: From `mitsuba_scene`.
        world_to_camera: OpenCV axes, metres.
        K: Pixels; square ones, and the principal point in the middle.
        size: (width, height), pixels.
        samples: A pixel; rounded up to a square number.
        seed: The same seed gives the same noise, bit by bit.
        lens: `None` is the pinhole.
    """
    width, height = size
    if not np.allclose([K[0, 2], K[1, 2], K[0, 0], K[0, 1]], [width / 2, height / 2, K[1, 1], 0]):
        raise BadInputError(
            f"The renderer needs square pixels and the principal point in the middle, got K = {K.tolist()}."
        )
    samples = int(np.ceil(np.sqrt(samples))) ** 2  # the sampler is stratified on a square
    camera_to_world = np.linalg.inv(world_to_camera) @ np.diag([-1.0, -1, 1, 1])
    sensor: dict[str, Any] = {
        "type": "perspective",
        "fov": float(np.degrees(2 * np.arctan(width / 2 / K[0, 0]))),
        "fov_axis": "x",
        "near_clip": NEAR,
        "far_clip": FAR,
        "to_world": mitsuba.ScalarTransform4f(camera_to_world),
        "film": {
            "type": "hdrfilm",
            "width": width,
            "height": height,
            "pixel_format": "rgb",
            "component_format": "float32",
            "rfilter": {"type": "box"},
        },
        "sampler": {"type": "multijitter", "sample_count": samples},
    }
    if lens is not None:
        sensor |= {"type": "thinlens", "aperture_radius": lens.aperture_radius, "focus_distance": lens.focus_distance}
    integrator = mitsuba.load_dict({"type": "path", "max_depth": PATH_DEPTH, "rr_depth": PATH_DEPTH})
    image = mitsuba.render(scene, sensor=mitsuba.load_dict(sensor), integrator=integrator, spp=samples, seed=seed)
    return np.array(image, np.float32)[..., :3]


def trace_depth(
    mitsuba: Any,
    scene: Any,
    world_to_camera: Float[np.ndarray, "4 4"],
    K: Float[np.ndarray, "3 3"],
    size: tuple[int, int],
) -> Float32[np.ndarray, "h w"]:
    """Return camera z in metres of what the pinhole ray through each pixel centre meets first, 0 where nothing.

    The rays are made here from K and the pose, not by Mitsuba's sensor, whose AOV "depth" is a distance along the ray.
    """
    width, height = size
    camera_to_world = np.linalg.inv(world_to_camera)
    v, u = np.mgrid[0:height, 0:width] + 0.5
    rays = np.stack([(u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1], np.ones_like(u)], -1).reshape(-1, 3)
    stretch = np.linalg.norm(rays, axis=1)  # ray length per metre of z
    directions = (rays / stretch[:, None]) @ camera_to_world[:3, :3].T
    origin = camera_to_world[:3, 3]
    if mitsuba.variant().startswith("scalar"):
        distance = np.empty(len(rays))
        for number, direction in enumerate(directions):
            ray = mitsuba.Ray3f(mitsuba.Point3f(*origin.tolist()), mitsuba.Vector3f(*direction.tolist()))
            distance[number] = scene.ray_intersect_preliminary(ray, coherent=True).t
    else:
        ray = mitsuba.Ray3f(mitsuba.Point3f(*origin.tolist()), mitsuba.Vector3f(directions.T.astype(np.float32)))
        distance = np.array(scene.ray_intersect_preliminary(ray, coherent=True).t, float)
    z = np.where(np.isfinite(distance), distance / stretch, 0.0)
    return z.reshape(height, width).astype(np.float32)
