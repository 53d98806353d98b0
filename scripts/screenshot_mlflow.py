"""Look at a store in a real browser: the runs table, a parent, runs compared, a comparison.

A tool for developers: ``python scripts/screenshot_mlflow.py STORE FOLDER``
starts MLflow on a store (a URI or a database file), opens its pages in Debian's
chromium (``apt-get install chromium``) and saves pictures of them.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.parse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linerefine.tracking.mlflow_client import open_client
from linerefine.tracking.store import sqlite_uri

if TYPE_CHECKING:
    from playwright.sync_api import Page

SERVE = "import sys; from linerefine.tracking.ui import serve; "
SERVE += "serve(sys.argv[1], port=int(sys.argv[2]), announce=lambda t: print(t, flush=True))"

SESSIONS = "tags.repeat LIKE '%'"
WITHOUT_ASSISTANT = """
localStorage.setItem("mlflow.assistant.fab.autoOpenedOnFirstLoad_v1", "true");
localStorage.setItem("mlflow.assistant.panelOpen_v1", "false");
localStorage.setItem("mlflow.workflowType_v1", JSON.stringify("machine_learning"));
"""


def main() -> int:
    """Serve, look, save."""
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("store", help="URI or database file")
    words.add_argument("folder", type=Path, help="where pictures go")
    words.add_argument("--experiment", help="by default the one with the newest run")
    words.add_argument("--chromium", default=shutil.which("chromium"), help="the browser")
    given = words.parse_args()
    if given.chromium is None:
        sys.exit("there is no chromium; apt-get install chromium, or pass --chromium PATH")
    uri = given.store if "://" in given.store else sqlite_uri(Path(given.store))
    given.folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-c", SERVE, uri, str(port)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        for line in server.stdout:
            print(line, end="")
            if "shows the runs" in line:
                break
        photograph(f"http://127.0.0.1:{port}", uri, given)
    finally:
        os.kill(server.pid, signal.SIGINT)
        server.wait(timeout=90)
    return 0


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def photograph(address: str, uri: str, given: argparse.Namespace) -> None:
    """Save a picture of every page worth looking at."""
    from playwright.sync_api import sync_playwright

    runs = newest_runs(uri, given.experiment)
    sessions = [run for run in runs if run.data.tags.get("repeat")]
    parent = next(run for run in runs if run.data.tags["linerefine.part"] == "command")
    experiment = parent.info.experiment_id
    quoted = urllib.parse.quote
    chosen = quoted(json.dumps([run.info.run_id for run in sessions]))
    here = quoted(json.dumps([experiment]))
    base = f"{address}/#/experiments/{experiment}"
    pages = {
        "runs": f"{base}/runs",
        "charts": f"{base}/runs?compareRunsMode=CHART&searchFilter={quoted(SESSIONS)}",
        "parent": f"{base}/runs/{parent.info.run_id}",
        "parent-metrics": f"{base}/runs/{parent.info.run_id}/model-metrics",
        "parent-artifacts": f"{base}/runs/{parent.info.run_id}/artifacts",
        "child-metrics": f"{base}/runs/{sessions[0].info.run_id}/model-metrics",
        "compare": f"{address}/#/compare-runs?runs={chosen}&experiments={here}",
        "models": f"{base}/models",
    }
    for run in comparisons(uri, experiment)[:1]:
        pages["comparison"] = f"{base}/runs/{run.info.run_id}"
        pages["comparison-artifacts"] = f"{base}/runs/{run.info.run_id}/artifacts"
    with sync_playwright() as browsers:
        browser = browsers.chromium.launch(
            executable_path=given.chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1600, "height": 1100})
        page.add_init_script(WITHOUT_ASSISTANT)
        page.goto(f"{address}/#/experiments?workflowType=machine_learning")
        for name, url in pages.items():
            shoot(page, url, given.folder / f"{name}.png")
        browser.close()


def newest_runs(uri: str, name: str | None) -> list[Any]:
    """Return the newest command's runs: the parent and its children."""
    client = open_client(uri)
    found = client.search_experiments() if name is None else [client.get_experiment_by_name(name)]
    commands = client.search_runs(
        [experiment.experiment_id for experiment in found],
        "tags.`linerefine.part` = 'command'",
        order_by=["attributes.start_time DESC"],
    )
    parent = commands[0]
    child_of = f"tags.mlflow.parentRunId = '{parent.info.run_id}'"
    return [parent, *client.search_runs([parent.info.experiment_id], child_of)]


def comparisons(uri: str, experiment: str) -> list[Any]:
    """Return what `linerefine compare` recorded, the newest first."""
    wanted = "tags.`linerefine.part` = 'comparison'"
    order = ["attributes.start_time DESC"]
    return list(open_client(uri).search_runs([experiment], wanted, order_by=order))


def shoot(page: Page, url: str, path: Path) -> None:
    """Open a page, let it settle and save it; `networkidle` never comes here."""
    page.goto(url, wait_until="domcontentloaded")
    page.wait_for_timeout(8000)
    if path.stem == "runs":
        page.locator("button[data-component-id*='runnamecellrenderer']").first.click()
        page.wait_for_timeout(4000)
    if path.stem == "comparison-artifacts":
        page.get_by_text("comparison", exact=True).first.click()
        page.get_by_text("comparison.html").first.click()
        page.wait_for_timeout(4000)
    page.screenshot(path=path, timeout=180_000)
    print(path)


if __name__ == "__main__":
    sys.exit(main())
