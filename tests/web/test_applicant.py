"""The applicant's API: every answer of promises 3.3 and 3.4 that exists, over a real socket."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

import orjson
import pytest

from gateway.core import receipts, tickets
from gateway.core.snapshot import Phase
from gateway.core.tickets import sign
from gateway.ports import (
    Accepted,
    Claimed,
    Ended,
    Ending,
    ExtensionRefused,
    NotOpen,
    NotYet,
    OutcomeUnknownError,
    PortUnavailableError,
    ReceiptRecord,
    Refusal,
    RoomMissingError,
    Standing,
)
from gateway.services import front_door
from gateway.web import acts
from gateway.web.applicant import Applicant
from gateway.web.catalogue import CATALOGUE
from gateway.web.endpoints import ENDPOINTS
from gateway.web.listener import Site
from gateway.web.openapi import SCHEMAS
from tests.core.seeding import seed
from tests.web.house import MINUTE_US, NIK, NOW_US, OPEN, VALUES, House
from tests.web.wire import Answer, ask, request, serving, wire

WAVE = "/v1/waves/wave-1"
JSON = "application/json"
EXPIRES_AT = "2020-04-11T16:10:00.000+07:00"
RECEIPT = "0123456789ABCDEFGHJKMNPQRST"


@pytest.fixture
def house() -> House:
    return House()


@pytest.fixture
async def site(house: House) -> AsyncIterator[Site]:
    async with serving(house.app()) as site:
        yield site


async def join(site: Site, **headers: Any) -> Answer:
    return await ask(site, request(f"{WAVE}/tickets", "POST", headers=headers))


async def place(site: Site, ticket: str, method: str = "GET") -> Answer:
    return await ask(site, request(f"{WAVE}/place", method, Authorization=f"Bearer {ticket}"))


async def claim(site: Site, ticket: str) -> Answer:
    return await ask(site, request(f"{WAVE}/pass", "POST", Authorization=f"Bearer {ticket}"))


def registering(pass_: str, values: Any = VALUES, **more: str | None) -> bytes:
    data = values if isinstance(values, bytes) else orjson.dumps(values)
    headers = {"Content_Type": JSON, "Authorization": f"Bearer {pass_}"} | more
    return request(f"{WAVE}/registrations", "POST", data, headers)


# --- join and board ---------------------------------------------------------------------------------


async def test_joining_gives_a_ticket_and_joining_again_the_same(site: Site, house: House) -> None:
    first = await join(site)
    assert first.status == 201
    assert first.headers["cache-control"] == "no-store"
    assert first.json["number"] == 50
    assert first.json["phase"] == "open"
    assert first.json["poll_s"] > 0
    bearer = f"Bearer {first.json['ticket']}"
    again = await asyncio.gather(*(join(site, Authorization=bearer) for _ in range(5)))
    assert {answer.status for answer in again} == {200}
    assert {answer.json["ticket"] for answer in again} == {first.json["ticket"]}
    assert (
        house.asked == ["join"] + ["look"] * 5
    )  # whether the place has ended: one shared round trip


@pytest.mark.parametrize(
    ("phase", "code", "fact"),
    [
        (Phase.SCHEDULED, "wave-not-open", {"opens_at": "2020-04-11T15:59:00.000+07:00"}),
        (Phase.PREQUEUE, "joins-paused", {"phase": "open"}),
        (Phase.OPEN, "joins-paused", {"phase": "open"}),
        (Phase.FULL, "wave-full", {"quota": 1000}),
        (Phase.CLOSED, "wave-closed", {"closes_at": "2020-04-11T17:00:00.000+07:00"}),
    ],
)
async def test_j_2_a_wave_that_takes_nobody_says_why(
    site: Site, house: House, phase: Phase, code: str, fact: dict[str, Any]
) -> None:
    house.room.answers["join"] = NotOpen(phase)
    answer = await join(site)
    assert (answer.status, answer.code) == (409, code)
    assert answer.json.items() >= fact.items()
    assert answer.cookies == ()


async def test_while_joins_are_paused_the_board_says_so_and_a_ticket_is_still_shown(
    site: Site, house: House
) -> None:
    (room, _) = house.rooms
    room.policy = replace(room.policy, joins_paused=True)
    house.room.answers["join"] = NotOpen(Phase.OPEN)
    assert (await ask(site, request(f"{WAVE}/board"))).json["joins_paused"] is True
    assert (await join(site)).code == "joins-paused"
    held = f"Bearer {house.ticket()}"
    assert (await join(site, Authorization=held)).status == 200
    house.see(OPEN, phase=Phase.CLOSED)  # then that is what matters
    assert (await ask(site, request(f"{WAVE}/board"))).json["joins_paused"] is False


async def test_the_board_tells_the_closing_that_the_policy_says(site: Site, house: House) -> None:
    (room, _) = house.rooms
    room.policy = replace(room.policy, closes_at="2020-04-11T10:30:00Z")
    told = await ask(site, request(f"{WAVE}/board"))
    assert told.json["closes_at"] == "2020-04-11T17:30:00.000+07:00"


async def test_joining_while_recovering_is_503(site: Site, house: House) -> None:
    house.room.answers["join"] = NotOpen(Phase.RECOVERING)
    assert (await join(site)).code == "recovering"


@pytest.mark.parametrize(
    "wave", ["wave-9", "Wave-1", "wave-1%20", "a" * 300, "w\u0430ve-1", "wave_1", "-", "wave-1;"]
)
async def test_j_1_an_unknown_wave_is_404(site: Site, house: House, wave: str) -> None:
    escaped = "".join(c if c.isascii() else "".join(f"%{b:02X}" for b in c.encode()) for c in wave)
    for endpoint in ENDPOINTS:
        if "wave" in endpoint.parameters:
            target = endpoint.path.replace("{wave}", escaped)
            answer = await ask(site, request(target, endpoint.method))
            assert (answer.status, answer.code) == (404, "wave-unknown"), endpoint.name
    assert house.asked == []


async def test_j_16_the_board_is_the_same_for_everybody(site: Site, house: House) -> None:
    for room in house.rooms:
        room.monotonic_s = lambda: 1.0  # the board shows the time
    house.see(OPEN)
    plain = await ask(site, request(f"{WAVE}/board"))
    assert plain.json["phase"] == "open"
    assert plain.headers["cache-control"] == "public, max-age=2"
    assert plain.headers["vary"] == "Accept-Encoding"
    others = [
        request(f"{WAVE}/board?x=1&x=2"),
        request(f"{WAVE}/board", Cookie=f"ticket.wave-1={house.ticket()}", Accept_Language="en"),
        request(f"{WAVE}/board", Authorization="Bearer nonsense", Accept="text/html"),
    ]
    for data in others:
        answer = await ask(site, data)
        assert (answer.status, answer.body, answer.cookies) == (200, plain.body, ())
    packed = await ask(site, request(f"{WAVE}/board", Accept_Encoding="gzip, deflate, br"))
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body) == plain.body
    assert packed.headers["cache-control"] == plain.headers["cache-control"]
    head = await ask(site, request(f"{WAVE}/board", "HEAD"))
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == str(len(plain.body))
    assert head.headers["cache-control"] == plain.headers["cache-control"]


async def test_a_poll_weighs_little_on_a_launch_day(site: Site, house: House) -> None:
    """A place is below 300 bytes; a board with its three digests cannot be, and is below 420."""
    now = {"issued": 1_100_000, "cohort": 330_000, "called": 45_912, "near": 46_512}
    house.see(OPEN, **now, admitted=41_882, accepted=33_017)
    for room in house.rooms:
        room.policy = replace(room.policy, rate_per_s=50.0, quota=164_000)
    board = await ask(site, request(f"{WAVE}/board", Accept_Encoding="gzip, deflate, br"))
    assert orjson.loads(gzip.decompress(board.body))["draw"]["seed"]
    assert len(board.body) <= 420
    assert len((await place(site, house.ticket(1_099_999))).body) <= 300


async def test_a_room_not_yet_seen_is_503_with_a_retry(site: Site, house: House) -> None:
    for room in house.rooms:
        room.snapshot = None
    for data in (request(f"{WAVE}/board"), request(f"{WAVE}/tickets", "POST")):
        answer = await ask(site, data)
        if data.startswith(b"GET"):
            assert answer.code == "redis-unavailable"
            assert answer.json["retry_in_ms"] > 0


# --- place ------------------------------------------------------------------------------------------


async def test_a_place_is_ones_own_and_never_cached(site: Site, house: House) -> None:
    answer = await place(site, house.ticket(30))
    assert answer.status == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json.items() >= {"state": "waiting", "number": 30, "ahead": 20}.items()
    assert house.asked == []


async def test_a_called_place_shows_pass_and_receipt(site: Site, house: House) -> None:
    house.room.answers["look"] = Standing("admitted", 1, NOW_US + 10 * MINUTE_US, 1)
    document = (await place(site, house.ticket(5))).json
    assert document["state"] == "admitted"
    assert (document["expires_at"], document["extensions_left"]) == (EXPIRES_AT, 1)
    house.room.answers["look"] = Standing("registered", receipt=RECEIPT)
    assert (await place(site, house.ticket(5))).json["receipt"] == RECEIPT


async def test_j_5_without_a_ticket_there_is_no_place_claim_or_leaving(
    site: Site, house: House
) -> None:
    for method, path in (("GET", "place"), ("DELETE", "place"), ("POST", "pass")):
        answer = await ask(site, request(f"{WAVE}/{path}", method))
        assert (answer.status, answer.code) == (401, "ticket-missing")
        assert answer.json["join"] == f"{WAVE}/tickets"
    assert house.asked == []


async def test_j_10_polling_beyond_ten_times_the_told_pace_is_429_for_this_ticket_only(
    site: Site, house: House
) -> None:
    async with wire(site) as client:
        data = request(f"{WAVE}/place", Authorization=f"Bearer {house.ticket(30)}")
        answers = [await client.ask(data) for _ in range(12)]
    assert [answer.status for answer in answers] == [200] * 10 + [429] * 2
    assert answers[-1].code == "too-many-requests"
    assert answers[-1].json["retry_in_ms"] > 0
    assert (await place(site, house.ticket(31))).status == 200


async def test_j_14_leaving_twice_is_leaving_once_and_after_registering_too_late(
    site: Site, house: House
) -> None:
    for _ in range(2):
        answer = await place(site, house.ticket(), "DELETE")
        assert (answer.status, answer.body) == (204, b"")
    house.room.answers["leave"] = Ended(Ending.REGISTERED)
    answer = await place(site, house.ticket(), "DELETE")
    assert (answer.status, answer.code) == (409, "already-registered")


# --- pass -------------------------------------------------------------------------------------------


async def test_j_12_a_claim_gives_a_pass_and_again_the_same(site: Site, house: House) -> None:
    first = await claim(site, house.ticket())
    assert (first.status, first.json["expires_at"]) == (201, EXPIRES_AT)
    house.room.answers["claim"] = Claimed(1, NOW_US + 10 * MINUTE_US, new=False)
    again = await asyncio.gather(*(claim(site, house.ticket()) for _ in range(5)))
    assert {answer.status for answer in again} == {200}
    assert {answer.json["pass"] for answer in again} == {first.json["pass"]}


@pytest.mark.parametrize("state", ["called", "paused", "full", "closed"])
async def test_j_11_a_claim_that_comes_too_early_is_202(
    site: Site, house: House, state: str
) -> None:
    house.room.answers["claim"] = NotYet(state, 1_500_001)
    answer = await claim(site, house.ticket())
    assert (answer.status, answer.json) == (202, {"state": state, "retry_in_ms": 1501})
    assert answer.cookies == ()


async def test_a_claim_before_being_called_costs_no_redis_command(site: Site, house: House) -> None:
    answer = await claim(site, house.ticket(30))
    assert (answer.status, answer.json["state"]) == (202, "waiting")
    assert house.asked == []


@pytest.mark.parametrize(
    ("why", "status", "code"),
    [
        (Ending.LEFT, 410, "place-ended"),
        (Ending.MISSED, 410, "place-ended"),
        (Ending.REGISTERED, 409, "already-registered"),
    ],
)
async def test_j_13_an_ended_ticket_claims_nothing(
    site: Site, house: House, why: Ending, status: int, code: str
) -> None:
    house.room.answers["claim"] = Ended(why)
    answer = await claim(site, house.ticket())
    assert (answer.status, answer.code) == (status, code)


@pytest.mark.parametrize(
    ("refused", "status", "code"),
    [
        (ExtensionRefused.EXHAUSTED, 409, "extension-exhausted"),
        (ExtensionRefused.ENDED, 410, "pass-ended"),
    ],
)
async def test_j_15_extensions_end(
    site: Site, house: House, refused: ExtensionRefused, status: int, code: str
) -> None:
    data = request(f"{WAVE}/pass/extension", "POST", Authorization=f"Bearer {house.pass_()}")
    extended = await ask(site, data)
    assert (extended.status, extended.json) == (
        200,
        {"expires_at": "2020-04-11T16:20:00.000+07:00"},
    )
    house.room.answers["extend"] = refused
    answer = await ask(site, data)
    assert (answer.status, answer.code) == (status, code)


@pytest.mark.parametrize(
    ("query", "seen"),
    [("?extensions_left=2", 0), ("?extensions_left=1", 1), ("", 1), ("?extensions_left=x", 1)],
)
async def test_i_12_an_extension_says_which_it_is_so_that_a_lost_answer_costs_none(
    site: Site, house: House, query: str, seen: int
) -> None:
    house.room.answers["look"] = Standing("admitted", 1, NOW_US + 10 * MINUTE_US, 1)
    path = f"{WAVE}/pass/extension{query}"
    extended = await ask(site, request(path, "POST", Authorization=f"Bearer {house.pass_()}"))
    assert (extended.status, house.room.seen) == (200, seen)


async def test_i_25_with_another_draw_key_nobody_joins_and_nobody_is_told_a_place(
    site: Site, house: House
) -> None:
    house.see(OPEN, commitment="0" * 64)
    answers = [
        await join(site),
        await place(site, house.ticket()),
        await claim(site, house.ticket()),
    ]
    assert {(answer.status, answer.code) for answer in answers} == {(503, "redis-unavailable")}
    assert not {"join", "claim"} & set(house.room.asked)


# --- registration -----------------------------------------------------------------------------------


async def test_a_registration_is_answered_with_its_receipt_and_again_with_the_same_bytes(
    site: Site, house: House
) -> None:
    house.intake.answers["accept"] = Accepted(RECEIPT, NOW_US)
    answers = [await ask(site, registering(house.pass_())) for _ in range(5)]
    assert {answer.status for answer in answers} == {201}
    assert len({answer.body for answer in answers}) == 1
    assert answers[0].json == {
        "receipt": RECEIPT,
        "state": "received",
        "at": "2020-04-11T16:00:00.000+07:00",
    }
    assert answers[0].headers["location"] == f"/v1/registrations/{RECEIPT}"
    assert answers[0].headers["cache-control"] == "no-store"
    offered = house.intake.registration
    assert offered is not None
    assert (offered.number, offered.serial) == (5, 1)


async def test_a_pass_in_a_cookie_registers_too(site: Site, house: House) -> None:
    house.intake.answers["accept"] = Accepted(RECEIPT, NOW_US)
    cookies = f"ticket.wave-1={house.ticket()}; pass.wave-1={house.pass_()}"
    answer = await ask(site, registering("", Authorization=None, Cookie=cookies))
    assert answer.status == 201


async def test_r_1_without_a_good_pass_nothing_is_registered(site: Site, house: House) -> None:
    other = House()
    rows = [
        (None, 401, "pass-missing"),
        ("Bearer x", 403, "pass-invalid"),
        (f"Bearer {other.pass_()}", 403, "pass-invalid"),
        (f"Bearer {house.pass_(wave_id='wave-2')}", 403, "pass-invalid"),
        (f"Bearer {house.ticket()}", 403, "pass-invalid"),
    ]
    for shown, status, code in rows:
        answer = await ask(site, registering("", Authorization=shown))
        assert (answer.status, answer.code) == (status, code)
    assert house.asked == []


@pytest.mark.parametrize(
    ("refusal", "status", "code"),
    [
        (Refusal.PASS_ENDED, 410, "pass-ended"),
        (Refusal.PASS_USED, 409, "pass-used"),
        (Refusal.ALREADY_REGISTERED, 409, "already-registered"),
        (Refusal.TOO_MANY_PERSONS, 409, "too-many-persons"),
        (Refusal.BACKLOG_FULL, 503, "backlog-full"),
        (PortUnavailableError("down"), 503, "redis-unavailable"),
        (OutcomeUnknownError("late"), 503, "outcome-unknown"),
        (RoomMissingError("gone"), 503, "recovering"),
    ],
)
async def test_r_23_each_refusal_has_its_answer(
    site: Site, house: House, refusal: Any, status: int, code: str
) -> None:
    house.intake.answers["accept"] = refusal
    answer = await ask(site, registering(house.pass_()))
    assert (answer.status, answer.code) == (status, code)
    assert ("retry-after" in answer.headers) is (status == 503)
    assert NIK not in answer.body.decode()


BAD_VALUES = {
    "R-5 empty": (b"", 400, "json-invalid"),
    "R-6 NaN": (b'{"nik":NaN}', 400, "json-invalid"),
    "R-8 deep": (b"[" * 8000, 400, "json-invalid"),
    "R-10 duplicate": (b'{"nik":"A","nik":"B"}', 400, "json-invalid"),
    "no object": (b"[]", 422, "field-type"),
    "R-9 lone surrogate": (b'{"nik":"%s","name":"\\ud800"}' % NIK.encode(), 422, "text-invalid"),
    "R-9 NUL": (b'{"nik":"%s","name":"a\\u0000"}' % NIK.encode(), 422, "text-invalid"),
    "R-12 unknown": (VALUES | {"ktp": "x"}, 422, "field-unknown"),
    "R-12 __proto__": (VALUES | {"__proto__": {}}, 422, "field-unknown"),
    "R-12 lone surrogate": (
        b'{"nik":"%s","name":"D","\\ud800":1}' % NIK.encode(),
        422,
        "field-unknown",
    ),
    "R-12 a key of 10 KB": (VALUES | {"k" * 10_000: 1}, 422, "field-unknown"),
    "R-12 1,000 fields": ({f"k{i}": 1 for i in range(1000)}, 400, "json-invalid"),
    "R-13 NIK as a number": (VALUES | {"nik": int(NIK)}, 422, "field-type"),
    "R-14 15 digits": (VALUES | {"nik": NIK[:-1]}, 422, "nik-invalid"),
    "R-14 spaces": (VALUES | {"nik": f" {NIK}"}, 422, "nik-invalid"),
    "missing": ({"nik": NIK}, 422, "field-missing"),
    "null": (VALUES | {"name": None}, 422, None),
    "R-20 17 KiB": (VALUES | {"name": "x" * 17_000}, 413, "too-large"),
}


@pytest.mark.parametrize(("values", "status", "code"), BAD_VALUES.values(), ids=BAD_VALUES)
async def test_bad_values_are_refused_without_a_redis_command_or_an_echo(
    site: Site, house: House, values: Any, status: int, code: str
) -> None:
    answer = await ask(site, registering(house.pass_(), values))
    assert answer.status == status
    assert code is None or answer.code == code
    assert house.asked == []
    text = answer.body.decode()
    assert NIK[:-1] not in text
    assert "kkkk" not in text
    assert len(text) < 1500


async def test_every_fields_error_is_told_at_once(site: Site, house: House) -> None:
    answer = await ask(site, registering(house.pass_(), {"nik": "1", "ktp": "x"}))
    assert answer.status == 422
    told = {(error["pointer"], error["code"]) for error in answer.json["errors"]}
    assert told == {
        ("/nik", "nik-invalid"),
        ("/name", "field-missing"),
        ("/ktp", "field-unknown"),
    }


async def test_a_key_that_holds_data_is_not_told_back(site: Site, house: House) -> None:
    answer = await ask(site, registering(house.pass_(), VALUES | {NIK: "x", "Dewi Ayu": 1}))
    assert [error["pointer"] for error in answer.json["errors"]] == ["", ""]


async def test_ten_attempts_a_minute_with_one_pass(site: Site, house: House) -> None:
    house.intake.answers["accept"] = Refusal.PASS_USED
    statuses = [(await ask(site, registering(house.pass_()))).status for _ in range(11)]
    assert statuses == [409] * 10 + [429]
    assert (await ask(site, registering(house.pass_(6)))).status == 409


async def test_the_credential_is_checked_before_the_body_and_the_type_before_both(
    site: Site,
) -> None:
    assert (await ask(site, registering("x", b"{"))).code == "pass-invalid"
    assert (await ask(site, registering("x", b"{", Content_Type="text/plain"))).code == "media-type"


# --- receipt and form -------------------------------------------------------------------------------


async def test_a_receipt_tells_state_and_times_and_nothing_personal(
    site: Site, house: House
) -> None:
    valid = receipts.make(bytes(range(16)))
    record = ReceiptRecord(valid, "wave-1", "received", NOW_US, 0)
    house.intake.answers["find_receipt"] = record
    answer = await ask(site, request(f"/v1/registrations/{valid}"))
    assert answer.status == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json == {
        "receipt": valid,
        "wave": "wave-1",
        "state": "received",
        "received_at": "2020-04-11T16:00:00.000+07:00",
        "recorded_at": None,
    }
    recorded = replace(record, state="recorded", recorded_at_us=NOW_US + 1_000_000)
    house.intake.answers["find_receipt"] = recorded
    document = (await ask(site, request(f"/v1/registrations/{valid}"))).json
    assert document["state"] == "recorded"
    assert document["recorded_at"] == "2020-04-11T16:00:01.000+07:00"


async def test_r_24_an_unknown_receipt_is_404_and_a_mistyped_one_costs_no_redis_command(
    site: Site, house: House
) -> None:
    valid = receipts.make(bytes(range(16)))
    house.intake.answers["find_receipt"] = None
    guessed = await ask(site, request(f"/v1/registrations/{valid}"))
    assert (guessed.status, guessed.code) == (404, "receipt-unknown")
    assert house.asked == ["find_receipt"]
    mistyped = await ask(site, request(f"/v1/registrations/{valid[:-2]}"))
    assert (mistyped.status, mistyped.code) == (404, "receipt-unknown")
    assert house.asked == ["find_receipt"]
    for one in (guessed, mistyped):
        one.json.pop("instance")
    assert guessed.json | {"instance": ""} == mistyped.json | {"instance": ""}


async def test_the_form_is_a_schema_in_the_language_asked_for(site: Site, house: House) -> None:
    answer = await ask(site, request(f"{WAVE}/form", Accept_Language="en"))
    assert answer.status == 200
    assert answer.json["type"] == "object"
    assert answer.headers["vary"] == "Accept-Language, Accept-Encoding"
    assert answer.cookies == ()
    again = await ask(site, request(f"{WAVE}/form", If_None_Match=answer.headers["etag"]))
    assert again.status == 304


# --- the description --------------------------------------------------------------------------------


def test_every_endpoint_has_a_handler_and_every_code_is_in_the_catalogue() -> None:
    names = [endpoint.name for endpoint in ENDPOINTS]
    assert sorted(names) == sorted(name for name in vars(Applicant) if not name.startswith("_"))
    for endpoint in ENDPOINTS:
        assert set(endpoint.problems) <= set(CATALOGUE), endpoint.name


async def test_answers_have_the_members_that_the_description_names(
    site: Site, house: House
) -> None:
    receipt = receipts.make(bytes(range(16)))
    house.intake.answers["accept"] = Accepted(receipt, NOW_US)
    record = ReceiptRecord(receipt, "wave-1", "received", NOW_US, 0)
    house.intake.answers["find_receipt"] = record
    house.room.answers["look"] = Standing("admitted", 1, NOW_US + 10 * MINUTE_US, 1)
    extension = request(f"{WAVE}/pass/extension", "POST", Authorization=f"Bearer {house.pass_()}")
    given = {
        "Ticket": await join(site),
        "Board": await ask(site, request(f"{WAVE}/board")),
        "Place": await place(site, house.ticket()),
        "Pass": await claim(site, house.ticket()),
        "Waiting": await claim(site, house.ticket(30)),
        "Extension": await ask(site, extension),
        "Registration": await ask(site, registering(house.pass_())),
        "Receipt": await ask(site, request(f"/v1/registrations/{receipt}")),
        "Problem": await ask(site, registering(house.pass_(), {})),
    }
    for name, answer in given.items():
        schema = SCHEMAS[name]
        assert set(schema["required"]) <= set(answer.json) <= set(schema["properties"]), name


async def test_the_description_is_openapi_and_names_every_path(site: Site) -> None:
    answer = await ask(site, request("/v1/openapi.json"))
    document = answer.json
    assert document["openapi"] == "3.1.0"
    schemas = set(document["components"]["schemas"])
    references = set()

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            if "$ref" in node:
                references.add(node["$ref"].rpartition("/")[2])
            for child in node.values():
                walk(child)
        elif isinstance(node, list):
            for child in node:
                walk(child)

    walk(document)
    assert references == schemas
    for endpoint in ENDPOINTS:
        operation = document["paths"][endpoint.path][endpoint.method.lower()]
        assert operation["operationId"] == endpoint.name
        for status in endpoint.answers:
            assert str(status) in operation["responses"]
    etag = answer.headers["etag"]
    again = await ask(site, request("/v1/openapi.json", If_None_Match=f'"x", {etag}'))
    assert (again.status, again.body) == (304, b"")
    assert again.headers["etag"] == etag
    packed = await ask(site, request("/v1/openapi.json", Accept_Encoding="br, gzip;q=0.5"))
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["vary"] == "Accept-Encoding"
    assert len(packed.body) < len(answer.body) / 3


@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/readyz", "/v1/status", "/v1/audit"])
async def test_o_5_operators_paths_do_not_exist_here(site: Site, path: str) -> None:
    assert (await ask(site, request(path))).code == "not-found"


async def test_i_27_who_says_what_it_was_shown_is_never_shown_more(
    site: Site, house: House
) -> None:
    house.see(OPEN, called=15)
    cookie = f"ticket.wave-1={house.ticket(30)}"
    assert (await ask(site, request(f"{WAVE}/place", Cookie=cookie))).json["ahead"] == 15
    house.see(OPEN, called=10)  # another process, cut off: its snapshot is older
    for query, ahead in (("ahead=15", 15), ("ahead=99", 20), ("ahead=-1", 20), ("ahead=x", 20)):
        answer = await ask(site, request(f"{WAVE}/place?{query}", Cookie=cookie))
        assert (answer.status, answer.json["ahead"]) == (200, ahead)


async def test_i_31_whoever_shows_a_ticket_when_joining_gets_that_ticket(
    site: Site, house: House
) -> None:
    ticket = house.ticket(30)
    for _ in range(2):
        answer = await ask(
            site, request(f"{WAVE}/tickets", "POST", Cookie=f"ticket.wave-1={ticket}")
        )
        assert (answer.status, answer.json["ticket"], answer.json["number"]) == (200, ticket, 30)
    assert "join" not in house.asked


async def an_older_ticket_keeps_its_place(site: Site, house: House) -> None:
    """I-28: the room was put back since, and has another epoch."""
    ticket = sign(house.ticket_keys, house.credential(30)._replace(epoch="f" * 16))
    answer = await place(site, ticket)
    assert (answer.status, answer.json["number"], answer.json["ahead"]) == (200, 30, 20)


async def a_bad_ticket_costs_no_command(site: Site, house: House) -> None:
    """I-39."""
    forged = house.ticket(5)[:-2] + "AA"
    for method, path in (("POST", "pass"), ("GET", "place"), ("DELETE", "place")):
        answer = await ask(
            site, request(f"{WAVE}/{path}", method, Authorization=f"Bearer {forged}")
        )
        assert (answer.status, answer.code) == (403, "ticket-invalid")
    assert house.asked == []


PROMISES: dict[str, tuple[ModuleType, str, str, Callable[[Site, House], Awaitable[None]]]] = {
    "I-28 the epoch is compared": (tickets, "credential.wave_id != wave_id:", "credential.wave_id != wave_id or credential.epoch == 'f' * 16:", an_older_ticket_keeps_its_place),
    "I-31 the ticket that is shown is not looked at": (front_door, "if held is not None and not await self._has_ended(room, held):", "if False:", test_i_31_whoever_shows_a_ticket_when_joining_gets_that_ticket),
    "I-39 Redis is asked before the ticket is verified": (acts, "        ticket = self._cookies.ticket_of(shown, room.wave.id)\n", "        await services.front_door._port.look(room.wave, 0)\n        ticket = self._cookies.ticket_of(shown, room.wave.id)\n", a_bad_ticket_costs_no_command),
}  # fmt: skip


@pytest.mark.parametrize("bug", PROMISES)
async def test_a_promise_of_tickets_is_kept_and_a_seeded_bug_breaks_it(
    site: Site, house: House, monkeypatch: pytest.MonkeyPatch, bug: str
) -> None:
    module, sound, broken, proof = PROMISES[bug]
    await proof(site, house)
    seed(monkeypatch, module, sound, broken)
    with pytest.raises((AssertionError, KeyError)):
        await proof(site, house)
