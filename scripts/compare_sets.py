"""Print how refiners did on several sets, as two Markdown tables, and draw their gains.

Each RUN is a run folder of the independent protocol with sessions of ``manual`` and of the refiner
of ``--against``; several are the same run with other seeds, and count as repeats: they must have
the same images, refiners, budget and first metric. REGEX keeps the images whose names it begins.
`linerefine compare` shows runs side by side; this takes them apart by set, with what a comparison
of refiners needs beside one another.

What it is worth: mean gain with its 95 % interval (bootstrap over images), and by how many points
it is above that of ``--against``, paired by image; interactions until the manual person's best,
means over images, the whole budget where it was never reached, and how many hinted pixels fewer
than the manual person's that is. How many sessions reached it stands beside them, and how many
times as many interactions as those of ``--against`` they took in sessions where both did, for a
mean of such budgets hides which it is. Where a set has several runs, how much each of them is
above stands there, too, and half of the 95 % interval of their mean (Student's t): what may come
of other trainings, where the first interval is of other images.

Scores and harm: the score of what the refiner makes of the first prediction before the first
stroke, and the best one; regret, all of it shared among the strokes and that of strokes alone, and
the share of strokes after which an image got worse, means over all strokes of a set; compliance,
over images. In brackets how many times those of ``--against`` they are. ``--also`` names another
metric of the runs, a share as ``iou`` is, to see whether it agrees: its mean where sessions end.
"""

from __future__ import annotations

import argparse
import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import t as student

from linerefine.config import ExperimentConfig
from linerefine.configure import load_config
from linerefine.errors import DataError, LineRefineError
from linerefine.evaluation.numbers import GAIN_STROKES, gain_over
from linerefine.evaluation.sessions import by_hand, sessions_of
from linerefine.evaluation.statistics import estimate
from linerefine.tracking.style import COLOURS, finish, in_percent, new_figure, save_png

WORTH = ("mean gain, %", "above", "interactions", "saved, %", "arrived", "where both do")
RUNS = "above in each run"
SCORES = ("revised, %", "best, %", "regret, px", "by strokes", "compliance, %", "worse, %")
PANELS = 2
"""Most panels beside one another."""


