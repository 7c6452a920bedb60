"""How a refusal is told: RFC 9457 problem+json for programs, a page for people, from one catalogue.

Everything that goes wrong below ends in ``problem_middleware``: problems raised by handlers, errors
of aiohttp's router, outages of the ports, and what nobody foresaw. Nothing of the request is ever
repeated, in the answer or in the log.
"""

import asyncio
import math
import secrets
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson
import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.ports import OutcomeUnknownError, PortUnavailableError, RoomMissingError
from gateway.web.catalogue import CATALOGUE, Entry
from gateway.web.negotiation import Language, language_of, prefers_html

__all__ = ["CATALOGUE", "Problem", "ProblemStyle", "Refused", "problem_middleware", "respond"]

DEFAULT_BASE = "https://registration-gateway.example/problems"
RETRY_AFTER_S = 2.0  # when nobody knows better
SPREAD_S_MIN = 4.0  # waits are spread over at least so much, so that nobody comes back in step
REQUEST_ID = web.RequestKey("request_id", str)

_log = structlog.get_logger("gateway.web")
_random = secrets.SystemRandom()


class Problem(Exception):  # noqa: N818  RFC 9457's word
    """A refusal to be told to the client. ``code`` is one of ``CATALOGUE``."""

    def __init__(
        self,
        code: str,
        detail: str = "",  # more precise than the catalogue's; never the offending value
        *,
        errors: Sequence[Mapping[str, Any]] = (),
        headers: Mapping[str, str] = {},
        retry_after_s: float | None = None,  # least wait; only for 429 and 503
        extra: Mapping[str, Any] = {},  # further members of the document
        status: int | None = None,  # where one code has two: a method unknown to HTTP is 400
        close: bool = False,  # the connection goes with the answer
    ) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail
        self.errors = errors
        self.headers = headers
        self.retry_after_s = retry_after_s
        self.extra = extra
        self.entry: Entry = CATALOGUE[code]
        self.status = status or self.entry.status
        self.close = close


@dataclass(frozen=True, slots=True)
class Refused:
    """What a page needs to tell a problem."""

    code: str
    status: int
    title: str
    detail: str
    language: Language
    retry_after_s: int | None  # whole seconds; None: waiting will not help
    request_id: str


Renderer = Callable[[web.BaseRequest, Refused], web.Response]


@dataclass(frozen=True, slots=True)
class ProblemStyle:
    """How one listener tells its problems."""

    base: str = DEFAULT_BASE  # before /code in `type`
    render: Renderer | None = None  # makes the page; None: JSON for everybody


STYLE = web.AppKey("problem_style", ProblemStyle)


def request_id(request: web.BaseRequest) -> str:
    """Return the name under which this request stands in the log; made when first asked for."""
    name: str | None = request.get(REQUEST_ID)
    if name is None:
        name = request[REQUEST_ID] = secrets.token_hex(8)
    return name


def respond(
    request: web.BaseRequest, problem: Problem, style: ProblemStyle | None = None
) -> web.Response:
    """Tell one problem, as JSON or as a page."""
    style = style or _style_of(request)
    retry_in_ms = retry_in_ms_of(problem)
    language = language_of(request)
    if style.render is None or not prefers_html(request):
        return tell(problem, style.base, language, request_id(request), retry_in_ms)
    response = style.render(request, _refused(request, problem, language, retry_in_ms))
    response.set_status(problem.status)
    return _finish(response, problem, retry_in_ms)


def tell(
    problem: Problem, base: str, language: Language, name: str, retry_in_ms: int | None
) -> web.Response:
    """Tell one problem as JSON; ``name`` is the request's."""
    document = _document(name, problem, base, language, retry_in_ms)
    response = web.Response(
        body=orjson.dumps(document), status=problem.status, content_type="application/problem+json"
    )
    return _finish(response, problem, retry_in_ms)


