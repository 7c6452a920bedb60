"""What every request must look like before anything is done for it; what every answer carries.

``check_head`` is asked before routing, on both listeners; ``harden`` is the last to touch answers.
"""

import re
from collections.abc import Mapping, Sequence
from urllib.parse import unquote_to_bytes

from aiohttp import HttpVersion10, HttpVersion11, web
from aiohttp.typedefs import Handler

from gateway.web.body import CONTINUE, discard
from gateway.web.clients import came_by_tls
from gateway.web.problems import Problem

FIELD_BYTES_MAX = 4096  # a whole line: aiohttp limits names and values, each for itself
HEAD_BYTES_MAX = 16 * 1024  # all fields together: aiohttp does not limit their sum

_FEATURES_OFF = (
    "accelerometer=(), autoplay=(), browsing-topics=(), camera=(), display-capture=(), "
    "encrypted-media=(), fullscreen=(), geolocation=(), gyroscope=(), magnetometer=(), "
    "microphone=(), midi=(), payment=(), publickey-credentials-get=(), screen-wake-lock=(), "
    "usb=(), xr-spatial-tracking=()"
)
HEADERS: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": _FEATURES_OFF,
    "Server": "gateway",
}
JSON_POLICY = "default-src 'none'; frame-ancestors 'none'"  # pages bring a policy of their own
HSTS = "max-age=31536000"

_CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_HOST = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?")
_PLAIN_TARGET = re.compile(r"/(?:[A-Za-z0-9_~-][A-Za-z0-9_.~/-]*)?")
_TARGET = re.compile(r"[/?](?:[!$&-;=?-Z_a-z~]|%[0-9A-Fa-f]{2})*")
_ABSOLUTE = re.compile(r"https?://([^/?]*)(.*)", re.IGNORECASE)
_FORBIDDEN_IN_PATH = re.compile(r"%(?:2f|5c)", re.IGNORECASE)
_DOT_SEGMENT = re.compile(r"/(?:\.|%2e){1,2}(?:/|$)", re.IGNORECASE)


def check_head(request: web.BaseRequest) -> None:
    """Refuse a head that could mean different things to different readers.

    Raises:
        Problem: 400 ``host`` or ``target``, 405 for CONNECT, 417, 431 or 505.

    """
    if request.method == "CONNECT":  # what follows would be a tunnel's
        raise Problem("method", headers={"Allow": "GET, HEAD, POST, DELETE"}, close=True)
    if request.version not in {HttpVersion10, HttpVersion11}:
        raise Problem("http-version", close=True)
    authority = _check_target(request.raw_path)
    hosts = request.headers.getall("Host", ())
    if len(hosts) != 1 or not is_host(hosts[0]):
        raise Problem("host", close=True)
    if authority is not None and not is_host(authority):
        raise Problem("host", close=True)
    sizes_bytes = [len(name) + len(": ") + len(value) for name, value in request.raw_headers]
    if max(sizes_bytes) > FIELD_BYTES_MAX or sum(sizes_bytes) > HEAD_BYTES_MAX:
        raise Problem("header-too-large", close=True)
    if request.headers.get("Expect", "100-continue").lower() != "100-continue":
        raise Problem("expectation", close=request.body_exists)


def is_host(text: str) -> bool:
    """Say whether this is a host with or without a port."""
    return _HOST.fullmatch(text) is not None


def _check_target(target: str) -> str | None:
    """Refuse a malformed target; return the authority of an absolute one."""
    if target == "*":
        return None
    if _PLAIN_TARGET.fullmatch(target) and "/." not in target:
        return None  # nearly all of them
    authority = None
    if absolute := _ABSOLUTE.fullmatch(target):
        authority, target = absolute[1], absolute[2] or "/"
    path = target.partition("?")[0]
    malformed = (
        not _TARGET.fullmatch(target)
        or _DOT_SEGMENT.search(path)
        or _FORBIDDEN_IN_PATH.search(path)
        or not _is_text(target)
    )
    if malformed:
        raise Problem("target", close=True)
    return authority


def _is_text(target: str) -> bool:
    decoded = unquote_to_bytes(target)
    try:
        decoded.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return b"\0" not in decoded


def without_expectation(request: web.Request) -> web.Request:
    """Take ``Expect: 100-continue`` off a request; ``body`` says 100 once it wants the body.

    aiohttp would say it before any check.
    """
    headers = request.headers.copy()
    if headers.popall("Expect", None) is None:
        return request
    try:
        bare = request.clone(headers=headers)
    except UnicodeEncodeError:
        raise Problem("header", close=True) from None
    bare[CONTINUE] = True
    return bare


def check_origin(request: web.BaseRequest) -> None:
    """Refuse to change anything for a page of another site.

    Raises:
        Problem: 403 ``cross-site``.

    """
    if request.method not in _CHANGING:
        return
    headers = request.headers
    foreign = is_foreign(
        headers.getall("Sec-Fetch-Site", ()), headers.getall("Origin", ()), headers.get("Host", "")
    )
    if foreign:
        raise Problem("cross-site", close=request.body_exists)


def is_foreign(sites: Sequence[str], origins: Sequence[str], host: str) -> bool:
    """Say whether a page of another site asks, by its `Sec-Fetch-Site` and `Origin` fields."""
    if sites:
        return any(site not in {"same-origin", "none"} for site in sites)
    own = host.lower()
    return any(origin.lower().partition("://")[2] != own for origin in origins)


def harden(request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Put on an answer what keeps browsers from misusing it."""
    if response.prepared:
        return
    response.headers.update(HEADERS)
    response.headers.setdefault("Content-Security-Policy", JSON_POLICY)
    if came_by_tls(request):
        response.headers["Strict-Transport-Security"] = HSTS


@web.middleware
async def security_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Check the origin, and read and ignore the body of requests that have no use for one.

    Stands inside ``problem_middleware``.
    """
    check_origin(request)
    if request.method in {"GET", "HEAD", "DELETE", "OPTIONS", "TRACE"}:
        await discard(request)
    return await handler(request)
