"""Every state as people meet it: readable for all (WCAG 2.2 AA), on the narrowest phone, in both languages.

Indonesian pages are looked at in light colours, English ones in dark: words and colours do not meet.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from gateway.preview_states import STATES
from gateway.web.texts import LANGUAGES, speech
from tests.browser.conftest import SCREENS

WCAG = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
SCHEMES: dict[str, Any] = {"id": "light", "en": "dark"}
BESIDE = {
    "home": "/", "find": "/receipts", "not-found": "/receipts?reference=656F-VHX6", "draw": "/waves/waiting/draw",
    "draw-before": "/waves/prequeue/draw", "device": "/waves/waiting/device",
}  # fmt: skip


@pytest.fixture(scope="module", params=[True, False], ids=["script", "no-script"])
def script(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(scope="module", params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(autouse=True)
def spare(language: str, script: bool, request: pytest.FixtureRequest) -> None:
    """Without script one template speaks in all states, in words seen already: a few will do."""
    few = ("admitted", "waiting", "prequeue", "received", "paused", "draw")
    if not script and not any(f"-{name}]" in request.node.name for name in few):
        pytest.skip("the same page as another")


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


@pytest.mark.parametrize("state", STATES)
def test_a_state(page: Page, preview_url: str, state: str, language: str, script: bool) -> None:
    url = f"{preview_url}/waves/{state}"
    if not script:
        if STATES[state].trouble == "offline":
            pytest.skip("without script the browser itself says that it is offline")
        show_plainly(page, f"{url}/wait?lang={language}")
    elif STATES[state].trouble == "offline":
        with page.context.new_page() as other:  # with a clock of its own
            other.clock.install()
            other.goto(f"{url}?lang={language}")
            other.clock.run_for(7_000)
            expect(other.locator("#retry")).to_be_visible()
            look_closely(other, f"{language}-{state}")
        return
    else:
        page.goto(f"{url}?lang={language}")
        expect(page.locator("h1")).to_have_text(title_of(state, language))
    look_closely(page, f"{language}-{'' if script else 'noscript-'}{state}")


def title_of(state: str, language: str) -> re.Pattern[str]:
    """Return what the title of a state looks like, whatever stands in its gaps."""
    named = {"unlikely": "waiting", "throttled": "open"}.get(state, state)
    parts = re.split(r"\{\w+\}", speech(language).texts[f"{named}.title"])
    return re.compile(f"^{'.+'.join(map(re.escape, parts))}$")


@pytest.mark.parametrize("name", BESIDE)
def test_a_page_beside_the_states(
    page: Page, preview_url: str, name: str, language: str, script: bool
) -> None:
    path = BESIDE[name]
    url = f"{preview_url}{path}{'&' if '?' in path else '?'}lang={language}"
    if not script:
        show_plainly(page, url)
    else:
        page.goto(url)
    if script and name.startswith("draw"):
        expect(page.locator("#result")).to_be_visible()
    look_closely(page, f"{language}-{'' if script else 'noscript-'}{name}")
