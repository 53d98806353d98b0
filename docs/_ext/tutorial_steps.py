"""Do what the tutorials tell their readers to do, and keep what came of it.

A page's steps are its ``{run}`` and ``{saved}`` blocks, in order. They are done in a
home folder of their own, in an environment on top of the one that builds, so that a
tutorial may install something and leave nothing behind. A command that ends otherwise
than the page says stops the build.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import venv
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.metadata import distribution
from pathlib import Path
from threading import Event, Timer

import yaml
from markdown_it import MarkdownIt

HOME = "/home/you"  # what pages show in place of the folder that is worked in
KINDS = ("run", "saved")
SCRIPTS = ("linerefine", "pytest")  # commands that must see what a page installs
AT_ONCE = 2  # groups of tutorials
PATIENCE = 600.0  # seconds that one command may take
# Told while one waits, and how long that was: different at every build.
PROGRESS = re.compile(r"^.*, (\d+:)?\d+:\d\d left\n", re.MULTILINE)
DURATION = re.compile(r"\b(in|after) (\d+:)?\d+:\d\d\b")


class StepError(Exception):
    """A step ended otherwise than its page says."""


@dataclass(frozen=True)
class Step:
    """One block of a page.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    argument, text : str
        What follows the block's name, and its content without options.
    options : dict of str to str
        ``fails``: the exit code that is expected instead of 0. ``until``: end the command
        with Ctrl-C once it says this. ``port``: port that it uses unless told otherwise;
        here it is told a free one. ``as``: where a file is saved.
    """

    kind: str
    argument: str
    text: str
    options: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Page:
    """The steps of a page, and the page whose folder they go on in, if any."""

    name: str
    steps: tuple[Step, ...]
    after: str | None = None


def read_page(path: Path, text: str | None = None) -> Page:
    """Return the steps of a page in Markdown."""
    text = path.read_text(encoding="utf-8") if text is None else text
    front = re.match(r"---\n(.*?\n)---\n", text, re.DOTALL)
    after = yaml.safe_load(front[1]).get("tutorial_after") if front else None
    steps = []
    for token in MarkdownIt().parse(text):
        found = re.fullmatch(r"\{(\w+)\}\s*(.*)", token.info) if token.type == "fence" else None
        if found and found[1] in KINDS:
            steps.append(Step(found[1], found[2], *_options(token.content)))
    return Page(path.stem, tuple(steps), after)


def _options(content: str) -> tuple[str, dict[str, str]]:
    """Return the text of a block and the options that stand before it."""
    lines, options = content.splitlines(), {}
    while lines and (found := re.fullmatch(r":([\w-]+):\s*(.*)", lines[0])):
        options[found[1]] = found[2]
        del lines[0]
    return "\n".join(lines).strip(), options


@cache
def code_key(root: Path) -> str:
    """Return a digest of everything that a tutorial's output depends on beside its page."""
    digest = hashlib.sha256(sys.version.encode() + Path(__file__).read_bytes())
    folders = [root / "linerefine", *sorted(root.glob("plugins/*/linerefine_*"))]
    files = [path for folder in folders for path in folder.rglob("*")]
    files.append(root / "constraints.txt")
    for path in sorted(files):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


