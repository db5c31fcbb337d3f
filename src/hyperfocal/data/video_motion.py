"""Which frames of a video are worth keeping: sharp ones at about equal distances of camera motion."""

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

# Flow is followed from a reference frame until the picture has moved this share of its long side. What a hand trembles
# is less, so it does not add up.
_REFERENCE_STEP = 0.02
# With fewer tracked points left than this share, the reference is renewed earlier.
_FEWEST_TRACKED = 0.5
_POINTS = 200
# What is counted as motion when no point can be followed, because the picture is smeared or empty.
_LOST = 0.05
# A tracked point whose surroundings differ by more (mean absolute grey levels) is not the same point.
_WORST_PATCH = 25.0
_CUT_DIFFERENCE = 0.06  # of small colour pictures in [0, 1], and
_CUT_PROMINENCE = 4.0  # so many times what the frames around differ
_CUT_NEIGHBOURS = 12
_CUT_TRACKED = 0.3
# Frames between which the picture moved less are near-duplicates.
_DUPLICATE = 0.01
_EVERY = 0.05  # of the long side: consecutive frames share about 19 parts in 20, which tolerates some lost ones
_FEWEST, _MOST = 60, 150
# The middle share of a stretch in which its frame is looked for, so that neighbours are not taken at a common end.
_MIDDLE = 0.7
_STILL = 3  # stretches: a camera that moved less has not moved


@dataclass(frozen=True)
class FrameMeasures:
    """What one decoded frame says about its worth."""

    number: int
    """Among all frames of the video, in the order of decoding."""
    time_s: float
    sharpness: float
    """Variance of the Laplacian of grey levels: comparable with neighbouring frames only."""
    moved: float
    """How far the picture has moved since the first frame, in long sides of it; never falls."""
    tracked: float
    """Share of the points of the previous frame that are seen again."""
    thumbnail: np.ndarray
    """[18, 32, 3] in [0, 1]."""


