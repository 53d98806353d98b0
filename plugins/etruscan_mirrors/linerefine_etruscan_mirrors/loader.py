"""The loader of Etruscan mirror scans."""

from __future__ import annotations

import difflib
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from linerefine.caches import use_cache
from linerefine.errors import DataError
from linerefine.interfaces import ModalityLoader
from linerefine.samples import Sample
from linerefine.types import Progress, Split, Tile
from linerefine_etruscan_mirrors.files import View, discover, orphan_drawings
from linerefine_etruscan_mirrors.options import MirrorOptions
from linerefine_etruscan_mirrors.preprocessing import Moments, Statistics
from linerefine_etruscan_mirrors.scans import BadScanError, Scan, ScanReader, channel_names
from linerefine_etruscan_mirrors.sources import view_of_path
from linerefine_etruscan_mirrors.splits import (
    PAPER_TEST_VIEWS,
    Division,
    divide,
    patch_halves,
    read_split_file,
    roi_of,
)
from linerefine_etruscan_mirrors.store import Store

__all__ = ["MirrorLoader"]

log = logging.getLogger(__name__)

SCALE = 2
"""Source pixels per working pixel: the paper works at half resolution (section 3.1.1)."""


@dataclass(frozen=True)
class _Collection:
    """What `MirrorLoader.prepare` found."""

    scans: Mapping[str, Scan]
    division: Division
    halves: Mapping[str, Mapping[str, Sequence[Tile]]] = field(default_factory=dict)
    bad: tuple[str, ...] = ()


