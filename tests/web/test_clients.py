"""Trusted proxies: whose request it is and by TLS or not, told alike by the lane and by aiohttp."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from aiohttp import web

from gateway.web.clients import Proxies, came_by_tls, forwarded_for, is_tls, peer_of
from gateway.web.gate import Gate
from gateway.web.lane import Lane
from gateway.web.lane_table import make_lane
from gateway.web.listener import Site
from gateway.web.rendering import Pages
from tests.web.house import PROGRAMME, House
from tests.web.test_lane import raw
from tests.web.wire import ask, request, serving

WAVE = "/v1/waves/wave-1"
HSTS = "strict-transport-security"
HTTPS = {"X-Forwarded-Proto": "https"}


@dataclass
class Doors:
    """One house behind a proxy that is trusted and behind one that is not, each with and without a lane."""

    house: House
    lane: Lane
    trusting: tuple[Site, Site]
    other: tuple[Site, Site]


@pytest.fixture
async def doors() -> AsyncIterator[Doors]:
    house, pages = House(), Pages((PROGRAMME,))
    for room in house.rooms:
        room.monotonic_s = lambda: 1.0  # boards and places show the time
    lane = make_lane(house.services, pages, Gate("https://gateway.example/problems", lambda: 0.0))
    proxies, app = Proxies(["127.0.0.0/8"]), house.app_with_pages
    async with (
        serving(app(), lane=lane, proxies=proxies) as fast,
        serving(app(), proxies=proxies) as slow,
        serving(app(), lane=lane) as fast_other,
        serving(app()) as slow_other,
    ):
        yield Doors(house, lane, (fast, slow), (fast_other, slow_other))


def asking(house: House, **headers: str) -> dict[str, bytes]:
    ticket = house.ticket(50)
    return {
        "board": request(f"{WAVE}/board", headers=headers),
        "page": request("/waves/wave-1", headers=headers),
        "page, again": request("/waves/wave-1", headers=headers | {"If-None-Match": "*"}),
        "place, bearer": request(f"{WAVE}/place", headers=headers | {"Authorization": f"Bearer {ticket}"}),
        "place, cookie": request(f"{WAVE}/place", headers=headers | {"Cookie": f"ticket.wave-1={ticket}"}),
        "place, secure cookie": request(
            f"{WAVE}/place", headers=headers | {"Cookie": f"__Host-ticket.wave-1={ticket}"}
        ),
        "form": request(f"{WAVE}/form", headers=headers),
        "claim, cookie": request(f"{WAVE}/pass", "POST", headers=headers | {"Cookie": f"ticket.wave-1={ticket}"}),
        "claim, secure cookie": request(
            f"{WAVE}/pass", "POST", headers=headers | {"Cookie": f"__Host-ticket.wave-1={ticket}"}
        ),
        "join, again": request(f"{WAVE}/tickets", "POST", headers=headers | {"Authorization": f"Bearer {ticket}"}),
        "register": request(
            f"{WAVE}/registrations", "POST", b"{", headers=headers | {"Content-Type": "application/json"}
        ),
        "nothing": request("/nowhere", headers=headers),
    }  # fmt: skip


@pytest.mark.parametrize(
    "proto", ["https", "HTTPS", "http, https", "http", "https, http", "", "wss"]
)
async def test_lane_and_aiohttp_say_the_same_behind_a_proxy_that_says(
    doors: Doors, proto: str
) -> None:
    tls = is_tls(proto)
    for name, data in asking(doors.house, **{"X-Forwarded-Proto": proto}).items():
        fast, slow = [await raw(site, data) for site in doors.trusting]
        assert fast == slow, name
        assert (b"Strict-Transport-Security: max-age" in fast) is tls, name
        if name in {"place, cookie", "place, secure cookie"}:
            assert (b" 200 OK" in fast) is (tls == ("secure" in name)), name
        if name in {"claim, cookie", "claim, secure cookie"}:
            assert (b" 202 Accepted" in fast) is (tls == ("secure" in name)), name
        if name == "join, again":
            assert (b"__Host-ticket.wave-1=" in fast and b"; Secure" in fast) is tls


async def test_a_head_that_cannot_be_read_is_refused_behind_a_proxy_too(doors: Doors) -> None:
    for site in (*doors.trusting, *doors.other):
        answer = await ask(site, request("/", "F@O", headers=HTTPS))
        assert (answer.status, answer.code) == (400, "framing")
        assert HSTS not in answer.headers


async def test_w_26_nobody_else_is_believed(doors: Doors) -> None:
    claims = HTTPS | {"X-Forwarded-For": "192.0.2.7", "Forwarded": "for=192.0.2.7;proto=https"}
    for name, data in asking(doors.house, **claims).items():
        plain = [await raw(site, asking(doors.house)[name]) for site in doors.other]
        assert [await raw(site, data) for site in doors.other] == plain, name


async def test_the_same_head_from_a_trusted_peer_and_from_another_are_two_things(
    doors: Doors,
) -> None:
    data = asking(doors.house, **HTTPS)["board"]
    for _ in range(2):  # the second time from memory
        for sites, told in ((doors.trusting, True), (doors.other, False)):
            for site in sites:
                assert (HSTS in (await ask(site, data)).headers) is told


async def test_whoever_a_proxy_speaks_for_its_heads_are_remembered_once(doors: Doors) -> None:
    known = doors.lane._trusting_plans.known
    for name in ("X-Forwarded-For", "x-forwarded-for"):
        for hops in ("192.0.2.7", "192.0.2.8", "2001:db8::7", "[2001:db8::7]:80, 192.0.2.7"):
            answer = await ask(doors.trusting[0], request(f"{WAVE}/board", headers={name: hops}))
            assert answer.status == 200
    assert len(known) == 2
    for hops in ("unknown", "192.0.2.7;", "_a", "~cut~"):  # "~cut~": what stands for the addresses
        await ask(doors.trusting[0], request(f"{WAVE}/board", X_Forwarded_For=hops))
    assert len(known) == 2 + 3


async def test_other_ways_to_say_it_are_not_read(doors: Doors) -> None:
    for headers in (
        {"Forwarded": "proto=https"},
        {"X_Forwarded_Proto": "https"},
        {"X-Forwarded-Scheme": "https"},
        {"Front-End-Https": "on"},
    ):
        fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        data = request(f"{WAVE}/board").replace(b"\r\n\r\n", f"\r\n{fields}\r\n".encode())
        for site in doors.trusting:
            assert HSTS not in (await ask(site, data)).headers, headers


async def test_cookies_and_links_follow_the_proxys_word(doors: Doors) -> None:
    for sites, tls in ((doors.trusting, True), (doors.other, False)):
        for site in sites:
            answer = await ask(site, request(f"{WAVE}/tickets", "POST", headers=HTTPS))
            assert answer.cookies[0].startswith("__Host-ticket." if tls else "ticket.")
            assert ("Secure" in answer.cookies[0]) is tls
            ticket = doors.house.ticket(50)
            bearer = {"Authorization": f"Bearer {ticket}", "Accept": "text/html"}
            page = await ask(site, request("/waves/wave-1/device", headers=HTTPS | bearer))
            assert (b"https://localhost/waves/wave-1#t=" in page.body) is tls


async def test_the_client_is_the_rightmost_untrusted_hop_of_all_headers_together() -> None:
    seen: list[str] = []
    proxies = Proxies(["127.0.0.0/8", "10.0.0.0/8"])

    async def note(asked: web.Request) -> web.Response:
        seen.append(proxies.key(peer_of(asked), forwarded_for(asked)))
        assert not came_by_tls(asked)
        return web.Response()

    app = web.Application()
    app.router.add_get("/", note)
    async with serving(app, proxies=proxies) as site:
        for said in (
            "X-Forwarded-For: 192.0.2.7",
            "X-Forwarded-For: 198.51.100.1, 192.0.2.7, 10.0.0.3",
            "X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-For: 192.0.2.7",
            "x-forwarded-for: 192.0.2.7\r\nX-Real-IP: 192.0.2.8",
        ):
            await ask(site, request("/").replace(b"Host", said.encode() + b"\r\nHost"))
        for said in ("unknown", "10.0.0.1", "1.1.1.1," * 200 + "192.0.2.7", "a\x80b"):
            await ask(site, request("/", X_Forwarded_For=said))
        await ask(site, request("/"))
    assert seen == ["192.0.2.7"] * 4 + [""] * 5  # the peer itself: this machine
    assert proxies.take_unreadable() == 4
    assert proxies.take_unreadable() == 0
