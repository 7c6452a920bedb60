"""What pages do while people wait, fill in and lose their network: one promise each, on made-up states."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from gateway.preview_house import receipt_of
from gateway.web.texts import speech
from tests.applicants import nik

PASTED = f" {nik(7)[:4]} {nik(7)[4:]}"
SAYS = speech("en")
COUNTED = """
window.told = [];
window.Notification = function (title, options) { told.push(title + ' ' + options.body); };
Notification.permission = 'default';
Notification.requestPermission = function () {
  told.push('asked'); Notification.permission = 'granted'; return Promise.resolve('granted');
};
"""
# What a WebView does whose app has left DOM storage off.
KEEPS_NOTHING = "Object.defineProperty(window, 'sessionStorage', { value: null })"


@pytest.fixture(scope="module")
def context(browser: Browser) -> Iterator[BrowserContext]:
    with browser.new_context(locale="en-GB", viewport={"width": 320, "height": 640}) as context:
        yield context


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    errors: list[object] = []
    with context.new_page() as page:
        page.on("pageerror", lambda error: errors.append(error))  # noqa: PLW0108
        yield page
    assert errors == []


@pytest.fixture
def asked(page: Page) -> list[str]:
    """Return the API requests as they happen."""
    asked: list[str] = []
    page.on("request", lambda r: asked.append(r.url.rsplit("/", 1)[1]) if "/v1/" in r.url else None)
    return asked


def visit(page: Page, preview_url: str, state: str) -> None:
    page.goto(f"{preview_url}/waves/{state}")
    expect(page.locator("#actions button, #form").first).to_be_attached()


def change(page: Page, document: str, **changes: object) -> None:
    """Have the API answer with a document that says otherwise."""

    def answer(route: Route) -> None:
        real = route.fetch()
        route.fulfill(response=real, json=real.json() | changes)

    page.route(f"**/{document}", answer)


def open_form(page: Page, preview_url: str) -> None:
    visit(page, preview_url, "admitted")
    page.click(f"button:has-text('{SAYS('button.claim')}')")


def press_send(page: Page) -> None:
    page.click(f"button:has-text('{SAYS('button.send')}')")


def fill(page: Page, **values: str) -> None:
    for name, value in values.items():
        page.fill(f"#{name}", value)


# --- waiting ----------------------------------------------------------------------------------------


def test_the_page_asks_when_the_server_says_and_not_before(
    page: Page, preview_url: str, asked: list[str]
) -> None:
    page.clock.install()
    visit(
        page, preview_url, "waiting"
    )  # told to ask after 120 s, the first time spread from 60 to 180
    asked.clear()
    page.clock.run_for(59_000)
    assert asked == []
    with page.expect_response("**/board"):
        page.clock.run_for(122_000)


def test_a_wave_that_is_over_is_asked_about_no_sooner_than_told(
    page: Page, preview_url: str, asked: list[str]
) -> None:
    page.clock.install()
    change(page, "board", poll_s=300)
    visit_over(page, preview_url)
    asked.clear()
    page.clock.run_for(250_000)
    assert asked == []
    with page.expect_response("**/board"):
        page.clock.run_for(100_000)


def visit_over(page: Page, preview_url: str) -> None:
    page.goto(f"{preview_url}/waves/full?lang=en")
    expect(page.locator("h1")).to_have_text(SAYS.fill("full.title", {"wave": "Wave 1"}))


def test_updates_can_be_stopped_and_go_on_at_a_press(
    page: Page, preview_url: str, asked: list[str]
) -> None:
    page.clock.install()
    visit(page, preview_url, "waiting")
    page.click(f"button:has-text('{SAYS('button.still')}')")
    expect(page.locator(f"button:has-text('{SAYS('button.auto')}')")).to_be_enabled()
    asked.clear()
    page.clock.run_for(900_000)
    assert asked == []
    with page.expect_response("**/board"):
        page.click(f"button:has-text('{SAYS('button.refresh')}')")
    page.click(f"button:has-text('{SAYS('button.auto')}')")
    with page.expect_response("**/board"):
        page.clock.run_for(200_000)


def test_a_lost_network_is_told_at_the_second_failure_and_its_return_too(
    page: Page, context: BrowserContext, preview_url: str
) -> None:
    failed: list[object] = []
    page.on("requestfailed", lambda request: failed.append(request))  # noqa: PLW0108

    def wait_for_failures(many: int) -> None:
        # The page hears of a failure a moment after we do, and only then sets its timer.
        while len(failed) < many:
            page.clock.run_for(500)

    page.clock.install()
    visit(page, preview_url, "waiting")
    context.set_offline(True)
    try:
        wait_for_failures(1)
        expect(page.locator("#note")).to_be_hidden()
        wait_for_failures(2)
        expect(page.locator("#note")).to_contain_text(
            "Cannot reach the server. Your place is safe."
        )
        expect(page.locator("#status")).to_contain_text("83,600")  # what was known stays
    finally:
        context.set_offline(False)
    page.click("#retry")
    expect(page.locator("#note")).to_have_text(SAYS("offline.back"))


def test_the_back_button_leads_back_to_the_wait(page: Page, preview_url: str) -> None:
    visit(page, preview_url, "waiting")
    page.click(f"footer a:has-text('{SAYS('button.draw')}')")
    expect(page.locator("#result")).to_be_visible()
    page.go_back()
    expect(page.locator("h1")).to_have_text(SAYS("waiting.title"))


def test_who_is_not_taken_is_told_so_however_late_the_words_come(
    page: Page, preview_url: str, asked: list[str]
) -> None:
    held: list[Route] = []
    page.route("**/wait.js*", lambda route: held.append(route))  # noqa: PLW0108
    page.goto(f"{preview_url}/waves/shut", wait_until="commit")
    expect(page.locator("#live")).not_to_be_empty()  # the state is shown, its words are not
    held[0].continue_()
    expect(page.locator("h1")).to_have_text(SAYS("shut.title"))
    expect(page.locator("#text")).to_have_text(SAYS("shut.text"))
    expect(page.locator("#actions button")).to_have_count(0)
    assert "tickets" not in asked


@pytest.mark.parametrize("late", [False, True], ids=["words in time", "words late"])
def test_who_has_no_place_may_join_while_it_is_paused(
    page: Page, preview_url: str, late: bool
) -> None:
    held: list[Route] = []
    if late:
        page.route("**/wait.js*", lambda route: held.append(route))  # noqa: PLW0108
    page.goto(f"{preview_url}/waves/paused-outside?lang=en", wait_until="commit")
    expect(page.locator("#actions button")).to_have_text(SAYS("button.join"))
    for route in held:
        route.continue_()
    expect(page.locator("#text")).to_have_text(SAYS("outside.paused"))
    expect(page.locator("#message")).to_contain_text("19.30")


def test_a_join_that_is_refused_is_tried_once_more_and_then_told(
    page: Page, preview_url: str
) -> None:
    sent: list[str] = []
    refusal = {"title": "Invalid ticket", "detail": "Not of this wave.", "type": "x/ticket-invalid"}

    def refuse(route: Route) -> None:
        sent.append(route.request.url)
        route.fulfill(status=403, json=refusal)

    page.route("**/tickets", refuse)
    page.clock.install()
    visit(page, preview_url, "open")
    page.click(f"button:has-text('{SAYS('button.join')}')")
    expect(page.locator("#note")).to_have_text("Invalid ticket. Not of this wave.")
    page.clock.run_for(10_000)
    expect(page.locator("#note")).to_be_visible()
    assert len(sent) == 2


@pytest.mark.parametrize("moved", [{"closes_at": "2020-04-20T16:00"}, {}])
def test_a_closing_that_was_moved_is_told_by_a_new_page(
    page: Page, preview_url: str, moved: dict[str, str]
) -> None:
    boards: list[dict[str, str]] = [{}, {"phase": "closed"} | moved, {"phase": "closed"} | moved]

    def board(route: Route) -> None:
        answer = route.fetch()
        changed = boards.pop(0) if boards else {"phase": "closed"}
        route.fulfill(response=answer, json=answer.json() | changed)

    page.route("**/board", board)
    visit(page, preview_url, "open")
    page.evaluate("document.body.dataset.kept = 'yes'")
    with page.expect_event("requestfinished", lambda r: not boards and "board" in r.url):
        page.evaluate("dispatchEvent(new Event('online'))")
    expect(page.locator("h1")).to_have_text(re.compile("has closed"))
    body = expect(page.locator("body"))
    (body.not_to_have_attribute if moved else body.to_have_attribute)("data-kept", "yes")


def test_the_title_says_how_many_are_ahead(page: Page, preview_url: str) -> None:
    visit(page, preview_url, "waiting")
    assert page.title() == "83,600 people ahead of you"


def test_who_listens_is_told_whole_sentences_once_a_minute_and_what_is_urgent_at_once(
    page: Page, preview_url: str
) -> None:
    page.clock.install()
    visit(page, preview_url, "waiting")
    live = page.locator("#live[role=status]")
    first = live.inner_text()
    assert first.startswith(SAYS("waiting.title"))
    page.evaluate("say('sooner')")
    assert live.inner_text() == first
    page.clock.run_for(61_000)
    page.evaluate("say('later')")
    assert live.inner_text() == "later"
    page.evaluate("say('now', true)")
    assert live.inner_text() == "now"


@pytest.mark.parametrize("state", ["paused", "full", "closed", "called"])
def test_who_listens_is_told_a_changed_state_at_once(
    page: Page, preview_url: str, state: str
) -> None:
    visit(page, preview_url, "waiting")
    live = page.locator("#live[role=status]")
    expect(live).to_contain_text(SAYS("waiting.title"))
    change(page, "board", phase="open" if state == "called" else state, near=130_000)
    change(page, "place", state=state)
    page.route(
        "**/pass",
        lambda route: route.fulfill(status=202, json={"state": "called", "retry_in_ms": 60_000}),
    )
    page.evaluate("dispatchEvent(new Event('online'))")
    expect(live).to_contain_text(SAYS.fill(f"{state}.title", {"wave": "Wave 1"}))


def test_a_notification_is_asked_for_after_a_tap_only(page: Page, preview_url: str) -> None:
    page.add_init_script(COUNTED)
    visit(page, preview_url, "waiting")
    assert page.evaluate("told") == []
    page.click(f"button:has-text('{SAYS('button.tell')}')")
    expect(page.locator("#note")).to_have_text(SAYS("tell.granted"))
    assert page.evaluate("told") == ["asked"]


def test_a_hidden_page_notifies_of_the_turn_and_names_nobody(page: Page, preview_url: str) -> None:
    page.add_init_script(COUNTED)
    page.add_init_script("Object.defineProperty(document, 'hidden', { value: true })")
    visit(page, preview_url, "admitted")
    (told,) = page.evaluate("told")
    assert re.fullmatch(
        r"It is your turn It is your turn to register\. Open before [0-9:]{5} WIB\.", told
    )
    assert page.title() == "● It is your turn"


def test_a_browser_older_than_the_script_is_led_the_way_without(
    page: Page, preview_url: str
) -> None:
    page.add_init_script("delete window.fetch")
    page.goto(f"{preview_url}/waves/open")
    page.wait_for_url("**/waves/open/wait?lang=en")


def test_a_browser_with_script_is_led_back_from_the_way_without(
    page: Page, preview_url: str
) -> None:
    page.goto(f"{preview_url}/waves/left/wait?lang=en")
    page.wait_for_url("**/waves/left?lang=en")
    expect(page.locator("#actions button")).to_have_text(SAYS("button.again"))


def test_a_place_that_moves_here_says_so(page: Page, preview_url: str) -> None:
    page.goto(f"{preview_url}/waves/waiting/device")
    page.click(f"a:has-text('{SAYS('device.link')}')")
    expect(page.locator("#note")).to_have_text(SAYS("moved"))


# --- the draw ---------------------------------------------------------------------------------------


def test_the_draw_is_recomputed_in_the_browser_and_explained_in_two_sentences(
    page: Page, preview_url: str
) -> None:
    page.goto(f"{preview_url}/waves/waiting/draw")
    said = page.locator("#result")
    expect(said).to_contain_text("was drawn to position 124,801 of 330,000.")
    assert said.inner_text().count(".") == 2


@pytest.mark.parametrize("state", ["waiting", "paused"])
def test_the_number_that_a_caller_tells_is_the_one_of_the_ticket_everywhere(
    page: Page, preview_url: str, state: str
) -> None:
    visit(page, preview_url, state)
    number = page.request.get(f"{preview_url}/v1/waves/{state}/place").json()["number"]
    expect(page.locator("#more")).to_contain_text(SAYS("waiting.number", number=number))
    page.goto(f"{preview_url}/waves/{state}/device")
    expect(page.locator("main")).to_contain_text(SAYS("waiting.number", number=number))
    page.goto(f"{preview_url}/waves/{state}/draw")
    expect(page.locator("#result")).to_contain_text(f"ticket number {number} was drawn")


@pytest.mark.parametrize("lie", ["secret", "seed"])
def test_a_draw_that_was_tampered_with_is_told(page: Page, preview_url: str, lie: str) -> None:
    def tamper(route: Route) -> None:
        board: dict[str, Any] = route.fetch().json()
        board["draw"][lie] = "00" * 32
        route.fulfill(json=board)

    page.route("**/board", tamper)
    page.goto(f"{preview_url}/waves/waiting/draw")
    expect(page.locator("#result")).to_have_text(SAYS("draw.wrong"))


def test_a_position_other_than_the_drawn_one_is_told(page: Page, preview_url: str) -> None:
    page.route("**/place", lambda route: route.fulfill(json=route.fetch().json() | {"position": 3}))
    page.goto(f"{preview_url}/waves/waiting/draw")
    expect(page.locator("#result")).to_have_text(SAYS("draw.wrong"))


def test_a_browser_that_keeps_nothing_checks_the_draw(page: Page, preview_url: str) -> None:
    page.add_init_script(KEEPS_NOTHING)
    page.goto(f"{preview_url}/waves/prequeue/draw")
    expect(page.locator("#result")).to_have_text(SAYS("draw.wait"))


# --- the form ---------------------------------------------------------------------------------------


def test_answers_outlive_a_reload_but_never_the_nik(page: Page, preview_url: str) -> None:
    open_form(page, preview_url)
    fill(page, nik=PASTED, name="Dewi Lestari", mobile="0812 3456 7890")
    page.reload()
    expect(page.locator("#name")).to_have_value("Dewi Lestari")
    expect(page.locator("#nik")).to_have_value("")
    kept = page.evaluate("JSON.stringify(sessionStorage) + JSON.stringify(localStorage)")
    assert "Dewi Lestari" in kept
    assert nik(7) not in re.sub(r"[\s.-]", "", kept)


def test_numbers_may_be_pasted_as_people_write_them_and_are_counted(
    page: Page, preview_url: str
) -> None:
    open_form(page, preview_url)
    page.focus("#nik")
    page.keyboard.insert_text(PASTED[:-1])
    expect(page.locator("#nik-help")).to_have_text("15 of 16 digits.")
    fill(page, mobile="0812-3456-7890")
    expect(page.locator("#mobile-help")).to_have_text("Read as +62 812-3456-7890.")


@pytest.mark.parametrize("trouble", ["shed", "offline"])
def test_nothing_that_was_typed_is_lost_when_sending_fails(
    page: Page, preview_url: str, trouble: str
) -> None:
    open_form(page, preview_url)
    fill(page, nik=PASTED, name="Dewi")
    busy = {"title": "Very busy right now", "detail": "Try again.", "retry_in_ms": 2000}
    page.route(
        "**/registrations",
        lambda route: (
            route.abort() if trouble == "offline" else route.fulfill(status=503, json=busy)
        ),
    )
    press_send(page)
    expected = SAYS("offline.form") if trouble == "offline" else "Very busy right now. Try again."
    expect(page.locator("#errors")).to_have_text(expected)
    expect(page.locator("#errors")).to_be_focused()
    expect(page.locator("#nik")).to_have_value(PASTED)
    expect(page.locator("#form button")).to_be_enabled()


def test_errors_are_counted_linked_and_stand_beside_their_fields(
    page: Page, preview_url: str
) -> None:
    open_form(page, preview_url)
    fill(page, nik=PASTED[:-1])
    press_send(page)
    summary = page.locator("#errors")
    expect(summary).to_contain_text("Things to fix: 6")
    expect(page.locator("#nik-error")).to_contain_text("You entered 15.")
    assert page.get_attribute("#nik", "aria-describedby") == "nik-hint nik-error"
    assert page.get_attribute("#nik", "aria-invalid") == "true"
    page.keyboard.press("Tab")  # from the summary, with the keyboard alone
    page.keyboard.press("Enter")
    expect(page.locator("#nik")).to_be_focused()


def test_the_form_opens_and_is_filled_with_the_keyboard_alone(page: Page, preview_url: str) -> None:
    visit(page, preview_url, "admitted")
    expect(page.locator("#status")).to_contain_text(
        "(10 minutes left)"
    )  # of a turn that has just come
    page.locator(f"button:has-text('{SAYS('button.claim')}')").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#nik")).to_be_focused()
    page.keyboard.type(nik(1))
    page.keyboard.press("Tab")
    expect(page.locator("#family_card")).to_be_focused()


def test_a_second_press_sends_nothing_twice(page: Page, preview_url: str) -> None:
    sent: list[str] = []
    page.on("request", lambda r: sent.append(r.url) if r.url.endswith("/registrations") else None)
    open_form(page, preview_url)
    fill_all(page)
    with page.expect_event("load"):  # on to the receipt; here, to the same page
        page.dblclick(f"button:has-text('{SAYS('button.send')}')")
    assert len(sent) == 1
    expect(page.locator("#name")).to_have_value("")  # nothing is kept any more


def fill_all(page: Page) -> None:
    fill(page, nik=nik(7), family_card=nik(8), name="Dewi", birth_date="1990-04-11")
    fill(page, mobile="081234567890")
    page.select_option("#province", "ID-JB")


def test_who_is_registered_already_is_told_so_and_led_to_the_receipt(
    page: Page, preview_url: str
) -> None:
    refusal = {"title": "", "detail": "", "type": "x/already-registered"}
    page.route("**/registrations", lambda route: route.fulfill(status=409, json=refusal))
    page.clock.install()
    open_form(page, preview_url)
    press_send(page)
    expect(page.locator("h1")).to_have_text(SAYS("already.title"))
    expect(page.locator("h1")).to_be_focused()
    page.clock.run_for(6_000)
    expect(page.locator("#status")).to_have_text(SAYS("already.text"))
    expect(page.locator("#form")).to_be_hidden()
    expect(page.locator("#leave")).to_be_visible()  # the place may go to somebody else
    page.click(f"main a:has-text('{SAYS('button.find')}')")
    expect(page.locator("#reference")).to_be_visible()


@pytest.mark.parametrize("end", ["refused", "left on the form", "left while waiting"])
def test_nobody_after_one_on_the_same_phone_finds_the_answers(
    page: Page, preview_url: str, end: str
) -> None:
    page.on("dialog", lambda dialog: dialog.accept())
    open_form(page, preview_url)
    fill(page, name="Dewi")
    assert "Dewi" in page.evaluate("JSON.stringify(sessionStorage)")
    if end == "refused":
        refusal = {"title": "Pass used", "detail": "", "type": "x/pass-used"}
        page.route("**/registrations", lambda route: route.fulfill(status=409, json=refusal))
        press_send(page)
        expect(page.locator("#errors")).to_be_focused()
    elif end == "left on the form":
        page.route("**/wait?*", lambda route: route.fulfill(body="left"))
        with page.expect_event("load"):
            page.click("#leave")
    else:
        change(page, "place", state="left")
        page.goto(f"{preview_url}/waves/admitted?lang=en")
        expect(page.locator("h1")).to_have_text(SAYS("left.title"))
        page.wait_for_load_state()
    assert "Dewi" not in page.evaluate("JSON.stringify(sessionStorage)")


def test_a_browser_that_keeps_nothing_leads_on_to_the_receipt_all_the_same(
    page: Page, preview_url: str
) -> None:
    page.add_init_script(KEEPS_NOTHING)
    open_form(page, preview_url)
    fill_all(page)
    with page.expect_event("load"):  # on to the receipt; here, to the same page
        press_send(page)
    expect(page.locator("#errors")).to_be_hidden()


def test_the_time_left_is_told_and_its_end_keeps_the_answers(page: Page, preview_url: str) -> None:
    page.clock.install()
    open_form(page, preview_url)
    fill(page, name="Dewi")
    expect(page.locator("#status")).to_contain_text("Your answers are kept in this tab")
    page.clock.run_for(301_000)
    expect(page.locator("#status")).to_contain_text("5 minutes left.")
    expect(page.locator("#live")).to_contain_text("5 minutes left.")
    page.click("#extend")
    expect(page.locator("#status")).not_to_contain_text("minutes left")
    page.clock.run_for(1_500_000)
    expect(page.locator("#status")).to_have_text(SAYS("form.ended"))
    expect(page.locator("#form button")).to_be_disabled()
    expect(page.locator("#back")).to_be_visible()
    expect(page.locator("#name")).to_have_value("Dewi")


# --- the receipt ------------------------------------------------------------------------------------


def test_a_receipt_is_found_again_by_its_reference_however_it_is_typed(
    page: Page, preview_url: str
) -> None:
    page.goto(f"{preview_url}/receipts")
    typed = receipt_of("recorded").lower()
    page.fill("#reference", f"{typed[:9]} {typed[9:]}")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("You are registered for Wave 1")
    expect(page.locator("svg.qr title")).to_have_text(SAYS("receipt.alt"))


def test_a_reference_with_a_slip_is_told_beside_its_field(page: Page, preview_url: str) -> None:
    page.goto(f"{preview_url}/receipts")
    page.fill("#reference", receipt_of("recorded")[:-1] + "0")
    page.keyboard.press("Enter")
    expect(page.locator("#reference-error")).to_have_text(SAYS("find.wrong"))
    assert "reference-error" in str(page.get_attribute("#reference", "aria-describedby"))


def test_a_printed_receipt_holds_the_receipt_alone(page: Page, preview_url: str) -> None:
    page.goto(f"{preview_url}/v1/registrations/{receipt_of('recorded')}")
    expect(page.locator("#print")).to_be_visible()
    page.emulate_media(media="print")
    for gone in ("#print", "header a", "footer a"):
        expect(page.locator(gone).first).to_be_hidden()
    expect(page.locator(".ref")).to_be_visible()
    expect(page.locator("svg.qr")).to_be_visible()
