"""Who asks, and by TLS or not? The peer of the connection, or whom a trusted proxy in front names.

``X-Forwarded-For`` and ``X-Forwarded-Proto`` are read from trusted peers alone. ``Forwarded``, other
headers of that kind and names with underscores are never read: one way to say a thing leaves no doubt.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from aiohttp import web

from gateway.core.hops import client, is_trusted, networks, subscriber

ADDRESSES_REMEMBERED = 16_384
FOR, PROTO = "X-Forwarded-For", "X-Forwarded-Proto"

subscriber_of = lru_cache(maxsize=ADDRESSES_REMEMBERED)(subscriber)


@dataclass(slots=True)
class Peer:
    """The other end of a connection."""

    key: str  # of the subscriber; empty: this machine, or not on the network
    trusted: bool = False  # a proxy: it speaks for others
    joins_may_at_s: float = -math.inf  # when it may ask for one more new ticket

    @property
    def is_private(self) -> bool:
        """Whether a proxy or this machine is at the other end, and no stranger."""
        return self.trusted or not self.key


NOBODY = Peer("")


class Proxies:
    """Reads what peers say of those they speak for."""

    def __init__(self, trusted: Iterable[str] = ()) -> None:
        self._trusted = networks(trusted)
        self._unreadable = 0
        self._client_of = lru_cache(maxsize=ADDRESSES_REMEMBERED)(self._find)

    def peer(self, peername: Any) -> Peer:
        """Return who connects; a Unix socket has no address."""
        address = str(peername[0]) if isinstance(peername, tuple) and peername else ""
        return Peer(subscriber_of(address), is_trusted(address, self._trusted))

    def key(self, peer: Peer, forwarded_for: str) -> str:
        """Return the subscriber whose request it is, by what its peer forwards; empty: this machine's own."""
        if not peer.trusted or not forwarded_for:
            return peer.key
        found = self._client_of(forwarded_for)
        if found is None:
            self._unreadable += 1
            return peer.key
        return subscriber_of(found)

    def take_unreadable(self) -> int:
        """Return how many trusted proxies' requests did not say whose they are, since the last call."""
        unreadable, self._unreadable = self._unreadable, 0
        return unreadable

    def _find(self, forwarded_for: str) -> str | None:
        return client(forwarded_for, self._trusted)


def peer_of(request: web.BaseRequest) -> Peer:
    """Return the other end of the connection."""
    peer: Peer = getattr(request.protocol, "peer", NOBODY)
    return peer


def forwarded_for(request: web.BaseRequest) -> str:
    """Return whose request its peer says it is, believed or not."""
    return _said(request, FOR)


def is_tls(forwarded_proto: str) -> bool:
    """Say whether a trusted proxy was spoken to by TLS; of several the last word is its own."""
    return forwarded_proto.rpartition(",")[2].strip(" \t").lower() == "https"


def came_by_tls(request: web.BaseRequest) -> bool:
    """Say whether applicants' bytes were encrypted; what an absolute target claims does not count."""
    transport = request.transport
    if transport is not None and transport.get_extra_info("sslcontext") is not None:
        return True
    return peer_of(request).trusted and is_tls(_said(request, PROTO))


def _said(request: web.BaseRequest, name: str) -> str:
    """Return all that the head says under one name; nothing where it could not be read."""
    getall = getattr(request.headers, "getall", None)  # aiohttp gives such a request a plain dict
    return "" if getall is None else ",".join(getall(name, ()))


def origin_of(request: web.BaseRequest) -> str:
    """Return scheme and host by which applicants reach this listener."""
    return f"{'https' if came_by_tls(request) else 'http'}://{request.host}"
