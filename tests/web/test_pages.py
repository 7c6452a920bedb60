"""Pages say the same in every language, weigh little, and run nothing but what their policy names."""

import base64
import gzip
import hashlib
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer

from gateway.core.look import Look
from gateway.core.receipts import make
from gateway.core.snapshot import Phase
from gateway.ports import (
    OutcomeUnknownError,
    PortUnavailableError,
    ReceiptRecord,
    Refusal,
    Standing,
)
from gateway.preview_house import preview_app, receipt_of
from gateway.preview_states import OFFLINE, STATES
from gateway.programmes import load_programmes
from gateway.web.facts import DRAW_TEXTS, FORM_TEXTS, ROOM_TEXTS, WAIT_TEXTS
from gateway.web.problems import STYLE, Problem, ProblemStyle, problem_middleware
from gateway.web.rendering import Pages
from gateway.web.texts import LANGUAGES, speech
from tests.web import house

Client = TestClient[web.Request, web.Application]
PROGRAMMES = Path(__file__).parents[2] / "config" / "programmes"
PLACEHOLDER = re.compile(r"\{(\w+)\}")


def test_no_language_lacks_a_text_and_none_has_one_too_many() -> None:
    first = speech(LANGUAGES[0]).texts
    for language in LANGUAGES:
        texts = speech(language).texts
        assert set(texts) == set(first)
        for name, text in texts.items():
            assert text, f"{language}: {name} is empty"
            assert set(PLACEHOLDER.findall(text)) == set(PLACEHOLDER.findall(first[name])), name


def test_scripts_are_given_every_text_they_ask_for() -> None:
    scripts = PROGRAMMES.parents[1] / "gateway" / "web" / "pages" / "scripts"
    given = {
        "room": (*ROOM_TEXTS, *WAIT_TEXTS), "wait": (*ROOM_TEXTS, *WAIT_TEXTS),
        "form": FORM_TEXTS, "proof": DRAW_TEXTS,
    }  # fmt: skip
    for name, texts in given.items():
        asked = re.findall(r"'([a-z]+\.[a-z.]+)'", (scripts / f"{name}.js").read_text("utf-8"))
        known = {
            text
            for text in speech("en").texts
            if text in texts or text.startswith(tuple(t for t in texts if t.endswith(".")))
        }
        assert asked, name
        assert {text for text in asked if not text.endswith(".")} <= known, name


def test_every_field_error_has_a_text() -> None:
    from gateway.web.endpoints import _FIELDS

    for code in _FIELDS:
        assert f"error.{code}" in speech("id").texts


def test_numbers_and_dates_are_written_as_people_write_them() -> None:
    closes_us = 1_587_027_600_000_000
    assert speech("id").number(1_300_000) == "1.300.000"
    assert speech("en").number(1_300_000) == "1,300,000"
    assert speech("id").when(closes_us, "WIB") == "Kamis, 16 April 2020, pukul 16.00 WIB"
    assert speech("en").when(closes_us, "WIB") == "Thursday, 16 April 2020, 16:00 WIB"
    assert speech("id").when(closes_us, "WIT") == "Kamis, 16 April 2020, pukul 18.00 WIT"
    assert speech("id").zones(closes_us) == "16.00 WIB = 17.00 WITA = 18.00 WIT"


@pytest.mark.parametrize("path", ["/", "/waves/wave-1", "/waves/wave-1/wait"])
async def test_before_the_opening_every_page_tells_the_hour_in_all_zones_and_what_to_prepare(
    client: Client, before_opening: None, path: str
) -> None:
    text = await (await client.get(path)).text()
    assert "15.59 WIB = 16.59 WITA = 17.59 WIT" in text
    assert "NIK" in text


@pytest.fixture
def a_house() -> house.House:
    return house.House()


@pytest.fixture
def before_opening(a_house: house.House) -> None:
    a_house.see(house.OPEN, phase=Phase.PREQUEUE, near=0)


@pytest.fixture
async def client(a_house: house.House) -> AsyncIterator[Client]:
    async with TestClient(TestServer(a_house.app_with_pages())) as client:
        yield client


