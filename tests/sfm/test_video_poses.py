from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from hyperfocal.data.video import read_video
from hyperfocal.sfm import SfmConfig, estimate_poses
from hyperfocal.transforms import align_similarity
from photo_files import camera_at, picture_of_relief, texture

av = pytest.importorskip("av", reason="PyAV (the extra `view`) is not installed")


def test_cameras_are_found_from_a_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("photo_files.texture", cache(texture))  # the same for every frame
    eyes = [(-1.2 + 2.4 * i / 44, 0.3 * np.sin(i / 7), -3.2) for i in range(45)]
    with av.open(str(tmp_path / "walk.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "12", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv444p"
        for eye in eyes:
            pixels = (picture_of_relief(camera_at(eye)) * 255).round().to(torch.uint8).numpy()
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    scene = read_video(tmp_path / "walk.mp4", frames=9, cache=tmp_path)
    assert scene is not None
    found = estimate_poses(scene, config=SfmConfig(max_features=1500))
    assert len(found.posed_views) == len(scene.views) >= 8
    assert "Taken as --capture video: the source is a video." in found.notes
    centers = torch.stack([view.camera.centers() for view in found.posed_views if view.camera is not None])
    true = torch.tensor([eyes[int(view.name[6:12])] for view in found.posed_views], dtype=torch.float32)
    scale, rotation, translation = align_similarity(centers, true)
    assert float((scale * centers @ rotation.T + translation - true).norm(dim=1).max()) < 0.03
