"""Writers (and readers) of files that hold Gaussians."""

from .ply import read_ply as read_ply
from .ply import write_ply as write_ply
