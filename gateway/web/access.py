"""Who may pass? Every request to the operator's listener, held against ``core/credentials.ACCESS``.

A route that is not in that table, or is none, is refused to whoever shows no credential. Failures are
counted by address, and only they are held back: a flood of wrong ones locks nobody out.
"""

import ipaddress
import re
import time
from collections.abc import Callable, Iterable

import structlog
from aiohttp import web

from gateway.core.credentials import Operator, find, role_needed
from gateway.web.limits import Pace
from gateway.web.problems import Problem, request_id

FAILURE_INTERVAL_S = 6.0  # 10 failures a minute from one address
REQUEST_INTERVAL_S = 1 / 20  # 20 requests a second with one credential
WHO = web.RequestKey("who", Operator)

_BEARER = re.compile(r"Bearer +(\S+) *", re.IGNORECASE)

_log = structlog.get_logger("gateway.operator")


class Door:
    """Lets in who shows a credential with a sufficient role."""

    def __init__(self, operators: Callable[[], Iterable[Operator]]) -> None:
        self._operators = operators
        self._failures = Pace()  # by address
        self._requests = Pace()  # by credential

    def admit(self, request: web.Request) -> None:
        """Check the request against the table of access.

        Raises:
            Problem: 401, 403, 429, or 400 ``credential-ambiguous``.

        """
        resource = request.match_info.route.resource
        needed = role_needed(request.method, resource.canonical if resource else None)
        if needed is None:
            return
        who = self._identify(request)
        if who.role < needed:
            note_refusal(request, "role-missing", who=who.id)
            raise Problem("role-missing", close=request.body_exists)
        _pace(self._requests, who.id, REQUEST_INTERVAL_S, request)
        request[WHO] = who

    def _identify(self, request: web.Request) -> Operator:
        shown = set(request.headers.getall("Authorization", ()))
        if not shown:
            raise Problem("credential-missing", close=request.body_exists)
        if len(shown) > 1:
            raise Problem("credential-ambiguous", "Send one credential.", close=request.body_exists)
        match = _BEARER.fullmatch(shown.pop())
        who = find(self._operators(), match[1]) if match else None
        expired = who is not None and who.expires_at_us <= time.time_ns() // 1000
        if who is None or expired:
            # Only failures are held back: nobody else behind the same address is locked out.
            _pace(self._failures, _network(request.remote), FAILURE_INTERVAL_S, request)
            note_refusal(request, "credential-invalid")
            detail = "This credential has expired." if expired else ""
            raise Problem("credential-invalid", detail, close=request.body_exists)
        return who


def _pace(pace: Pace, key: str, interval_s: float, request: web.Request) -> None:
    now_s = time.monotonic()
    wait_s = pace.wait_s(key, now_s=now_s)
    if wait_s > 0:
        detail = "Wait before asking again."
        close = request.body_exists
        raise Problem("too-many-requests", detail, retry_after_s=wait_s, close=close)
    pace.count(key, interval_s, now_s=now_s)


def _network(remote: str | None) -> str:
    """Return the address whose failures are counted together: of IPv6, all that one site has."""
    try:
        address = ipaddress.ip_address((remote or "").partition("%")[0])
    except ValueError:
        return ""
    if address.version == 4:
        return str(address)
    return str(ipaddress.IPv6Network((int(address), 64), strict=False))


def note_refusal(request: web.Request, refusal: str, **fields: str) -> None:
    """Log that an operator was refused, and why. Many of them are told as one line."""
    _log.info("operator refused", sampled=True, request=request_id(request), why=refusal, **fields)