def _finish(response: web.Response, problem: Problem, retry_in_ms: int | None) -> web.Response:
    headers = {"Cache-Control": "no-store"} | dict(problem.headers)
    if problem.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if retry_in_ms is not None:
        headers["Retry-After"] = str(math.ceil(retry_in_ms / 1000))
    response.headers.update(headers)
    if problem.close:
        response.force_close()
    return response


def _style_of(request: web.BaseRequest) -> ProblemStyle:
    # What the parser refused has no application.
    if isinstance(request, web.Request):
        return request.app.get(STYLE, ProblemStyle())
    return ProblemStyle()


def retry_in_ms_of(problem: Problem) -> int | None:
    """Return when to come back, spread at random; None where waiting will not help."""
    if problem.status not in {429, 503}:
        return None
    least_s = RETRY_AFTER_S if problem.retry_after_s is None else max(0.0, problem.retry_after_s)
    return math.ceil(1000 * (least_s + _random.uniform(0, max(SPREAD_S_MIN, least_s / 2))))


def _texts(problem: Problem, language: Language) -> tuple[str, str]:
    entry = problem.entry
    if language == "id":
        return entry.title_id, problem.detail or entry.detail_id
    return entry.title_en, problem.detail or entry.detail_en


def _refused(
    request: web.BaseRequest, problem: Problem, language: Language, retry_in_ms: int | None
) -> Refused:
    title, detail = _texts(problem, language)
    wait_s = None if retry_in_ms is None else math.ceil(retry_in_ms / 1000)
    return Refused(
        problem.code, problem.status, title, detail, language, wait_s, request_id(request)
    )


def _document(
    name: str,
    problem: Problem,
    base: str,
    language: Language,
    retry_in_ms: int | None,
) -> dict[str, Any]:
    title, detail = _texts(problem, language)
    document: dict[str, Any] = {
        "type": f"{base}/{problem.code}",
        "title": title,
        "status": problem.status,
        "detail": detail,
        "instance": f"urn:request:{name}",
    }
    if problem.errors:
        document["errors"] = list(problem.errors)
    if retry_in_ms is not None:
        document["retry_in_ms"] = retry_in_ms
    return document | dict(problem.extra)


@web.middleware
async def problem_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn whatever goes wrong below into an answer."""
    try:
        return await handler(request)
    except Exception as exception:  # noqa: BLE001  the last one to ask
        return answer_exception(request, exception)


def answer_exception(
    request: web.BaseRequest, exception: Exception, style: ProblemStyle | None = None
) -> web.Response:
    """Tell the problem behind an exception."""
    if isinstance(exception, web.HTTPException) and exception.status < 400:
        return web.Response(status=exception.status, headers=exception.headers)  # a redirect
    return respond(request, from_exception(partial(request_id, request), exception), style)


def from_exception(name: Callable[[], str], exception: BaseException) -> Problem:
    """Name the problem behind an exception; log it under the request's name when nobody foresaw it."""
    match exception:
        case Problem():
            return exception
        case web.HTTPException():
            return _from_router(exception)
        case PortUnavailableError():
            return Problem("redis-unavailable", retry_after_s=exception.retry_after_s)
        case OutcomeUnknownError() | TimeoutError() | asyncio.CancelledError():
            return Problem("outcome-unknown")
        case RoomMissingError():
            return Problem("recovering")
        case ConnectionError():  # it has gone in the middle of its body; nobody reads this
            return Problem("framing", close=True)
    # Frames only: the text of an exception may hold what the applicant sent.
    frames = traceback.extract_tb(exception.__traceback__)[-6:]
    _log.error(
        "internal error",
        request=name(),
        kind=type(exception).__name__,
        at=[f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    )
    return Problem("internal")


def _from_router(exception: web.HTTPException) -> Problem:
    match exception.status:
        case 404:
            return Problem("not-found")
        case 405:
            return Problem("method", headers={"Allow": exception.headers.get("Allow", "")})
        case 413:
            return Problem("too-large", close=True)
        case 415:
            return Problem("media-type")
        case 417:
            return Problem("expectation")
        case _:
            return Problem("internal")
