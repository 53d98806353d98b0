"""Arrays of lines: centrelines, strokes, hint maps, tiles. NumPy in, NumPy out.

Part of what plugins may rely on. Masks are bool, hint maps int8, axes
(row, col); nothing here changes its arguments, reads files or needs torch.
OpenCV, SciPy and scikit-image are imported by the functions that use them.

Here ``centreline`` is the function; its module is imported as
``from linerefine.geometry.centreline import …``.
"""

from __future__ import annotations

from linerefine.geometry.centreline import (
    centreline,
    half_widths,
    longest_segment,
    segment_pixels,
    thin,
    unbranched_segments,
)
from linerefine.geometry.hints import HINT_LOGIT, apply_hints, constrain, merge_hints
from linerefine.geometry.strokes import (
    WidthStatistics,
    dilate,
    mark,
    rasterise,
    sub_path,
    width_statistics,
)
from linerefine.geometry.tiles import blend, crop, paper_weights, shown, taper, tile_grid

__all__ = [
    "HINT_LOGIT",
    "WidthStatistics",
    "apply_hints",
    "blend",
    "centreline",
    "constrain",
    "crop",
    "dilate",
    "half_widths",
    "longest_segment",
    "mark",
    "merge_hints",
    "paper_weights",
    "rasterise",
    "segment_pixels",
    "shown",
    "sub_path",
    "taper",
    "thin",
    "tile_grid",
    "unbranched_segments",
    "width_statistics",
]
