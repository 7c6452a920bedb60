"""The operators' console in a real browser, on a real gateway: looked at, and used by keyboard alone."""

import asyncio
import json
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from gateway.core.credentials import Role
from gateway.core.policy import Policy
from gateway.core.snapshot import Phase
from gateway.operators import add_operator
from gateway.ports import PolicyRevision
from tests.applicants import Applicant, call
from tests.browser.conftest import SCREENS
from tests.gateways import RunningGateway, a_gateway
from tests.operations_house import NOW_US, OPEN, OperatorsHouse
from tests.support import wait_for
from tests.test_ctl import Gateway, silence  # noqa: F401  a fixture

pytestmark = pytest.mark.timeout(180)

WALL = "wall.credential"


@pytest.fixture(scope="module")
def crowded() -> Iterator[RunningGateway]:
    """Yield a gateway at which people wait and register."""
    with a_gateway(rate_per_s=3.0, burst=1, quota=200) as gateway:
        secrets = gateway.credential_file.parent
        add_operator(secrets, "wall", Role.VIEWER, 86_400, gateway.folder / WALL)
        people = [Applicant(gateway.public_url, gateway.wave, person) for person in range(60)]
        for applicant in people:
            applicant.join()
        for applicant in people[:20]:
            applicant.look()
        for applicant in sorted(people[:20], key=lambda each: each.place["number"])[:6]:
            applicant.wait_for_turn()
            applicant.claim()
            applicant.register()
        yield gateway


@pytest.fixture
def page(browser: Browser, crowded: RunningGateway) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1440, "height": 1000}, locale="en-GB")
    context.set_default_timeout(20_000)
    page = context.new_page()
    page.on("pageerror", lambda error: pytest.fail(f"script error: {error}"))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    yield page
    foreign = [url for url in asked if not url.startswith((crowded.operator_url, "data:"))]
    assert not foreign, "nothing is loaded from elsewhere"
    context.close()


def log_in(page: Page, gateway: RunningGateway, path: str = "/", credential: str = "") -> None:
    page.goto(gateway.operator_url + path)
    expect(page.locator("#credential")).to_be_focused()
    page.keyboard.type(credential or gateway.credential_file.read_text().strip())
    page.keyboard.press("Enter")
    expect(page.locator("#phase")).to_have_text(re.compile("OPEN|PAUSED"))


def policy(gateway: RunningGateway) -> dict[str, object]:
    bearer = gateway.credential_file.read_text().strip()
    url = f"{gateway.operator_url}/v1/waves/{gateway.wave}/policy"
    document: dict[str, object] = call(url, bearer=bearer)[1]
    return document


def test_the_page_shows_how_the_wave_stands_and_moves_on_by_itself(
    page: Page, crowded: RunningGateway
) -> None:
    log_in(page, crowded)
    expect(page.locator("#accepted")).not_to_have_text("–")
    expect(page.locator("#forecast dt").first).to_be_visible()
    expect(page.locator("#processes tr")).to_have_count(3)
    for _ in range(20):  # what comes in is told within seconds, whichever process it came to
        call(f"{crowded.public_url}/v1/waves/{crowded.wave}/board")
    expect(page.locator("#hits")).to_have_text(re.compile("[1-9]"))
    expect(page.locator("#polls")).to_have_text(re.compile("[0-9]"))
    expect(page.locator("#chart-hits canvas")).to_be_visible()
    expect(page.locator("#chart-flow canvas")).to_be_visible()
    for _ in range(3):
        expect(page.locator("#age")).not_to_have_text(page.locator("#age").text_content() or "")
    page.screenshot(path=SCREENS / "console-light.png", full_page=True)
    page.emulate_media(color_scheme="dark")
    expect(page.locator("#chart-flow canvas")).to_be_visible()
    page.screenshot(path=SCREENS / "console-dark.png", full_page=True)


def test_a_rate_is_planned_confirmed_applied_and_undone_by_keyboard_alone(
    page: Page, crowded: RunningGateway
) -> None:
    log_in(page, crowded)
    expect(page.locator("#knob-rate")).not_to_have_value("")
    page.keyboard.press("r")
    page.keyboard.type("7")
    page.keyboard.press("Enter")
    dialog = page.locator("#dialog")
    expect(dialog).to_contain_text("rate_per_s 3 → 7")
    expect(dialog.locator("#dialog-plan tbody tr")).to_have_count(8)
    page.keyboard.press("Escape")
    expect(dialog).not_to_be_visible()
    assert policy(crowded)["rate_per_s"] == 3.0, "a plan changes nothing"
    page.wait_for_function("document.activeElement === document.body")  # keys are keys again
    page.keyboard.press("r")
    page.locator("#knob-rate").fill("7")  # what was typed may have given way to what is in force
    page.locator("#knob-rate").press("Enter")
    expect(dialog).to_be_visible()
    expect(dialog).to_contain_text("Type 7 to confirm")
    page.screenshot(path=SCREENS / "console-plan.png")
    page.keyboard.type("6")
    page.keyboard.press("Tab")
    page.keyboard.type("the store is fine")
    page.keyboard.press("Enter")
    expect(page.locator("#dialog-error")).to_contain_text("Confirmation missing")
    page.locator(".confirm").fill("7")
    page.keyboard.press("Enter")
    expect(dialog).not_to_be_visible()
    assert policy(crowded)["rate_per_s"] == 7.0
    expect(page.locator("#history")).to_contain_text("the store is fine")
    expect(page.locator("#history")).to_contain_text("refused (confirmation-missing)")
    page.wait_for_function("document.activeElement === document.body")
    page.keyboard.press("u")
    expect(dialog).to_be_visible()
    expect(dialog).to_contain_text("rate_per_s 7 → 3")
    page.keyboard.type("back to what was tested")
    page.keyboard.press("Enter")
    expect(dialog).not_to_be_visible()
    assert policy(crowded)["rate_per_s"] == 3.0


