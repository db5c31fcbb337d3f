"""Writers (and readers) of files that hold Gaussians."""

from .compressed_ply import write_compressed_ply as write_compressed_ply
from .page import write_page as write_page
from .ply import read_ply as read_ply
from .ply import write_ply as write_ply
