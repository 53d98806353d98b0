from __future__ import annotations

import base64
import io
import logging
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from linerefine.errors import DataError
from linerefine.report import Page, Picture, Section, Table
from linerefine.tracking import page as page_module
from linerefine.tracking.page import WIDEST, page_html, write_page

VOID = {"img", "link", "meta", "source"}

TABLE = Table(
    "Input options",
    ("variant", "initial pFM", "relative gain", "epochs", "note"),
    (
        {"variant": "both", "initial pFM": 0.4928, "relative gain": 0.061, "epochs": 12},
        {"variant": "prediction", "initial pFM": 0.4927, "relative gain": -0.001, "epochs": 40},
    ),
    percent=frozenset({"initial pFM", "relative gain"}),
    note="gain: refined over manual.",
    best={"relative gain": "max", "epochs": "min"},
)


class Reader(HTMLParser):
    """Reads a page the way a strict reader would: every element closed, in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.found, self.text = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.text.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.found if name == tag]


def png(path, size=(40, 30), mode="RGB"):
    Image.new(mode, size, "white").save(path)
    return path


def gif(path, size=(40, 30), frames=3):
    pictures = [Image.new("L", size, 80 * number) for number in range(frames)]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=500, loop=0)
    return path


def held(source):
    kind, _, content = source.removeprefix("data:").partition(";base64,")
    return kind, base64.b64decode(content)


@pytest.fixture
def page(tmp_path):
    """Return a page with everything on it."""
    svg = tmp_path / "loop.svg"
    svg.write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" width="80" height="40">'
        "<script>document.title = 'taken over'</script>"
        '<image href="http://nowhere.invalid/x.png"/><rect width="80" height="40"/></svg>'
    )
    wide = Table("Wide", tuple(f"column {n}" for n in range(30)), ({"column 0": "x"},))
    pictures = (
        Picture(png(tmp_path / "gain.png"), "Gain over interactions"),
        Picture(png(tmp_path / "strip.png", (1500, 300)), "A strip"),
        Picture(gif(tmp_path / "tile.gif"), "A tile, moving"),
        Picture(svg, "The loop"),
    )
    return Page(
        "Input <options> & more",
        "What was found.",
        "linerefine reproduce table-1 --output 'my runs'",
        (
            Section("Numbers", "First.\n\nSecond & last.", (TABLE, wide)),
            Section("", "", pictures[:1]),
            Section("Pictures", "", pictures[1:]),
        ),
        {"data": "phantom", "seed": "0"},
    )


def test_everything_is_there_and_well_formed(page):
    read = Reader(page_html(page))
    said = "".join(read.text)
    for words in (
        "Input <options> & more", "What was found.", "Second & last.", "Input options", "49.3 %",
        "+6.1 %", "-0.1 %", "gain: refined over manual.", "A strip", "phantom",
        "linerefine reproduce table-1 --output 'my runs'",
    ):  # fmt: skip
        assert words in said
    assert len(read.all("h1")) == 1
    assert len(read.all("p")) == 4  # summary, two paragraphs, the table's note


def test_the_summary_may_have_paragraphs():
    found = Page("T", "First <b>.\n\nSecond.", "", ())
    read = Reader(page_html(found))
    assert [attributes.get("class") for attributes in read.all("p")] == ["summary", "summary"]
    assert "First <b>." in "".join(read.text)


def test_contents_lead_to_titled_sections(page):
    read = Reader(page_html(page))
    targets = [link["href"].removeprefix("#") for link in read.all("a")]
    identities = [a["id"] for _, a in read.found if "id" in a]
    assert len(identities) == len(set(identities))
    assert set(targets) <= set(identities)
    assert len(targets) == 3  # past the contents, and two sections with titles
    assert not Reader(page_html(Page("t", "", "", (Section("one"),)))).all("nav")


def test_the_best_of_a_column_is_bold(page):
    text = page_html(page)
    assert re.findall(r"<strong>(.*?)</strong>", text) == ["+6.1 %", "12"]


def test_pictures_are_inlined_with_their_captions_as_alternative(page):
    read = Reader(page_html(page))
    pictures = read.all("img")
    assert [picture["alt"] for picture in pictures] == [
        "Gain over interactions", "A strip", "A tile, moving", "The loop",
    ]  # fmt: skip
    kinds = [held(picture["src"])[0] for picture in pictures]
    assert kinds == ["image/png", "image/png", "image/gif", "image/svg+xml"]
    (still,) = read.all("source")
    kind, content = held(still["srcset"])
    assert kind == "image/png"
    assert "prefers-reduced-motion" in still["media"]
    with Image.open(io.BytesIO(content)) as last:
        assert last.convert("L").getpixel((0, 0)) == 160


def test_nothing_refers_to_anything_outside(page):
    text = page_html(page)
    without_pictures = re.sub(r"data:[\w/+]+;base64,[\w+/=]+", "", text)
    assert not re.search(r"https?://|url\(|@import|src=\"(?!\")", without_pictures)
    read = Reader(text)
    policy = next(m["content"] for m in read.all("meta") if "http-equiv" in m)
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF"])
def test_wide_pictures_are_scaled_down_and_others_left_alone(tmp_path, kind):
    narrow, wide = tmp_path / f"narrow.{kind.lower()}", tmp_path / f"wide.{kind.lower()}"
    Image.new("RGB", (WIDEST, 10), "red").save(narrow)
    Image.new("RGB", (2 * WIDEST, 100), "red").save(wide)
    parts = (Picture(narrow, "narrow"), Picture(wide, "wide"))
    pictures = Reader(page_html(Page("t", "", "", (Section("", parts=parts),)))).all("img")
    assert held(pictures[0]["src"])[1] == narrow.read_bytes()
    with Image.open(io.BytesIO(held(pictures[1]["src"])[1])) as scaled:
        assert scaled.size == (WIDEST, 50)
        assert scaled.format == kind
        assert np.asarray(scaled.convert("RGB")).mean(axis=(0, 1)) == pytest.approx(
            [255, 0, 0], abs=4
        )


def test_wide_animations_keep_moving(tmp_path):
    path = gif(tmp_path / "wide.gif", (WIDEST + 400, 20))
    part = Picture(path, "moving")
    (picture,) = Reader(page_html(Page("t", "", "", (Section("", parts=(part,)),)))).all("img")
    with Image.open(io.BytesIO(held(picture["src"])[1])) as scaled:
        assert (scaled.width, scaled.n_frames) == (WIDEST, 3)
        assert scaled.info["loop"] == 0
        scaled.seek(1)
        assert scaled.info["duration"] == 500


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=40))
def test_no_text_becomes_markup(text):
    table = Table(text, (text or "a",), ({text or "a": text},), note=text)
    section = Section(f"x{text}", text, (table,))
    read = Reader(page_html(Page(f"x{text}", text, text, (section,), {text: text})))
    plain = Reader(page_html(Page("x", "y", "z", (Section("x", "y", (Table("t", ("a",), ({"a": "b"},), note="n"),)),), {"k": "v"})))  # fmt: skip  # noqa: E501
    known = [name for name, _ in plain.found]
    assert {name for name, _ in read.found} <= set(known)
    assert len(read.found) <= len(known)
    assert f"x{text}" in "".join(read.text)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("gone.png", None, "picture .*gone.png of the page cannot be read: .*Draw it again"),
        ("bad.png", b"no picture", "picture .*bad.png of the page cannot be read"),
        ("notes.txt", b"", "notes.txt is no picture for a page: its name must end in .gif"),
    ],
)
def test_a_picture_that_cannot_be_shown_is_named(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    part = Picture(tmp_path / name, "x")
    with pytest.raises(DataError, match=message):
        write_page(Page("t", "", "", (Section("", parts=(part,)),)), tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_a_picture_cut_short_is_named(tmp_path):
    path = tmp_path / "cut.png"
    noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(DataError, match="cut.png of the page cannot be read"):
        page_html(Page("t", "", "", (Section("", parts=(Picture(path, "x"),)),)))


def test_a_large_page_is_written_with_a_warning(page, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(page_module, "LARGE", 1000)
    with caplog.at_level(logging.WARNING):
        path = write_page(page, tmp_path / "out" / "page.html")
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert "Show fewer pictures" in caplog.text


# ------------------------------------------------------------- in a browser


@pytest.fixture(scope="module")
def browser():
    """Return Debian's chromium."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("there is no chromium; apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as browsers:
        opened = browsers.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        yield opened
        opened.close()


