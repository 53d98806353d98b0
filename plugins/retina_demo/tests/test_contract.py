"""The loader keeps the promises of every loader."""

from __future__ import annotations

from linerefine.testing import check_loader
from linerefine_retina_demo.loader import Retina
from linerefine_retina_demo.options import RetinaOptions


def test_loader_keeps_its_promises():
    check_loader(Retina(RetinaOptions(sample_images=6, sample_size=96)))
