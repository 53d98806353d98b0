"""A report as one HTML file that needs nothing else: no server, no network, no folder beside it."""

from __future__ import annotations

import base64
import hashlib
import io
import logging
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from PIL import Image, ImageSequence, UnidentifiedImageError

from linerefine.cache import atomic_write
from linerefine.errors import DataError
from linerefine.report import Page, Picture, Section, Table
from linerefine.tracking.tables import best_cells, cells, is_numeric

__all__ = ["LARGE", "WIDEST", "page_html", "write_page"]

log = logging.getLogger(__name__)

WIDEST = 1600
"""Pictures are scaled down to this width, pixels."""

LARGE = 20_000_000
"""Pages of more bytes are written with a warning: browsers and mail take them badly."""

_WIDE = 2.0  # pictures so many times as wide as high scroll on phones, as tables do
_TYPES = {
    ".gif": "image/gif",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}


def write_page(page: Page, path: Path) -> Path:
    """Write a page as one self-contained HTML file, whole or not at all, and return the path.

    Parameters
    ----------
    page : Page
        What to show.
    path : Path
        The file.

    Raises
    ------
    DataError
        If a picture cannot be read, or the file cannot be written.

    Notes
    -----
    A page of more than 20 MB is written all the same, with a warning in the log.
    """
    content = page_html(page).encode()
    if len(content) > LARGE:
        log.warning(
            "%s takes %.0f MB; some browsers and mail programs refuse that. Show fewer pictures.",
            path,
            len(content) / 1e6,
        )
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)
    return path


def page_html(page: Page) -> str:
    """Return a page as HTML that asks nobody for anything.

    Everything a page holds is shown as text: markup in it has no effect. The
    document forbids the browser any request, and any script but its own.

    Raises
    ------
    DataError
        If a picture cannot be read.
    """
    from jinja2 import Environment, StrictUndefined  # only where a page is written

    folder = files("linerefine.tracking") / "templates"
    style, script = (
        (folder / name).read_text(encoding="utf-8").strip() for name in ("page.css", "page.js")
    )
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    template = environment.from_string((folder / "page.html").read_text(encoding="utf-8"))
    return template.render(
        page=page,
        sections=list(_sections(page.sections)),
        style=style,
        script=script,
        style_hash=_hash(style),
        script_hash=_hash(script),
    )


def _sections(sections: Sequence[Section]) -> Iterator[dict[str, Any]]:
    for number, section in enumerate(sections, start=1):
        yield {
            "anchor": f"part-{number}",
            "title": section.title,
            "paragraphs": [part.strip() for part in section.text.split("\n\n") if part.strip()],
            "parts": [_part(part) for part in section.parts],
        }


def _part(part: Table | Picture) -> dict[str, Any]:
    if isinstance(part, Picture):
        return {"kind": "picture", "caption": part.caption, **_inlined(part.path)}
    best = best_cells(part)
    numeric = [is_numeric(part, column) for column in part.columns]
    rows = [
        [
            {"text": text, "is_best": (row, column) in best, "is_number": numeric[column]}
            for column, text in enumerate(texts)
        ]
        for row, texts in enumerate(cells(part))
    ]
    columns = [
        {"text": text, "is_number": is_number}
        for text, is_number in zip(part.columns, numeric, strict=True)
    ]
    return {
        "kind": "table",
        "title": part.title,
        "columns": columns,
        "rows": rows,
        "note": part.note,
    }


# ------------------------------------------------------------------ pictures


def _inlined(path: Path) -> dict[str, Any]:
    """Return a picture as the address that holds it, and how it is to be shown.

    SVG too is shown as a picture and not as part of the document: so its
    scripts never run, its names cannot clash with others, and nothing it
    refers to is asked for.
    """
    kind = _TYPES.get(path.suffix.lower())
    if kind is None:
        msg = f"{path} is no picture for a page: its name must end in {', '.join(_TYPES)}."
        raise DataError(msg)
    try:
        content = path.read_bytes()
        if kind == "image/svg+xml":
            return {"source": _address(kind, content), "is_wide": False, "still": ""}
        return _raster(kind, content)
    except (OSError, UnidentifiedImageError) as error:
        msg = f"picture {path} of the page cannot be read: {error}. Draw it again."
        raise DataError(msg) from error


def _raster(kind: str, content: bytes) -> dict[str, Any]:
    with Image.open(io.BytesIO(content)) as picture:
        frames = [
            (frame.convert("RGB" if picture.format == "JPEG" else "RGBA"), frame.info)
            for frame in ImageSequence.Iterator(picture)
        ]
        if picture.width > WIDEST:
            content = _narrowed(picture, frames)
    still = ""
    if len(frames) > 1:
        file = io.BytesIO()
        _scaled(frames[-1][0]).save(file, format="PNG", optimize=True)
        still = _address("image/png", file.getvalue())
    is_wide = picture.width > _WIDE * picture.height
    return {"source": _address(kind, content), "is_wide": is_wide, "still": still}


def _narrowed(picture: Image.Image, frames: list[tuple[Image.Image, Any]]) -> bytes:
    """Return a picture no wider than allowed, in the format it had."""
    options: dict[str, Any] = {"quality": 90} if picture.format == "JPEG" else {"optimize": True}
    first, *others = [_scaled(frame) for frame, _ in frames]
    if others:
        options |= {
            "save_all": True,
            "append_images": others,
            "duration": [info.get("duration", 0) for _, info in frames],
            "loop": picture.info.get("loop", 0),
        }
    file = io.BytesIO()
    first.save(file, format=picture.format, **options)
    return file.getvalue()


def _scaled(frame: Image.Image) -> Image.Image:
    if frame.width <= WIDEST:
        return frame
    size = (WIDEST, max(round(frame.height * WIDEST / frame.width), 1))
    return frame.resize(size, Image.Resampling.LANCZOS)


def _address(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _hash(text: str) -> str:
    """Return what a content security policy calls a text it allows."""
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"
