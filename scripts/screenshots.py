"""Make the screenshots of the documentation, in a real browser.

``python scripts/screenshots.py`` trains three refiners on drawn retinas for a few minutes,
compares them, serves their store with ``linerefine ui``, and saves pictures of MLflow's pages, of
the comparison's page and of the run's report in ``docs/_static/screens``. What an earlier call left
in the working folder is used again. ``--store STORE`` looks at runs of your own instead.

Needs chromium (``apt-get install chromium``) and the group ``dev``.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from PIL import Image

from browsing import MISSING, browser, find_chromium, free_port
from linerefine.tracking.mlflow_client import open_client
from linerefine.tracking.store import sqlite_uri
from linerefine.tracking.views import newest_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parents[1]
REFINERS = ("unet", "iternet", "manual")
RUN = "--profile quick --repeats 1 --seed 0 --device cpu --set training.steps_per_epoch=30 \
--set evaluation.budget=60 --set training.max_epochs=3"
WORK = Path(tempfile.gettempdir()) / "linerefine-screens"
COLOURS = 96  # of a picture: pages have few, and a fifth of the bytes is enough

WITHOUT_ASSISTANT = """
localStorage.setItem("mlflow.assistant.fab.autoOpenedOnFirstLoad_v1", "true");
localStorage.setItem("mlflow.assistant.panelOpen_v1", "false");
localStorage.setItem("mlflow.workflowType_v1", JSON.stringify("machine_learning"));
"""


@dataclass(frozen=True)
class Shot:
    """A page, and how it is looked at.

    Attributes
    ----------
    name : str
        Of the picture.
    url : str
        Of the page.
    size : (int, int)
        Width and height of the window.
    settle : int
        Milliseconds until it is drawn; MLflow's pages never come to rest by themselves.
    press : tuple of str
        Selectors of what is clicked first, in order.
    show : str
        Selector of what is scrolled to the top.
    """

    name: str
    url: str
    size: tuple[int, int] = (1280, 800)
    settle: int = 8000
    press: tuple[str, ...] = ()
    show: str = ""


def main() -> int:
    """Run, compare, serve, look, save."""
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("--store", help="URI or database file of runs that are there already")
    words.add_argument("--work", type=Path, default=WORK)
    words.add_argument("--to", type=Path, default=ROOT / "docs" / "_static" / "screens")
    words.add_argument("--only", nargs="+", help="names of pictures; by default all")
    words.add_argument("--chromium", default=find_chromium(), help="the browser")
    given = words.parse_args()
    if given.chromium is None:
        sys.exit(MISSING)
    store = given.store or str(made(given.work))
    uri = store if "://" in store else sqlite_uri(Path(store))
    given.to.mkdir(parents=True, exist_ok=True)
    with served(uri) as address, browser(given.chromium) as opened:
        shots = [*mlflow_pages(address, uri), *run_pages(uri)]
        for shot in shots:
            if given.only is None or shot.name in given.only:
                shoot(opened, shot, given.to / f"{shot.name}.png")
    return 0


def made(work: Path) -> Path:
    """Return the store of the run that the pictures show, which is made unless it is there."""
    folder = work / "runs" / "retinas"
    work.mkdir(parents=True, exist_ok=True)
    if not (folder / "summary.json").is_file():
        chosen = [word for name in REFINERS for word in ("--refiner", name)]
        again = ["--resume"] if (folder / "config.toml").is_file() else []
        call("run", "retina_demo", *RUN.split(), *chosen, *again, "--output", folder, at=work)
    call("compare", folder, "--output", work / "comparison.html", at=work)
    return work / "runs" / "mlflow.db"


def call(*words: object, at: Path) -> None:
    """Call linerefine as a user does."""
    command = [sys.executable, "-m", "linerefine", *map(str, words)]
    subprocess.run(command, cwd=at, check=True, env=os.environ)


@contextlib.contextmanager
def served(uri: str) -> Iterator[str]:
    """Serve a store as ``linerefine ui`` does; yields its address."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "linerefine", "ui", "--store", uri, "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(address, server)
        yield address
    finally:
        server.terminate()  # Ctrl-C is ignored by whatever a shell runs in the background
        server.wait(timeout=90)


def wait_for(address: str, server: subprocess.Popen[bytes], seconds: int = 180) -> None:
    """Return once a server answers; end if it has ended."""
    for _ in range(seconds):
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/health"):
            return
        if server.poll() is not None:
            break
        time.sleep(1)
    sys.exit(f"{address} does not answer; try: {' '.join(map(str, server.args))}")