@dataclass
class Workshop:
    """Where tutorials are followed.

    Parameters
    ----------
    root : pathlib.Path
        The clone.
    pages : pathlib.Path
        Folder of the tutorials.
    store : pathlib.Path
        Where results are kept from one build to the next.
    """

    root: Path
    pages: Path
    store: Path
    failed: Event = field(default_factory=Event)

    def work(self, page: Page) -> Path:
        """Return the folder worked in: one for all pages that go on from the same first one.

        It is the same at every build and outside of the clone: runs remember paths.
        """
        if page.after:
            return self.work(self.read(page.after))
        mark = hashlib.sha256(str(self.root).encode()).hexdigest()[:8]
        return Path(tempfile.gettempdir()).resolve() / f"linerefine-tutorials-{mark}" / page.name

    def read(self, name: str) -> Page:
        """Return the page of a name."""
        return read_page(self.pages / f"{name}.md")

    def key(self, page: Page) -> str:
        """Return a digest that changes where the results of a page may."""
        before = self.key(self.read(page.after)) if page.after else ""
        told = json.dumps([self._is_last(page), *(asdict(step) for step in page.steps)])
        digest = hashlib.sha256((code_key(self.root) + before + told).encode())
        for step in page.steps:
            if step.kind == "saved":
                digest.update((self.pages / step.argument).read_bytes())
        return digest.hexdigest()

    def folder(self, name: str) -> Path:
        """Return the folder `tutorial` as the page left it; the last of a row, its pictures."""
        return self.store / name / "home" / "tutorial"

    def follow_all(self) -> None:
        """Follow every tutorial, two at a time where none goes on from another's folder."""
        groups: dict[Path, list[Page]] = {}
        for page in self._all():
            if page.steps:
                groups.setdefault(self.work(page), []).append(page)
        with ThreadPoolExecutor(min(AT_ONCE, os.cpu_count() or 1)) as pool:
            for _ in pool.map(self._follow_in_turn, groups.values()):
                pass

    def _all(self) -> Iterator[Page]:
        return map(read_page, sorted(self.pages.glob("*.md")))

    def _is_last(self, page: Page) -> bool:
        """Return whether no other page goes on from this one."""
        return all(other.after != page.name for other in self._all())

    def _follow_in_turn(self, pages: Iterable[Page]) -> None:
        for page in pages:
            if not self.failed.is_set():
                self.follow(page)

    def follow(self, page: Page) -> list[str]:
        """Return what each step of a page printed; do the steps if anything changed."""
        if page.after:
            self.follow(self.read(page.after))
        kept, key = self.store / page.name / "said.json", self.key(page)
        if kept.is_file():
            known = json.loads(kept.read_text(encoding="utf-8"))
            if known["key"] == key:
                return list(known["said"])
        shutil.rmtree(kept.parent, ignore_errors=True)
        self._prepare(page)
        said = [self._do(page, step) for step in page.steps]
        work = self.work(page)
        ignore = _all_but_pictures if self._is_last(page) else None  # networks are large
        shutil.copytree(work / "home", kept.parent / "home", symlinks=True, ignore=ignore)
        shutil.rmtree(work)
        kept.write_text(json.dumps({"key": key, "said": said}, indent=1), encoding="utf-8")
        return said

    def _prepare(self, page: Page) -> None:
        """Make the home folder and the environment on top of the one that builds."""
        work = self.work(page)
        shutil.rmtree(work, ignore_errors=True)
        if page.after:
            shutil.copytree(self.folder(page.after).parent, work / "home", symlinks=True)
        (work / "home" / "tutorial").mkdir(parents=True, exist_ok=True)
        environment = work / "env"
        venv.EnvBuilder(symlinks=True).create(environment)
        below = sysconfig.get_path("purelib")
        packages = sysconfig.get_path("purelib", "venv", {"base": str(environment)})
        Path(packages, "below.pth").write_text(f"import site; site.addsitedir({below!r})\n")
        for name in SCRIPTS:
            (entry,) = distribution(name).entry_points.select(group="console_scripts", name=name)
            script = environment / "bin" / name
            script.write_text(
                f"#!{environment}/bin/python\nimport sys\nfrom {entry.module} import {entry.attr}"
                f"\nsys.exit({entry.attr}())\n"
            )
            script.chmod(0o755)

    def _variables(self, work: Path) -> dict[str, str]:
        """Return the environment variables of a reader who has just activated `.venv`."""
        own = ("LINEREFINE_", "MLFLOW_", "UV_", "PYTHON", "VIRTUAL_ENV", "XDG_", "COLUMNS")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(own)}
        path = [str(work / "env" / "bin"), sysconfig.get_path("scripts"), kept["PATH"]]
        return kept | {
            "HOME": str(work / "home"),
            "PATH": os.pathsep.join(path),
            "VIRTUAL_ENV": str(work / "env"),
            # Nothing may come from the network, and hatchling is here already.
            "UV_OFFLINE": "1",
            "UV_NO_BUILD_ISOLATION": "1",
            "UV_NO_PROGRESS": "1",
            "PYTHONUNBUFFERED": "1",  # keeps the order of the two streams
            "PYTHONPYCACHEPREFIX": str(self.store.resolve() / "bytecode"),  # a plugin shows none
            "MPLBACKEND": "Agg",
            "NO_COLOR": "1",
            "TERM": "dumb",
        }

    def _do(self, page: Page, step: Step) -> str:
        """Do one step and return what it printed."""
        work = self.work(page)
        folder = work / "home" / "tutorial"
        if step.kind == "saved":
            target = folder / step.options["as"]
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(self.pages / step.argument, target)
            return ""
        code, printed = _run(step, folder, self._variables(work))
        said, expected = self._tidy(work, printed), int(step.options.get("fails", 0))
        if code == expected:
            return said
        self.failed.set()
        last = "\n".join(said.splitlines()[-25:])
        msg = f"{page.name}: exit code {code}, expected {expected}, of\n{step.text}\n{last}"
        raise StepError(msg)

    def _tidy(self, work: Path, printed: str) -> str:
        """Leave out what differs from machine to machine and from build to build."""
        for path, shown in ((work / "home", HOME), (work / "env", f"{HOME}/.venv")):
            printed = printed.replace(str(path), shown)
        printed = printed.replace(str(self.root), f"{HOME}/linerefine")
        return DURATION.sub(r"\1 …", PROGRESS.sub("", printed)).strip("\n")


