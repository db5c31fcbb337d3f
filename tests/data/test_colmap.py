import shutil
import struct
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pycolmap
import pytest
import torch
from PIL import Image

from hyperfocal.camera import project
from hyperfocal.data import load_photograph, read_scene
from hyperfocal.data.colmap import read_colmap
from hyperfocal.data.colmap_cameras import colmap_parameters
from hyperfocal.data.colmap_files import read_cameras, read_images, read_points
from hyperfocal.distortion import Distortion, distort
from hyperfocal.errors import BadInputError
from hyperfocal.scene import View
from photo_files import relief_views

DISTORTIONS = (
    None,
    Distortion("opencv", (0.05, -0.02, 0.001, -0.002)),
    Distortion("opencv", (0.05, -0.02, 0.001, -0.002, 0.01)),
    Distortion("full_opencv", (0.05, -0.02, 0.001, -0.002, 0.01, 0.02, 0.0, 0.01)),
    Distortion("fisheye", (0.02, -0.01, 0.0, 0.001)),
)


def colmap_model(views: list[View]) -> pycolmap.Reconstruction:
    """The views and three points as pycolmap holds them; each view has its own camera."""
    model = pycolmap.Reconstruction()
    for number, view in enumerate(views, start=1):
        assert view.camera is not None
        name, parameters = colmap_parameters(view.camera, view.distortion)
        size = {"width": view.camera.width, "height": view.camera.height}
        model.add_camera_with_trivial_rig(pycolmap.Camera(model=name, params=parameters, camera_id=number, **size))
        seen = np.array([[10.0, 20.0], [30.0, 40.0]])
        image = pycolmap.Image(name=view.name, keypoints=seen, camera_id=number, image_id=number)
        model.add_image_with_trivial_frame(image, pycolmap.Rigid3d(view.camera.world_to_camera[:3].double().numpy()))
    for i in range(3):
        track = pycolmap.Track([pycolmap.TrackElement(1, 0)] if i == 0 else [])
        model.add_point3D(np.array([0.1 * i, 0.2, -0.3]), track, np.array([255, 10 * i, 0], np.uint8))
    return model


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders `binary` and `text` with the same model, beside the photographs."""
    folder = tmp_path_factory.mktemp("colmap")
    views = relief_views(folder / "images", 5, width=32, height=24, focal_px=30.0)
    model = colmap_model([replace(view, distortion=d) for view, d in zip(views, DISTORTIONS, strict=True)])
    for form in ("binary", "text"):
        (folder / form / "sparse" / "0").mkdir(parents=True)
        (folder / form / "images").symlink_to("../images")
        getattr(model, f"write_{form}")(folder / form / "sparse" / "0")
    return folder


@pytest.fixture
def scene_folder(written: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(written, tmp_path / "scene", symlinks=True))


def test_text_equals_binary_equals_pycolmap(scene_folder: Path):
    binary, text = read_scene(scene_folder / "binary"), read_scene(scene_folder / "text")
    theirs = pycolmap.Reconstruction(scene_folder / "binary" / "sparse" / "0")
    assert [view.name for view in binary.views] == [f"{i:02d}.png" for i in range(5)]
    plane = torch.rand(20, 2, dtype=torch.float64) - 0.5
    for b, t, distortion in zip(binary.views, text.views, DISTORTIONS, strict=True):
        assert b.camera is not None
        assert t.camera is not None
        image = theirs.find_image_with_name(b.name)
        torch.testing.assert_close(t.camera.world_to_camera, b.camera.world_to_camera)
        torch.testing.assert_close(
            b.camera.world_to_camera[:3].double().numpy(), image.cam_from_world().matrix(), atol=1e-6, rtol=0
        )
        assert b.distortion == t.distortion
        ours = plane if distortion is None else distort(distortion, plane)
        ours = ours * b.camera.focal_px + b.camera.center_px
        rays = np.concatenate((plane.numpy(), np.ones((20, 1))), axis=1)
        assert image.camera is not None
        theirs_px = image.camera.img_from_cam(rays)
        assert theirs_px is not None
        np.testing.assert_allclose(ours.numpy(), theirs_px, atol=1e-4)
    assert binary.points is not None
    assert text.points is not None
    positions = [theirs.points3D[i].xyz for i in sorted(theirs.points3D)]
    np.testing.assert_allclose(sorted(binary.points.positions.tolist()), positions, atol=1e-6)
    torch.testing.assert_close(text.points.positions.sort(0).values, binary.points.positions.sort(0).values)
    torch.testing.assert_close(binary.points.colors[0], torch.tensor([1.0, 0.0, 0.0]))


def test_a_point_lands_where_colmap_projects_it(scene_folder: Path):
    scene = read_scene(scene_folder / "binary")
    theirs = pycolmap.Reconstruction(scene_folder / "binary" / "sparse" / "0")
    camera = scene.views[0].camera
    assert camera is not None
    pixels, _ = project(camera, torch.tensor([[0.3, -0.2, 0.1]]))
    expected = theirs.find_image_with_name("00.png").project_point(np.array([0.3, -0.2, 0.1]))
    assert expected is not None
    np.testing.assert_allclose(pixels[0].numpy(), expected, atol=1e-4)


@pytest.mark.parametrize("inside", ["sparse/0", "sparse", "colmap/sparse/0", "."])
def test_every_usual_layout_is_found(scene_folder: Path, inside: str, tmp_path: Path):
    root = tmp_path / "other"
    (root / inside).parent.mkdir(parents=True, exist_ok=True)
    if inside == ".":
        root = scene_folder / "binary" / "sparse" / "0"
    else:
        (root / inside).symlink_to(scene_folder / "binary" / "sparse" / "0")
        (root / "images").symlink_to(scene_folder / "images")
    assert len(read_scene(root).posed_views) == 5


def test_a_model_without_rigs_is_read(scene_folder: Path):
    model = scene_folder / "binary" / "sparse" / "0"
    (model / "rigs.bin").unlink()
    (model / "frames.bin").unlink()
    assert len(read_scene(scene_folder / "binary").posed_views) == 5


def test_missing_photographs_are_left_out_with_one_note(scene_folder: Path):
    (scene_folder / "images" / "03.png").unlink()
    scene = read_scene(scene_folder / "text")
    assert len(scene.views) == 4
    assert len(scene.notes) == 1
    assert "1 of 5 photographs" in scene.notes[0]
    assert "03.png" in scene.notes[0]


def test_masks_beside_the_photographs_are_found(scene_folder: Path):
    (scene_folder / "binary" / "masks").mkdir()
    mask = scene_folder / "binary" / "masks" / "01.png.png"
    mask.write_bytes((scene_folder / "images" / "01.png").read_bytes())
    scene = read_scene(scene_folder / "binary")
    assert [view.mask for view in scene.views] == [None, mask, None, None, None]


@pytest.mark.parametrize("name", ["cameras.bin", "images.bin", "points3D.bin"])
def test_a_file_cut_short_is_refused_at_every_length(scene_folder: Path, name: str):
    model = scene_folder / "binary" / "sparse" / "0"
    whole = (model / name).read_bytes()
    for length in range(0, len(whole), 7):
        (model / name).write_bytes(whole[:length])
        with pytest.raises(BadInputError, match=name):
            read_colmap(scene_folder / "binary")


@pytest.mark.parametrize("name", ["cameras", "images", "points3D"])
def test_hostile_counts_allocate_nothing(tmp_path: Path, name: str):
    (tmp_path / f"{name}.bin").write_bytes(struct.pack("<Q", 2**62) + bytes(200))
    read = {"cameras": read_cameras, "images": read_images, "points3D": read_points}[name]
    tracemalloc.start()
    with pytest.raises(BadInputError, match="more bytes were expected"):
        read(tmp_path)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_a_changed_byte_gives_a_scene_or_bad_input(scene_folder: Path):
    for name in ("cameras.bin", "images.bin"):
        file = scene_folder / "binary" / "sparse" / "0" / name
        whole = file.read_bytes()
        for at in range(0, len(whole), 11):
            file.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
            try:
                read_colmap(scene_folder / "binary")
            except BadInputError as error:
                assert str(scene_folder) in str(error)
        file.write_bytes(whole)


def test_a_text_file_cut_short_names_its_line(scene_folder: Path):
    file = scene_folder / "text" / "sparse" / "0" / "images.txt"
    text = file.read_text()
    start = text.index("\n5 ") + 8
    file.write_text(text[:start])
    with pytest.raises(BadInputError, match=r"Line 13 of .*images.txt should hold an image"):
        read_scene(scene_folder / "text")


def test_other_camera_models_are_named_with_the_remedy(scene_folder: Path):
    file = scene_folder / "text" / "sparse" / "0" / "cameras.txt"
    file.write_text("1 FOV 32 24 30 30 16 12 0.5\n")
    with pytest.raises(BadInputError, match=r"camera model FOV, which cannot be read.*image_undistorter"):
        read_scene(scene_folder / "text")


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [("0 0 16 12", "focal lengths"), ("nan 30 16 12", "focal lengths"), ("30 30 16", "4 parameters, got: 3")],
)
def test_impossible_cameras_are_refused(scene_folder: Path, parameters: str, expected: str):
    (scene_folder / "text" / "sparse" / "0" / "cameras.txt").write_text(f"1 PINHOLE 32 24 {parameters}\n")
    with pytest.raises(BadInputError, match=expected):
        read_scene(scene_folder / "text")


def test_a_photograph_of_another_shape_is_refused(scene_folder: Path):
    text = scene_folder / "text" / "sparse" / "0" / "cameras.txt"
    text.write_text(text.read_text().replace(" 32 24 ", " 32 32 "))
    with pytest.raises(BadInputError, match="has 32 x 24 pixels, but its camera is for 32 x 32"):
        read_scene(scene_folder / "text")


def test_names_that_leave_the_folder_are_refused(scene_folder: Path):
    file = scene_folder / "text" / "sparse" / "0" / "images.txt"
    file.write_text(file.read_text().replace("03.png", "../../secret.png"))
    with pytest.raises(BadInputError, match="not below"):
        read_scene(scene_folder / "text")


def test_a_smaller_copy_of_the_photographs_scales_the_cameras(scene_folder: Path):
    text = scene_folder / "text" / "sparse" / "0" / "cameras.txt"
    text.write_text(text.read_text().replace("PINHOLE 32 24 30 30 19 10", "PINHOLE 64 48 60 60 38 20"))
    camera = read_scene(scene_folder / "text").views[0].camera
    assert camera is not None
    assert (camera.width, camera.height) == (32, 24)
    torch.testing.assert_close(camera.focal_px, torch.tensor([30.0, 30.0]))
    torch.testing.assert_close(camera.center_px, torch.tensor([19.0, 10.0]))


@pytest.mark.parametrize(("size", "orientation"), [((32, 24), 1), ((24, 32), 6)])
def test_photographs_are_turned_only_if_the_camera_saw_them_upright(
    scene_folder: Path, size: tuple[int, int], orientation: int
):
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(scene_folder / "images" / "00.png") as stored:
        stored.save(scene_folder / "images" / "00.png", exif=exif)
    text = scene_folder / "text" / "sparse" / "0" / "cameras.txt"
    text.write_text(text.read_text().replace("1 PINHOLE 32 24", f"1 PINHOLE {size[0]} {size[1]}"))
    view = read_scene(scene_folder / "text").views[0]
    assert view.camera is not None
    assert (view.camera.width, view.camera.height) == size
    assert view.orientation == orientation
    assert load_photograph(view).image.shape == (size[1], size[0], 3)