@dataclass(frozen=True, eq=False)
class Found:
    """Sessions on one set.

    Parameters
    ----------
    name : str
        Of the set.
    manual : str
        Who stands for a person without help.
    sessions : DataFrame
        One row per refiner, repeat and image.
    rounds : DataFrame
        Of the same sessions; `run` says by which run each was made.
    metric : str
        The steering one.
    strokes : int
        Over so many the gain is looked at.
    also : str, optional
        Another metric.
    """

    name: str
    manual: str
    sessions: pd.DataFrame
    rounds: pd.DataFrame
    metric: str
    strokes: int
    also: str | None = None

    def of(self, refiner: str) -> pd.DataFrame:
        """Return the sessions of one refiner."""
        return self.sessions[self.sessions.refiner == refiner]

    def per_stroke(self, refiner: str, column: str) -> float:
        """Return the mean over all strokes of what is kept as a mean per session."""
        own = self.of(refiner)
        strokes = own.rounds.sum()
        return float((own[column] * own.rounds).sum() / strokes) if strokes else math.nan

    def regret(self, refiner: str, *, by_strokes: bool) -> float:
        """Return the regret per stroke, without what was spoilt before the first or with it.

        Over all strokes of all sessions whose regret is known: an image that was spoilt and left
        alone counts, too.
        """
        own = self.rounds[(self.rounds.refiner == refiner) & self.rounds.regret.notna()]
        is_stroke = own["round"] > 0
        strokes = int(is_stroke.sum())
        spoilt = own.regret[is_stroke] if by_strokes else own.regret
        return float(spoilt.sum() / strokes) if strokes else math.nan

    def by_session(self, refiner: str, column: str) -> pd.DataFrame:
        """Return a number of every session, a row per image, a column per repeat."""
        return self.of(refiner).pivot(index="image", columns="repeat", values=column)

    def above(self, refiner: str, other: str) -> pd.DataFrame:
        """Return by how much its mean gain is larger in every session, an image per row."""
        own, theirs = (self.by_session(name, "mean_gain") for name in (refiner, other))
        return own - theirs

    def above_by_run(self, refiner: str, other: str) -> pd.Series:
        """Return the mean of that of every run, over images."""
        made_by = self.rounds.drop_duplicates("repeat").set_index("repeat").run
        return self.above(refiner, other).T.groupby(made_by).mean().mean(axis="columns")

    def saved(self, refiner: str) -> float:
        """Return by what share fewer pixels are hinted until the mark than by the manual person."""
        ours, theirs = (self.of(name).pixels_to_best.mean() for name in (refiner, self.manual))
        return float(1 - ours / theirs) if theirs else math.nan

    def at_the_ends(self, refiner: str) -> tuple[float, float]:
        """Return the mean of the other metric before the first stroke, and where sessions end."""
        own = self.rounds[self.rounds.refiner == refiner].sort_values("round")
        shown = own.groupby(["repeat", "image"])
        return (
            float(shown[f"manual_{self.also}"].first().mean()),
            float(shown[f"refined_{self.also}"].last().mean()),
        )

    def where_both_arrive(self, refiner: str, other: str) -> tuple[float, int]:
        """Return a fraction of interactions, and over how many sessions."""
        reached = [self.by_session(name, "reached") > 0 for name in (refiner, other)]
        both = reached[0] & reached[1]
        ours, theirs = (
            float(self.by_session(name, "interactions_to_best")[both].sum().sum())
            for name in (refiner, other)
        )
        return (ours / theirs if theirs else math.nan), int(both.sum().sum())

    def gains(self, refiner: str) -> np.ndarray:
        """Return the mean relative gain after 0, 1, ... interactions; ended sessions stay.

        Over the sessions that have one: where the manual score is 0 there is none.
        """
        steps = np.arange(self.strokes + 1)
        curves = []
        for _, own in self.rounds[self.rounds.refiner == refiner].groupby(["repeat", "image"]):
            key = (self.rounds.repeat == own.repeat.iloc[0]) & (
                self.rounds.image == own.image.iloc[0]
            )
            hand = self.rounds[key & (self.rounds.refiner == self.manual)]
            ours, theirs = (
                each.sort_values("round")[f"refined_{self.metric}"].to_numpy(np.float64)
                for each in (own, hand)
            )
            curves.append(gain_over(ours, theirs, steps))
        return pd.DataFrame(curves).mean().to_numpy()


