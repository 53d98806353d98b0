"""Options of the built-in simulators; imports no NumPy, so that listing plugins stays quick."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from linerefine.config import Options

__all__ = ["ClicksOptions", "LongestOptions", "RegionOptions", "ScribblesOptions"]


class LongestOptions(Options):
    """Options of the simulator ``longest``; lengths are pixels of the working grid."""

    max_length: int = Field(11, ge=1, description="Most pixels of a stroke's path.")  # sec. 3.2.3
    half_width: Annotated[float, Field(gt=0)] | Literal["line"] = Field(
        3.5,
        description="Half-width of a stroke; 3.5 marks seven pixels across. 'line': as wide as the "
        "line that is drawn or erased.",
    )
    tip: Literal["disc", "cross"] = Field(
        "disc", description="'disc', or 'cross': the authors' diamond."
    )
    tolerance: float = Field(
        9.0,
        ge=0,
        description="A predicted centreline farther than this from the target's is superfluous.",
    )  # authors' code: nine dilations
    tolerance_tip: Literal["disc", "cross"] = Field(
        "disc", description="Distance of the tolerance: 'disc' Euclidean, 'cross' city-block."
    )


class RegionOptions(Options):
    """Options of simulators that work on whole error regions."""

    half_width: float = Field(
        3.5, gt=0, description="Half-width of a mark; 3.5 marks seven pixels across."
    )
    tip: Literal["disc", "cross"] = Field(
        "disc", description="'disc', or 'cross': the authors' diamond."
    )
    least_pixels: int = Field(10, ge=1, description="Smaller error regions are left alone.")
    tolerance: float = Field(
        9.0,
        ge=0,
        description="What is predicted farther than this from the target's centreline, and off "
        "its lines, is superfluous.",
    )  # as longest
    tolerance_tip: Literal["disc", "cross"] = Field(
        "disc", description="Distance of the tolerance: 'disc' Euclidean, 'cross' city-block."
    )


class ClicksOptions(RegionOptions):
    """Options of the simulator ``clicks``; lengths are pixels of the working grid."""


class ScribblesOptions(RegionOptions):
    """Options of the simulator ``scribbles``; lengths are pixels of the working grid."""

    max_length: int = Field(100, ge=1, description="Most pixels of a scribble's path.")