@pytest.fixture
def opened(browser, page, tmp_path):
    """Return a function that opens the page, and the lists of what it said and asked for."""
    path = write_page(page, tmp_path / "page.html")
    contexts, said, asked = [], [], []

    def open_(width=1280, **options):
        context = browser.new_context(viewport={"width": width, "height": 800}, **options)
        contexts.append(context)
        tab = context.new_page()
        tab.on("console", lambda message: said.append(message.text))
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.on("request", lambda request: asked.append(request.url))
        tab.goto(path.as_uri())
        return tab

    yield open_, said, asked
    for context in contexts:
        context.close()


def wait_until(tab, is_so):
    """Wait for something to become true; the page forbids the browser to do so by itself."""
    for _ in range(100):
        if is_so():
            return
        tab.wait_for_timeout(50)
    pytest.fail("waited for five seconds")


def status(tab):
    return tab.locator("[role=status]").text_content()


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_shows_it_quietly_and_without_overflow(opened, width, scheme):
    open_, said, asked = opened
    tab = open_(width, color_scheme=scheme)
    assert tab.evaluate("document.documentElement.scrollWidth") == width
    loaded = "Array.from(document.images).every(i => i.complete && i.naturalWidth > 0)"
    assert tab.evaluate(loaded)
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [tab.url]
    assert tab.title() == "Input <options> & more"  # the script inside the SVG never ran
    ground = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(22, 25, 29)")


