"""Every page of a site, opened in a browser: links, pictures, errors, width, contrast."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urldefrag

if TYPE_CHECKING:
    from playwright.sync_api import (
        Browser,
        BrowserContext,
        ConsoleMessage,
        Page,
        Request,
        Response,
    )

HERE = Path(__file__).resolve().parent
LOOK = (HERE / "look.js").read_text(encoding="utf-8").partition("\n")[2].strip().rstrip(";")
OVERFLOW = (HERE / "overflow.js").read_text(encoding="utf-8").partition("\n")[2].strip().rstrip(";")

PHONE, DESK = 390, 1280
# Made by the generator for the search and for readers of code; no page must lead there.
UNLINKED = {"genindex.html", "py-modindex.html", "search.html"}


@dataclass
class Crawl:
    """What was found on the way through a site.

    Attributes
    ----------
    address : str
        Where the site is served.
    seen : dict of str to dict
        What each page holds, by its path in the site.
    faults : list of str
        What is wrong, as *page: what*.
    """

    address: str
    seen: dict[str, dict[str, Any]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def fault(self, path: str, what: str) -> None:
        """Note a fault, once."""
        text = f"{path}: {what}"
        if text not in self.faults:
            self.faults.append(text)

    def inside(self, url: str) -> str | None:
        """Return the path of an address within the site, without anchor; None if outside."""
        bare = urldefrag(url).url.partition("?")[0]
        if not bare.startswith(f"{self.address}/"):
            return None
        path = unquote(bare.removeprefix(f"{self.address}/"))
        return f"{path}index.html" if path.endswith("/") or not path else path


def crawl(browser: Browser, address: str, folder: Path) -> Crawl:
    """Open every page that can be reached from the first one, light and dark, wide and narrow.

    Parameters
    ----------
    browser : playwright.sync_api.Browser
    address : str
        Where ``folder`` is served.
    folder : Path
        The built site.
    """
    found = Crawl(address)
    for theme in ("light", "dark"):
        context = browser.new_context(viewport={"width": DESK, "height": 900}, color_scheme=theme)
        _visit(found, context, theme)
        context.close()
    _links(found, browser)
    for page in sorted(folder.rglob("*.html")):
        path = page.relative_to(folder).as_posix()
        if not path.startswith("_") and path not in {*found.seen, *UNLINKED}:
            found.fault(path, "no page leads here")
    return found


def _visit(found: Crawl, context: BrowserContext, theme: str) -> None:
    page, where = context.new_page(), ["index.html"]
    _listen(found, page, where)
    waiting = [*where, *found.seen]
    done = set()
    while waiting:
        where[0] = path = waiting.pop()
        if path in done:
            continue
        done.add(path)
        answer = page.goto(f"{found.address}/{path}", wait_until="load")
        if answer is None or answer.status >= 400:
            continue  # a broken link, reported where it stands
        held = page.evaluate(LOOK)
        _colours(found, path, held, theme)
        if theme == "light":
            found.seen[path] = held
            _pictures(found, path, held)
            _narrow(found, page, path)
            inside = map(found.inside, held["links"])
            waiting += sorted({to for to in inside if to and to.endswith(".html")} - done)


def _listen(found: Crawl, page: Page, where: list[str]) -> None:
    def said(message: ConsoleMessage) -> None:
        # The browser reports what it failed to load; that is said below, with its address.
        if message.type in ("error", "warning") and "Failed to load" not in message.text:
            found.fault(where[0], f"console {message.type}: {message.text}")

    def asked(request: Request) -> None:
        if not request.url.startswith((f"{found.address}/", "data:", "blob:")):
            found.fault(where[0], f"asks another machine: {request.url}")

    def answered(response: Response) -> None:
        if response.status >= 400 and not response.request.is_navigation_request():
            found.fault(where[0], f"{response.status} for {found.inside(response.url)}")

    page.on("console", said)
    page.on("pageerror", lambda error: found.fault(where[0], f"script error: {error}"))
    page.on("request", asked)
    page.on("response", answered)


def _pictures(found: Crawl, path: str, held: dict[str, Any]) -> None:
    for picture in held["pictures"]:
        if picture["broken"]:
            found.fault(path, f"picture {picture['source']} does not show")
        if picture["nameless"]:
            found.fault(path, f"picture {picture['source']} has no alternative text")


def _colours(found: Crawl, path: str, held: dict[str, Any], theme: str) -> None:
    if held["theme"] not in ("", theme):
        found.fault(path, f"is {held['theme']} where the system asks for {theme}")
    if (held["brightness"] < 0.5) != (theme == "dark"):
        found.fault(path, f"the background is {held['brightness']:.2f} bright in {theme} mode")
    for element, words, ratio in held["pale"]:
        found.fault(path, f"contrast {ratio:.1f} in {theme} mode: {element} '{words}'")


def _narrow(found: Crawl, page: Page, path: str) -> None:
    page.set_viewport_size({"width": PHONE, "height": 844})
    excess = page.evaluate(OVERFLOW)
    if excess is not None:
        pixels, element = excess
        found.fault(path, f"{pixels} pixels wider than a phone ({PHONE}): {element}")
    page.set_viewport_size({"width": DESK, "height": 900})


def _links(found: Crawl, browser: Browser) -> None:
    context, answers = browser.new_context(), {}
    for path, url in list(_inner(found)):
        to, anchor = str(found.inside(url)), unquote(urldefrag(url).fragment)
        if to in found.seen:
            if anchor and anchor not in found.seen[to]["anchors"]:
                found.fault(path, f"link to {to}#{anchor}, an anchor that is not there")
            continue
        if to not in answers:
            answers[to] = context.request.get(urldefrag(url).url).status
        if answers[to] >= 400:
            found.fault(path, f"link to {to}, which is not there ({answers[to]})")
    context.close()


def _inner(found: Crawl) -> Iterator[tuple[str, str]]:
    for path, held in found.seen.items():
        for url in dict.fromkeys([*held["links"], *held["files"]]):
            if found.inside(url):
                yield path, url