@pytest.mark.parametrize("path", ["/", "/waves/wave-1", "/waves/wave-1/wait"])
@pytest.mark.parametrize("language", LANGUAGES)
async def test_what_runs_is_named_by_its_hash_and_nothing_else_runs(
    client: Client,
    path: str,
    language: str,
) -> None:
    answer = await client.get(path, headers={"Accept-Language": language})
    assert answer.status == 200
    text = await answer.text()
    policy = answer.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    inline = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    inline += re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    for block in inline:
        digest = base64.b64encode(hashlib.sha256(block.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert not re.search(r"\son\w+=", re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL))
    assert f'<html lang="{language}">' in text


@pytest.mark.parametrize("language", LANGUAGES)
async def test_the_page_fits_into_the_first_flight(
    client: Client,
    language: str,
) -> None:
    answer = await client.get("/waves/wave-1", headers={"Accept-Language": language})
    head = sum(len(k) + len(v) + 4 for k, v in answer.headers.items())
    assert len(gzip.compress(await answer.read(), 9)) + head < 14_000


BROWSER = {"Accept": "text/html"}
PAGE_BYTES_MAX = 5 * 1024
POLL_BYTES_MAX = 300


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("file", sorted(PROGRAMMES.glob("*.toml")), ids=lambda path: path.stem)
async def test_the_waiting_page_of_a_shipped_programme_weighs_5_kb_with_style_and_script(
    file: Path, language: str
) -> None:
    (programme,) = load_programmes([file])
    async with TestClient(TestServer(preview_app(programme, house.NOW_US))) as client:
        answer = await client.get(
            f"/waves/waiting?lang={language}", headers={"Accept-Encoding": "gzip"}
        )
        assert int(answer.headers["Content-Length"]) <= PAGE_BYTES_MAX


async def test_a_poll_of_ones_place_weighs_300_bytes_in_every_state() -> None:
    (programme,) = load_programmes([PROGRAMMES / "prakerja-2020.toml"])
    async with TestClient(TestServer(preview_app(programme, house.NOW_US))) as client:
        for name, state in STATES.items():
            if state.inside and not state.trouble:
                answer = await client.get(f"/v1/waves/{name}/place")
                body = await answer.read()
                assert len(body) - len(state.message.encode()) <= POLL_BYTES_MAX, name


PERSONAL_BYTES_MAX = 14_600  # ten segments: what a server sends before it waits for an answer


@pytest.mark.parametrize("file", sorted(PROGRAMMES.glob("*.toml")), ids=lambda path: path.stem)
async def test_every_page_of_one_person_is_gzipped_and_fits_into_the_first_flight(
    file: Path,
) -> None:
    (programme,) = load_programmes([file])
    beside = ("/receipts", "/waves/waiting/device", "/nothing")
    pages = [f"/waves/{name}/wait" for name in STATES if STATES[name].trouble != OFFLINE]
    pages += [f"/v1/registrations/{receipt_of(name)}" for name in STATES if STATES[name].receipt]
    async with TestClient(
        TestServer(preview_app(programme, house.NOW_US)), auto_decompress=False
    ) as client:
        for page in (*pages, *beside):
            plain = await client.get(page, headers=BROWSER | {"Accept-Encoding": "identity"})
            packed = await client.get(page, headers=BROWSER | {"Accept-Encoding": "gzip"})
            body = await packed.read()
            assert packed.headers["Content-Encoding"] == "gzip", page
            assert "Content-Encoding" not in plain.headers, page
            assert "Accept-Encoding" in packed.headers["Vary"], page
            assert "Accept-Encoding" in plain.headers["Vary"], page
            assert b"</html>" in await plain.read(), page
            assert b"</html>" in gzip.decompress(body), page
            head = sum(len(k) + len(v) + 4 for k, v in packed.headers.items())
            assert len(body) + head <= PERSONAL_BYTES_MAX, page


@pytest.mark.parametrize("phase", [Phase.PREQUEUE, Phase.OPEN, Phase.PAUSED])
@pytest.mark.parametrize("language", LANGUAGES)
async def test_while_joins_are_paused_the_page_without_script_says_so_and_offers_no_join(
    client: Client, a_house: house.House, phase: Phase, language: str
) -> None:
    a_house.see(house.OPEN, phase=phase)
    page, texts = f"/waves/wave-1/wait?lang={language}", speech(language).texts
    assert 'value="join"' in await (await client.get(page)).text()
    for room in a_house.rooms:
        room.policy = replace(room.policy, joins_paused=True)
    told = await (await client.get(page)).text()
    assert texts["shut.title"] in told
    assert texts["shut.text"] in told
    assert 'value="join"' not in told


@pytest.mark.parametrize(("phase", "joins"), [(Phase.PAUSED, True), (Phase.RECOVERING, False)])
@pytest.mark.parametrize("language", LANGUAGES)
async def test_who_has_no_place_is_promised_none_and_may_join_while_numbers_are_given(
    client: Client, a_house: house.House, phase: Phase, joins: bool, language: str
) -> None:
    a_house.see(house.OPEN, phase=phase)
    page, texts = f"/waves/wave-1/wait?lang={language}", speech(language).texts
    told = await (await client.get(page)).text()
    assert texts[f"{phase}.title"] in told
    assert texts[f"outside.{phase}"] in told
    assert texts[f"{phase}.text"] not in told
    assert ('value="join"' in told) is joins
    if phase is Phase.PAUSED:
        mine = await client.get(page, cookies={"ticket.wave-1": a_house.ticket(30)})
        assert texts["paused.text"] in await mine.text()


@pytest.mark.parametrize("path", ["/", "/waves/wave-1", "/waves/wave-1/wait"])
async def test_pages_tell_the_closing_that_the_policy_says(
    client: Client, a_house: house.House, path: str
) -> None:
    a_house.see(house.OPEN, phase=Phase.OPEN if path == "/" else Phase.CLOSED)
    for room in a_house.rooms:
        room.policy = replace(room.policy, closes_at="2020-04-20T10:30:00Z")
    told = await (await client.get(f"{path}?lang=en")).text()
    assert "20 April 2020, 17:30 WIB" in told


async def test_what_was_received_is_asked_about_ever_less_often(
    client: Client, a_house: house.House
) -> None:
    receipt = make(bytes(16))
    a_house.room.answers["look"] = Standing("registered", receipt=receipt)
    cookies = {"ticket.wave-1": a_house.ticket(5)}
    pages = ("/waves/wave-1/wait?lang=en", f"/v1/registrations/{receipt}?lang=en")
    (room, *_) = a_house.rooms
    for age_s, told_s in ((0, "10"), (59, "10"), (61, "30"), (86_400, "30")):
        at_us = room.now_us() - age_s * 1_000_000
        record = ReceiptRecord(receipt, "wave-1", "received", at_us, 0)
        a_house.intake.answers["find_receipt"] = record
        for page in pages:
            answer = await client.get(page, cookies=cookies, headers={"Accept": "text/html"})
            assert answer.headers["Refresh"] == told_s, (page, age_s)
            assert f'href="{page}&amp;auto=0"' in await answer.text()
            still = await client.get(
                f"{page}&auto=0", cookies=cookies, headers={"Accept": "text/html"}
            )
            assert "Refresh" not in still.headers
            assert f'href="{page}"' in await still.text()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("path", ["wait", "device"])
@pytest.mark.parametrize("phase", [Phase.OPEN, Phase.PAUSED])
async def test_who_calls_the_help_desk_finds_the_number_that_its_tools_take(
    client: Client, a_house: house.House, phase: Phase, path: str, language: str
) -> None:
    a_house.see(house.OPEN, phase=phase, issued=9_000)
    cookies = {"ticket.wave-1": a_house.ticket(8_125)}
    answer = await client.get(f"/waves/wave-1/{path}?lang={language}", cookies=cookies)
    told = speech(language)("waiting.number", number=8_125)
    assert "8125" in told  # as it is typed, not as it is read
    assert (await answer.text()).count(told) == 1


async def test_a_page_that_asks_again_by_itself_offers_to_stop_that(client: Client) -> None:
    page = "/waves/wave-1/wait?lang=en"
    answer = await client.get(page)
    assert int(answer.headers["Refresh"]) >= 3
    assert f'href="{page}&amp;auto=0"' in await answer.text()
    still = await client.get(f"{page}&auto=0")
    assert "Refresh" not in still.headers
    assert f'href="{page}"' in await still.text()  # and to have it back


async def test_what_is_asked_too_often_says_in_words_when_it_goes_on(
    client: Client, a_house: house.House
) -> None:
    cookies = {"ticket.wave-1": a_house.ticket(30)}
    for _ in range(12):
        answer = await client.get(
            "/waves/wave-1/wait?lang=en", cookies=cookies, headers={"Accept": "text/html"}
        )
    assert answer.status == 429
    assert answer.headers["Refresh"] == answer.headers["Retry-After"]
    text = await answer.text()
    assert "This ticket refreshed too often. You keep your place." in text
    assert "429" not in text


async def test_an_extension_without_script_says_which_it_is(
    client: Client, a_house: house.House
) -> None:
    """I-12: a form sent twice, or sent again, uses up one."""
    turn = Standing("admitted", 1, house.NOW_US + 600_000_000, extensions=1)
    a_house.room.answers["look"] = turn
    cookies = {"ticket.wave-1": a_house.ticket(5), "pass.wave-1": a_house.pass_(5)}
    page = await client.get("/waves/wave-1/wait?lang=en", cookies=cookies)
    assert '<input type="hidden" name="extensions_left" value="1">' in await page.text()
    data = {"action": "extend", "extensions_left": "2"}
    await client.post("/waves/wave-1/wait", data=data, cookies=cookies, allow_redirects=False)
    assert a_house.room.seen == 0


async def test_errors_of_the_form_without_script_stand_beside_their_fields(
    client: Client, a_house: house.House
) -> None:
    a_house.room.answers["look"] = Standing("admitted", expires_at_us=house.NOW_US + 600_000_000)
    cookies = {"ticket.wave-1": a_house.ticket(5), "pass.wave-1": a_house.pass_(5)}
    answer = await client.post(
        "/waves/wave-1/wait?lang=en",
        data={"action": "register", "nik": "3201 0145", "name": "Dewi", "email": ""},
        cookies=cookies,
    )
    assert answer.status == 422
    text = await answer.text()
    assert "Things to fix: 1" in text
    assert (
        '<a href="#nik">nik: NIK must be the 16 digits on the ID card. You entered 8.</a>' in text
    )
    assert 'aria-describedby="nik-error"' in text
    assert 'value="Dewi"' in text


@pytest.mark.parametrize(
    "answer",
    [Refusal.BACKLOG_FULL, PortUnavailableError("redis"), OutcomeUnknownError("redis")],
    ids=["backlog-full", "redis-unavailable", "outcome-unknown"],
)
async def test_a_form_without_script_that_could_not_be_taken_in_comes_back_with_its_answers(
    client: Client, a_house: house.House, answer: object
) -> None:
    a_house.intake.answers["accept"] = answer
    # Where Redis is away, how the visitor stands cannot be asked either.
    a_house.room.answers["look"] = PortUnavailableError("redis")
    refused = await _send_form(client, a_house)
    assert refused.status == 503
    await _assert_typed_again(refused)


async def test_a_form_without_script_that_was_sent_too_often_comes_back_with_its_answers(
    client: Client, a_house: house.House
) -> None:
    a_house.intake.answers["accept"] = Refusal.BACKLOG_FULL
    for _ in range(20):
        refused = await _send_form(client, a_house)
        if refused.status == 429:
            break
    assert refused.status == 429
    await _assert_typed_again(refused)


async def _send_form(client: Client, a_house: house.House, language: str = "en") -> ClientResponse:
    return await client.post(
        f"/waves/wave-1/wait?lang={language}",
        data={"action": "register", "nik": house.NIK, "name": 'Dewi "A"', "email": ""},
        cookies={"ticket.wave-1": a_house.ticket(5), "pass.wave-1": a_house.pass_(5)},
        headers={"Accept": "text/html"},
    )


async def _assert_typed_again(refused: ClientResponse) -> None:
    text = await refused.text()
    assert "Refresh" not in refused.headers  # it would ask for an empty form
    assert f'value="{house.NIK}"' in text
    assert 'value="Dewi &#34;A&#34;"' in text
    again = f"Send them again in {refused.headers['Retry-After']} seconds."
    assert again in text.split('<form id="form"')[0]  # the reason stands on top
    assert 'action="/waves/wave-1/wait?lang=en"' in text


async def test_a_problem_of_a_wave_leads_back_to_it_in_the_same_language(
    client: Client, a_house: house.House
) -> None:
    a_house.intake.answers["accept"] = Refusal.PASS_USED
    refused = await _send_form(client, a_house)
    assert refused.status == 409
    assert 'href="/waves/wave-1/wait?lang=en"' in await refused.text()
    assert 'href="/?lang=en"' in await refused.text()
    unknown = await client.get("/waves/nowhere/wait", headers={"Accept": "text/html"})
    assert "nowhere" not in await unknown.text()


@pytest.mark.parametrize("language", LANGUAGES)
async def test_who_is_registered_already_is_told_so_and_led_to_the_receipt(
    client: Client, a_house: house.House, language: str
) -> None:
    a_house.intake.answers["accept"] = Refusal.ALREADY_REGISTERED
    refused = await _send_form(client, a_house, language)
    text, says = await refused.text(), speech(language)
    assert refused.status == 409
    assert f"<h1>{says('already.title')}</h1>" in text
    assert says("already.text") in text
    assert f'class="button" href="/receipts?lang={language}"' in text
    assert "0800" in text  # whom to ask where it was somebody else


async def test_what_was_refused_unread_is_sent_again_by_a_reload_not_by_a_refresh() -> None:
    async def shed(request: web.Request) -> web.Response:
        raise Problem("overloaded")

    app = web.Application(middlewares=[problem_middleware])
    app[STYLE] = ProblemStyle(render=Pages(()).problem)
    app.router.add_route("*", "/waves/wave-1/wait", shed)
    async with TestClient(TestServer(app)) as client:
        page, headers = "/waves/wave-1/wait?lang=en", {"Accept": "text/html"}
        asked = await client.get(page, headers=headers)
        sent = await client.post(page, headers=headers, data={"action": "register"})
        text = await sent.text()
    assert asked.headers["Refresh"] == asked.headers["Retry-After"]
    assert "Refresh" not in sent.headers
    assert "then reload this page: the same is sent again." in text


async def test_browsers_are_told_which_fields_they_may_fill_in_for_their_person() -> None:
    (programme,) = load_programmes([PROGRAMMES / "prakerja-2020.toml"])
    async with TestClient(TestServer(preview_app(programme, house.NOW_US))) as client:
        text = await (await client.get("/waves/admitted/wait")).text()
    told = {
        name: re.search(f'name="{name}"[^>]* autocomplete="([^"]+)"', text)
        for name in ("nik", "name", "birth_date", "mobile", "email", "province")
    }
    assert {name: found[1] for name, found in told.items() if found} == {
        "nik": "off",
        "name": "name",
        "birth_date": "bday",
        "mobile": "tel",
        "email": "email",
        "province": "address-level1",
    }


async def test_a_receipt_is_found_by_its_reference_and_a_slip_is_told(client: Client) -> None:
    receipt = make(bytes(16))
    typed = f" {receipt[:4]}-{receipt[4:].lower()} "
    found = await client.get("/receipts", params={"reference": typed}, allow_redirects=False)
    assert found.status == 303
    assert found.headers["Location"].startswith(f"/v1/registrations/{receipt}")
    wrong = await client.get("/receipts", params={"reference": "<b>", "lang": "en"})
    assert wrong.status == 404
    assert "Code not recognised" in await wrong.text()
    assert "<b>&" not in await wrong.text()


async def test_a_wave_that_is_over_tells_when_the_next_one_opens(
    client: Client, a_house: house.House
) -> None:
    second = replace(house.PROGRAMME.waves[1], ordinal=2)
    room = a_house.rooms.get("wave-2")
    assert room is not None
    room.wave = second
    for each in a_house.rooms:
        each.programme = replace(house.PROGRAMME, waves=(house.PROGRAMME.waves[0], second))
    a_house.see(house.OPEN, phase=Phase.CLOSED)
    text = await (await client.get("/waves/wave-1/wait?lang=en")).text()
    assert "Wave 2 opens Saturday, 11 April 2020, 15:59 WIB." in text


async def test_the_page_is_the_same_for_everybody_and_cached_by_its_etag(
    client: Client,
) -> None:
    first = await client.get("/waves/wave-1", headers={"Cookie": "ticket.wave-1=x"})
    second = await client.get("/waves/wave-1")
    assert await first.read() == await second.read()
    assert "Set-Cookie" not in first.headers
    assert first.headers["Vary"] == "Accept-Language, Accept-Encoding"
    again = await client.get("/waves/wave-1", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status == 304


async def test_a_problem_is_a_page_for_browsers(client: Client) -> None:
    answer = await client.get("/waves/nowhere", headers={"Accept": "text/html"})
    assert answer.status == 404
    assert answer.content_type == "text/html"
    assert "nowhere" not in await answer.text()


async def test_a_form_without_an_action_or_with_another_type_is_refused(
    client: Client,
) -> None:
    refused = await client.post("/waves/wave-1/wait", data={"action": "fly"})
    assert refused.status == 400
    refused = await client.post("/waves/wave-1/wait", json={"action": "join"})
    assert refused.status == 415
    refused = await client.post("/waves/wave-1/wait", data={"action": "claim"})
    assert refused.status == 401


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_ticket_that_is_not_ours_is_forgotten_or_its_holder_could_never_join(
    client: Client, method: str
) -> None:
    data = {"action": "join"} if method == "POST" else None
    headers = {"Cookie": "ticket.wave-1=not-ours", "Accept": "text/html"}
    refused = await client.request(method, "/waves/wave-1/wait", data=data, headers=headers)
    assert refused.status == 403
    assert refused.cookies["ticket.wave-1"]["max-age"] == "0"


def test_personal_texts_are_escaped() -> None:
    body = Pages(()).html("problem.html", "en", title="<script>", text="a & b", back="", find=False)
    assert b"<script>" not in body
    assert b"&lt;script&gt;" in body


@pytest.mark.parametrize("path", ["/waves/waiting", "/waves/admitted/wait", "/waves/waiting/draw"])
async def test_a_programmes_own_look_and_words_are_shown_and_escaped(path: str) -> None:
    (programme,) = load_programmes([PROGRAMMES / "prakerja-2020.toml"])
    evil = "</script><script>alert(1)</script>"
    own = {name: house.texts(evil) for name in ("waiting.title", "admitted.title", "draw.how")}
    look = Look("data:image/svg+xml;base64,AAAA", "#7a1f1f", "#f5b0a0")
    programme = replace(
        programme, name=house.texts(evil), help_line=house.texts(evil), look=look, texts=own
    )
    async with TestClient(TestServer(preview_app(programme, house.NOW_US))) as client:
        answer = await client.get(path)
        text = await answer.text()
    assert evil not in text
    assert text.count("&lt;/script&gt;") >= 2  # name and help line
    assert "--deep:#7a1f1f" in text
    assert 'src="data:image/svg+xml;base64,AAAA"' in text
    style = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in answer.headers["Content-Security-Policy"]


async def test_i_27_the_page_without_script_never_shows_more_people_in_front() -> None:
    rooms = house.House()
    async with TestClient(TestServer(rooms.app_with_pages())) as client:
        cookies = {"ticket.wave-1": rooms.ticket(30)}
        for called, ahead in ((12, 18), (10, 18), (14, 16), (11, 16)):
            rooms.see(house.OPEN, called=called)
            answer = await client.get("/waves/wave-1/wait?lang=en", cookies=cookies)
            assert f" {ahead} " in await answer.text()
            kept = answer.cookies["ahead.wave-1"]
            assert kept.value == f"30-{ahead}"
            cookies[kept.key] = kept.value
        cookies["ticket.wave-1"] = rooms.ticket(31)  # another place is not held to it
        answer = await client.get("/waves/wave-1/wait?lang=en", cookies=cookies)
        assert answer.cookies["ahead.wave-1"].value == "31-20"
