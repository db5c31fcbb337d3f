"""Matchers by name."""

from typing import Literal, TypeAlias, get_args

from ..errors import BadInputError
from ..protocols import Matcher
from .dense_flow import DenseFlowMatcher
from .lightglue import LightGlueMatcher
from .loftr import EfficientLoftrMatcher, LoftrMatcher
from .sift import SiftMatcher
from .weights import require_weights
from .xfeat import DenseXFeatMatcher, XFeatMatcher

MatcherName: TypeAlias = Literal[
    "sift",
    "flow",
    "xfeat",
    "xfeat-dense",
    "disk-lightglue",
    "aliked-lightglue",
    "loftr",
    "efficient-loftr",
]


def load_matcher(name: MatcherName) -> Matcher:
    """Return a matcher with its usual settings. SIFT and flow need no weights.

    Raises:
        BadInputError: no matcher has that name, or its weights are missing or damaged.
        MissingExtraError: the package that runs it is not installed.
    """
    match name:
        case "sift":
            return SiftMatcher()
        case "flow":
            return DenseFlowMatcher()
        case "xfeat":
            return XFeatMatcher(*require_weights("xfeat"))
        case "xfeat-dense":
            return DenseXFeatMatcher(*require_weights("xfeat"))
        case "disk-lightglue":
            return LightGlueMatcher("disk")
        case "aliked-lightglue":
            return LightGlueMatcher("aliked")
        case "loftr":
            return LoftrMatcher()
        case "efficient-loftr":
            return EfficientLoftrMatcher()
    raise BadInputError(f"No matcher is called {name!r}; there are {', '.join(get_args(MatcherName))}.")