def test_a_pause_with_its_reason_is_on_every_waiting_page_within_two_seconds(
    page: Page, crowded: RunningGateway
) -> None:
    log_in(page, crowded)
    reason = "Data kependudukan sedang tidak menjawab"
    page.keyboard.press("p")
    expect(page.locator("#tell-text")).to_be_focused()
    page.keyboard.type(reason)
    page.locator("#tell-news").fill("19:30")
    page.screenshot(path=SCREENS / "console-pause.png")
    page.keyboard.press("Enter")
    expect(page.locator("#dialog")).not_to_be_visible()
    board = f"{crowded.public_url}/v1/waves/{crowded.wave}/board"
    news = "kabar berikutnya / next news: 19:30 WIB"
    said = re.compile(rf"sejak / since [0-2]\d:[0-5]\d WIB · {reason} · {news}$")
    waiting = Applicant(crowded.public_url, crowded.wave, 99, ticket="")

    def all_tell_it() -> bool:
        told = [call(board)[1] for _ in range(12)]  # new connections: any process may answer
        return all(one["phase"] == "paused" and said.match(one["message"]) for one in told)

    wait_for(all_tell_it, timeout_s=2.0, what="every process tells it")
    waiting.join()
    assert waiting.look() == "paused"
    assert said.match(waiting.place["message"])
    expect(page.locator("#phase")).to_have_text("PAUSED")
    page.keyboard.press("p")
    page.locator("#reason").fill("it answers again")
    page.keyboard.press("Enter")
    expect(page.locator("#phase")).to_have_text("OPEN")
    assert policy(crowded)["message"] == ""


def test_the_wall_looks_and_has_no_knobs(page: Page, crowded: RunningGateway) -> None:
    log_in(page, crowded, "/wall", (crowded.folder / WALL).read_text().strip())
    expect(page.locator("#waiting")).not_to_have_text("–")
    expect(page.locator("#knobs")).not_to_be_visible()
    page.screenshot(path=SCREENS / "console-wall.png", full_page=True)
    page.goto(crowded.operator_url)
    expect(page.locator("#who")).to_have_text("wall (viewer)")
    expect(page.locator("#knobs")).not_to_be_visible()


def test_a_wrong_credential_opens_nothing_and_a_login_is_no_scripts_to_read(
    page: Page, crowded: RunningGateway
) -> None:
    page.goto(crowded.operator_url)
    expect(page.locator("#credential")).to_be_focused()
    page.keyboard.type("gwo_local_" + "A" * 43 + "_00000000")
    page.keyboard.press("Enter")
    expect(page.locator("#login-error")).to_contain_text("not valid")
    page.screenshot(path=SCREENS / "console-login.png")
    page.locator("#credential").fill("")
    log_in(page, crowded)
    assert page.evaluate("document.cookie") == ""
    (cookie,) = page.context.cookies()
    assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"]) == ("console", True, "Strict")
    page.reload()
    expect(page.locator("#phase")).to_have_text("OPEN")
    page.locator("#logout").click()
    expect(page.locator("#credential")).to_be_focused()
    assert page.context.cookies() == []


