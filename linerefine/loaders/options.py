"""Options of the built-in loaders; imports no NumPy, so that listing plugins stays quick."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from linerefine.config import Options

__all__ = ["NAME", "Channels", "FolderName", "FolderOptions"]

NAME = "{name}"
"""Stands in the name of a folder for the name of a sample: ``masks/{name}_mask``."""


def _checked_name(part: str) -> str:
    if part.count(NAME) > 1 or NAME in str(Path(part).parent):
        msg = f"'{part}' has {NAME} in a wrong place, expected it once and after the last /"
        raise ValueError(msg)
    return part


FolderName = Annotated[str, Field(min_length=1), AfterValidator(_checked_name)]
Channels = Literal["grey", "rgb", "red", "green", "blue"]


class FolderOptions(Options):
    """Options of the loader ``folder``.

    Notes
    -----
    ``images`` and ``masks`` may be paths of their own; without a ``root`` it is then
    what they have in common.
    """

    root: Path | None = Field(None, description="Folder that holds the others; --data-root.")
    images: FolderName = Field(
        "images", description="Folder of the images; 'photos/{name}_rgb' says how they are called."
    )
    masks: FolderName = Field(
        "masks", description="Folder of the line masks, or such as 'labels/{name}_mask'."
    )
    second: FolderName = Field("masks2", description="Folder of a second annotator's masks.")
    roi: FolderName = Field("fov", description="Folder of the masks of pixels that count.")
    lines: Literal["bright", "dark"] = Field(
        "bright", description="What is line in a mask: what is brighter than half, or the rest."
    )
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

    @model_validator(mode="before")
    @classmethod
    def _find_root(cls, given: Any) -> Any:  # noqa: ANN401 - whatever is to be checked
        """Settle the root of folders that are named by themselves, and make them absolute."""
        if not isinstance(given, Mapping) or given.get("root") is not None:
            return given
        named = {
            part: Path(os.path.normpath(Path(given[part]).expanduser().absolute()))
            for part in ("images", "masks")
            if isinstance(given.get(part), str)
            and given[part] not in ("", cls.model_fields[part].default)
        }
        folders = [path.parent if NAME in path.name else path for path in named.values()]
        if not folders:
            return given
        root = folders[0].parent if len(folders) == 1 else Path(os.path.commonpath(folders))
        return {**given, **{part: str(path) for part, path in named.items()}, "root": root}

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
