"""Who is asking: the ticket or pass in a cookie or an Authorization header, and no other way.

Two different values for one purpose are refused, never chosen between. Nothing is believed before
its signature is verified, and nothing but memory is asked to verify it.
"""

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

from aiohttp import web

from gateway.core.tickets import Credential, Keyring, Kind, verify
from gateway.web.clients import Peer, came_by_tls, forwarded_for, peer_of
from gateway.web.problems import Problem

SecureCookies = Literal["auto", "always"]
WAVES_KEPT_MAX = 8  # tickets of one browser; a ninth pushes the oldest out
AHEAD_LIFE_S = 3_600  # of what a page without script was shown; every poll keeps it anew
_NAMES = {Kind.TICKET: "ticket", Kind.PASS: "pass"}
_TICKET_NAME = re.compile(r"(?:__Host-)?ticket\.[a-z0-9-]{1,64}")


@dataclass(slots=True)
class Shown:
    """What a request shows of who is asking, whoever has read it."""

    host: str
    by_tls: bool
    cookies: Sequence[str]  # all `Cookie` fields
    authorizations: Sequence[str]  # all `Authorization` fields
    peer: Peer
    forwarded_for: str  # by the peer, to be believed or not
    verified: dict[tuple[Kind, str], Credential] = field(default_factory=dict)  # by wave


def shown_by(request: web.BaseRequest) -> Shown:
    """Return what aiohttp has read."""
    headers = request.headers
    return Shown(
        headers.get("Host", ""),
        came_by_tls(request),
        headers.getall("Cookie", ()),
        headers.getall("Authorization", ()),
        peer_of(request),
        forwarded_for(request),
    )


def add_cookies(response: web.StreamResponse, lines: Iterable[str]) -> None:
    """Put on an answer what the browser is to keep and to forget."""
    for line in lines:
        response.headers.add("Set-Cookie", line)


@dataclass(frozen=True, slots=True)
class Cookies:
    """How tickets and passes are kept in browsers."""

    ticket_keys: Keyring
    pass_keys: Keyring
    secure: SecureCookies = "auto"  # auto: everywhere except plain HTTP on this machine

    def ticket_of(self, shown: Shown, wave_id: str) -> Credential:
        """Return the verified ticket of this wave.

        Raises:
            Problem: 401 ``ticket-missing``, 403 ``ticket-invalid``, 400 ``credential-ambiguous``.

        """
        ticket = self.held(shown, Kind.TICKET, wave_id)
        if ticket is None:
            raise Problem("ticket-missing", extra={"join": f"/v1/waves/{wave_id}/tickets"})
        return ticket

    def pass_of(self, shown: Shown, wave_id: str) -> Credential:
        """Return the verified pass of this wave.

        Raises:
            Problem: 401 ``pass-missing``, 403 ``pass-invalid``, 400 ``credential-ambiguous``.

        """
        pass_ = self.held(shown, Kind.PASS, wave_id)
        if pass_ is None:
            raise Problem("pass-missing", extra={"claim": f"/v1/waves/{wave_id}/pass"})
        return pass_

    def held(self, shown: Shown, kind: Kind, wave_id: str) -> Credential | None:
        """Return the verified credential, or None when none is shown.

        Raises:
            Problem: 403 for one that we did not make, 400 for two different ones.

        """
        if (known := shown.verified.get((kind, wave_id))) is not None:
            return known
        text = _shown(shown, self.name(shown, kind, wave_id))
        if text is None:
            return None
        keys = self.ticket_keys if kind is Kind.TICKET else self.pass_keys
        credential = verify(keys, text, kind, wave_id)
        if credential is None:
            raise Problem(f"{_NAMES[kind]}-invalid")
        shown.verified[kind, wave_id] = credential
        return credential

    def name(self, shown: Shown, kind: Kind, wave_id: str) -> str:
        """Return the cookie's name: only the browser can set one that begins with ``__Host-``."""
        return cookie_name(kind, wave_id, secure=self._secure(shown))

    def keep(
        self, shown: Shown, kind: Kind, wave_id: str, *, text: str, life_s: int
    ) -> Sequence[str]:
        """Return what has the browser keep a credential for ``life_s``: `Set-Cookie` fields."""
        name, secure = self.name(shown, kind, wave_id), self._secure(shown)
        lines = [_line(name, text, max(0, life_s), secure=secure)]
        if kind is Kind.TICKET and shown.cookies:
            others = [other for other in _ticket_names(shown) if other != name]
            # Browsers send the oldest first.
            surplus = others[: max(0, len(others) + 1 - WAVES_KEPT_MAX)]
            lines += [_line(other, "", 0, secure=secure) for other in surplus]
        return lines

    def forget(self, shown: Shown, kind: Kind, wave_id: str) -> str:
        """Return what has the browser forget a credential."""
        return _line(self.name(shown, kind, wave_id), "", 0, secure=self._secure(shown))

    def ahead_of(self, shown: Shown, ticket: Credential) -> int | None:
        """Return how many this visitor was last shown before it, by whichever process."""
        name, mine = f"ahead.{ticket.wave_id}", f"{ticket.number}-"
        values = [value for found, value in _cookies(shown) if found == name]
        told = [shown_count(value.removeprefix(mine)) for value in values if value.startswith(mine)]
        return told[0] if told else None

    def keep_ahead(self, shown: Shown, ticket: Credential, ahead: int) -> str:
        """Return what has a browser without script keep what it is shown: it never sees more."""
        name, text = f"ahead.{ticket.wave_id}", f"{ticket.number}-{ahead}"
        return _line(name, text, AHEAD_LIFE_S, secure=self._secure(shown))

    def _secure(self, shown: Shown) -> bool:
        return shown.by_tls or self.secure_at(shown.host)

    def secure_at(self, host: str) -> bool:
        """Say whether cookies are for TLS only where plain HTTP came in for this host."""
        return self.secure == "always" or not _is_loopback(host)


def shown_count(text: str | None) -> int | None:
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


def _line(name: str, text: str, life_s: int, *, secure: bool) -> str:
    # People come by links from messengers: Strict would lose their place.
    end = "; SameSite=Lax; Secure" if secure else "; SameSite=Lax"
    value = text or '""'
    return f"{name}={value}; HttpOnly; Max-Age={life_s}; Path=/{end}"


def _shown(shown: Shown, cookie_name: str) -> str | None:
    values = {value for name, value in _cookies(shown) if name == cookie_name}
    for header in shown.authorizations:
        scheme, _, value = header.partition(" ")
        if scheme.lower() == "bearer":
            values.add(value.strip())
    if len(values) > 1:
        raise Problem("credential-ambiguous")
    return values.pop() if values else None


def _cookies(shown: Shown) -> Sequence[tuple[str, str]]:
    # Not aiohttp's reader: what other sites' cookies look like is none of our business.
    pairs = []
    for header in shown.cookies:
        for part in header.split(";"):
            name, _, value = part.partition("=")
            pairs.append((name.strip(), value.strip()))
    return pairs


def _ticket_names(shown: Shown) -> Sequence[str]:
    names = dict.fromkeys(name for name, _ in _cookies(shown))
    return [name for name in names if _TICKET_NAME.fullmatch(name)]
