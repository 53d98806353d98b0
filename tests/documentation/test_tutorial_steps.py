"""Commands of tutorials are done as the page says, or the build ends."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "docs" / "_ext"))

from tutorial_steps import StepError, Workshop, code_key, part, read_page, stale  # noqa: E402


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Workshop]:
    """Return where tutorials of a clone with one module are followed."""
    (tmp_path / "linerefine").mkdir()
    (tmp_path / "linerefine" / "one.py").write_text("ONE = 1\n")
    (tmp_path / "constraints.txt").touch()
    pages = tmp_path / "docs" / "tutorial"
    pages.mkdir(parents=True)
    made = Workshop(tmp_path, pages, tmp_path / "kept")
    code_key.cache_clear()
    yield made
    shutil.rmtree(made.work(read_page(pages / "page.md", "")).parent, ignore_errors=True)


def write(shop: Workshop, name: str, *blocks: str, after: str = "") -> None:
    front = f"---\ntutorial_after: {after}\n---\n" if after else ""
    fenced = "".join(f"```{{run}}\n{block}\n```\n\n" for block in blocks)
    (shop.pages / f"{name}.md").write_text(f"{front}# Page\n\n{fenced}")


def test_what_commands_print_is_kept_in_order(shop):
    write(shop, "page", "echo one; echo two >&2", "pwd")
    assert shop.follow(shop.read("page")) == ["one\ntwo", "/home/you/tutorial"]


def test_a_command_sees_what_the_one_before_left(shop):
    write(shop, "page", "mkdir leaves; touch leaves/a.png leaves/b", "ls leaves")
    assert shop.follow(shop.read("page"))[1] == "a.png\nb"


def test_pictures_are_kept_and_all_that_another_page_goes_on_from(shop):
    write(shop, "page", "mkdir leaves; touch leaves/a.png leaves/b")
    shop.follow(shop.read("page"))
    assert [path.name for path in (shop.folder("page") / "leaves").iterdir()] == ["a.png"]
    write(shop, "next", "ls leaves", after="page")
    assert shop.follow(shop.read("next")) == ["a.png\nb"]


def test_a_failing_command_names_page_command_and_output(shop):
    write(shop, "page", "echo so far; ls nowhere; echo unreached")
    with pytest.raises(StepError, match=r"(?s)page: exit code 2, expected 0, of.*so far.*nowhere"):
        shop.follow(shop.read("page"))
    assert not (shop.store / "page" / "said.json").exists()


def test_a_failing_part_of_a_pipe_counts(shop):
    write(shop, "page", "false | cat")
    with pytest.raises(StepError, match="exit code 1"):
        shop.follow(shop.read("page"))


def test_a_failure_that_is_announced_is_none_and_must_happen(shop):
    write(shop, "page", ":fails: 3\necho no; exit 3")
    assert shop.follow(shop.read("page")) == ["no"]
    write(shop, "page", ":fails: 3\necho yes")
    with pytest.raises(StepError, match="exit code 0, expected 3"):
        shop.follow(shop.read("page"))


@pytest.fixture
def hearing() -> Iterator[None]:
    """Hear Ctrl-C, which tests that run in a shell's background do not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("hearing")
def test_a_server_is_ended_once_it_said_so(shop):
    serve = "import time\ntry:\n  print('ready on', PORT, flush=True); time.sleep(60)"
    serve += "\nexcept KeyboardInterrupt:\n  print('ended')"
    code = f"PORT = __import__('sys').argv[-1]\n{serve}"
    write(shop, "page", f':until: ready\n:port: 5000\npython -c "{code}"')
    assert shop.follow(shop.read("page")) == ["ready on 5000\nended"]


def test_a_server_that_never_says_so_fails(shop):
    write(shop, "page", ":until: ready\necho sorry")
    with pytest.raises(StepError, match=r"(?s)exit code 1.*sorry.*never said 'ready'"):
        shop.follow(shop.read("page"))


def test_a_command_that_hangs_in_silence_is_ended(shop, monkeypatch):
    monkeypatch.setattr("tutorial_steps.PATIENCE", 0.5)
    write(shop, "page", "sleep 60")
    with pytest.raises(StepError, match="exit code -9, expected 0, of\nsleep 60"):
        shop.follow(shop.read("page"))