def test_a_launch_in_full_swing_makes_a_picture_to_show(
    browser: Browser,
    tmp_path: Path,
    silence: None,  # noqa: F811
) -> None:
    """Half a million wait, as on the first evening of 2020: what is told fits, in light and dark."""
    launch = Gateway(tmp_path)
    launch.thread.start()
    launch.url = launch.ready.result(10)
    asyncio.run_coroutine_threadsafe(fill_with_a_launch(launch.house), launch.loop).result(30)
    context = browser.new_context(viewport={"width": 1440, "height": 1000}, locale="en-GB")
    page = context.new_page()
    page.on("pageerror", lambda error: pytest.fail(f"script error: {error}"))
    page.goto(launch.url)
    expect(page.locator("#credential")).to_be_focused()
    page.keyboard.type(launch.credential_file.read_text().strip())
    page.keyboard.press("Enter")
    expect(page.locator("#waiting")).to_have_text("592,949")
    expect(page.locator("#history tr")).to_have_count(5)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.screenshot(path=SCREENS / f"launch-{scheme}.png", full_page=True)
    page.keyboard.press("r")
    page.keyboard.type("80")
    page.keyboard.press("Enter")
    expect(page.locator("#dialog")).to_be_visible()
    page.screenshot(path=SCREENS / "launch-plan.png")
    page.keyboard.press("Escape")
    page.goto(f"{launch.url}/wall")
    expect(page.locator("#waiting")).to_have_text("592,949")
    expect(page.locator("#forecast dt").first).to_be_visible()
    page.screenshot(path=SCREENS / "launch-wall.png")
    page.set_viewport_size({"width": 390, "height": 844})
    # Nothing sticks out of a telephone, once the charts have been drawn anew.
    overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    page.wait_for_function(f"{overflow} <= 0")
    page.goto(launch.url)
    expect(page.locator("#waiting")).to_have_text("592,949")
    assert page.evaluate(overflow) <= 0
    context.close()
    launch.loop.call_soon_threadsafe(launch.stop.set)
    launch.thread.join(10)


async def fill_with_a_launch(house: OperatorsHouse) -> None:
    """Have fifteen minutes gone by since the opening, and a few hands laid on."""
    house.operations._processes = house.processes
    room, now_s = house.room(), 900
    policy = Policy(rate_per_s=50, burst=50, form_cap=9_000, quota=164_000, poll_budget_per_s=8_000)
    house.policies.held["wave-1"] = PolicyRevision(1, policy)
    room.policy = policy
    for second in range(now_s + 1):
        rate = 40 if 400 < second < 620 else 50
        house.clock_s += 1
        admitted = 50 * second - 10 * max(0, min(220, second - 400))
        called = admitted + admitted // 3
        issued = 330_000 + round(330_000 * (1 - 0.9965**second))
        missing = max(0, 592_949 - (issued - called)) if second == now_s else 0
        house.see_at(
            second, phase=Phase.OPEN, issued=issued + missing, called=called, near=called + 800,
            cohort=330_000, admitted=admitted, outstanding=min(admitted, 50 * 178),
            accepted=round(0.94 * max(0, admitted - 4_500)), form_us=admitted * 150_000_000,
            backlog=round(20 + 18 * math.sin(second / 9) + 200 * math.exp(-(((second - 480) / 40) ** 2))),
            stock=0, rate_milli_per_s=rate * 1_000, clock_us=second * 1_000_000,
            opens_at_us=NOW_US, closes_at_us=NOW_US + 117 * 3_600_000_000,
        )  # fmt: skip
        hits = 4_400 + 4_200 * math.exp(-second / 240) + 220 * math.sin(second / 7)
        shed = 900 * math.exp(-(((second - 20) / 25) ** 2))
        house.condition.fleet_traffic = {"hits_per_s": hits, "shed_per_s": shed}
        await house.steward.look(room)
    house.room("wave-2").observe(replace(OPEN, phase=Phase.SCHEDULED))
    records = [
        ("auto", "schedule", {"paused": (True, False)}),
        ("budi", "the store is slow", {"rate_per_s": (50.0, 40.0)}),
        ("rina", "the store is fine for ten minutes", {"rate_per_s": (40.0, 50.0)}),
        ("rina", "", {"message": ("", "Siapkan KTP dan nomor KK Anda")}),
    ]
    for who, why, changes in records:
        audit = {"who": who, "reason": why, "changes": json.dumps(changes)}
        await house.policies.note(room.wave, audit)
    refused = {
        "who": "budi",
        "refused": "confirmation-missing",
        "did": "PUT /v1/waves/wave-1/policy",
    }
    refused["changes"] = json.dumps({"rate_per_s": (50.0, 600.0)})
    await house.policies.note(room.wave, refused)
    serve: dict[str, Any] = {"pid": 1, "accepting": True, "revisions": {"wave-1": 1}}
    serve |= {"snapshot_age_s": 0.1, "age_s": 0.2}
    serve["shares"] = {
        "wave-1": {"polls_per_s": 1_607.7, "promises_made": 100, "promises_kept": 96}
    }
    kinds = {"hits": 1_130.4, "pages": 61.0, "polls": 1_020.5, "shed": 3.0, "throttled": 8.3}
    serve["traffic"] = {f"{kind}_per_s": per_s for kind, per_s in kinds.items()}
    told = {"capacity_per_s": 68.0, "circuit": "closed"}
    house.processes.rows = [{"process": f"gate-{number}", **serve} for number in (1, 2, 3, 4)]
    house.processes.rows.append(
        {"process": "deliver-1", "delivery": told, "age_s": 0.4, "autopilot": {},
         "reconciler": {"waves": {}, "sweeps": {}}}
    )  # fmt: skip
