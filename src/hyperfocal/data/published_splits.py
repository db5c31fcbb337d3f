"""Scenes published in parts, one to fit and one to measure on, as one scene."""

from dataclasses import replace
from os.path import commonpath
from pathlib import Path

from ..scene import Scene, View
from .listed import some_of


def with_test_split(training: Scene, test: Scene) -> Scene:
    """Return the training scene with the views of the other one, which are marked: fits never use them.

    Both usually have photographs of the same names, so all are named from the folder that they share: train/r_0.png.
    A photograph that is in both is for training only.
    """
    files = {_file(view) for view in training.views}
    both = [view for view in test.views if _file(view) in files]
    held_out = [replace(view, is_test=True) for view in test.views if _file(view) not in files]
    views = (*training.views, *held_out)
    common = Path(commonpath([_file(view).parent for view in views]))
    named = [replace(view, name=_file(view).relative_to(common).as_posix()) for view in views]
    notes = (*training.notes, *test.notes)
    if held_out:
        notes += (f"{len(held_out)} photographs are published for testing: never fitted, and measured on by --eval.",)
    if both:
        names = some_of([view.name for view in both])
        notes += (f"{len(both)} photographs are in the training and in the test split; they are fitted: {names}.",)
    return replace(training, views=tuple(sorted(named, key=lambda view: view.name)), notes=notes)


def _file(view: View) -> Path:
    assert isinstance(view.image, Path), "readers of files name files"
    return view.image
