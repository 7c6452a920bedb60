"""What every answer carries, and who may change anything."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from gateway.web.documents import make_document, serve
from gateway.web.listener import Site
from gateway.web.problems import ProblemStyle
from gateway.web.public import PublicServices, public_app
from tests.web.house import House
from tests.web.wire import ask, request, serving

JOIN = "/v1/waves/wave-1/tickets"
JSON = "application/json"


@pytest.fixture
def house() -> House:
    return House()


@pytest.fixture
async def site(house: House) -> AsyncIterator[Site]:
    async with serving(house.app()) as site:
        yield site


ANSWERS = {
    "an answer": (request(JOIN, "POST"), 201),
    "a board": (request("/v1/waves/wave-1/board"), 200),
    "no content": (request("/v1/waves/wave-1/place", "DELETE"), 401),
    "a problem": (request("/v1/waves/nowhere/board"), 404),
    "a missing route": (request("/nowhere"), 404),
    "a wrong method": (request("/v1/waves/wave-1/board", "PUT"), 405),
    "a parser's error": (b"FOO / HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "a bad target": (request("/a/../b"), 400),
    "a description": (request("/v1/openapi.json"), 200),
}


@pytest.mark.parametrize(("data", "status"), ANSWERS.values(), ids=ANSWERS)
async def test_every_answer_carries_the_security_headers(
    site: Site, data: bytes, status: int
) -> None:
    answer = await ask(site, data)
    assert answer.status == status
    expected = {
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
        "server": "gateway",
    }
    assert {name: answer.headers.get(name) for name in expected} == expected
    assert "camera=()" in answer.headers["permissions-policy"]
    assert "strict-transport-security" not in answer.headers  # it did not come by TLS
    assert not [name for name in answer.headers if name.startswith("access-control-")]


async def test_hsts_cannot_be_asked_for_without_tls(site: Site) -> None:
    data = request("https://localhost/v1/waves/wave-1/board", X_Forwarded_Proto="https")
    assert "strict-transport-security" not in (await ask(site, data)).headers


ORIGINS = [
    ({}, True),
    ({"Sec_Fetch_Site": "same-origin"}, True),
    ({"Sec_Fetch_Site": "none"}, True),
    ({"Sec_Fetch_Site": "same-site"}, False),
    ({"Sec_Fetch_Site": "cross-site"}, False),
    ({"Sec_Fetch_Site": "nonsense"}, False),
    ({"Sec_Fetch_Site": "same-origin\r\nSec-Fetch-Site: cross-site"}, False),
    ({"Sec_Fetch_Site": "same-origin", "Origin": "https://evil.example"}, True),
    ({"Origin": "http://localhost"}, True),
    ({"Origin": "https://LOCALHOST"}, True),
    ({"Origin": "https://evil.example"}, False),
    ({"Origin": "http://localhost:8080"}, False),
    ({"Origin": "http://localhost.evil.example"}, False),
    ({"Origin": "null"}, False),
    ({"Origin": ""}, False),
]


@pytest.mark.parametrize(("headers", "allowed"), ORIGINS)
async def test_nothing_is_changed_for_a_page_of_another_site(
    site: Site, house: House, headers: dict[str, str], allowed: bool
) -> None:
    for method, path in (("POST", JOIN), ("DELETE", "/v1/waves/wave-1/place")):
        answer = await ask(site, request(path, method, headers=headers))
        assert (answer.status == 403) is not allowed
        if not allowed:
            assert answer.code == "cross-site"
    assert (house.asked == []) is not allowed


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", JSON])
async def test_j_4_cross_site_is_told_before_the_media_type(site: Site, media_type: str) -> None:
    foreign = request(JOIN, "POST", b"{}", Content_Type=media_type, Origin="https://evil.example")
    assert (await ask(site, foreign)).code == "cross-site"
    own = request(JOIN, "POST", b"{}", Content_Type=media_type)
    answer = await ask(site, own)
    assert answer.status == (201 if media_type == JSON else 415)


async def test_a_page_keeps_its_own_policy_and_gets_the_rest(house: House) -> None:
    def add(app: web.Application, _services: PublicServices) -> None:
        headers = {"Content-Security-Policy": "default-src 'self'", "Cache-Control": "public"}
        document = make_document(b"<h1>x</h1>", "text/html; charset=utf-8", headers)

        async def page(req: web.Request) -> web.Response:
            return serve(req, document)

        app.router.add_get("/", page)

    async with serving(public_app(house.services, ProblemStyle(), add)) as site:
        answer = await ask(site, request("/"))
        assert answer.headers["content-security-policy"] == "default-src 'self'"
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.headers["x-content-type-options"] == "nosniff"
        known = await ask(site, request("/", If_None_Match=answer.headers["etag"]))
        assert (known.status, known.body) == (304, b"")
        assert known.headers["cache-control"] == "public"


async def test_reading_is_open_to_all(site: Site) -> None:
    data = request("/v1/waves/wave-1/board", Sec_Fetch_Site="cross-site", Origin="https://a.b")
    assert (await ask(site, data)).status == 200
