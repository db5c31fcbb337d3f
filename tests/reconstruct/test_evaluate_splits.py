import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hyperfocal.data import read_scene
from hyperfocal.errors import BadInputError
from hyperfocal.fit.config import FitConfig
from hyperfocal.gaussians import from_points
from hyperfocal.reconstruct import ReconstructConfig, Result, evaluate, reconstruct
from hyperfocal.reconstruct.scores import Table
from hyperfocal.scene import PointCloud
from photo_files import save_picture


@pytest.fixture
def result(tmp_path: Path) -> Result:
    """Of a synthetic scene of grey training photographs and black test photographs, as black as what it renders."""
    for split, grey in (("train", 0.5), ("test", 0.0)):
        frames = []
        for i in range(3):
            save_picture(torch.full((24, 32, 3), grey), tmp_path / "scene" / split / f"r_{i}.png")
            frames.append({"file_path": f"./{split}/r_{i}", "transform_matrix": np.eye(4).tolist()})
        content = {"camera_angle_x": 0.7, "frames": frames}
        (tmp_path / "scene" / f"transforms_{split}.json").write_text(json.dumps(content))
    scene = read_scene(tmp_path / "scene")
    behind = from_points(torch.tensor([[0.0, 0.0, 5.0]]), torch.ones(1, 3), torch.ones(1))
    held_out = tuple(view.name for view in scene.views if view.is_test)
    return Result(behind, scene, ReconstructConfig(eval_every=8), held_out, Table((), held_out=True))


def test_the_test_split_is_judged_on_its_own_photographs(result: Result, tmp_path: Path):
    moved = tmp_path / "moved"
    shutil.move(tmp_path / "scene", moved)
    for place in (moved, moved / "transforms_test.json"):
        scores = evaluate(result, read_scene(place)).views
        assert [score.name for score in scores] == [f"test/r_{i}.png" for i in range(3)]
        assert [score.psnr_db for score in scores] == [np.inf] * 3, "black beside black"


def test_training_photographs_are_not_taken_for_those_of_the_test_split(result: Result, tmp_path: Path):
    with pytest.raises(BadInputError, match=r"has no photograph test/r_0\.png"):
        evaluate(result, read_scene(tmp_path / "scene" / "transforms_train.json"))


@pytest.mark.parametrize("eval_every", [0, 8])
def test_no_fit_sees_the_test_split(result: Result, eval_every: int):
    points = PointCloud(torch.tensor([[0.0, 0.0, -5.0], [1.0, 0.0, -5.0]]), torch.ones(2, 3))
    scene = replace(result.scene, points=points)
    config = ReconstructConfig(eval_every=eval_every, fit=FitConfig(steps=6))
    made = reconstruct(scene, config)
    assert made.training == tuple(f"train/r_{i}.png" for i in range(3))
    assert made.held_out == (result.held_out if eval_every else ())
    assert {score.name for score in made.scores.views} == set(made.held_out or made.training)
