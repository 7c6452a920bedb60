"""Who is asking: the ticket or pass in a cookie or an Authorization header, and no other way.

Two different values for one purpose are refused, never chosen between. Nothing is believed before
its signature is verified, and nothing but memory is asked to verify it.
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from aiohttp import web

from gateway.core.tickets import Credential, Keyring, Kind, verify
from gateway.web.clients import came_by_tls
from gateway.web.problems import Problem

SecureCookies = Literal["auto", "always"]
WAVES_KEPT_MAX = 8  # tickets of one browser; a ninth pushes the oldest out
AHEAD_LIFE_S = 3_600  # of what a page without script was shown; every poll keeps it anew
_NAMES = {Kind.TICKET: "ticket", Kind.PASS: "pass"}
_TICKET_NAME = re.compile(r"(?:__Host-)?ticket\.[a-z0-9-]{1,64}")


@dataclass(frozen=True, slots=True)
class Cookies:
    """How tickets and passes are kept in browsers."""

    ticket_keys: Keyring
    pass_keys: Keyring
    secure: SecureCookies = "auto"  # auto: everywhere except plain HTTP on this machine

    def ticket_of(self, request: web.Request, wave_id: str) -> Credential:
        """Return the verified ticket of this wave.

        Raises:
            Problem: 401 ``ticket-missing``, 403 ``ticket-invalid``, 400 ``credential-ambiguous``.

        """
        ticket = self.held(request, Kind.TICKET, wave_id)
        if ticket is None:
            raise Problem("ticket-missing", extra={"join": f"/v1/waves/{wave_id}/tickets"})
        return ticket

    def pass_of(self, request: web.Request, wave_id: str) -> Credential:
        """Return the verified pass of this wave.

        Raises:
            Problem: 401 ``pass-missing``, 403 ``pass-invalid``, 400 ``credential-ambiguous``.

        """
        pass_ = self.held(request, Kind.PASS, wave_id)
        if pass_ is None:
            raise Problem("pass-missing", extra={"claim": f"/v1/waves/{wave_id}/pass"})
        return pass_

    def held(self, request: web.Request, kind: Kind, wave_id: str) -> Credential | None:
        """Return the verified credential, or None when none is shown.

        Raises:
            Problem: 403 for one that we did not make, 400 for two different ones.

        """
        text = _shown(request, self.name(request, kind, wave_id))
        if text is None:
            return None
        keys = self.ticket_keys if kind is Kind.TICKET else self.pass_keys
        credential = verify(keys, text, kind, wave_id)
        if credential is None:
            raise Problem(f"{_NAMES[kind]}-invalid")
        return credential

    def name(self, request: web.Request, kind: Kind, wave_id: str) -> str:
        """Return the cookie's name: only the browser can set one that begins with ``__Host-``."""
        return cookie_name(kind, wave_id, secure=self._secure(request))

    def keep(
        self,
        request: web.Request,
        response: web.StreamResponse,
        kind: Kind,
        wave_id: str,
        *,
        text: str,
        life_s: int,
    ) -> None:
        """Have the browser keep a credential for ``life_s``."""
        name = self.name(request, kind, wave_id)
        self._set(request, response, name, text, max(0, life_s))
        if kind is Kind.TICKET:
            others = [other for other in _ticket_names(request) if other != name]
            # Browsers send the oldest first.
            for surplus in others[: max(0, len(others) + 1 - WAVES_KEPT_MAX)]:
                self._set(request, response, surplus, "", 0)

    def forget(
        self, request: web.Request, response: web.StreamResponse, kind: Kind, wave_id: str
    ) -> None:
        """Have the browser forget a credential."""
        self._set(request, response, self.name(request, kind, wave_id), "", 0)

    def ahead_of(self, request: web.Request, ticket: Credential) -> int | None:
        """Return how many this visitor was last shown before it, by whichever process."""
        name, mine = f"ahead.{ticket.wave_id}", f"{ticket.number}-"
        values = [value for found, value in _cookies(request) if found == name]
        told = [shown_ahead(value.removeprefix(mine)) for value in values if value.startswith(mine)]
        return told[0] if told else None

    def keep_ahead(
        self, request: web.Request, response: web.StreamResponse, ticket: Credential, ahead: int
    ) -> None:
        """Have a browser without script keep what it is shown, so that it never sees more."""
        name, text = f"ahead.{ticket.wave_id}", f"{ticket.number}-{ahead}"
        self._set(request, response, name, text, AHEAD_LIFE_S)

    def _set(
        self, request: web.Request, response: web.StreamResponse, name: str, text: str, life_s: int
    ) -> None:
        response.set_cookie(
            name,
            text,
            max_age=life_s,
            path="/",
            secure=self._secure(request) or None,
            httponly=True,
            samesite="Lax",  # people come by links from messengers: Strict would lose their place
        )

    def _secure(self, request: web.Request) -> bool:
        return came_by_tls(request) or self.secure_at(request.headers.get("Host", ""))

    def secure_at(self, host: str) -> bool:
        """Say whether cookies are for TLS only where plain HTTP came in for this host."""
        return self.secure == "always" or not _is_loopback(host)


def shown_ahead(text: str | None) -> int | None:
    """Return a count that a visitor says it was shown; nothing hangs on its honesty."""
    return int(text) if text and re.fullmatch(r"[0-9]{1,10}", text) else None


def cookie_name(kind: Kind, wave_id: str, *, secure: bool) -> str:
    """Return the name under which browsers keep a credential."""
    return f"{'__Host-' if secure else ''}{_NAMES[kind]}.{wave_id}"


@lru_cache(maxsize=1024)
def _is_loopback(host: str) -> bool:
    name = host.rpartition(":")[0] if re.search(r":\d+$", host) else host
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def _shown(request: web.Request, cookie_name: str) -> str | None:
    values = {value for name, value in _cookies(request) if name == cookie_name}
    for header in request.headers.getall("Authorization", ()):
        scheme, _, value = header.partition(" ")
        if scheme.lower() == "bearer":
            values.add(value.strip())
    if len(values) > 1:
        raise Problem("credential-ambiguous")
    return values.pop() if values else None


def _cookies(request: web.Request) -> Sequence[tuple[str, str]]:
    # Not aiohttp's reader: what other sites' cookies look like is none of our business.
    pairs = []
    for header in request.headers.getall("Cookie", ()):
        for part in header.split(";"):
            name, _, value = part.partition("=")
            pairs.append((name.strip(), value.strip()))
    return pairs


def _ticket_names(request: web.Request) -> Sequence[str]:
    names = dict.fromkeys(name for name, _ in _cookies(request))
    return [name for name in names if _TICKET_NAME.fullmatch(name)]
