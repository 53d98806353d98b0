"""What every page of a site offers: search, dark mode, and a keyboard that reaches it all."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

FOCUS = """() => {
  const at = document.activeElement;
  const style = getComputedStyle(at);
  const ring = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
  return {
    search: at.matches("input[type=search]") && at.checkVisibility(),
    navigation: at.matches("a") && at.closest("nav") !== null && at.checkVisibility(),
    name: at.tagName.toLowerCase() + " '" + (at.textContent || at.value || "").trim() + "'",
    visible: at === document.body || ring || style.boxShadow !== "none",
  };
}"""
THEME = "() => document.documentElement.dataset.theme || ''"
PATIENCE = 8000  # milliseconds that the index of words may take
MOST_TABS = 12


def furniture(browser: Browser, address: str, word: str) -> list[str]:
    """Return what is wrong with search, dark mode and keyboard.

    Parameters
    ----------
    browser : playwright.sync_api.Browser
    address : str
        Where the site is served.
    word : str
        A word that the site's search must find.
    """
    faults = []
    for check in (_keyboard, _dark, lambda page: _search(page, word)):
        context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
        page = context.new_page()
        page.goto(f"{address}/index.html", wait_until="load")
        faults += check(page)
        context.close()
    return faults


def _keyboard(page: Page) -> list[str]:
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        held = page.evaluate(FOCUS)
        if not held["visible"]:
            return [f"keyboard: nothing shows that {held['name']} has the focus"]
        if held["navigation"]:
            return []
    return [f"keyboard: {MOST_TABS} presses of Tab do not reach the navigation"]


def _dark(page: Page) -> list[str]:
    for theme in ("dark", "light", "dark"):
        if not _choose(page, theme):
            return ["dark mode: there is no button for it"]
        chosen = page.evaluate(THEME)
        if chosen != theme:
            return [f"dark mode: {theme} was chosen and the page is {chosen or 'of no theme'}"]
    page.reload()
    return [] if page.evaluate(THEME) == "dark" else ["dark mode: the next page forgets it"]


def _choose(page: Page, theme: str) -> bool:
    """Press what chooses a theme: a button that goes through them, or one that opens a menu."""
    switch = _shown(page, "theme|colou?r mode")
    if switch is None:
        return False
    switch.click()
    offered = _shown(page, f"^ *{theme} *$")
    if offered is not None:
        offered.click()
    return True


def _shown(page: Page, name: str) -> Locator | None:
    buttons = page.get_by_role("button", name=re.compile(name, re.I))
    return next((one for one in buttons.all() if one.is_visible()), None)


def _search(page: Page, word: str) -> list[str]:
    page.keyboard.press("Control+k")
    page.wait_for_timeout(300)
    if not page.evaluate(FOCUS)["search"]:
        return ["search: Ctrl+K does not open it"]
    page.keyboard.type(word)
    page.keyboard.press("Enter")
    found = page.locator("#search-results li a")
    try:
        found.first.wait_for(timeout=PATIENCE)
    except Exception as error:  # playwright's, which is imported late
        if type(error).__name__ != "TimeoutError":
            raise
        return [f"search: nothing found for '{word}'"]
    target = str(found.first.get_attribute("href"))
    found.first.click()
    page.wait_for_load_state("load")
    if word.lower() not in page.locator("body").inner_text().lower():
        return [f"search: {target} was found for '{word}', which is not on it"]
    return []