def main() -> None:
    """Print the table, and draw the picture if one is wanted."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", metavar="NAME=RUN[,RUN...][:REGEX]")
    parser.add_argument("--against", default="unet")
    parser.add_argument("--also", metavar="METRIC")
    parser.add_argument("--figure", type=Path)
    wanted = parser.parse_args()
    try:
        found = [read(text, wanted.also) for text in wanted.runs]
        runs = max(each.rounds.run.nunique() for each in found)
        worth = [line for each in found for line in rows(each, wanted.against, runs=runs)]
        scores = [line for each in found for line in rows(each, wanted.against, harm=True)]
    except LineRefineError as error:
        parser.error(str(error))
    also = (f"{wanted.also}, %",) if wanted.also else ()
    several = (RUNS,) if runs > 1 else ()
    for columns, table in (((*WORTH, *several), worth), ((*SCORES, *also), scores)):
        print("| |", " | ".join(columns), "|")
        print("| --- |", " | ".join("---" for _ in columns), "|")
        print("\n".join([*table, ""]))
    if wanted.figure:
        save_png(draw(found), wanted.figure)


def read(text: str, also: str | None = None) -> Found:
    """Return the sessions that NAME=RUN[,RUN...][:REGEX] asks for.

    Raises
    ------
    DataError
        If that is no run folder with sessions of the independent protocol, no image is left,
        several runs are not the same one with other seeds, or do not have the other metric.
    """
    name, _, place = text.partition("=")
    folders, _, regex = place.partition(":")
    parts, settings = zip(*(_played(folder, regex) for folder in folders.split(",")), strict=True)
    _check_repeats(name, parts, settings)
    first = settings[0]
    manual, metric = by_hand(first.refiners), first.metrics[0].name
    budget = first.evaluation.budget
    rounds = _as_repeats(parts)
    if also and f"refined_{also}" not in rounds:
        msg = f"the runs of {name} have no metric {also!r}, only {', '.join(_metrics(rounds))}."
        raise DataError(msg)
    sessions = sessions_of(rounds, first)
    return Found(name, manual, sessions, rounds, metric, min(GAIN_STROKES, budget), also)


def _metrics(rounds: pd.DataFrame) -> list[str]:
    return [name.removeprefix("refined_") for name in rounds if name.startswith("refined_")]


def _check_repeats(
    name: str, parts: Sequence[pd.DataFrame], settings: Sequence[ExperimentConfig]
) -> None:
    """Refuse runs whose means would be over different things."""
    facts = {
        "budget": [each.evaluation.budget for each in settings],
        "first metric": [each.metrics[0].name for each in settings],
        "refiners": [set(part.refiner) for part in parts],
        "images": [set(part.image) for part in parts],
    }
    for what, values in facts.items():
        if any(value != values[0] for value in values):
            msg = f"the runs of {name} differ in {what}; expected the same run with other seeds."
            raise DataError(msg)
    seeds = [each.seed for each in settings]
    if len(set(seeds)) < len(seeds):
        said = ", ".join(map(str, seeds))
        msg = f"the runs of {name} have seeds {said}; expected the same run with other seeds."
        raise DataError(msg)


def _played(folder: str, regex: str) -> tuple[pd.DataFrame, ExperimentConfig]:
    run = Path(folder)
    table, config = run / "rounds.parquet", run / "config.toml"
    if not table.exists() or not config.exists():
        msg = f"{folder!r} is no run folder with sessions; expected NAME=RUN[,RUN...][:REGEX]."
        raise DataError(msg)
    try:
        wanted = re.compile(regex)
    except re.error as error:
        msg = f"{regex!r} is no regular expression: {error}. Expected NAME=RUN[,RUN...][:REGEX]."
        raise DataError(msg) from error
    settings = load_config(config)
    rounds = pd.read_parquet(table)
    rounds = rounds[[wanted.match(image) is not None for image in rounds.image]]
    if rounds.empty:
        msg = f"no image of {run} has a name that begins with {regex!r}."
        raise DataError(msg)
    if settings.evaluation.loop != "independent":
        msg = f"{run} was made by another protocol; run it with --set protocol=independent."
        raise DataError(msg)
    return rounds, settings


def _as_repeats(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return the rounds of several runs, the repeats of each numbered on from those before."""
    numbered, done = [], 0
    for run, part in enumerate(parts):
        numbered.append(part.assign(repeat=part.repeat + done, run=run))
        done += int(part.repeat.max()) + 1
    return pd.concat(numbered, ignore_index=True)


def rows(found: Found, other: str, *, harm: bool = False, runs: int = 1) -> list[str]:
    """Return the rows of one set in one of the tables; refiners as they were run.

    With more than one run in the table there is a cell for what each of them says.

    Raises
    ------
    DataError
        If the refiner to compare with, or the manual person, is not among them.
    """
    names = list(dict.fromkeys(found.rounds.refiner))
    for needed in (other, found.manual):
        if needed not in names:
            msg = f"{found.name} has no sessions of {needed!r}, only of {', '.join(names)}."
            raise DataError(msg)
    images = found.sessions.image.nunique()
    said = f"{images} images"
    if not harm:
        said += f", first prediction {100 * found.of(found.manual).initial.mean():.1f} %"
    elif found.also:
        said += f", {found.also} before {100 * found.at_the_ends(found.manual)[0]:.1f} %"
    table = [(_scores if harm else _worth)(found, name, other) for name in names]
    if runs > 1:
        table = [
            (*cells, _by_run(found, name, other)) for cells, name in zip(table, names, strict=True)
        ]
    title = f"| **{found.name}**, {said} |{' |' * len(table[0])}"
    named = zip(names, table, strict=True)
    return [title, *(f"| `{name}` | {' | '.join(cells)} |" for name, cells in named)]


