"""May one more connection come in? So many a process, so many an IPv4 address or IPv6 /64.

An IPv6 subscriber has a /64 at least, so its 2^64 addresses count as one. Connections from this machine
itself count towards the process alone: there a proxy speaks for everybody.
"""

import ipaddress
from collections import Counter
from functools import lru_cache
from typing import Any

CONNECTIONS_MAX = 10_000  # a process
PER_ADDRESS_MAX = 200
ADDRESSES_REMEMBERED = 16_384


class Crowd:
    """Counts who is connected. As many keys as there are connections, at most."""

    def __init__(
        self, connections_max: int = CONNECTIONS_MAX, per_address_max: int = PER_ADDRESS_MAX
    ) -> None:
        self.connections_max = connections_max
        self.per_address_max = per_address_max
        self.present = 0
        self.by_address: Counter[str] = Counter()

    def enter(self, peername: Any) -> str | None:
        """Count one connection and return the key it leaves by; None: it must not stay."""
        key = address_key(str(peername[0])) if isinstance(peername, tuple) and peername else ""
        full = self.present >= self.connections_max
        if full or (key and self.by_address[key] >= self.per_address_max):
            return None
        self.present += 1
        if key:
            self.by_address[key] += 1
        return key

    def leave(self, key: str | None) -> None:
        """Count one connection less; None was never let in."""
        if key is None:
            return
        self.present -= 1
        if key:
            self.by_address[key] -= 1
            if not self.by_address[key]:
                del self.by_address[key]


@lru_cache(maxsize=ADDRESSES_REMEMBERED)
def address_key(address: str) -> str:
    """Return what stands for a subscriber; empty for this machine."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is None:
            network = ipaddress.IPv6Network((found, 64), strict=False)
            return "" if found.is_loopback else str(network)
        found = found.ipv4_mapped
    return "" if found.is_loopback else str(found)