def test_wide_things_scroll_in_their_own_box_by_keyboard(opened):
    open_, _, _ = opened
    tab = open_(390)
    boxes = tab.locator("[tabindex='0']")
    overflowing = [box for box in boxes.all() if box.evaluate("b => b.scrollWidth > b.clientWidth")]
    assert len(overflowing) >= 3  # the command, a table, a strip
    table = tab.locator(".scroll").nth(1)
    table.focus()
    tab.keyboard.press("ArrowRight")
    wait_until(tab, lambda: tab.evaluate("document.activeElement.scrollLeft") > 0)


def test_the_command_is_copied(opened):
    open_, said, _ = opened
    tab = open_(permissions=["clipboard-read", "clipboard-write"])
    tab.get_by_role("button", name="Copy").click()
    wait_until(tab, lambda: status(tab) == "copied")
    read = tab.evaluate("navigator.clipboard.readText()")
    assert read == "linerefine reproduce table-1 --output 'my runs'"
    assert said == []


def test_where_the_clipboard_is_closed_the_command_is_selected(opened):
    open_, said, _ = opened
    tab = open_()
    tab.evaluate(
        "() => { navigator.clipboard.writeText = () => Promise.reject(new Error('closed')); }"
    )
    tab.get_by_role("button", name="Copy").click()
    wait_until(tab, lambda: "Ctrl+C" in status(tab))
    assert tab.evaluate("getSelection().toString()").startswith("linerefine reproduce table-1")
    assert said == []


def test_the_tab_key_reaches_contents_and_command(opened):
    open_, _, _ = opened
    tab = open_()
    reached = []
    for _ in range(5):
        tab.keyboard.press("Tab")
        reached.append(tab.evaluate("document.activeElement.textContent.trim()"))
    assert reached == [
        "To the content", "Copy", "linerefine reproduce table-1 --output 'my runs'",
        "Numbers", "Pictures",
    ]  # fmt: skip


def test_print_shows_all_of_a_table_and_nothing_to_press(opened):
    open_, _, _ = opened
    tab = open_(color_scheme="dark")
    tab.emulate_media(media="print")
    assert not tab.get_by_role("button").is_visible()
    assert not tab.get_by_role("navigation").is_visible()
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert (
        tab.evaluate("getComputedStyle(document.querySelector('.scroll')).overflowX") == "visible"
    )
    assert tab.locator("picture img").evaluate("i => i.currentSrc").startswith("data:image/png")


def test_contrast_is_enough_in_both_schemes(opened):
    open_, _, _ = opened
    names = ("--ink", "--quiet", "--accent")
    for scheme in ("light", "dark"):
        tab = open_(color_scheme=scheme)
        style = "getComputedStyle(document.documentElement).getPropertyValue"
        ground = luminance(tab.evaluate(f"{style}('--ground')"))
        raised = luminance(tab.evaluate(f"{style}('--raised')"))
        for name in names:
            ink = luminance(tab.evaluate(f"{style}('{name}')"))
            for back in (ground, raised):
                high, low = max(ink, back), min(ink, back)
                assert (high + 0.05) / (low + 0.05) >= 4.5, (scheme, name)


def luminance(colour):
    """Return the relative luminance of a colour such as ``#16191d`` (WCAG 2)."""
    parts = np.array([int(colour.strip()[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.03928, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))
