"""Options of the built-in metrics; imports no NumPy, so that listing plugins stays quick."""

from __future__ import annotations

from pydantic import Field

from linerefine.config import Options

__all__ = ["BettiOptions", "CentrelineFOptions", "PathOptions"]


class CentrelineFOptions(Options):
    """Options of the metric ``centreline_f``."""

    tolerance: float = Field(
        2.0, ge=0, description="A centreline is found if the other is no farther away, pixels."
    )


class BettiOptions(Options):
    """Options of the metrics ``betti0`` and ``betti1``."""

    window: int | None = Field(
        None, ge=1, description="Mean over square windows of this edge, pixels; none: whole image."
    )


class PathOptions(Options):
    """Options of the metric ``path_similarity``."""

    tolerance: float = Field(
        4.0, ge=0, description="How far a control node may lie from the other centreline, pixels."
    )
    nodes: int = Field(
        50,
        ge=2,
        description="Most control nodes on either centreline, beside ends of their lines.",
    )