class MirrorLoader(ModalityLoader):
    """Photometric-stereo scans of Etruscan mirrors, with drawings and object masks.

    Parameters
    ----------
    options : MirrorOptions
        Folder, channels, preprocessing, splits.

    Raises
    ------
    ConfigError
        If Segment Anything is asked for and cannot be used.

    Notes
    -----
    Scans are preprocessed once and kept in a cache on disk, keyed by the
    contents of their files and the options: about 120 MB per annotated view
    and channel at the paper's resolution. Samples are memory maps of it.

    With ``split="paper"`` the validation samples are the test views with a ROI
    that leaves half the patches, named ``<view>@val``; patch scores are taken
    on the other half, ``<view>@test``.
    """

    def __init__(self, options: MirrorOptions | None = None) -> None:
        self.options = options or MirrorOptions()
        self.channels = channel_names(self.options.channels)
        folder = self.options.cache or use_cache() / "etruscan_mirrors"
        self._reader = ScanReader(self.options, Store(folder.expanduser().absolute()))
        self._statistics: tuple[Statistics, ...] | None = None
        self._pixel_size_mm: float | None = None
        self._collection: _Collection | None = None

    def prepare(self, progress: Progress) -> None:
        """Find, check and preprocess all annotated views; fit the normalisation.

        Raises
        ------
        DataError
            If the root cannot be used, no view is left, a bad scan is found
            and ``on_bad_scan`` is ``"fail"``, or the cache cannot be written.
        """
        if self._collection is not None:
            return
        collection = self._collect(self._root(progress), progress)
        if self._statistics is None:
            scans = [collection.scans[name] for name in collection.division.train]
            self._statistics = _pooled(scans, len(self.channels))
            self._pixel_size_mm = sorted(scan.pixel_size_mm for scan in scans)[len(scans) // 2]
        division = collection.division
        used = (*division.train, *division.val, *division.test)
        for done, name in enumerate(used):
            progress("normalising scans", done, len(used))
            self._reader.image(collection.scans[name], self._statistics)
        progress("normalising scans", len(used), len(used))
        self._collection = collection

    def names(self, split: Split) -> Sequence[str]:
        collection = self._prepared()
        if split == "val" and collection.halves:
            return _named(collection, "val")
        return getattr(collection.division, split)  # type: ignore[no-any-return]

    def patch_names(self) -> Sequence[str]:
        collection = self._prepared()
        return _named(collection, "test") if collection.halves else collection.division.test

    def load(self, name: str) -> Sample:
        collection = self._prepared()
        view, at, part = name.partition("@")
        scan = collection.scans.get(view)
        tiles = collection.halves.get(part, {}).get(view)
        if scan is None or (at and tiles is None):
            raise DataError(_unknown(name, collection.scans))
        return self._sample(scan, name, tiles)

    def open(self, source: str) -> Sample:
        """Return a view that need not belong to a split.

        Parameters
        ----------
        source : str
            A depth map (``…_U.tif``), a folder that holds the scan of one view,
            or the name of a view under the data root.

        Raises
        ------
        DataError
            If there is no such view, or its files are bad.
        """
        if self._statistics is None:
            self._prepared()
        view = self._view(source)
        return self._sample(self._reader.scan(view, self._scale_for(view)), view.name, None)

    def notes(self) -> dict[str, str]:
        """Return kind of data, mask methods, split sizes and bad scans."""
        if self._collection is None:
            return {"data": "phantom" if self.options.root is None else "real"}
        is_drawn = self.options.root is None or _is_drawn(self._collection.scans.values())
        notes = {"data": "phantom" if is_drawn else "real"}
        masks = Counter(scan.mask_method for scan in self._collection.scans.values())
        division = self._collection.division
        bad = self._collection.bad
        return notes | {
            "object_mask": ", ".join(
                f"{method} {count}" for method, count in sorted(masks.items())
            ),
            "split": f"{self.options.split}; test {', '.join(division.test)}",
            "unused_views": ", ".join(division.unused) or "none",
            "bad_scans": f"{len(bad)}: {' | '.join(bad)}" if bad else "none",
        }

    def state(self) -> dict[str, Any]:
        """Return normalisation and pixel size of the training views."""
        if self._statistics is None:
            self._prepared()
        known = zip(self.channels, self._statistics or (), strict=True)
        return {
            "statistics": {channel: asdict(statistics) for channel, statistics in known},
            "pixel_size_mm": self._pixel_size_mm,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        try:
            given = {name: Statistics(**known) for name, known in state["statistics"].items()}
            pixel_size = float(state["pixel_size_mm"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            msg = f"the run's loader state is damaged ({error!r}), expected statistics per channel."
            raise DataError(msg) from error
        if tuple(given) != self.channels:
            msg = (
                f"the run was trained on channels {', '.join(given)}, but the loader has "
                f"{', '.join(self.channels)}. Use the run's own configuration."
            )
            raise DataError(msg)
        self._statistics, self._pixel_size_mm = tuple(given.values()), pixel_size

    def _prepared(self) -> _Collection:
        if self._collection is None:
            self.prepare(lambda _what, _done, _total: None)
        assert self._collection is not None  # set by prepare
        return self._collection

    def _root(self, progress: Progress) -> Path:
        if self.options.root is not None:
            return self.options.root.expanduser()
        from linerefine_etruscan_mirrors.phantom import ensure_phantoms  # drawing code

        return ensure_phantoms(use_cache(), self.options.phantoms, progress)

    def _scale(self) -> int:
        if self.options.scale is not None:
            return self.options.scale
        is_small = self.options.root is None and self.options.phantoms != "full"
        return 1 if is_small else SCALE

    def _scale_for(self, view: View) -> int:
        """Return the whole factor that comes nearest to the training's pixel size."""
        if self.options.scale is not None or self._pixel_size_mm is None:
            return self._scale()
        _, resolution = self._reader.check(view)
        return max(1, round(self._pixel_size_mm * resolution))

    def _collect(self, root: Path, progress: Progress) -> _Collection:
        views = self._annotated(root)
        bad = [
            f"drawing {path} has no scan." for path in orphan_drawings(root, self.options.layout)
        ]
        for message in bad:
            self._report(BadScanError(message))
        scans: dict[str, Scan] = {}
        for done, view in enumerate(views):
            progress("preprocessing scans", done, len(views))
            try:
                scan = self._reader.scan(view, self._scale())
                self._reader.lines(scan)
            except BadScanError as error:
                self._report(error)
                bad.append(str(error))
            else:
                scans[view.name] = scan
        progress("preprocessing scans", len(views), len(views))
        if not scans:
            msg = f"none of the {len(views)} annotated views under {root} can be used. {bad[0]}"
            raise DataError(msg)
        return self._divided(scans, tuple(bad))

    def _annotated(self, root: Path) -> list[View]:
        """Return the views that have a drawing and are not excluded."""
        layout = self.options.layout
        found = {view.name: view for view in discover(root, layout)}
        for name in self.options.exclude:
            if name not in found:
                raise DataError(_unknown(name, found))
        drawn = [view for view in found.values() if view.drawing.is_file()]
        if not drawn:
            msg = (
                f"none of the {len(found)} views under {root} has a drawing; looked for "
                f"<object>/{layout.drawings}/*{layout.drawing_suffix}."
            )
            raise DataError(msg)
        kept = [view for view in drawn if view.name not in self.options.exclude]
        if not kept:
            msg = f"loader.options.exclude leaves no annotated view under {root}."
            raise DataError(msg)
        return kept

    def _report(self, error: BadScanError) -> None:
        if self.options.on_bad_scan == "fail":
            raise error
        log.warning("bad scan skipped: %s", error)

    def _divided(self, scans: Mapping[str, Scan], bad: tuple[str, ...]) -> _Collection:
        options = self.options
        objects = {name: scan.view.object_name for name, scan in scans.items()}
        if options.split_file is not None:
            return _Collection(scans, read_split_file(options.split_file, objects), bad=bad)
        is_paper = options.split == "paper"
        division = divide(
            objects,
            test_views=_default_test(scans) if options.test_views is None else options.test_views,
            test_fraction=options.test_fraction,
            val_fraction=0.0 if is_paper else options.val_fraction,
            seed=options.split_seed,
        )
        if division.unused:
            log.info("left out, their objects being tested: %s", ", ".join(division.unused))
        if not is_paper:
            return _Collection(scans, division, bad=bad)
        shapes = {name: scans[name].shape for name in division.test}
        edge = max(1, options.patch // self._scale())
        val, test = patch_halves(shapes, edge, options.split_seed)
        if not any(val.values()):
            msg = (
                f"the test views {', '.join(division.test)} hold fewer than two patches of "
                f"{options.patch} source pixels. Set loader.options.patch or split='object'."
            )
            raise DataError(msg)
        return _Collection(scans, division, {"val": val, "test": test}, bad)

    def _view(self, source: str) -> View:
        path = Path(source).expanduser()
        if path.exists():
            return view_of_path(path, self.options.layout)
        looks_like_path = path.suffix != "" or len(path.parts) > 1
        if self.options.root is None and looks_like_path:
            msg = f"{path} does not exist, expected a depth map or the folder of a scan."
            raise DataError(msg)
        root = self._root(lambda _what, _done, _total: None)
        found = {view.name: view for view in discover(root, self.options.layout)}
        if source not in found:
            raise DataError(_unknown(source, found))
        return found[source]

    def _sample(self, scan: Scan, name: str, tiles: Sequence[Tile] | None) -> Sample:
        assert self._statistics is not None  # every caller prepares or restores first
        roi = self._reader.roi(scan)
        return Sample(
            name=name,
            image=self._reader.image(scan, self._statistics),
            roi=roi if tiles is None else roi_of(tiles, roi),
            lines=self._reader.lines(scan) if scan.view.drawing.is_file() else None,
            pixel_size_mm=scan.pixel_size_mm,
            source_shape=scan.source_shape,
        )


def _default_test(scans: Mapping[str, Scan]) -> tuple[str, ...]:
    """Return the paper's test views, or the phantoms', as far as they are there."""
    from linerefine_etruscan_mirrors.phantom import TEST_VIEWS  # drawing code

    found = [
        tuple(name for name in views if name in scans) for views in (PAPER_TEST_VIEWS, TEST_VIEWS)
    ]
    return found[0] or found[1]


def _is_drawn(scans: Iterable[Scan]) -> bool:
    """Say whether views are phantoms that were given as a data root."""
    return any(scan.view.object_name.startswith("PHANTOM-") for scan in scans)


def _named(collection: _Collection, part: str) -> tuple[str, ...]:
    return tuple(f"{view}@{part}" for view, tiles in collection.halves[part].items() if tiles)


def _pooled(scans: Sequence[Scan], channels: int) -> tuple[Statistics, ...]:
    """Return the statistics of the mirror pixels of all scans, channel by channel."""
    totals = [
        sum((scan.moments[channel] for scan in scans), Moments()) for channel in range(channels)
    ]
    return tuple(total.statistics() for total in totals)


def _unknown(name: str, known: Mapping[str, object]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    hint = f" Did you mean '{close[0]}'?" if close else ""
    return f"no view named '{name}'.{hint} Available: {', '.join(sorted(known))}."
