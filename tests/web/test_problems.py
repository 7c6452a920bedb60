"""The catalogue, and how a problem is told."""

from collections import Counter

import pytest
from aiohttp import web

from gateway.ports import OutcomeUnknownError, PortUnavailableError, RoomMissingError
from gateway.web.catalogue import CATALOGUE
from gateway.web.problems import (
    STYLE,
    Problem,
    ProblemStyle,
    Refused,
    Renderer,
    problem_middleware,
)
from tests.web.wire import ask, request, serving

BASE = "https://gateway.example/problems"


def page(_request: web.BaseRequest, refused: Refused) -> web.Response:
    return web.Response(text=f"<h1>{refused.title}</h1>", content_type="text/html")


def app_raising(exception: Exception, render: Renderer | None = None) -> web.Application:
    async def handler(_request: web.Request) -> web.Response:
        raise exception

    app = web.Application(middlewares=[problem_middleware])
    app[STYLE] = ProblemStyle(BASE, render)
    app.router.add_route("*", "/", handler)
    app.router.add_get("/only-get", handler)
    return app


@pytest.mark.parametrize("code", CATALOGUE)
async def test_every_problem_has_its_status_type_and_both_languages(code: str) -> None:
    entry = CATALOGUE[code]
    async with serving(app_raising(Problem(code))) as site:
        for language, title in (("id", entry.title_id), ("en", entry.title_en)):
            answer = await ask(site, request("/", Accept_Language=language))
            document = answer.json
            assert answer.status == document["status"] == entry.status
            assert answer.code == code
            assert document["type"] == f"{BASE}/{code}"
            assert document["title"] == title
            assert document["detail"]
            assert document["instance"].startswith("urn:request:")
            assert answer.headers["cache-control"] == "no-store"
            assert ("www-authenticate" in answer.headers) is (entry.status == 401)
            assert ("retry-after" in answer.headers) is (entry.status in {429, 503})
            assert ("retry_in_ms" in document) is (entry.status in {429, 503})


@pytest.mark.parametrize(
    ("accept", "html"),
    [
        (None, False),
        ("*/*", False),
        ("application/json", False),
        ("image/png", False),
        ("text/html", True),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", True),
        ("text/html;q=0.4, application/json;q=0.5", False),
        ("text/html;q=0.6, application/json;q=0.5", True),
        ("text/html;q=0.6, application/problem+json", False),
        ("text/html;q=0", False),
        ("text/*", True),
        ("text/html;q=bogus, application/json;q=0.1", False),
        ("TEXT/HTML ; Q=1", True),
    ],
)
async def test_people_get_a_page_and_programs_get_json_by_the_weights_of_accept(
    accept: str | None, html: bool
) -> None:
    async with serving(app_raising(Problem("wave-full"), page)) as site:
        answer = await ask(site, request("/", Accept=accept))
        assert answer.status == 409
        assert answer.headers["content-type"].startswith("text/html") is html
        assert answer.headers["cache-control"] == "no-store"


async def test_without_a_renderer_everybody_gets_json() -> None:
    async with serving(app_raising(Problem("wave-full"))) as site:
        assert (await ask(site, request("/", Accept="text/html"))).code == "wave-full"


@pytest.mark.parametrize(
    ("target", "accept_language", "language"),
    [
        ("/", None, "id"),
        ("/", "en", "en"),
        ("/", "en-GB,en;q=0.9,id;q=0.8", "en"),
        ("/", "id-ID,id;q=0.9,en;q=0.8", "id"),
        ("/", "fr, en;q=0.3, id;q=0.2", "en"),
        ("/", "fr", "id"),
        ("/", "in", "id"),
        ("/", "en;q=0", "id"),
        ("/", ";;;,q=,en;q=2", "id"),
        ("/?lang=en", "id", "en"),
        ("/?lang=id", "en", "id"),
        ("/?lang=fr", "en", "en"),
    ],
)
async def test_the_language_is_the_links_then_the_preferred_one_then_indonesian(
    target: str, accept_language: str | None, language: str
) -> None:
    async with serving(app_raising(Problem("wave-full"))) as site:
        answer = await ask(site, request(target, Accept_Language=accept_language))
        entry = CATALOGUE["wave-full"]
        assert answer.json["title"] == (entry.title_en if language == "en" else entry.title_id)


@pytest.mark.parametrize(
    ("exception", "code"),
    [
        (PortUnavailableError("down"), "redis-unavailable"),
        (OutcomeUnknownError("late"), "outcome-unknown"),
        (RoomMissingError("gone"), "recovering"),
        (TimeoutError(), "outcome-unknown"),
        (KeyError("3201010101010001"), "internal"),
        (web.HTTPInternalServerError(), "internal"),
        (web.HTTPRequestEntityTooLarge(1, 2), "too-large"),
        (web.HTTPUnsupportedMediaType(), "media-type"),
        (web.HTTPExpectationFailed(), "expectation"),
    ],
)
async def test_whatever_is_raised_ends_as_a_listed_problem(
    exception: Exception, code: str, capfd: pytest.CaptureFixture[str]
) -> None:
    async with serving(app_raising(exception)) as site:
        answer = await ask(site, request("/"))
        assert answer.code == code
    printed = "".join(capfd.readouterr())
    assert "Traceback" not in printed
    assert "3201010101010001" not in printed
    assert (answer.json["instance"].rpartition(":")[2] in printed) is isinstance(
        exception, KeyError
    )


async def test_a_missing_route_and_a_wrong_method_are_problems_too() -> None:
    async with serving(app_raising(Problem("internal"))) as site:
        assert (await ask(site, request("/nowhere"))).code == "not-found"
        answer = await ask(site, request("/only-get", "PUT"))
        assert (answer.code, answer.status) == ("method", 405)
        assert answer.headers["allow"] == "GET,HEAD"


async def test_a_redirect_is_no_problem() -> None:
    async with serving(app_raising(web.HTTPSeeOther("/elsewhere"))) as site:
        answer = await ask(site, request("/"))
        assert (answer.status, answer.headers["location"]) == (303, "/elsewhere")


@pytest.mark.parametrize("least_s", [None, 0.0, 0.2, 5.0, 60.0])
async def test_nobody_comes_back_in_step(least_s: float | None) -> None:
    async with serving(app_raising(Problem("overloaded", retry_after_s=least_s))) as site:
        answers = [await ask(site, request("/")) for _ in range(300)]
    for answer in answers:
        retry_in_ms, retry_after_s = answer.json["retry_in_ms"], int(answer.headers["retry-after"])
        assert (retry_after_s - 1) * 1000 < retry_in_ms <= retry_after_s * 1000
        assert retry_in_ms >= 1000 * (least_s or 0)
    commonest = Counter(answer.headers["retry-after"] for answer in answers).most_common(1)
    # 40 % are promised over 1,000; four seconds of spread give 25 %.
    assert commonest[0][1] <= 0.4 * len(answers), commonest


async def test_errors_and_further_members_are_part_of_the_document() -> None:
    errors = [{"pointer": "/nik", "code": "nik-invalid", "expected": {"length": 16}}]
    problem = Problem("nik-invalid", "NIK.", errors=errors, extra={"opens_at": "later"})
    async with serving(app_raising(problem)) as site:
        document = (await ask(site, request("/"))).json
        assert document["errors"] == errors
        assert (document["detail"], document["opens_at"]) == ("NIK.", "later")
