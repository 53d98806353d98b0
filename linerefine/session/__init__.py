"""The interactive engine: one image, its strokes, its current mask. Knows no target."""

from linerefine.session.engine import RefinementSession, Update
from linerefine.session.log import StrokeLog

__all__ = ["RefinementSession", "StrokeLog", "Update"]
