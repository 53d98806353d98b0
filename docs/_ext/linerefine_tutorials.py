"""Tutorials whose commands are run while the documentation is built.

``{run}``
    A command, and below it what it printed. ``:from:`` and ``:before:`` show a part of
    that; ``:quiet:`` shows the command alone. What it does stands in `tutorial_steps`.
``{said}``
    Another part of what the last command printed; ``:wrap:`` breaks long lines.
``{saved} FILE``
    A file that the reader saves ``:as:`` something, shown as by ``literalinclude``.
``{made} FILE``
    A picture that the commands made, with ``:alt:``; the content is its caption.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from docutils.parsers.rst.directives.images import Figure
from sphinx.directives.code import LiteralInclude
from sphinx.errors import SphinxError
from sphinx.util.docutils import SphinxDirective
from tutorial_steps import StepError, Workshop, part, read_page, stale

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

FOLDER = "tutorial"


class TutorialError(SphinxError):
    """A tutorial does not do what it says."""

    category = "a tutorial does not do what it says"


def workshop(app: Sphinx) -> Workshop:
    """Return where this build follows tutorials."""
    source = Path(app.srcdir)
    return Workshop(source.parent, source / FOLDER, Path(app.outdir).parent / "tutorials")


def begin(app: Sphinx) -> None:
    """Follow all tutorials before anything is read."""
    try:
        workshop(app).follow_all()
    except StepError as error:
        raise TutorialError(str(error)) from error


def follow(app: Sphinx, docname: str, source: list[str]) -> None:
    """Have what the commands of a page printed at hand when Sphinx reads it."""
    if not docname.startswith(f"{FOLDER}/"):
        return
    shop, name = workshop(app), docname.removeprefix(f"{FOLDER}/")
    page = read_page(shop.pages / f"{name}.md", source[0])
    said = shop.follow(page)
    if page.steps:
        keys(app.env)[name] = shop.key(page)
    runs = [text for step, text in zip(page.steps, said, strict=True) if step.kind == "run"]
    app.env.temp_data["tutorial_said"] = runs


def keys(env: BuildEnvironment) -> dict[str, str]:
    """Return the keys of the pages that Sphinx remembers."""
    if not hasattr(env, "tutorial_keys"):
        env.tutorial_keys = {}  # type: ignore[attr-defined]
    known: dict[str, str] = env.tutorial_keys  # type: ignore[attr-defined]
    return known


def outdated(app: Sphinx, env: BuildEnvironment, *_: set[str]) -> Iterable[str]:
    """Return the pages to read again although their text did not change."""
    return [f"{FOLDER}/{name}" for name in stale(workshop(app), keys(env))]


class Said(SphinxDirective):
    """A part of what the last command printed."""

    option_spec: ClassVar[dict[str, Any]] = {
        "from": directives.unchanged_required,
        "before": directives.unchanged_required,
        "wrap": directives.flag,
    }

    def run(self) -> list[nodes.Node]:
        """Return the block."""
        return [self.block(self.env.temp_data["tutorial_last"])]

    def block(self, said: str) -> nodes.Node:
        """Return printed text as a block."""
        try:
            shown = part(said, self.options.get("from"), self.options.get("before"))
        except StepError as error:
            raise self.error(str(error)) from error
        classes = ["said", "wrapped"] if "wrap" in self.options else ["said"]
        block = nodes.literal_block(shown, shown, language="text", classes=classes)
        self.set_source_info(block)
        return block


class Run(Said):
    """A command that is run, and what it printed."""

    has_content = True
    option_spec: ClassVar[dict[str, Any]] = {
        **Said.option_spec,
        "fails": directives.nonnegative_int,
        "port": directives.nonnegative_int,
        "quiet": directives.flag,
        "until": directives.unchanged_required,
    }

    def run(self) -> list[nodes.Node]:
        """Return the two blocks."""
        said = self.env.temp_data["tutorial_said"].pop(0)
        self.env.temp_data["tutorial_last"] = said
        typed = "\n".join(self.content).strip()
        command = nodes.literal_block(typed, typed, language="sh", classes=["typed"])
        self.set_source_info(command)
        box = nodes.container("", command, classes=["run"])
        if said and "quiet" not in self.options:
            box += self.block(said)
        return [box]


class Saved(LiteralInclude):
    """A file that the reader saves."""

    option_spec: ClassVar[dict[str, Any]] = {
        **LiteralInclude.option_spec,
        "as": directives.unchanged_required,
    }

    def run(self) -> list[nodes.Node]:
        """Return the file's block, under the name it is saved as."""
        self.options.setdefault("caption", self.options.pop("as"))
        return super().run()


class Made(SphinxDirective):
    """A picture that the commands of this page, or of one before it, made."""

    required_arguments = 1
    has_content = True
    option_spec: ClassVar[dict[str, Any]] = {
        **Figure.option_spec,
        "alt": directives.unchanged_required,
    }

    def run(self) -> list[nodes.Node]:
        """Copy the picture to where Sphinx looks for it and return the figure."""
        if not self.options.get("alt"):
            msg = "a picture needs :alt:, for those who cannot see it"
            raise self.error(msg)
        name = self.env.docname.removeprefix(f"{FOLDER}/")
        picture = workshop(self.env.app).folder(name) / self.arguments[0]
        if not picture.is_file():
            msg = f"no command of this page made {self.arguments[0]}"
            raise self.error(msg)
        flat = self.arguments[0].replace("/", "-")
        target = Path(self.env.srcdir, FOLDER, "generated", name, flat)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(picture, target)
        figure = Figure(
            self.name,
            [f"/{FOLDER}/generated/{name}/{flat}"],
            self.options,
            self.content,
            self.lineno,
            self.content_offset,
            self.block_text,
            self.state,
            self.state_machine,
        )
        return figure.run()


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx; pages are followed one after the other."""
    app.connect("builder-inited", begin)
    app.connect("source-read", follow)
    app.connect("env-get-outdated", outdated)
    for name, directive in {"run": Run, "said": Said, "saved": Saved, "made": Made}.items():
        app.add_directive(name, directive)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
