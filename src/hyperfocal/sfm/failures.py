"""Saying which photographs could not be placed, and why."""

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from ..data.listed import some_of

# COLMAP keeps no pair below 15 inliers and registers no photograph below 30 matches with known points.
_FEW_FEATURES = 100


def failure_notes(names: list[str], features: list[int], matches: np.ndarray, registered: set[int]) -> tuple[str, ...]:
    """Return one note for each reason why photographs are not registered.

    Args:
        names: Of the photographs.
        features: Their numbers of features.
        matches: [n, n] verified matches between every two.
        registered: Positions of the photographs that have a pose.
    """
    _, component = connected_components(csr_matrix(matches > 0), directed=False)
    home = {int(component[i]) for i in registered}
    reasons: dict[str, list[str]] = {}
    for i, name in enumerate(names):
        if i in registered:
            continue
        group = np.flatnonzero(component == component[i])
        if features[i] < _FEW_FEATURES:
            reason = "show too little detail (blurred, dark or textureless)"
        elif len(group) == 1:
            reason = "share no view with any other photograph"
        elif int(component[i]) not in home:
            reason = (
                f"match only among themselves (a group of {len(group)}): photographs of another scene, or a gap "
                "between viewpoints that a few photographs in between would close"
            )
        else:
            reason = "match others, but too little or from too close together to be placed"
        reasons.setdefault(reason, []).append(name)
    return tuple(
        f"{len(failed)} of {len(names)} photographs {reason}: {some_of(failed)}." for reason, failed in reasons.items()
    )
