"""cameras.xml of Agisoft Metashape ("Export Cameras", "Agisoft XML").

The reference is the Metashape Professional manual, appendix D "Camera models": f, cx, cy (from the middle of the
picture), b1, b2 in pixels, the corner of the picture at (0, 0); x' = x (1 + k1 r^2 + ... + k4 r^8) + p1 (r^2 + 2 x^2) +
2 p2 x y, so that its p1 and p2 are OpenCV's p2 and p1; u = w/2 + cx + x' (f + b1) + y' b2, v = h/2 + cy + y' f. A
camera's "transform" is camera-to-chunk by rows, with OpenCV's axes. The world here is the chunk's own frame.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element

import torch

from ..camera import Camera
from ..distortion import Distortion
from ..errors import BadInputError
from ..scene import Scene
from ..transforms import invert_rigid, rigid
from .brown import distortion_from_brown
from .listed import Listed, find_mask, found_views, only_one, photographs_named, some_of
from .poses import nearest_rotation, repair_notes
from .xml_files import read_xml

_MOST_SKEW_PX = 0.5  # what b2 may move a pixel at the picture's upper and lower border


@dataclass(frozen=True)
class _Sensor:
    focal_px: tuple[float, float]
    center_px: tuple[float, float]
    size: tuple[int, int]
    distortion: Distortion | None


def read_metashape(path: Path) -> Scene | None:
    """Return the scene of a Metashape export (the XML file, or a folder with one), or None if there is none.

    Photographs are found by the cameras' labels in the file's folder or its `images`. The scale is known only if the
    chunk was scaled by markers, scale bars or measured camera positions.

    Raises:
        BadInputError: the file is damaged, has several such chunks, or a camera model that cannot be read.
    """
    found = [(file, root) for file in _xml_files(path) if (root := _document(file)) is not None]
    if not found:
        return None
    file, root = only_one(found, path, "Metashape exports")
    chunks = [chunk for chunk in root.iter("chunk") if _aligned(chunk)]
    if not chunks:
        raise BadInputError(f"{file} has no camera with a transform. Align the photographs before the export.")
    chunk = max(chunks, key=lambda one: len(_aligned(one)))
    sensors = {sensor.get("id", ""): sensor for sensor in chunk.iter("sensor")}
    read: dict[str, _Sensor] = {}
    entries: list[Listed] = []
    errors: dict[str, float] = {}
    cameras = _aligned(chunk)
    for camera in cameras:
        label, number = camera.get("label", ""), camera.get("sensor_id", "")
        if number not in sensors:
            raise BadInputError(f"The camera {label} of {file} has the sensor {number!r}, which is missing.")
        if number not in read:
            read[number] = _sensor(sensors[number], f"the sensor {number} of {file}")
        sensor = read[number]
        pose, errors[label] = _pose(camera, f"the camera {label} of {file}")
        image = photographs_named(label, file.parent)
        posed = Camera(pose, torch.tensor(sensor.focal_px), torch.tensor(sensor.center_px), *sensor.size)
        mask = find_mask(image)
        entries.append(Listed(image.relative_to(file.parent).as_posix(), image, posed, sensor.distortion, mask))
    views, notes = found_views(entries, file)
    lost = [camera.get("label", "") for camera in chunk.iter("camera") if camera not in cameras]
    if lost:
        notes += (f"{len(lost)} cameras were not aligned, or are disabled, and were left out: {some_of(lost)}.",)
    if len(chunks) > 1:
        notes += (f"{file.name} has {len(chunks)} chunks; the one with the most cameras was read.",)
    notes += repair_notes(errors)
    return Scene(
        source=path,
        views=views,
        metres_per_unit=_metres_per_unit(chunk),
        format="an export of Metashape",
        notes=notes,
    )


def _xml_files(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if path.suffix.lower() == ".xml" else []
    return sorted(path.glob("*.xml"))


def _document(file: Path) -> Element | None:
    """Return the root if the file is a Metashape document; other XML files (of cameras, of games) are not ours."""
    if b"<chunk" not in file.read_bytes()[: 1 << 16]:
        return None
    root = read_xml(file)
    return root if root.tag == "document" and root.find(".//sensors") is not None else None


def _aligned(chunk: Element) -> list[Element]:
    """Return the cameras with a pose that are not disabled, of the component with the most of them."""
    cameras = [
        camera
        for camera in chunk.iter("camera")
        if camera.find("transform") is not None and camera.get("enabled", "true").lower() not in {"0", "false"}
    ]
    components = [camera.get("component_id") for camera in cameras]
    if not components:
        return []
    best = max(components, key=components.count)
    return [camera for camera in cameras if camera.get("component_id") == best]


def _sensor(sensor: Element, where: str) -> _Sensor:
    calibrations = sensor.findall("calibration")
    adjusted = [one for one in calibrations if one.get("class") == "adjusted"] or calibrations
    if not adjusted:
        raise BadInputError(f"{where[0].upper()}{where[1:]} has no calibration. Align the photographs again.")
    calibration = adjusted[0]
    kind = calibration.get("type", sensor.get("type", "frame"))
    resolution = calibration.find("resolution")
    resolution = sensor.find("resolution") if resolution is None else resolution
    try:
        if resolution is None:
            raise ValueError("it has no resolution")
        width, height = int(resolution.get("width", "0")), int(resolution.get("height", "0"))
        f, cx, cy, b1, b2, k1, k2, k3, k4, p1, p2, p3, p4 = (
            _number(calibration, name)
            for name in ("f", "cx", "cy", "b1", "b2", "k1", "k2", "k3", "k4", "p1", "p2", "p3", "p4")
        )
        if not (f > 0 and f + b1 > 0 and min(width, height) >= 1 and max(width, height) < 1 << 20):
            raise ValueError(f"f = {f:g} px at {width} x {height} px is no camera")
    except ValueError as error:
        raise BadInputError(f"The calibration of {where} cannot be used: {error}. Export it again.") from error
    off = f"Export undistorted photographs with their cameras from Metashape in place of {where}"
    if kind not in {"frame", "fisheye"} or p3 or p4 or (kind == "fisheye" and (p1 or p2)):
        raise BadInputError(f"A camera of the type {kind} with p1 to p4 = {p1:g}, {p2:g}, {p3:g}, {p4:g}: {off}.")
    if abs(b2) / f * height / 2 > _MOST_SKEW_PX:
        raise BadInputError(f"The pixels are skewed by b2 = {b2:g}, which cannot be represented: {off}.")
    if kind == "fisheye":
        distortion = Distortion("fisheye", (k1, k2, k3, k4))
    else:
        distortion = distortion_from_brown((k1, k2, k3, k4), (p2, p1), focal_px=f, size=(width, height), where=where)
    return _Sensor((f + b1, f), (width / 2 + cx, height / 2 + cy), (width, height), distortion)


def _number(parent: Element, name: str) -> float:
    """Return a child's number; 0 where Metashape leaves it out because it was not fitted."""
    child = parent.find(name)
    value = 0.0 if child is None or child.text is None else float(child.text)
    if not math.isfinite(value):
        raise ValueError(f"{name} is {value}")
    return value