class Meter:
    """Measures frames in their order."""

    def __init__(self) -> None:
        self._previous: np.ndarray | None = None
        self._points = np.zeros((0, 1, 2), np.float32)
        self._origins = self._points
        self._detected = 0
        self._base = 0.0
        self._moved = 0.0

    def measure(self, number: int, time_s: float, rgb: np.ndarray) -> FrameMeasures:
        """Return the measures of the next frame, [h, w, 3] uint8 of some 640 pixels."""
        grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
        sharpness = float(cv2.Laplacian(grey, cv2.CV_32F).var())
        tracked = self._follow(cv2.resize(grey, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
        thumbnail = cv2.resize(rgb, (32, 18), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        return FrameMeasures(number, time_s, sharpness, self._moved, tracked, thumbnail)

    def _follow(self, grey: np.ndarray) -> float:
        """Add the motion of a small grey frame and return the share of tracked points."""
        if self._previous is None:
            self._renew(grey)
            self._previous = grey
            return 1.0
        tracked, displacement = 1.0, 0.0
        if self._detected < 8:  # black or empty: nothing to follow
            self._renew(grey)
        else:
            points, found, error = cv2.calcOpticalFlowPyrLK(self._previous, grey, self._points, np.empty(0))  # pyright: ignore[reportCallIssue, reportArgumentType]
            inside = ((points >= 0) & (points < (grey.shape[1], grey.shape[0]))).all(axis=(1, 2))
            kept = (found[:, 0] == 1) & (error[:, 0] < _WORST_PATCH) & inside
            tracked = float(kept.mean()) if len(kept) else 0.0
            self._points, self._origins = points[kept], self._origins[kept]
            if len(self._points) >= 8:
                steps = np.linalg.norm(self._points - self._origins, axis=(1, 2))
                displacement = float(np.median(steps)) / max(grey.shape)
            else:
                displacement = _LOST
            if displacement >= _REFERENCE_STEP or len(self._points) < _FEWEST_TRACKED * self._detected:
                self._base += displacement
                displacement = 0.0
                self._renew(grey)
        self._moved = max(self._moved, self._base + displacement)
        self._previous = grey
        return tracked

    def _renew(self, grey: np.ndarray) -> None:
        """Take a frame as the one that motion is measured from."""
        found = cv2.goodFeaturesToTrack(grey, _POINTS, 0.01, 6)
        self._points = np.zeros((0, 1, 2), np.float32) if found is None else found
        self._origins = self._points
        self._detected = len(self._points)


def shots(frames: list[FrameMeasures]) -> list[list[FrameMeasures]]:
    """Return the frames split at cuts. Fades and dissolves are not found."""
    starts = [0, *(i for i in range(1, len(frames)) if _is_cut(frames, i)), len(frames)]
    return [frames[a:b] for a, b in pairwise(starts)]


def _is_cut(frames: list[FrameMeasures], index: int) -> bool:
    """Return whether another shot begins at `index`: the picture changes at once, as a whole, and for good."""
    difference = _difference(frames[index - 1], frames[index])
    if difference < _CUT_DIFFERENCE or frames[index].tracked > _CUT_TRACKED:
        return False
    # Where a flash or one damaged frame begins at `index`, or ends there, the frames on both sides of it are alike.
    sides = ((index - 1, min(index + 1, len(frames) - 1)), (max(index - 2, 0), index))
    if any(_difference(frames[a], frames[b]) < difference / 2 for a, b in sides if a + 1 < b):
        return False
    around = range(max(1, index - _CUT_NEIGHBOURS), min(len(frames), index + _CUT_NEIGHBOURS + 1))
    usual = [_difference(frames[i - 1], frames[i]) for i in around if i != index]
    return difference > _CUT_PROMINENCE * float(np.median(usual or [0.0]))


def _difference(a: FrameMeasures, b: FrameMeasures) -> float:
    return float(np.abs(a.thumbnail - b.thumbnail).mean())


def relative_sharpness(frames: list[FrameMeasures], neighbours: int = 15) -> np.ndarray:
    """Return each frame's sharpness over the median of those around it: above 1 is sharper than its neighbours."""
    sharpness = np.array([frame.sharpness for frame in frames])
    usual = [np.median(sharpness[max(0, i - neighbours) : i + neighbours + 1]) for i in range(len(frames))]
    return sharpness / np.maximum(usual, 1e-9)


def hardly_moves(frames: list[FrameMeasures]) -> bool:
    """Return whether the camera stands still."""
    return frames[-1].moved - frames[0].moved < _STILL * _DUPLICATE


def usual_count(frames: list[FrameMeasures]) -> int:
    """Return how many frames of a shot to keep unless told otherwise: by motion, within limits."""
    motion = frames[-1].moved - frames[0].moved
    # Of three neighbours one is sharp; of a very short video rather every second than too few.
    available = max(len(frames) // 3, min(len(frames) // 2, 24))
    return max(1, min(max(_FEWEST, min(_MOST, round(motion / _EVERY))), available))


def choose(frames: list[FrameMeasures], count: int) -> list[FrameMeasures]:
    """Return at most `count` frames: the sharpest in the middle of each of `count` stretches of equal motion.

    Fewer come back where the camera stands still (near-duplicates), or moves so fast that a stretch has no frame. A
    camera that hardly moves at all gives frames at equal times.
    """
    if hardly_moves(frames):
        places = np.array([frame.time_s for frame in frames])
    else:
        places = np.array([frame.moved for frame in frames])
        count = min(count, 1 + int((places[-1] - places[0]) / _DUPLICATE))
    sharpness = relative_sharpness(frames)
    length = (places[-1] - places[0]) / count
    chosen = []
    for stretch in range(count):
        offset = np.abs(places - places[0] - (stretch + 0.5) * length)
        candidates = np.flatnonzero(offset <= _MIDDLE / 2 * length)
        if len(candidates) == 0:
            nearest = int(offset.argmin())
            candidates = np.array([nearest]) if offset[nearest] <= length / 2 else candidates
        if len(candidates):
            chosen.append(int(candidates[sharpness[candidates].argmax()]))
    return [frames[i] for i in sorted(set(chosen))]