def _all_but_pictures(folder: str, names: Sequence[str]) -> list[str]:
    """Return what of a folder is neither a folder nor a picture."""
    pictures = (".png", ".gif")
    return [n for n in names if not n.endswith(pictures) and not Path(folder, n).is_dir()]


def _run(step: Step, folder: Path, variables: dict[str, str]) -> tuple[int, str]:
    """Run a command as typed; return its exit code and what it printed."""
    command, port = step.text, ""
    if "port" in step.options:
        port = str(_free_port())
        command += f" --port {port}"
    with subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=folder,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        start_new_session=True,
    ) as process:
        code, printed = _wait(process, step.options.get("until"))
    return code, printed.replace(port, step.options["port"]) if port else printed


def _wait(process: subprocess.Popen[str], until: str | None) -> tuple[int, str]:
    """Read a process to its end, which is Ctrl-C if it is told when."""
    if process.stdout is None:
        raise AssertionError
    lines = []
    end = Timer(PATIENCE, os.killpg, (process.pid, signal.SIGKILL))
    end.start()
    for line in process.stdout:
        lines.append(line)
        if until and until in line:
            # What runs in a shell's background ignores Ctrl-C, and so do its children.
            is_deaf = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
            os.killpg(process.pid, signal.SIGTERM if is_deaf else signal.SIGINT)
            until = None
    code = process.wait()
    end.cancel()
    if until:
        lines.append(f"(never said {until!r})\n")
        code = code or 1
    return code, "".join(lines)


def _free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def part(said: str, start: str | None, end: str | None) -> str:
    """Return the lines from the first that holds a text up to the next that holds another.

    Raises
    ------
    StepError
        If a text is not there: the page talks of something that is printed no more.
    """
    lines = said.splitlines()
    begin = _line(lines, start, 0) if start else 0
    stop = _line(lines, end, begin + 1) if end else len(lines)
    return "\n".join(lines[begin:stop]).strip("\n")


def _line(lines: Sequence[str], text: str, begin: int) -> int:
    """Return the number of the first line that holds a text."""
    for number in range(begin, len(lines)):
        if text in lines[number]:
            return number
    msg = f"the output has no line with {text!r}"
    raise StepError(msg)


def stale(workshop: Workshop, known: dict[str, str]) -> Iterator[str]:
    """Yield the pages whose results are not those of today's code."""
    for name, key in known.items():
        if (workshop.pages / f"{name}.md").is_file() and workshop.key(workshop.read(name)) != key:
            yield name
