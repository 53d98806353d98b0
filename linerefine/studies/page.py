"""The page of a study: what was found, beside what was published."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from linerefine.hooks import View
from linerefine.report import Page, Section
from linerefine.studies import pictures, tables
from linerefine.studies.perform import Outcome
from linerefine.tracking.page import write_page

__all__ = ["write_study"]

VIEWS: Mapping[View, Callable[[Outcome], Section]] = {
    "patches": tables.patches_view,
    "sessions": tables.sessions_view,
    "gain": pictures.gain_view,
    "workload": pictures.workload_view,
    "widths": pictures.widths_view,
    "strip": pictures.strip_view,
    "training": pictures.training_view,
    "extremes": pictures.extremes_view,
}


def write_study(outcome: Outcome, command: str) -> tuple[Page, Path]:
    """Write the page of a study into its folder.

    Parameters
    ----------
    outcome : Outcome
        A study that was performed.
    command : str
        What makes it again.

    Returns
    -------
    page : Page
    path : Path
        ``report.html`` in the study's folder.

    Raises
    ------
    LineRefineError
        If a run folder lacks what is to be shown, or the page cannot be written.
    """
    study = outcome.study
    sections = [VIEWS[view](outcome) for view in study.views]
    sections = [section for section in sections if section.parts]
    if study.caveats:
        sections.append(Section("What to keep in mind", study.caveats))
    page = Page(
        title=f"{study.name}: {study.summary}",
        summary=f"{study.source}, here on {outcome.data}.{_settings(outcome)}",
        command=command,
        sections=tuple(sections),
        facts=_facts(outcome),
    )
    return page, write_page(page, outcome.folder / "report.html")


def _settings(outcome: Outcome) -> str:
    """Return in words how much was run, since that differs between profiles."""
    config = outcome.first.config
    evaluation, training = config.evaluation, config.training
    said = [f"profile {config.profile or 'none'}"]
    if evaluation.repeats:
        sessions = "session" if evaluation.repeats == 1 else "sessions"
        said.append(f"{evaluation.repeats} {sessions} per image, up to {evaluation.budget} strokes")
    if evaluation.patch_passes:
        said.append(f"{evaluation.patch_passes} passes over the patches")
    steps = training.steps_per_epoch or "all"
    said.append(f"up to {training.max_epochs} epochs of {steps} steps of {training.batch_size}")
    return f" As run: {', '.join(said)}."


def _facts(outcome: Outcome) -> dict[str, str]:
    first = outcome.first
    tags = {
        key: first.tags[key]
        for key in ("device", "git", "python", "torch", "linerefine")
        if key in first.tags
    }
    return {
        "data": outcome.data,
        "experiment": outcome.experiment.name,
        "protocols": ", ".join(outcome.results),
        "seed": str(first.config.seed),
        **tags,
    }
