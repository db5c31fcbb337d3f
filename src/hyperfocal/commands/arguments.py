"""The words of the commands about results, and what all commands share. Loads no torch."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import tyro

from ..reconstruct.clean_config import CleanConfig

Count: TypeAlias = Annotated[int | None, tyro.conf.arg(metavar="N")]
Folder: TypeAlias = Annotated[Path | None, tyro.conf.arg(metavar="DIR")]
Place: TypeAlias = Annotated[Path | None, tyro.conf.arg(metavar="PATH")]
SourceKind: TypeAlias = Literal["photographs", "focal_stack"]
Millimetres: TypeAlias = Annotated[float | None, tyro.conf.arg(metavar="MM")]
Format: TypeAlias = Literal[
    "html",  # a page for browsers that needs nothing else
    "ply",  # the layout that every viewer of 3D Gaussians reads
    "compressed-ply",  # PlayCanvas's, a quarter of the size
]
Number: TypeAlias = Annotated[float | None, tyro.conf.arg(metavar="X")]


@dataclass(frozen=True, kw_only=True)
class Talk:
    """How much a command says. These two also go before the command's name."""

    quiet: bool = False
    """Say nothing but errors (and what --json asks for)."""
    json: bool = False
    """End with one line of JSON on standard output, in place of the summary: what was done, paths, scores."""


@dataclass(frozen=True)
class Render(Talk):
    """Render pictures from every camera of a result, or a film along a path."""

    result: tyro.conf.Positional[Path]
    """Folder that `hyperfocal reconstruct` wrote."""
    out: Place = None
    """Folder for the pictures, or film; renders/ or NAME.mp4 in the result if left out."""
    long_side: Count = None
    """Pictures: longer side in pixels; that of the fit if left out."""
    exr: bool = False
    """Pictures: also NAME.exr, depth in 32-bit floats; metres where the scale is known (extra raw)."""
    normals: bool = False
    """Pictures: also NAME.normals.png, and normals in the EXR."""
    f_number: Number = None
    """Photograph through a lens this wide open, where the result's scale is known (reconstruct --scale); sharp
    everywhere if left out."""
    focal_length: Millimetres = None
    """Of the lens, with --f-number; what shows as much as the camera on --sensor-width if left out."""
    sensor_width: Millimetres = None
    """Longer side of the sensor, with --f-number; 36 if left out."""
    aperture: Number = None
    """In place of --f-number, the diameter of the opening; metres where the scale is known, else scene units."""
    focus: Annotated[str | None, tyro.conf.arg(metavar="Z")] = None
    """With a lens: distance in focus, metres where the scale is known, else scene units; inf is infinity. Film: two,
    such as 1.2:3, move the focus from its beginning to its end."""
    focus_at: Annotated[str | None, tyro.conf.arg(metavar="NAME:X,Y")] = None
    """In place of --focus: keep in focus what is at this pixel of the picture rendered of this photograph's camera."""
    path: Annotated[str | None, tyro.conf.arg(metavar="PATH")] = None
    """A film (extra view): orbit, swing (the part of an orbit that has photographs), spiral, interpolate (through the
    photographs' cameras), or a JSON file of keyframes, of nerfstudio or of its Blender add-on."""
    fps: Number = None
    """Film: frames a second; what the file says or 30 if left out."""
    seconds: Number = None
    """Film: duration; what the file says or 8 if left out."""
    size: Annotated[str | None, tyro.conf.arg(metavar="WxH")] = None
    """Film: pixels, such as 1280x720; those of the file or of the fit if left out."""
    smooth: Number = None
    """Film through the photographs' cameras: seconds over which their jitter is smoothed; 0 for not at all, 0.4 if left
    out."""
    depth_film: bool = False
    """Film: also NAME.depth.mp4, depth in colours of one scale for all frames."""
    frames: bool = False
    """Film: a folder of PNG files in place of a film."""
    overwrite: bool = False
    """Replace what stands at --out."""


@dataclass(frozen=True)
class Clean(Talk):
    """Remove floaters and other Gaussians that do not belong, and measure what that changes."""

    path: tyro.conf.Positional[Path]
    """A result, or a PLY file of 3D Gaussians (of any trainer; rules about cameras are skipped)."""
    config: Annotated[CleanConfig, tyro.conf.arg(name="")] = CleanConfig()  # noqa: RUF009
    out: Place = None
    """Where the cleaned result or PLY goes; PATH's name with "_clean" in the current folder if left out."""
    overwrite: bool = False
    """Replace what stands at --out, PATH itself if that is the same."""


@dataclass(frozen=True)
class Evaluate(Talk):
    """Measure a result again, on its held-out photographs."""

    result: tyro.conf.Positional[Path]
    """Folder that `hyperfocal reconstruct` wrote."""
    data: Folder = None
    """Where the photographs are now, if they were moved."""


@dataclass(frozen=True)
class Info(Talk):
    """Say what a path holds: photographs, a scene with cameras, a PLY file or a result."""

    path: tyro.conf.Positional[Path]
    """File or folder."""
    kind: SourceKind | None = None
    """What the photographs are; recognised if left out. focal_stack: one view focused at many distances."""


@dataclass(frozen=True)
class View:
    """Look at a scene in a browser: walk through it, focus, stop down, compare with the photographs."""

    path: tyro.conf.Positional[Path]
    """A result, a PLY file of 3D Gaussians, or a folder with one of them in it."""
    port: Count = None
    """Of the page's address, on this machine only; a free one if left out."""
    no_open: bool = False
    """Only say the address; open no browser."""


@dataclass(frozen=True)
class Export(Talk):
    """Write a scene in another format, such as one HTML file that can be looked at anywhere."""

    path: tyro.conf.Positional[Path]
    """A result, or a PLY file of 3D Gaussians."""
    format: Format | None = None
    """html: a page for browsers, with everything inside. ply: for other viewers. compressed-ply: the same in a quarter
    of the size. What the name of --out says if left out, or else html."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """The file; PATH's name with the format's ending in the current folder if left out."""
    photographs: Count = None
    """html: most photographs in the file, each at most 640 pixels long; 24 if left out."""
    overwrite: bool = False
    """Replace the file that stands at --out."""


@dataclass(frozen=True)
class Weights(Talk):
    """List the learned networks that hyperfocal knows, bring their weights here, or say where they lie."""

    action: Annotated[Literal["list", "get", "path"], tyro.conf.Positional] = "list"
    """list: what each is for, its size and licence. get NAME: download, or copy --from a file. path NAME: print where
    they lie."""
    name: Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")] = None
    """Of the weights, as the list says."""
    source: Annotated[Path | None, tyro.conf.arg(name="from", metavar="PATH")] = None
    """With get: a file, or a folder of files, that you have; verified and copied."""
