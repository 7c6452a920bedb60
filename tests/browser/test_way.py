"""One applicant's way in a real browser: with script and without, in both languages."""

import itertools
import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.applicants import Applicant, call
from tests.browser.conftest import SCREENS
from tests.gateways import RunningGateway, a_gateway
from tests.support import wait_for

pytestmark = pytest.mark.timeout(120)

WORDS = {
    "id": {
        "join": "Ikut menunggu", "claim": "Buka formulir", "send": "Kirim pendaftaran",
        "turn": "Giliran Anda", "done": "Anda terdaftar di Gelombang 1", "fix": "Ada 2 hal",
        "leave": "Keluar dari antrean", "left": "Anda sudah keluar dari antrean", "again": "Masuk antrean lagi",
        "nik": "NIK harus 16 angka", "receipt": "Buka bukti", "refresh": "Perbarui sekarang",
        "waiting": "Anda sudah masuk antrean",
    },
    "en": {
        "join": "Join the queue", "claim": "Open the form", "send": "Send registration",
        "turn": "It is your turn", "done": "You are registered for Wave 1", "fix": "Things to fix: 2",
        "leave": "Leave the queue", "left": "You have left the queue", "again": "Join again",
        "nik": "NIK must be the 16 digits", "receipt": "Open the receipt", "refresh": "Update now",
        "waiting": "You are in the queue",
    },
}  # fmt: skip
LOCALES = {"id": "id-ID", "en": "en-GB"}
persons = itertools.count(100)


def a_page(browser: Browser, language: str, *, script: bool = True) -> Page:
    """Open a tab of a new browser, as wide as a cheap phone."""
    context = browser.new_context(
        locale=LOCALES[language],
        java_script_enabled=script,
        viewport={"width": 320, "height": 640},
    )
    context.set_default_timeout(20_000)
    expect.set_options(timeout=20_000)
    page = context.new_page()
    page.on("pageerror", lambda error: pytest.fail(f"script error: {error}"))
    return page


def on_a_slow_phone(page: Page) -> None:
    """Make the tab as slow as a cheap phone in a crowd: 400 kbit/s, 300 ms, a quarter of the processor."""
    session = page.context.new_cdp_session(page)
    session.send(
        "Network.emulateNetworkConditions",
        {
            "offline": False,
            "latency": 300,
            "downloadThroughput": 50_000,
            "uploadThroughput": 25_000,
        },
    )
    session.send("Emulation.setCPUThrottlingRate", {"rate": 4})


def shoot(page: Page, name: str) -> None:
    page.screenshot(path=SCREENS / f"{name}.png", full_page=True)


def fill(page: Page, nik: str, name: str) -> None:
    page.fill("#nik", nik)
    page.fill("#name", name)


@pytest.mark.parametrize("language", ["id", "en"])
def test_with_script(browser: Browser, running_gateway: RunningGateway, language: str) -> None:
    words, page = WORDS[language], a_page(browser, language)
    if language == "id":
        on_a_slow_phone(page)
    page.goto(f"{running_gateway.public_url}/")
    shoot(page, f"{language}-home")
    page.click(f'a[href="/waves/{running_gateway.wave}"]')
    page.click(f"button:has-text('{words['join']}')")
    expect(page.locator("h1")).to_have_text(words["turn"])
    assert page.title() == f"● {words['turn']}"
    shoot(page, f"{language}-turn")
    page.reload()  # the place is kept by the browser, not by the page
    page.click(f"button:has-text('{words['claim']}')")
    fill(page, "123", "")
    page.click(f"button:has-text('{words['send']}')")
    expect(page.locator("#errors")).to_contain_text(words["fix"])
    expect(page.locator("#nik-error")).to_contain_text(words["nik"])
    shoot(page, f"{language}-errors")
    fill(page, f"3201 0145 0790 {next(persons):04}", "Dewi <Lestari>")
    page.dblclick(f"button:has-text('{words['send']}')")
    expect(page.locator("h1")).to_have_text(words["done"])
    assert page.evaluate("sessionStorage.length") == 0
    shoot(page, f"{language}-registered")
    page.click(f"text={words['receipt']}")
    expect(page.locator("svg.qr")).to_be_visible()
    shoot(page, f"{language}-receipt")