def test_a_page_goes_on_where_another_ended(shop):
    write(shop, "first", "touch run")
    write(shop, "second", "ls", after="first")
    assert shop.follow(shop.read("second")) == ["run"]


def test_results_are_kept_until_page_code_or_predecessor_change(shop):
    write(shop, "first", "date +%N > stamp")
    write(shop, "second", "cat stamp", after="first")
    told = shop.follow(shop.read("second"))
    assert shop.follow(shop.read("second")) == told
    key = shop.key(shop.read("second"))
    assert list(stale(shop, {"second": key})) == []

    code_key.cache_clear()
    (shop.root / "linerefine" / "one.py").write_text("ONE = 2\n")
    assert list(stale(shop, {"second": key})) == ["second"]
    assert shop.follow(shop.read("second")) != told

    key = shop.key(shop.read("second"))
    write(shop, "first", "date +%N > stamp", "true")
    assert list(stale(shop, {"second": key})) == ["second"]


def test_a_saved_file_is_there_and_its_change_is_noticed(shop):
    (shop.pages / "look.py").write_text("print('seen')\n")
    text = "```{saved} look.py\n:as: tools/look.py\n```\n\n"
    (shop.pages / "page.md").write_text(f"{text}```{{run}}\npython tools/look.py\n```\n")
    assert shop.follow(shop.read("page")) == ["", "seen"]
    key = shop.key(shop.read("page"))
    (shop.pages / "look.py").write_text("print('seen again')\n")
    assert list(stale(shop, {"page": key})) == ["page"]


def test_waiting_and_durations_are_left_out(shop):
    write(shop, "page", "echo 'training: 4 of 30, 0:15 left'; echo 'done in 1:02:03, 7 of 9'")
    assert shop.follow(shop.read("page")) == ["done in …, 7 of 9"]


def test_the_environment_is_that_of_a_reader(shop, monkeypatch):
    monkeypatch.setenv("LINEREFINE_CACHE", "/elsewhere")
    write(
        shop,
        "page",
        "echo ${LINEREFINE_CACHE:-none} $HOME; which linerefine pytest; linerefine -h | head -1",
    )
    said = shop.follow(shop.read("page"))[0].splitlines()
    assert said[:3] == [
        "none /home/you",
        "/home/you/.venv/bin/linerefine",
        "/home/you/.venv/bin/pytest",
    ]
    assert said[3].startswith("Usage: linerefine")


def test_all_pages_are_followed_and_one_failure_ends_it(shop):
    write(shop, "good", "echo fine")
    write(shop, "index")
    shop.follow_all()
    assert (shop.store / "good" / "said.json").exists()
    write(shop, "bad", "exit 4")
    with pytest.raises(StepError, match="bad: exit code 4"):
        shop.follow_all()


def test_a_part_is_quoted_by_its_lines_or_not_at_all():
    said = "head\nfirst: 1\n\nsecond: 2\ntail"
    assert part(said, "first", "second") == "first: 1"
    assert part(said, None, "first") == "head"
    assert part(said, "second", None) == "second: 2\ntail"
    with pytest.raises(StepError, match="no line with 'third'"):
        part(said, "third", None)


def test_a_build_ends_when_a_tutorial_fails(shop):
    pytest.importorskip("sphinx")
    write(shop, "page", "echo before; exit 7")
    extension = ROOT / "docs" / "_ext"
    configuration = f"import sys\nsys.path.insert(0, {str(extension)!r})\n"
    configuration += "extensions = ['myst_parser', 'linerefine_tutorials']\n"
    (shop.root / "docs" / "conf.py").write_text(configuration)
    (shop.root / "docs" / "index.md").write_text("# Site\n\n```{toctree}\ntutorial/page\n```\n")
    command = [sys.executable, "-m", "sphinx", "-q", "docs", "out/html"]
    ended = subprocess.run(command, cwd=shop.root, capture_output=True, text=True, check=False)
    assert ended.returncode != 0
    assert "a tutorial does not do what it says" in ended.stderr
    assert "page: exit code 7" in ended.stderr

    write(shop, "page", "echo before; exit 0")
    ended = subprocess.run(command, cwd=shop.root, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "before" in (shop.root / "out/html/tutorial/page.html").read_text(encoding="utf-8")
