"""Options of the built-in loaders; imports no NumPy, so that listing plugins stays quick."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from linerefine.config import Options

__all__ = ["Channels", "FolderName", "FolderOptions"]

FolderName = Annotated[str, Field(min_length=1)]
Channels = Literal["grey", "rgb", "red", "green", "blue"]


class FolderOptions(Options):
    """Options of the loader ``folder``."""

    root: Path | None = Field(None, description="Folder that holds the others; --data-root.")
    images: FolderName = Field("images", description="Folder of the images.")
    masks: FolderName = Field("masks", description="Folder of the line masks.")
    second: FolderName = Field("masks2", description="Folder of a second annotator's masks.")
    roi: FolderName = Field("fov", description="Folder of the masks of pixels that count.")
    channels: Channels = Field("grey", description="What of a colour image is used.")
    normalise: bool = Field(
        True, description="Mean 0 and deviation 1 inside the ROI, per image and channel."
    )
    invert: bool = Field(False, description="Negate the values: dark lines become bright.")
    scale: float = Field(1.0, gt=0, le=4, description="Size of the working grid / of the files.")
    split_file: Path | None = Field(
        None, description="JSON with the names of train, val and test; None: splits.json if any."
    )
    split_fractions: tuple[float, float, float] = Field(
        (0.6, 0.2, 0.2), description="Shares of train, val and test without a split file."
    )
    group: str | None = Field(
        None, description="Regular expression; names with the same match stay in one split."
    )

    @field_validator("split_fractions")
    @classmethod
    def _check_fractions(cls, value: tuple[float, float, float]) -> tuple[float, float, float]:
        if min(value) <= 0 or abs(sum(value) - 1) > 1e-6:
            msg = f"shares are {value}, expected three numbers > 0 whose sum is 1"
            raise ValueError(msg)
        return value

    @field_validator("group")
    @classmethod
    def _check_group(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except re.error as error:
            msg = f"'{value}' is not a regular expression: {error}"
            raise ValueError(msg) from error
        return value