@pytest.mark.parametrize("language", ["id", "en"])
def test_without_script(browser: Browser, running_gateway: RunningGateway, language: str) -> None:
    words, page = WORDS[language], a_page(browser, language, script=False)
    page.goto(f"{running_gateway.public_url}/waves/{running_gateway.wave}")
    page.click("noscript a")
    page.click(f"button:has-text('{words['join']}')")
    shoot(page, f"{language}-noscript-waiting")
    claim = page.locator(f"button:has-text('{words['claim']}')")
    claim.wait_for()  # the page refreshes itself
    claim.click()
    expect(page.locator("h1")).to_have_text(words["turn"])
    fill(page, "123", "")
    page.click(f"button:has-text('{words['send']}')")
    expect(page.locator("#nik-error")).to_contain_text(words["nik"])
    shoot(page, f"{language}-noscript-errors")
    fill(page, f"3201.0145.0790.{next(persons):04}", "Dewi")
    page.click(f"button:has-text('{words['send']}')")
    expect(page.locator("h1")).to_have_text(words["done"])
    page.click(f"text={words['receipt']}")
    expect(page.locator("svg.qr")).to_be_visible()
    shoot(page, f"{language}-noscript-receipt")


def test_who_waits_before_the_opening_is_drawn_and_sees_the_turn_come(browser: Browser) -> None:
    words, page = WORDS["id"], a_page(browser, "id")
    with a_gateway(opens_at="+6s", rate_per_s=2.0, burst=1) as gateway:
        page.goto(f"{gateway.public_url}/waves/{gateway.wave}")
        page.click(f"button:has-text('{words['join']}')")
        expect(page.locator("#big")).to_contain_text("Dibuka dalam")
        shoot(page, "id-before")
        others = [Applicant(gateway.public_url, gateway.wave, person) for person in range(12)]
        for applicant in others:
            applicant.join()
        drawn_first_or_later = re.compile(f"{words['waiting']}|{words['turn']}")
        expect(page.locator("h1")).to_have_text(drawn_first_or_later)
        shoot(page, "id-waiting")
        expect(page.locator("h1")).to_have_text(words["turn"])


def test_far_from_the_front_the_board_alone_tells_the_wait(browser: Browser) -> None:
    words, page = WORDS["en"], a_page(browser, "en")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.rsplit("/", 1)[1]))
    # The near window stands for a minute: nobody is passed over meanwhile.
    slow = a_gateway(opens_at="+3s", quota=1_000, rate_per_s=0.05, burst=1, check_in_s=60)
    with slow as gateway:
        for person in range(400):
            Applicant(gateway.public_url, gateway.wave, person).join()
        board = f"{gateway.public_url}/v1/waves/{gateway.wave}/board"
        wait_for(lambda: call(board)[1]["phase"] == "open", what="the wave is open")
        page.goto(f"{gateway.public_url}/waves/{gateway.wave}")
        page.click(f"button:has-text('{words['join']}')")
        expect(page.locator("h1")).to_have_text(words["waiting"])
        told = page.locator("#status").inner_text()
        assert "400" in told, told  # all who came before
        shoot(page, "en-waiting")

        asked.clear()
        with page.expect_response("**/board"):
            page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        assert asked == ["board"]


def test_leaving_gives_the_place_up_and_joining_again_gives_another(
    browser: Browser, running_gateway: RunningGateway
) -> None:
    words, page = WORDS["en"], a_page(browser, "en")
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto(f"{running_gateway.public_url}/waves/{running_gateway.wave}?lang=en")
    page.click(f"button:has-text('{words['join']}')")
    page.click(f"button:has-text('{words['leave']}')")
    expect(page.locator("h1")).to_have_text(words["left"])
    page.click(f"button:has-text('{words['again']}')")
    expect(page.locator("h1")).to_have_text(words["turn"])