def _worth(found: Found, name: str, other: str) -> tuple[str, ...]:
    own = found.of(name)
    needed, there = (found.of(each).interactions_to_best.mean() for each in (name, other))
    reached = f"{own.reached.sum():.0f} of {len(own)}"
    interactions = f"{needed:.1f}{_times(needed, there)}"
    if name == found.manual:
        return ("", "", interactions, "", reached, "")
    gain = estimate(found.by_session(name, "mean_gain"))
    above = estimate(found.above(name, other))
    times, both = found.where_both_arrive(name, other)
    return (
        f"{100 * gain.mean:+.1f} ({100 * gain.low:.1f} to {100 * gain.high:.1f})",
        "" if name == other else f"{100 * above.mean:+.2f} ({_ends(above.low, above.high)})",
        interactions,
        f"{100 * found.saved(name):.0f}",
        reached,
        "" if name == other else f"{times:.2f} × ({both})",
    )


def _by_run(found: Found, name: str, other: str) -> str:
    """Return what every run says, and how far off their mean may be."""
    if name in (found.manual, other):
        return ""
    means = found.above_by_run(name, other)
    said = ", ".join(f"{100 * mean:+.1f}" for mean in means)
    if len(means) == 1:
        return said
    half = student.ppf(0.975, len(means) - 1) * means.std() / math.sqrt(len(means))
    return f"{said} (±{100 * half:.1f})"


def _scores(found: Found, name: str, other: str) -> tuple[str, ...]:
    own, regrets = found.of(name), []
    for by_strokes in (False, True):
        ours, theirs = (found.regret(each, by_strokes=by_strokes) for each in (name, other))
        regrets.append(f"{ours:.1f}{'' if name == found.manual else _times(ours, theirs)}")
    return (
        "" if (own.revised == own.initial).all() else f"{100 * own.revised.mean():.1f}",
        f"{100 * own.refined_best.mean():.1f}",
        *regrets,
        f"{100 * own.compliance.mean():.1f}",
        f"{100 * found.per_stroke(name, 'worse_share'):.1f}",
        *([f"{100 * found.at_the_ends(name)[1]:.1f}"] if found.also else []),
    )


def _ends(low: float, high: float) -> str:
    return f"{100 * low:+.2f} to {100 * high:+.2f}"


def _times(own: float, other: float) -> str:
    return f" ({own / other:.2f} ×)" if other else ""


def draw(found: list[Found]) -> object:
    """Return a picture with a panel per set: mean gain over interactions, a curve per refiner."""
    down = math.ceil(len(found) / PANELS)
    across = math.ceil(len(found) / down)
    figure = new_figure(3.3 * across, 2.6 * down)
    panels = np.ravel(figure.subplots(down, across, squeeze=False))
    for panel, each in zip(panels, found, strict=False):
        names = [name for name in dict.fromkeys(each.rounds.refiner) if name != each.manual]
        for name, colour in zip(names, itertools.cycle(COLOURS), strict=False):
            panel.plot(each.gains(name), color=colour, label=name, linewidth=1.5)
        panel.axhline(0, color="0.35", linewidth=0.7)
        panel.set_title(re.sub(r",.*", "", each.name), fontsize=9)
        panel.yaxis.set_major_formatter(in_percent())
        finish(panel)
        panel.set_xlabel("interactions", fontsize=8)
    for panel in panels[len(found) :]:
        panel.set_visible(False)
    panels[0].set_ylabel("gain over manual", fontsize=8)
    lines, labels = panels[0].get_legend_handles_labels()
    figure.legend(lines, labels, loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    return figure


if __name__ == "__main__":
    main()
