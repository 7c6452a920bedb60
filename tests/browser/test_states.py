"""Every state as people meet it: readable for all (WCAG 2.2 AA), on the narrowest phone, in both languages.

Indonesian pages are looked at in light colours, English ones in dark: words and colours do not meet.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from gateway.preview_house import receipt_of
from gateway.preview_states import OFFLINE, STATES
from gateway.web.texts import LANGUAGES, speech
from tests.browser.conftest import SCREENS

WCAG = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
SCHEMES: dict[str, Any] = {"id": "light", "en": "dark"}
# Without script one template speaks in all states, in words that are seen with it: a few will do.
PLAIN = ("admitted", "waiting", "prequeue", "received", "paused", "paused-outside", "already")
BESIDE = {
    "home": "/?",
    "find": "/receipts?",
    "not-found": "/receipts?reference=656F-VHX6&",
    "receipt-page": f"/v1/registrations/{receipt_of('recorded')}?",
    "draw": "/waves/waiting/draw?",
    "draw-before": "/waves/prequeue/draw?",
    "device": "/waves/waiting/device?",
}


@pytest.fixture(scope="module", params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def context(browser: Browser, language: str) -> Iterator[BrowserContext]:
    with browser.new_context(
        color_scheme=SCHEMES[language],
        viewport={"width": 320, "height": 640},
    ) as context:
        yield context


@pytest.fixture(scope="module")
def tab(context: BrowserContext) -> Iterator[Page]:
    """Yield one tab for all: opening one takes longer than looking."""
    with context.new_page() as page:
        yield page


@pytest.fixture
def page(tab: Page) -> Iterator[Page]:
    errors: list[object] = []

    def note(error: object) -> None:
        errors.append(error)

    tab.on("pageerror", note)
    yield tab
    tab.remove_listener("pageerror", note)
    assert errors == []


def show_plainly(page: Page, url: str) -> None:
    """Show a page as browsers without script do. Where script is off, axe could not run either."""
    text = page.request.get(url, headers={"Accept": "text/html"}).text()
    text = re.sub(r"<script.*?</script>|</?noscript>", "", text, flags=re.DOTALL)
    page.goto("about:blank")
    page.set_content(text)


def look_closely(page: Page, name: str) -> None:
    """Take a picture, let axe look, and let people who need large letters look."""
    page.screenshot(path=SCREENS / f"{name}.png", full_page=True)
    assert "undefined" not in page.inner_text("body")
    found = Axe().run(page, options=WCAG)
    assert found.violations_count == 0, found.generate_report()
    for size in ("100%", "200%"):
        page.evaluate("size => { document.documentElement.style.fontSize = size; }", size)
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, size


@pytest.mark.parametrize("state", [name for name in STATES if STATES[name].trouble != OFFLINE])
def test_a_state(page: Page, preview_url: str, state: str, language: str) -> None:
    page.goto(f"{preview_url}/waves/{state}?lang={language}")
    expect(page.locator("h1")).to_have_text(title_of(state, language))
    look_closely(page, f"{language}-{state}")


def test_the_state_of_no_network(context: BrowserContext, preview_url: str, language: str) -> None:
    with context.new_page() as page:  # with a clock of its own
        page.clock.install()
        page.goto(f"{preview_url}/waves/offline?lang={language}")
        page.clock.run_for(7_000)
        expect(page.locator("#retry")).to_be_visible()
        look_closely(page, f"{language}-offline")


@pytest.mark.parametrize("state", PLAIN)
def test_a_state_without_script(page: Page, preview_url: str, state: str, language: str) -> None:
    show_plainly(page, f"{preview_url}/waves/{state}/wait?lang={language}")
    look_closely(page, f"{language}-noscript-{state}")


@pytest.mark.parametrize("name", BESIDE)
def test_a_page_beside_the_states(page: Page, preview_url: str, name: str, language: str) -> None:
    page.goto(f"{preview_url}{BESIDE[name]}lang={language}")
    if name.startswith("draw"):
        expect(page.locator("#result")).to_be_visible()
    look_closely(page, f"{language}-{name}")


def title_of(state: str, language: str) -> re.Pattern[str]:
    """Return what the title of a state looks like, whatever stands in its gaps."""
    named = {"unlikely": "waiting", "throttled": "open"}.get(state, state.removesuffix("-outside"))
    parts = re.split(r"\{\w+\}", speech(language).texts[f"{named}.title"])
    return re.compile(f"^{'.+'.join(map(re.escape, parts))}$")
