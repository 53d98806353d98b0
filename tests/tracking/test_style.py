from __future__ import annotations

import sys

import matplotlib as mpl
import pytest
from PIL import Image

from linerefine.errors import DataError
from linerefine.tracking import bands, bars, figures
from linerefine.tracking.style import save_png


def test_a_figure_is_written_whole_or_not_at_all(tmp_path, rounds):
    path = save_png(figures.gain_curve(rounds), tmp_path / "figures" / "gain.png")
    with Image.open(path) as picture:
        assert picture.format == "PNG"
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="cannot be written"):
        save_png(figures.gain_curve(rounds), tmp_path / "file" / "gain.png")


def test_drawing_leaves_no_global_state(rounds):
    before = dict(mpl.rcParams)
    figures.gain_curve(rounds)
    figures.workload(rounds)
    bands.score_bands(rounds)
    bars.effort_bars(rounds)
    assert dict(mpl.rcParams) == before
    assert "matplotlib.pyplot" not in sys.modules
