"""Who may pass? Every request to the operator's listener, held against ``core/credentials.ACCESS``.

A route that is not in that table, or is none, is refused to whoever shows no credential. Failures are
counted by address, and only they are held back: a flood of wrong ones locks nobody out. A browser that has
logged in shows a cookie instead (``core/sessions``), and then what it changes must say that it comes from the
console's own page.
"""

import ipaddress
import re
import time
from collections import deque
from collections.abc import Callable, Iterable

import structlog
from aiohttp import web

from gateway.core import sessions
from gateway.core.credentials import Operator, find, role_needed
from gateway.web.clients import came_by_tls
from gateway.web.desk import WHO
from gateway.web.problems import Problem, request_id

FAILURES_MAX, FAILURES_S = 10, 60.0  # from one address
REQUESTS_MAX, REQUESTS_S = 20, 1.0  # with one credential
KEYS_MAX = 4_096
SESSION = web.RequestKey("session", sessions.Session)
CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})

_BEARER = re.compile(r"Bearer +(\S+) *", re.IGNORECASE)

_log = structlog.get_logger("gateway.operator")


class Allowance:
    """So many in any window of time, for each key; the key that was quiet longest makes room."""

    def __init__(self, count: int, window_s: float) -> None:
        self._count, self._window_s = count, window_s
        self._taken: dict[str, deque[float]] = {}  # key -> when, at most `count` of them

    def take(self, key: str, *, now_s: float) -> float:
        """Take one and return 0, or return how long to wait for one."""
        taken = self._taken.pop(key, None) or deque(maxlen=self._count)
        if len(self._taken) >= KEYS_MAX:
            del self._taken[next(iter(self._taken))]
        self._taken[key] = taken
        if len(taken) == self._count and now_s - taken[0] < self._window_s:
            return taken[0] + self._window_s - now_s
        taken.append(now_s)
        return 0.0


class Door:
    """Lets in who shows a credential with a sufficient role."""

    def __init__(self, operators: Callable[[], Iterable[Operator]], console_key: bytes) -> None:
        self._operators = operators
        self.console_key = console_key  # empty: nobody can log in
        self._failures = Allowance(FAILURES_MAX, FAILURES_S)  # by address
        self._requests = Allowance(REQUESTS_MAX, REQUESTS_S)  # by credential

    def admit(self, request: web.Request) -> None:
        """Check the request against the table of access.

        Raises:
            Problem: 401, 403, 429, or 400 ``credential-ambiguous``.

        """
        resource = request.match_info.route.resource
        needed = role_needed(request.method, resource.canonical if resource else None)
        if needed is None:
            return
        request[WHO] = who = self._identify(request)
        _take(self._requests, who.id, request)
        if who.role < needed:
            raise Problem("role-missing", close=request.body_exists)

    def _identify(self, request: web.Request) -> Operator:
        shown = set(request.headers.getall("Authorization", ()))
        if not shown and (text := request.cookies.get(cookie_name(request))):
            return self._logged_in(request, text)
        if not shown:
            raise Problem("credential-missing", close=request.body_exists)
        if len(shown) > 1:
            raise Problem("credential-ambiguous", "Send one credential.", close=request.body_exists)
        match = _BEARER.fullmatch(shown.pop())
        who = find(self._operators(), match[1]) if match else None
        expired = who is not None and who.expires_at_us <= time.time_ns() // 1000
        if who is None or expired:
            # Only failures are held back: nobody else behind the same address is locked out.
            _take(self._failures, _network(request.remote), request)
            note_refusal(request, "credential-invalid")
            detail = "This credential has expired." if expired else ""
            raise Problem("credential-invalid", detail, close=request.body_exists)
        return who

    def _logged_in(self, request: web.Request, text: str) -> Operator:
        now_s = int(time.time())
        found = sessions.find(self._operators(), self.console_key, text, now_s=now_s)
        if found is None:
            detail = "This login is over. Log in again."
            raise Problem("credential-invalid", detail, close=request.body_exists)
        # SameSite=Strict keeps other sites away; where a browser knows it not, this does.
        if request.method in CHANGING and "Origin" not in request.headers:
            raise Problem("cross-site", close=request.body_exists)
        request[SESSION] = found[1]
        return found[0]


def cookie_name(request: web.BaseRequest) -> str:
    """Return the cookie's name: only the browser can set one that begins with ``__Host-``."""
    return "__Host-console" if came_by_tls(request) else "console"


def _take(allowance: Allowance, key: str, request: web.Request) -> None:
    wait_s = allowance.take(key, now_s=time.monotonic())
    if wait_s > 0:
        detail = "Wait before asking again."
        close = request.body_exists
        raise Problem("too-many-requests", detail, retry_after_s=wait_s, close=close)


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