def _pose(camera: Element, where: str) -> tuple[torch.Tensor, float]:
    """Return (world_to_camera, how far the rotation was from one)."""
    element = camera.find("transform")
    try:
        numbers = [float(word) for word in (element.text or "").split()] if element is not None else []
        matrix = torch.tensor(numbers, dtype=torch.float64).reshape(4, 4)
        rotation, error = nearest_rotation(matrix[:3, :3])
        if not bool(matrix.isfinite().all()):
            raise ValueError("has a position that is not finite")
    except (ValueError, RuntimeError) as error:
        raise BadInputError(f"The transform of {where} {error}. Expected 16 numbers; export it again.") from error
    return invert_rigid(rigid(rotation, matrix[:3, 3])).float(), error


def _metres_per_unit(chunk: Element) -> float | None:
    """Return the chunk's scale if something measured stands behind it, else None: unscaled chunks have one, too."""
    scale = chunk.find("transform/scale")
    if scale is None:
        scale = chunk.find("components/component/transform/scale")
    references = [r for r in chunk.iter("reference") if r.get("enabled", "true").lower() not in {"0", "false"}]
    measured = any(r.get("x") is not None or r.get("distance") is not None for r in references)
    if scale is None or scale.text is None or not measured:
        return None
    try:
        value = float(scale.text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None