def test_five_tabs_and_a_double_press_are_one_place(
    browser: Browser, running_gateway: RunningGateway
) -> None:
    words, first = WORDS["en"], a_page(browser, "en")
    wave = f"{running_gateway.public_url}/waves/{running_gateway.wave}"
    board = f"{running_gateway.public_url}/v1/waves/{running_gateway.wave}/board"
    first.goto(wave)
    issued = call(board)[1]["issued"]
    first.dblclick(f"button:has-text('{words['join']}')")
    expect(first.locator("h1")).to_have_text(words["turn"])
    for tab in [first.context.new_page() for _ in range(4)]:
        tab.goto(wave)
        expect(tab.locator("h1")).to_have_text(words["turn"])
    assert call(board)[1]["issued"] == issued + 1


def test_a_place_moves_to_another_device_by_its_link(
    browser: Browser, running_gateway: RunningGateway
) -> None:
    words, page = WORDS["en"], a_page(browser, "en")
    wave = f"{running_gateway.public_url}/waves/{running_gateway.wave}"
    page.goto(wave)
    page.click(f"button:has-text('{words['join']}')")
    expect(page.locator("h1")).to_have_text(words["turn"])
    page.goto(f"{wave}/device")
    expect(page.locator("svg.qr")).to_be_visible()
    shoot(page, "en-device")
    link = page.get_attribute("main p a", "href")
    assert link is not None
    other = a_page(browser, "en")
    other.goto(link)
    expect(other.locator("h1")).to_have_text(words["turn"])
    assert "#" not in other.url  # the ticket does not stay in the address


def test_the_page_computes_the_positions_that_the_draw_gives(
    browser: Browser, running_gateway: RunningGateway
) -> None:
    page = a_page(browser, "en")
    page.goto(f"{running_gateway.public_url}/waves/{running_gateway.wave}")
    vectors = json.loads((Path(__file__).parents[1] / "core" / "draw_vectors.json").read_text())
    for vector in vectors:
        for number, position in vector["positions"].items():
            computed = page.evaluate(
                "v => draw.position(v[0], v[1], v[2])",
                [vector["seed"], vector["cohort"], int(number)],
            )
            assert computed == position


def test_i_27_the_page_never_shows_more_people_in_front(
    browser: Browser, running_gateway: RunningGateway
) -> None:
    """Two processes answer in turn, the second one cut off; a reload does not forget either."""
    page = a_page(browser, "en")
    told = itertools.chain([50, 50, 60, 40], itertools.repeat(70))  # the first is not shown
    place = {
        "state": "waiting", "number": 7, "position": 90, "eta_s": None, "outlook": "likely",
        "poll_s": 0.2, "message": "", "at": "2020-04-11T16:00:00.000+07:00",
    }  # fmt: skip
    page.route(
        "**/place",
        lambda route: route.fulfill(json=place | {"ahead": next(told)}),
    )
    shown: list[str] = []
    page.expose_function("noteStatus", lambda text: shown.append(text))  # noqa: PLW0108
    page.add_init_script(
        "addEventListener('DOMContentLoaded', () => new MutationObserver(() => noteStatus("
        "document.getElementById('status').textContent)).observe(document.getElementById('status'),"
        "{childList: true, characterData: true, subtree: true}))"
    )
    page.goto(f"{running_gateway.public_url}/waves/{running_gateway.wave}")
    expect(page.locator("#status")).to_contain_text("40")
    with page.expect_response("**/place"):
        pass
    page.reload()
    with page.expect_response("**/place"):
        pass
    expect(page.locator("#status")).to_contain_text("40")
    counts = [int("".join(filter(str.isdigit, text.split(".")[0]))) for text in shown if text]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] == 50
