"""Who trains, who decides when to stop, who is reported on."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import get_args

from linerefine.errors import DataError
from linerefine.loaders.layout import raise_together
from linerefine.types import Split

__all__ = [
    "SPLITS_FILE",
    "Division",
    "check_split_file",
    "divide",
    "grouping",
    "read_split_file",
    "split_file_of",
]

SPLITS_FILE = "splits.json"
"""Looked for in the data root and beside it."""

HELD_BACK = 0.2
"""Share of the training groups that decide when to stop, where a split file names none."""

SPLITS: tuple[str, ...] = get_args(Split)


@dataclass(frozen=True)
class Division:
    """Names of each split, sorted, and the rule that made them.

    Parameters
    ----------
    train, val, test : tuple of str
        For training, for early stopping, for reported scores.
    rule : str
        One sentence for the log and the run.
    """

    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]
    rule: str

    def names(self, split: Split) -> tuple[str, ...]:
        """Return the names of one split."""
        return {"train": self.train, "val": self.val, "test": self.test}[split]


def grouping(pattern: str | None) -> Callable[[str], str]:
    r"""Return what tells the group of a name.

    Parameters
    ----------
    pattern : str or None
        Regular expression matched from the start of the name. What its first
        parenthesis matches (without any: the whole match) is the group. Names
        that do not match, and all names if None, are groups of their own.

    Examples
    --------
    >>> group = grouping(r"(Image_\d+)[LR]")
    >>> group("Image_01L") == group("Image_01R")
    True
    """
    if pattern is None:
        return lambda name: name
    compiled = re.compile(pattern)

    def group(name: str) -> str:
        match = compiled.match(name)
        if match is None:
            return name
        return (match.group(1) or match.group(0)) if compiled.groups else match.group(0)

    return group


def divide(
    names: Iterable[str], group: Callable[[str], str], fractions: tuple[float, float, float]
) -> Division:
    """Divide names in sorted order, groups kept together.

    Parameters
    ----------
    names : iterable of str
    group : callable
        From `grouping`.
    fractions : tuple of float
        Shares of train, val and test, counted in groups; val and test get at
        least one group each, train the rest.

    Raises
    ------
    DataError
        If there are fewer than three groups.
    """
    groups = _grouped(names, group)
    if len(groups) < 3:
        msg = (
            f"{len(groups)} independent images are too few to divide into train, val and test; "
            f"3 at least are needed. Name the splits in a {SPLITS_FILE} instead."
        )
        raise DataError(msg)
    n_val, n_test = (max(1, round(share * len(groups))) for share in fractions[1:])
    n_train = max(1, len(groups) - n_val - n_test)
    n_val = min(n_val, len(groups) - n_train - 1)
    shares = [round(100 * share) for share in fractions]
    rule = f"by sorted name, {shares[0]}/{shares[1]}/{shares[2]} %"
    if any(len(members) > 1 for members in groups):
        rule += f" of {len(groups)} groups that stay together"
    parts = groups[:n_train], groups[n_train : n_train + n_val], groups[n_train + n_val :]
    train, val, test = (tuple(sorted(chain.from_iterable(part))) for part in parts)
    return Division(train, val, test, rule)


def split_file_of(root: Path) -> Path | None:
    """Return ``splits.json`` in a data root or, if it speaks of the root, beside it."""
    inside, above = root / SPLITS_FILE, root.resolve().parent / SPLITS_FILE
    if inside.is_file():
        return inside
    if above.is_file():
        content = _read_json(above)
        if isinstance(content, dict) and root.resolve().name in content:
            return above
    return None


def read_split_file(
    file: Path, root: Path, names: Iterable[str], group: Callable[[str], str]
) -> Division:
    """Divide names as a file says.

    Parameters
    ----------
    file : Path
        JSON: ``{"train": [...], "val": [...], "test": [...]}``, or several of
        these under the names of data roots.
    root : Path
        Data root; its name is looked up.
    names : iterable of str
        What there is. Names that the file leaves out are used for nothing.
    group : callable
        From `grouping`.

    Returns
    -------
    division : Division
        If the file has no ``test``, its ``val`` is reported on as test. Where
        that or its absence leaves no ``val``, the last fifth of the groups of
        ``train`` decides when to stop.

    Raises
    ------
    DataError
        If the file is missing, of another form, or names what does not exist;
        lists all mistakes.
    """
    known = sorted(names)
    listed = _listed(file, root)
    raise_together(_mistakes(file, root, listed, known), file)
    train, val, test = (list(listed.get(split, ())) for split in SPLITS)
    rule = f"as {file} says"
    if not test:
        test, val = val, []
        rule += ", its 'val' being reported on as test"
    if not val:
        train, val = _hold_back(train, group, file)
        rule += ", the last fifth of its 'train' held back for early stopping"
    unused = len(known) - len(train) - len(val) - len(test)
    if unused:
        rule += f", {unused} images that it does not name left out"
    return Division(tuple(sorted(train)), tuple(sorted(val)), tuple(sorted(test)), rule)


def check_split_file(file: Path, root: Path, names: Iterable[str]) -> list[str]:
    """Return what is wrong with the names in a split file, a sentence each.

    Parameters
    ----------
    file, root, names
        As for `read_split_file`.

    Raises
    ------
    DataError
        If the file is missing or of another form.
    """
    return _mistakes(file, root, _listed(file, root), sorted(names))


def _grouped(names: Iterable[str], group: Callable[[str], str]) -> list[list[str]]:
    groups: dict[str, list[str]] = {}
    for name in sorted(names):
        groups.setdefault(group(name), []).append(name)
    return list(groups.values())


def _hold_back(
    train: Sequence[str], group: Callable[[str], str], file: Path
) -> tuple[list[str], list[str]]:
    groups = _grouped(train, group)
    if len(groups) < 2:
        msg = f"{file} has one group in 'train' and no 'val'; nothing is left for early stopping."
        raise DataError(msg)
    kept = len(groups) - max(1, round(HELD_BACK * len(groups)))
    return list(chain.from_iterable(groups[:kept])), list(chain.from_iterable(groups[kept:]))


def _read_json(file: Path) -> object:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = "does not exist" if not file.exists() else f"is not JSON: {error}"
        msg = f"split file {file} {reason}."
        raise DataError(msg) from error


def _listed(file: Path, root: Path) -> Mapping[str, Sequence[str]]:
    """Return the lists of a split file that are meant for this root."""
    content = _read_json(file)
    name = root.resolve().name
    if isinstance(content, dict) and name in content:
        content = content[name]
    form = f'{{"train": [...], "val": [...], "test": [...]}}, plain or under the key \'{name}\''
    if not isinstance(content, dict) or not content or not set(content) <= set(SPLITS):
        keys = ", ".join(map(repr, content)) if isinstance(content, dict) else "no keys"
        msg = f"split file {file} has {keys}, expected {form}."
        raise DataError(msg)
    for split, listed in content.items():
        if not isinstance(listed, list) or not all(isinstance(entry, str) for entry in listed):
            msg = f"split file {file}: '{split}' is not a list of names, expected {form}."
            raise DataError(msg)
    return content


def _mistakes(
    file: Path, root: Path, listed: Mapping[str, Sequence[str]], known: Sequence[str]
) -> list[str]:
    """Return what is wrong with the names in a split file."""
    mistakes = []
    seen: dict[str, str] = {}
    for split, names in listed.items():
        for name in names:
            if name not in known:
                close = difflib.get_close_matches(name, known, 1)
                remedy = f"Did you mean '{close[0]}'?" if close else "Take it out."
                mistakes.append(f"{file}: '{split}' names '{name}', not in {root}. {remedy}")
            if name in seen:
                mistakes.append(
                    f"{file}: '{name}' is in '{seen[name]}' and again in '{split}'. Keep one."
                )
            seen[name] = split
    if not listed.get("train"):
        mistakes.append(f"{file}: 'train' is missing or empty. Name images to learn from.")
    if not listed.get("val") and not listed.get("test"):
        mistakes.append(
            f"{file}: 'val' and 'test' are both missing or empty. Name images to report on."
        )
    return mistakes
