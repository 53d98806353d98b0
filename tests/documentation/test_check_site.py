"""`scripts/check_site` passes a sound site of two pages, and finds each fault put into it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

import browsing  # noqa: E402
from sites import furniture, pages  # noqa: E402

FIRST = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>First</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<link rel="stylesheet" href="style.css"><script src="site.js"></script>
</head><body>
<nav><a href="index.html">First</a> <a href="second/index.html#there">Second</a></nav>
<button class="mode">Color mode</button>
<input type="search" hidden>
<h1>First</h1><p>A stroke is drawn.</p><img src="dot.png" alt="A dot" width="4">
<ul id="search-results"></ul>
</body></html>
"""
SECOND = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Second</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="../style.css"><script src="../site.js"></script>
</head><body><nav><a href="../index.html">First</a> <a href="../dot.png">a file</a></nav>
<h2 id="there">There</h2><p>Another stroke.</p></body></html>
"""
STYLE = """
body { background: #fff; color: #111 }
a { color: #0b57d0 }
[data-theme=dark] body { background: #111; color: #eee }
[data-theme=dark] a { color: #9cf }
a:focus-visible { outline: 2px solid }
"""
SCRIPT = """
const page = document.documentElement;
const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
page.dataset.theme = localStorage.theme || system;
document.addEventListener("click", (event) => {
  if (event.target.matches(".mode"))
    page.dataset.theme = localStorage.theme = page.dataset.theme === "dark" ? "light" : "dark";
});
document.addEventListener("keydown", (event) => {
  const field = document.querySelector("input");
  if (event.ctrlKey && event.key === "k") { field.hidden = false; field.focus(); }
  if (event.key === "Enter" && field.value === "stroke")
    document.querySelector("#search-results").innerHTML =
      '<li><a href="second/index.html">Second</a></li>';
});
"""
SOUND = {
    "index.html": FIRST,
    "second/index.html": SECOND,
    "style.css": STYLE,
    "site.js": SCRIPT,
}

# file, what stands there, what comes in its place, what is said of it
ON_PAGES = [
    ("index.html", "</h1>", '</h1><a href="gone.html">gone</a>',
     "index.html: link to gone.html, which is not there (404)"),
    ("index.html", "#there", "#where",
     "index.html: link to second/index.html#where, an anchor that is not there"),
    ("index.html", "dot.png", "gone.png",
     "index.html: 404 for gone.png",
     "index.html: picture gone.png does not show",
     "index.html: link to gone.png, which is not there (404)"),
    ("second/index.html", "</h2>", '</h2><img src="../dot.png" width="4"><img loading="lazy" '
     'src="late.png" alt="late" style="margin-top: 9000px">',
     "second/index.html: picture ../dot.png has no alternative text",
     "second/index.html: link to second/late.png, which is not there (404)"),
    ("index.html", "</h1>", "</h1><script>console.error('lost')</script>",
     "index.html: console error: lost"),
    ("second/index.html", "</h2>", "</h2><script>absent()</script>",
     "second/index.html: script error: absent is not defined"),
    ("index.html", "</h1>", '</h1><script src="http://nowhere.invalid/x.js"></script>',
     "index.html: asks another machine: http://nowhere.invalid/x.js"),
    ("second/index.html", "<p>A", '<p style="width: 500px">A',
     "second/index.html: 118 pixels wider than a phone (390): p 'Another stroke.'"),
    ("style.css", "#9cf", "#333",
     "index.html: contrast 1.5 in dark mode: a 'First'",
     "second/index.html: contrast 1.5 in dark mode: a 'First'"),
    ("lonely.html", "", "<p>alone</p>", "lonely.html: no page leads here"),
]  # fmt: skip
BRIGHT = ("style.css", "[data-theme=dark] body { background: #111; color: #eee }", "",
          "index.html: the background is 1.00 bright in dark mode",
          "second/index.html: the background is 1.00 bright in dark mode")  # fmt: skip
IN_FURNITURE = [
    ("index.html", '"mode"', '"mode" hidden', "dark mode: there is no button for it"),
    ("site.js", 'localStorage.theme = page', "page", "dark mode: the next page forgets it"),
    ("site.js", '"light" : "dark"', '"light" : "light"',
     "dark mode: dark was chosen and the page is light"),
    ("site.js", '"k"', '"q"', "search: Ctrl+K does not open it"),
    ("site.js", '"stroke"', '"other"', "search: nothing found for 'stroke'"),
    ("second/index.html", "Another stroke", "Another line",
     "search: second/index.html was found for 'stroke', which is not on it"),
    ("style.css", "outline: 2px solid", "outline: none",
     "keyboard: nothing shows that a 'First' has the focus"),
    ("index.html", "<a href", '<a tabindex="-1" href',
     "keyboard: 12 presses of Tab do not reach the navigation"),
]  # fmt: skip


def broken(*faults: tuple[str, ...]) -> dict[str, str]:
    files = dict(SOUND)
    for name, old, new, *_ in faults:
        before = files.get(name, "")
        assert old in before
        files[name] = before.replace(old, new) if old else new
    return files


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    Image.new("L", (4, 4)).save(folder / "dot.png")
    return folder


def command(*arguments: object, path: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "check_site"), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
        env=os.environ if path is None else {**os.environ, "PATH": path},
    )


@pytest.fixture(scope="module")
def chromium():
    pytest.importorskip("playwright.sync_api")
    executable = browsing.find_chromium()
    if executable is None:
        pytest.skip("there is no chromium; apt-get install chromium")
    with browsing.browser(executable) as opened:
        yield opened


@pytest.fixture
def on_pages(chromium, tmp_path):
    """Return a function that writes a site and returns what is wrong with its pages."""

    def find(files: dict[str, str]) -> list[str]:
        with browsing.served(write(tmp_path, files)) as address:
            return pages.crawl(chromium, address, tmp_path).faults

    return find


@pytest.fixture
def in_furniture(chromium, tmp_path, monkeypatch):
    """Return a function that writes a site and returns what is wrong with what pages offer."""
    monkeypatch.setattr(furniture, "PATIENCE", 500)

    def find(files: dict[str, str]) -> list[str]:
        with browsing.served(write(tmp_path, files)) as address:
            return furniture.furniture(chromium, address, "stroke")

    return find


def test_a_sound_site_has_no_faults(on_pages, in_furniture):
    assert on_pages(SOUND) == []
    assert in_furniture(SOUND) == []


def test_each_fault_of_a_page_is_found_and_no_other(on_pages):
    found = on_pages(broken(*ON_PAGES))
    assert sorted(found) == sorted(said for fault in ON_PAGES for said in fault[3:])


def test_a_dark_mode_that_stays_bright_is_found(on_pages):
    found = on_pages(broken(BRIGHT))
    assert set(BRIGHT[3:]) <= set(found)


@pytest.mark.parametrize("fault", IN_FURNITURE, ids=lambda fault: fault[3])
def test_each_fault_of_search_dark_mode_and_keyboard_is_found(in_furniture, fault):
    assert in_furniture(broken(fault)) == [fault[3]]


def test_the_command_counts_and_fails(chromium, tmp_path):
    done = command(write(tmp_path, SOUND), "--word", "stroke")
    assert done.stdout == "scripts/check_site: 2 pages, 4 links, 0 faults\n", done.stderr
    assert done.returncode == 0
    (tmp_path / "dot.png").unlink()
    done = command(tmp_path, "--word", "stroke")
    assert done.stdout.splitlines() == [
        "index.html: 404 for dot.png",
        "index.html: picture dot.png does not show",
        "index.html: link to dot.png, which is not there (404)",
        "second/index.html: link to dot.png, which is not there (404)",
        "scripts/check_site: 2 pages, 4 links, 4 faults",
    ]
    assert done.returncode == 1


def test_a_site_that_was_not_built_is_said(chromium, tmp_path):
    done = command(tmp_path)
    assert done.returncode == 1
    assert done.stderr == f"{tmp_path} has no index.html; build the site with scripts/docs\n"


def test_no_browser_is_said_and_a_failure_unless_allowed(tmp_path):
    done = command(write(tmp_path, SOUND), path="")
    assert done.returncode == 1
    assert done.stderr.startswith("there is no chromium; apt-get install chromium")
    done = command(tmp_path, "--skip", path="")
    said = "scripts/check_site: skipped: no chromium (apt-get install chromium)\n"
    assert (done.returncode, done.stdout) == (0, said)