def mlflow_pages(address: str, uri: str) -> list[Shot]:
    """Return the pages of the store: its runs, one run, curves of its refiners, a comparison."""
    parent, children = newest(uri)
    sessions = [run for run in children if run.data.tags.get("repeat") == "1"]
    experiment = parent.info.experiment_id
    base = f"{address}/#/experiments/{experiment}"
    expand = "button[data-component-id*='runnamecellrenderer']"
    found = comparisons(uri, experiment)[:1]
    return [
        Shot(
            "mlflow-runs",
            f"{address}/{newest_page(open_client(uri))}",
            (1440, 560),
            press=(expand,),
        ),
        Shot("mlflow-run", f"{base}/runs/{parent.info.run_id}"),
        Shot("mlflow-curves", numbers(address, sessions, ["pfm_refined"])),
        *(Shot("mlflow-comparison", f"{base}/runs/{r.info.run_id}", (1440, 760)) for r in found),
    ]


def numbers(address: str, runs: Sequence[Any], names: Sequence[str]) -> str:
    """Return the address of MLflow's page on runs: numbers stroke by stroke, and their last."""
    chosen = {
        "runs": json.dumps([run.info.run_id for run in runs]),
        "experiments": json.dumps(sorted({run.info.experiment_id for run in runs})),
        "metric": json.dumps(names[0]),
        "plot_metric_keys": json.dumps(names),
        "x_axis": "step",
        "y_axis_scale": "linear",
        "line_smoothness": "1",
    }
    return f"{address}/#/metric?{urllib.parse.urlencode(chosen, quote_via=urllib.parse.quote)}"


def run_pages(uri: str) -> list[Shot]:
    """Return the pages that a run and a comparison leave."""
    parent, _ = newest(uri)
    folder = Path(parent.data.tags["linerefine.output"])
    report = (folder / "report.html").as_uri()
    shots = [
        Shot("report", report, (1000, 900), 500),
    ]
    page = folder.parent.parent / "comparison.html"
    if page.is_file():
        shots.append(Shot("comparison", page.as_uri(), (1000, 1440), 500))
    return shots


def newest(uri: str) -> tuple[Any, list[Any]]:
    """Return the newest command's run, and its children in the order of the refiners."""
    client = open_client(uri)
    (parent, *_) = client.search_runs(
        [experiment.experiment_id for experiment in client.search_experiments()],
        "tags.`linerefine.part` = 'command'",
        order_by=["attributes.start_time DESC"],
    )
    child_of = f"tags.mlflow.parentRunId = '{parent.info.run_id}'"
    order = ["attributes.start_time ASC"]
    return parent, list(client.search_runs([parent.info.experiment_id], child_of, order_by=order))


def comparisons(uri: str, experiment: str) -> list[Any]:
    """Return what ``linerefine compare`` recorded, the newest first."""
    wanted = "tags.`linerefine.part` = 'comparison'"
    order = ["attributes.start_time DESC"]
    return list(open_client(uri).search_runs([experiment], wanted, order_by=order))


def shoot(opened: Browser, shot: Shot, path: Path) -> None:
    """Open a page, let it settle and save it."""
    width, height = shot.size
    context = opened.new_context(viewport={"width": width, "height": height})
    context.add_init_script(WITHOUT_ASSISTANT if shot.url.startswith("http") else "")
    page = context.new_page()
    page.goto(shot.url, wait_until="domcontentloaded")
    page.wait_for_timeout(shot.settle)
    for selector in shot.press:
        page.locator(selector).first.click()
        page.wait_for_timeout(shot.settle // 2)
    if shot.show:
        page.locator(shot.show).first.evaluate("e => e.scrollIntoView()")
    if page.get_by_text("Something went wrong").count():
        sys.exit(f"{shot.name}: MLflow says that something went wrong at {shot.url}")
    save(page, path)
    context.close()


def save(page: Page, path: Path) -> None:
    """Save what the window shows, in as many colours as pages need."""
    with Image.open(io.BytesIO(page.screenshot(timeout=180_000))) as picture:
        few = picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    few.save(path, optimize=True)
    print(f"{path} ({path.stat().st_size // 1024} KiB)")


if __name__ == "__main__":
    sys.exit(main())
