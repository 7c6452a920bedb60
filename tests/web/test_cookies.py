"""Who is asking, and how browsers keep it."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from gateway.core.tickets import Key, Keyring
from gateway.web.cookies import Cookies
from gateway.web.listener import Site
from gateway.web.public_services import TICKET_GRACE_S
from tests.web.house import House
from tests.web.wire import Answer, ask, request, serving

PLACE = "/v1/waves/wave-1/place"
NAME = "ticket.wave-1"  # on plain-HTTP loopback


@pytest.fixture
def house() -> House:
    return House()


@pytest.fixture
async def site(house: House) -> AsyncIterator[Site]:
    async with serving(house.app()) as site:
        yield site


async def place(site: Site, **headers: str | None) -> Answer:
    return await ask(site, request(PLACE, headers=headers))


async def test_a_ticket_is_read_from_the_cookie_or_the_authorization_header(
    site: Site, house: House
) -> None:
    ticket = house.ticket(30)
    shown = [
        {"Cookie": f"{NAME}={ticket}"},
        {"Cookie": f"a=b; {NAME}={ticket};c"},
        {"Cookie": f"{NAME}={ticket}; {NAME}={ticket}"},
        {"Cookie": f'a="b; {NAME}={ticket}; =; ;;; \xff\xfe=\x80; d="'},
        {"Authorization": f"Bearer {ticket}"},
        {"Authorization": f"bearer  {ticket} "},
        {"Authorization": f"Bearer {ticket}", "Cookie": f"{NAME}={ticket}"},
        {"Authorization": "Basic YTpi", "Cookie": f"{NAME}={ticket}"},
    ]
    for headers in shown:
        answer = await place(site, **headers)
        assert (answer.status, answer.json.get("number")) == (200, 30), headers


async def test_two_different_values_are_never_chosen_between(site: Site, house: House) -> None:
    one, two = house.ticket(30), house.ticket(31)
    ambiguous = [
        {"Cookie": f"{NAME}={one}; {NAME}={two}"},
        {"Cookie": f"{NAME}={one}\r\nCookie: {NAME}={two}"},
        {"Cookie": f"{NAME}={one}; {NAME}="},
        {"Cookie": f"{NAME}={one}", "Authorization": f"Bearer {two}"},
        {"Cookie": f"{NAME}={one}", "Authorization": f"Bearer {house.pass_(30)}"},
        {"Authorization": f"Bearer {one}\r\nAuthorization: Bearer {two}"},
    ]
    for headers in ambiguous:
        answer = await place(site, **headers)
        assert (answer.status, answer.code) == (400, "credential-ambiguous"), headers
    assert house.asked == []


async def test_no_ticket_is_401_with_the_way_to_join(site: Site) -> None:
    for headers in ({}, {"Cookie": "a=b"}, {"Cookie": f"__Host-{NAME}=x"}, {"Authorization": "x"}):
        answer = await place(site, **headers)
        assert (answer.status, answer.code) == (401, "ticket-missing"), headers
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.json["join"] == "/v1/waves/wave-1/tickets"


async def test_a_credential_is_never_read_from_the_address(site: Site, house: House) -> None:
    answer = await ask(site, request(f"{PLACE}?ticket={house.ticket()}&{NAME}={house.ticket()}"))
    assert answer.code == "ticket-missing"


async def test_what_sign_did_not_make_is_403_and_costs_no_redis_command(
    site: Site, house: House
) -> None:
    ticket = house.ticket()
    forged = [
        *(ticket[:i] + chr(ord(ticket[i]) ^ 1) + ticket[i + 1 :] for i in range(len(ticket))),
        *(ticket[:i] for i in range(1, len(ticket), 7)),
        *(ticket + more for more in ("A", "=", "==", "AAAA", "." + ticket)),
        *(ticket.swapcase(), ticket.lower(), ticket[::-1], "x", "\xff", "0" * 513, "A" * 3000),
        house.pass_(),
        house.ticket(wave_id="wave-2"),
        House().ticket(),  # another deployment's
        "gwo_1_aaaa_b",
    ]
    for text in forged:
        assert text != ticket
        answer = await place(site, Authorization=f"Bearer {text}")
        assert (answer.status, answer.code) == (403, "ticket-invalid"), text
    assert house.asked == []


async def test_a_ticket_signed_by_a_key_that_is_no_longer_current_is_good_until_it_is_retired(
    house: House,
) -> None:
    ticket = house.ticket(30)
    new = Key(2, bytes(32))
    for keys, status in (
        (Keyring(new, (house.ticket_keys.current,)), 200),
        (Keyring(new), 403),
    ):
        house.services = replace(house.services, cookies=Cookies(keys, house.pass_keys))
        async with serving(house.app()) as site:
            assert (await place(site, Authorization=f"Bearer {ticket}")).status == status


def attributes(cookie: str) -> dict[str, str]:
    first, *others = cookie.split("; ")
    pairs = [part.partition("=")[::2] for part in others]
    return {"": first} | {name.lower(): value for name, value in pairs}


@pytest.mark.parametrize(
    ("host", "secure"),
    [
        ("localhost", False),
        ("localhost:8080", False),
        ("app.localhost:8080", False),
        ("127.0.0.1:8080", False),
        ("127.1.2.3", False),
        ("[::1]:8080", False),
        ("prakerja.example", True),
        ("prakerja.example:443", True),
        ("10.0.0.5:8080", True),
        ("localhost.example", True),
        ("127.0.0.1.example", True),
        ("notlocalhost", True),
    ],
)
async def test_cookies_are_secure_and_host_bound_except_on_plain_loopback(
    site: Site, house: House, host: str, secure: bool
) -> None:
    answer = await ask(site, request("/v1/waves/wave-1/tickets", "POST", Host=host))
    assert answer.status == 201
    (cookie,) = answer.cookies
    given = attributes(cookie)
    prefix = "__Host-" if secure else ""
    assert given.pop("") == f"{prefix}ticket.wave-1={answer.json['ticket']}"
    assert ("secure" in given) is secure
    given.pop("secure", None)
    # Until the wave ends, and a day to come back for the receipt.
    assert 0 <= 60 * 60 + TICKET_GRACE_S - int(given.pop("max-age")) <= 5
    assert given == {"path": "/", "httponly": "", "samesite": "Lax"}
    again = request(PLACE, Host=host, Cookie=cookie.partition(";")[0])
    assert (await ask(site, again)).status == 200


async def test_always_secure_means_also_on_loopback(house: House) -> None:
    cookies = Cookies(house.ticket_keys, house.pass_keys, "always")
    house.services = replace(house.services, cookies=cookies)
    async with serving(house.app()) as site:
        answer = await ask(site, request("/v1/waves/wave-1/tickets", "POST"))
        assert answer.cookies[0].startswith("__Host-ticket.wave-1=")


async def test_a_plain_cookie_planted_by_a_neighbour_is_not_read_where_cookies_are_secure(
    site: Site, house: House
) -> None:
    data = request(PLACE, Host="prakerja.example", Cookie=f"{NAME}={house.ticket()}")
    assert (await ask(site, data)).code == "ticket-missing"


async def test_the_ninth_wave_pushes_the_oldest_out(site: Site) -> None:
    held = "; ".join(f"ticket.old-{i}=x" for i in range(9))
    data = request("/v1/waves/wave-1/tickets", "POST", Cookie=f"a=b; {held}")
    first, *others = [attributes(cookie) for cookie in (await ask(site, data)).cookies]
    assert first[""].startswith("ticket.wave-1=")
    assert [(given[""], given["max-age"]) for given in others] == [
        ('ticket.old-0=""', "0"),
        ('ticket.old-1=""', "0"),
    ]


async def test_a_pass_is_kept_for_its_life_and_forgotten_on_leaving(
    site: Site, house: House
) -> None:
    bearer = f"Bearer {house.ticket()}"
    claimed = await ask(site, request("/v1/waves/wave-1/pass", "POST", Authorization=bearer))
    given = attributes(claimed.cookies[0])
    assert given[""] == f"pass.wave-1={claimed.json['pass']}"
    assert 590 <= int(given["max-age"]) <= 600
    pass_bearer = f"Bearer {claimed.json['pass']}"
    path = "/v1/waves/wave-1/pass/extension"
    extended = await ask(site, request(path, "POST", Authorization=pass_bearer))
    given = attributes(extended.cookies[0])
    assert given[""] == f"pass.wave-1={claimed.json['pass']}"
    assert 1190 <= int(given["max-age"]) <= 1200
    left = await ask(site, request(PLACE, "DELETE", Authorization=bearer))
    assert [attributes(cookie)[""] for cookie in left.cookies] == ['pass.wave-1=""']


async def test_a_cookie_that_cannot_be_right_is_taken_away_when_joining(
    site: Site, house: House
) -> None:
    data = request("/v1/waves/wave-1/tickets", "POST", Cookie=f"{NAME}=forged")
    answer = await ask(site, data)
    assert (answer.status, answer.code) == (403, "ticket-invalid")
    assert attributes(answer.cookies[0])["max-age"] == "0"
    assert house.asked == []
    assert (await ask(site, request("/v1/waves/wave-1/tickets", "POST"))).status == 201
